"""MMC without its geometry, the control for what optimal centers are said to do."""

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers import random_centers
from mmc_viz.heads._base import register
from mmc_viz.heads.mmc import MaxMahalanobisCenter


@register("mmc_random")
class RandomCenter(MaxMahalanobisCenter):
    r"""The loss of `mmc`, $\tfrac12 \lVert z - \mu_y \rVert^2$, to centers drawn at random.

    The $\mu_i$ are Gaussian directions scaled to the norm `radius`, drawn once from `generator` and
    then fixed. In many dimensions they are almost orthogonal; in two, some will nearly coincide,
    and then no training can tell these classes apart well.

    References
    ----------
    "MMC (rand)" of Pang et al., ICLR 2020, https://arxiv.org/abs/1905.10626. From which
    distribution they drew is not published, and their released training script loads the optimal
    centers either way; normalised Gaussian directions are our choice.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        preset: Float[Tensor, "..."] | None = None,
    ):
        if preset is None:
            preset = random_centers(num_classes, dim, radius=radius, generator=generator)
        super().__init__(dim, num_classes, preset=preset)
