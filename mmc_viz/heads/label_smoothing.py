"""Softmax cross-entropy that is not to be too sure."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmc_viz.heads._base import check_number, register
from mmc_viz.heads.sce import SoftmaxCrossEntropy


@register("label_smoothing")
class LabelSmoothing(SoftmaxCrossEntropy):
    r"""Cross-entropy to smoothed labels: $-\sum_i q_i \log \mathrm{softmax}_i(W z + b)$.

    The target is $q_i = (1 - \epsilon) 1_{i = y} + \epsilon / L$ instead of $1_{i = y}$. The loss
    is least where the true logit is above every other by $\log(1 + L (1 - \epsilon) / \epsilon)$
    and rises again beyond, so that there is a best gap where `sce` has none. Its least value is the
    entropy of $q$, not 0. Logits are those of `sce`.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Ignored: there are no centers.
    generator : torch.Generator, optional
        Source of the initial weights. None: a private one, seeded 0.
    smoothing : float
        $\epsilon$ in 0 .. 0.9; 0 is `sce`.

    Raises
    ------
    ValueError
        If `smoothing` is out of range.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
    https://arxiv.org/abs/1512.00567.
    """

    loss_form = "other"

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        smoothing: float | int = 0.1,
    ):
        super().__init__(dim, num_classes, generator=generator)
        check_number("smoothing", smoothing, low=0, high=0.9)
        self.smoothing = smoothing

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample to its smoothed label, in nats."""
        return functional.cross_entropy(
            self.logits(features), labels, reduction="none", label_smoothing=float(self.smoothing)
        )
