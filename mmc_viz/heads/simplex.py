"""Softmax cross-entropy whose last layer is fixed: the geometry given, the loss unchanged."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmc_viz.heads._base import GeneralizedSCE, Head, check_number, register
from mmc_viz.heads._placing import spread, taken_over


@register("simplex")
class FixedSimplex(Head):
    r"""Softmax on fixed simplex weights: $-\log \mathrm{softmax}_y(\langle w_i, z \rangle)$.

    The $w_i$ are the vertices of a regular simplex of norm `weight_norm`, or spread as evenly as
    can be where it does not fit; they are never trained and there is no bias. Only directions are
    given: as with `sce`, the loss falls as a feature moves on outward, so there are no centers.

    As a generalised SCE it has $\mu_i = w_i / 2$, $s_i = 1$, $B_i = \lVert w_i \rVert^2 / 4$. With
    `weight_norm` twice the radius of `mmlda` the two are the same loss.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Ignored: there are no centers.
    generator : torch.Generator, optional
        Unused: nothing here is random.
    preset : Float[Tensor, "num_classes dim"], optional
        Weights to use instead.
    weight_norm : float
        Norm of each $w_i$, above 0 and at most 1000.

    Attributes
    ----------
    weight : Float[Tensor, "num_classes dim"]
        The $w_i$, a buffer.

    Raises
    ------
    ValueError
        If `weight_norm` is out of range.

    References
    ----------
    Zhu et al., "A Geometric Analysis of Neural Collapse with Unconstrained Features", NeurIPS 2021,
    https://arxiv.org/abs/2105.02375, fix the last layer of a classifier to a simplex and lose no
    accuracy. There is no bias here, as it would break the symmetry between the classes.
    """

    loss_form = "softmax"
    placed = "weight"

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        preset: Float[Tensor, "..."] | None = None,
        weight_norm: float | int = 1.0,
    ):
        super().__init__(dim, num_classes)
        check_number("weight_norm", weight_norm, above=0, high=1000)
        if preset is None:
            weight = spread(num_classes, dim, radius=weight_norm)
        else:
            weight = taken_over(preset, num_classes, dim)
        self.register_buffer("weight", weight)

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Inner product with each weight, $\langle w_i, z \rangle$."""
        return functional.linear(features, self.weight)

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample, in nats."""
        return functional.cross_entropy(self.logits(features), labels, reduction="none")

    def generalized_sce(self) -> GeneralizedSCE:
        r"""Means $w_i / 2$, scales 1, offsets $\lVert w_i \rVert^2 / 4$, equal unless preset."""
        weight = self.weight.detach()
        return GeneralizedSCE(
            means=weight / 2,
            scales=weight.new_ones(len(weight)),
            offsets=weight.square().sum(dim=1) / 4,
        )
