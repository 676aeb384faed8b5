"""Points that are placed once and never trained."""

from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers import max_mahalanobis_centers, spread_centers


def spread(num_classes: int, dim: int, *, radius: float | int) -> Float[Tensor, "num_classes dim"]:
    """Give the regular simplex where it fits, else centers as far apart as we can place them."""
    place = max_mahalanobis_centers if dim >= num_classes - 1 else spread_centers
    return place(num_classes, dim, radius=radius)


def taken_over(
    preset: Float[Tensor, "..."], num_classes: int, dim: int
) -> Float[Tensor, "num_classes dim"]:
    """Copy points from elsewhere, in float32, as they are.

    Raises
    ------
    ValueError
        If they are of another shape.
    """
    if preset.shape != (num_classes, dim):
        raise ValueError(
            f"`preset` must be of shape {[num_classes, dim]}; got {list(preset.shape)}."
        )
    return preset.detach().clone().float()
