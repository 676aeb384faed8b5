"""The Max-Mahalanobis center loss, which pulls features to places fixed beforehand."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.heads._base import GeneralizedSCE, Head, register, squared_distances
from mmc_viz.heads._placing import spread, taken_over


@register("mmc")
class MaxMahalanobisCenter(Head):
    r"""Max-Mahalanobis center loss: $\tfrac12 \lVert z - \mu_y \rVert^2$ to fixed centers.

    The centers are a regular simplex where it fits into the feature space, else spread as evenly as
    `spread_centers` can. Logits are $-\lVert z - \mu_i \rVert^2$.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Norm of each center, in feature units, not squared.
    generator : torch.Generator, optional
        Unused: nothing here is random.
    preset : Float[Tensor, "num_classes dim"], optional
        Centers to use instead, of any norms.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        The fixed centers, a buffer: saved with the model, never trained.

    References
    ----------
    Pang et al., "Rethinking Softmax Cross-Entropy Loss for Adversarial Robustness", ICLR 2020,
    https://arxiv.org/abs/1905.10626. The authors' code has no factor 1/2; the optimum is the same.
    """

    loss_form = "distance"
    placed = "centers"
    peak_lr = 0.03

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        preset: Float[Tensor, "..."] | None = None,
    ):
        super().__init__(dim, num_classes)
        if preset is None:
            centers = spread(num_classes, dim, radius=radius)
        else:
            centers = taken_over(preset, num_classes, dim)
        self.register_buffer("centers", centers)

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Minus the squared distance to each center, $-\lVert z - \mu_i \rVert^2$."""
        return -squared_distances(features, self.centers)

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Half the squared distance of each feature to the center of its class."""
        return (features - self.centers[labels]).square().sum(dim=1) / 2

    def generalized_sce(self) -> GeneralizedSCE:
        """Means are the centers, scales 1, offsets 0."""
        means = self.centers.detach()
        return GeneralizedSCE(means, means.new_ones(len(means)), means.new_zeros(len(means)))
