"""Softmax cross-entropy and a pull to the mean of the class."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.heads._base import check_number, register
from mmc_viz.heads.sce import SoftmaxCrossEntropy


@register("center")
class CenterLoss(SoftmaxCrossEntropy):
    r"""Center loss: $-\log \mathrm{softmax}_y(W z + b) + \tfrac\lambda2 \lVert z - c_y \rVert^2$.

    Logits are those of `sce`, and the predictions too; the learned centers $c_i$ only gather the
    features of each class while training. With the features held still, $c_i$ is best at the mean
    of its class.

    The source moves each center a fixed share of the way to the mean of its class in the batch,
    apart from the optimizer. Here the centers follow the gradient of the very same loss by the same
    SGD, so the loss is one function of features and parameters, which can be checked and drawn. A
    plain gradient would move $c_i$ slower the smaller $\lambda$ is; what is trained is therefore
    $u_i = \sqrt\lambda\, c_i$, in which the curvature is 1, so that centers keep up for every
    $\lambda$. They start at the origin.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Ignored: the centers are learned.
    generator : torch.Generator, optional
        Source of the initial weights. None: a private one, seeded 0.
    weight : float
        $\lambda$, above 0 and at most 1000.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        The $c_i$ as they are now.

    Raises
    ------
    ValueError
        If `weight` is out of range.

    References
    ----------
    Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016.
    """

    loss_form = "other"
    undecayed = ("scaled_centers",)

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        weight: float | int = 0.1,
    ):
        super().__init__(dim, num_classes, generator=generator)
        check_number("weight", weight, above=0, high=1000)
        self.weight = weight
        self.scaled_centers = nn.Parameter(torch.zeros(num_classes, dim))

    @property
    def centers(self) -> Float[Tensor, "num_classes dim"]:
        """Where the centers are now."""
        return self.scaled_centers / self.weight**0.5

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample, and its pull to the center of its class."""
        pull = (features - self.centers[labels]).square().sum(dim=1) / 2
        return super().forward(features, labels) + self.weight * pull
