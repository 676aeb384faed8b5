r"""Where a function has one value, found on a grid and then sharpened.

Each edge of the grid on whose ends the function lies on different sides of the level holds a point
of the level set. Interpolating linearly along the edge finds it up to an error that falls with the
square of the spacing. That would be the largest error in a comparison with theory, so each edge is
bisected until its point is exact to the last digits: the grid then decides which points are found,
not how well. What lies wholly between two grid lines is not seen.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

_HALVINGS = 60  # float64 has 53 binary digits


def crossings(
    ticks: tuple[Float[Tensor, " _"], ...],
    values: Tensor,
    level: float | int,
    function: Callable[[Tensor], Tensor],
) -> Float[Tensor, "batch axes"]:
    """Find the points on the edges of a grid at which a function has a given value.

    Parameters
    ----------
    ticks : tuple of Float[Tensor, "ticks"]
        Coordinates along each axis, rising.
    values : Tensor
        Of the function on the grid; its last axis belongs to the first of `ticks`, as in a picture.
        Where it is not finite, no edge is used.
    level : float
        The value.
    function : callable
        From points `[batch, axes]` to values `[batch]`; it gave `values`.

    Returns
    -------
    points : Float[Tensor, "batch axes"]
        float64; none where the level is not met.
    """
    axes = len(ticks)
    grid = torch.stack(torch.meshgrid(*reversed(ticks), indexing="ij")[::-1], dim=-1)
    starts, ends = [], []
    for axis in range(axes):
        count = values.shape[axis]
        first, second = (
            (values.narrow(axis, place, count - 1), grid.narrow(axis, place, count - 1))
            for place in (0, 1)
        )
        crossed = (first[0] >= level) != (second[0] >= level)
        crossed &= first[0].isfinite() & second[0].isfinite()
        starts.append(first[1][crossed])
        ends.append(second[1][crossed])
    low, high = torch.cat(starts).double(), torch.cat(ends).double()
    if len(low) == 0:
        return low
    above = function(low) >= level  # the low end keeps this side
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        same = ((function(middle) >= level) == above)[:, None]
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return (low + high) / 2
