"""Centers on a sphere in fewer dimensions than a regular simplex needs."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers.checks import check_arguments
from mmc_viz.centers.simplex import max_mahalanobis_centers


def spread_centers(
    num_classes: int,
    dim: int,
    *,
    radius: float | int = 10.0,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "num_classes dim"]:
    r"""Spread the class centers over a sphere of any dimension, smallest angle as large as can be.

    In the plane the best arrangement is known exactly: the regular polygon, whose smallest angle
    is $2 \pi / L$. Where a regular simplex fits ($d \ge L - 1$) nothing can beat it, so the result
    is that of `max_mahalanobis_centers`.

    Parameters
    ----------
    num_classes : int
        Number of classes $L$, at least 2.
    dim : int
        Dimension $d$ of the feature space, at least 2.
    radius : float
        Euclidean norm $r$ of each center, in feature units (not squared).
    seed : int
        Seed of the search, for the dimensions in which there is one; the exact cases ignore it.
    device : torch.device or str, optional
        Where to put the result.
    dtype : torch.dtype
        Floating-point type of the result; it is computed in float64 first.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"]
        One center a row, without gradient. In the plane the first lies on the first axis and the
        others follow counterclockwise.

    Raises
    ------
    ValueError
        If `num_classes` < 2, `dim` < 2, or `radius` is not positive and finite; and, until the
        numerical search for spherical codes is there, if 2 < `dim` < `num_classes` - 1.
    """
    check_arguments(num_classes, radius)
    if dim < 2:
        raise ValueError(f"`dim` must be at least 2; got {dim}.")
    if dim == 2:
        angle = torch.arange(num_classes, dtype=torch.float64) * (2 * math.pi / num_classes)
        centers = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return centers.to(device=device, dtype=dtype)
    if dim >= num_classes - 1:
        return max_mahalanobis_centers(num_classes, dim, radius=radius, device=device, dtype=dtype)
    raise ValueError(
        f"`dim` must be 2 or at least `num_classes` - 1 = {num_classes - 1} for now; got {dim}. "
        "The numerical search for spherical codes in between is coming."
    )
