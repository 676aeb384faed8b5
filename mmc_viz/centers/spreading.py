r"""Centers on a sphere in fewer dimensions than a regular simplex needs.

Where the best arrangement is known in closed form, it is taken:

- $d \ge L - 1$: the regular simplex.
- $d = 2$: the regular polygon, smallest angle $2 \pi / L$.
- $d + 1 < L \le 2 d$: the smallest angle cannot exceed 90 degrees (Rankin 1955). It is reached by
  $L - d$ regular simplices in orthogonal subspaces that share out the dimensions; for $L = 2d$
  these are $d$ pairs $\pm e_i$, the orthoplex. Unlike $L$ of the points $\pm e_i$, these centers
  have the sum 0, as those of the simplex have, and fewer of their pairs are at 90 degrees.

Otherwise the best spherical code is not known in closed form, and mostly not known at all. It is
searched for: many random starts are annealed together (`annealing`), the best are polished to full
precision (`polishing`), the best of these is taken. The result is a local optimum to about 1e-13.
That it is the global one is proven for few $L$ and $d$; `geometry` and the packing table say how it
compares with the best that is known.
"""

import functools
import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.centers.annealing import anneal, largest_cosines, random_starts
from mmc_viz.centers.checks import check_arguments
from mmc_viz.centers.polishing import polish
from mmc_viz.centers.simplex import max_mahalanobis_centers

#: Powers at which the restarts begin, from one to the other, where the coarse annealing ends, and
#: where the fine one does.
_FIRST_POWERS, _COARSE, _FINE = (10.0, 100.0), 1e3, 3e4
_HARDEST = 1e6  # instead of a polish, where that would take too long
#: Largest number of coordinates that may move, L (d - 1), for which linear programs are quick.
_POLISHED = 1500
#: A candidate whose angle is smaller than the best by this part is not worth a polish.
_TRAILING = 0.02
_DELAY = 1  # seconds, before a bar is worth showing
_TIE = 1e-9  # between inner products: the earlier candidate wins, whatever the last digits say


def spread_centers(
    num_classes: int,
    dim: int,
    *,
    radius: float | int = 10.0,
    seed: int = 0,
    restarts: int | None = None,
    progress: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "num_classes dim"]:
    r"""Spread the class centers over a sphere of any dimension, smallest angle as large as can be.

    Parameters
    ----------
    num_classes : int
        Number of classes $L$, at least 2.
    dim : int
        Dimension $d$ of the feature space, at least 2.
    radius : float
        Euclidean norm $r$ of each center, in feature units (not squared).
    seed : int
        Seed of the search, where there is one; the exact cases ignore it.
    restarts : int, optional
        How many random starts the search makes. None: 256 for up to 34 classes, fewer for more,
        and at least 2, so that the time hardly grows with their number.
    progress : bool
        Show a bar while a search takes longer than a second.
    device : torch.device or str, optional
        Where to put the result.
    dtype : torch.dtype
        Floating-point type of the result; it is computed in float64 first.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"]
        One center a row, without gradient. In the plane the first lies on the first axis and the
        others follow counterclockwise. What was searched for is turned so that it is lower
        triangular, as the simplex is.

    Raises
    ------
    ValueError
        If `num_classes` < 2, `dim` < 2, `radius` is not positive and finite, `restarts` < 1, or
        `seed` < 0.

    Notes
    -----
    The same arguments give the same centers on the same machine. A process searches once for them;
    it keeps the last results. Where $L (d - 1) > 1500$ the arrangement is annealed further instead
    of polished, to a smallest angle that may be up to about a hundredth of a degree below the
    local optimum.

    References
    ----------
    Rankin, "The closest packing of spherical caps in n dimensions", 1955, for up to $2d$ points.
    """
    check_arguments(num_classes, radius)
    if dim < 2:
        raise ValueError(f"`dim` must be at least 2; got {dim}.")
    if restarts is not None and restarts < 1:
        raise ValueError(f"`restarts` must be at least 1; got {restarts}.")
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0; got {seed}.")
    if dim == 2:
        angle = torch.arange(num_classes, dtype=torch.float64) * (2 * math.pi / num_classes)
        centers = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return centers.to(device=device, dtype=dtype)
    if dim >= num_classes - 1:
        return max_mahalanobis_centers(num_classes, dim, radius=radius, device=device, dtype=dtype)
    if num_classes <= 2 * dim:
        centers = _orthogonal_simplices(num_classes, dim)
    else:
        if restarts is None:
            restarts = max(2, min(256, 300_000 // num_classes**2))
        centers = torch.from_numpy(_search(num_classes, dim, seed, restarts, progress).copy())
    return (radius * centers).to(device=device, dtype=dtype)


def _orthogonal_simplices(num_classes: int, dim: int) -> Float[Tensor, "num_classes dim"]:
    """Share out the dimensions evenly to regular simplices, one point more than dimensions each."""
    simplices = num_classes - dim
    centers = torch.zeros(num_classes, dim, dtype=torch.float64)
    row = column = 0
    for i in range(simplices):
        width = dim // simplices + (i < dim % simplices)
        placed = max_mahalanobis_centers(width + 1, width, radius=1.0, dtype=torch.float64)
        centers[row : row + width + 1, column : column + width] = placed
        row, column = row + width + 1, column + width
    return centers


@functools.lru_cache(maxsize=64)
def _search(
    num_classes: int, dim: int, seed: int, restarts: int, progress: bool
) -> Float[ndarray, "num_classes dim"]:
    """Look for the best spherical code; unit norms, float64."""
    free = num_classes * (dim - 1)
    polished = free <= _POLISHED
    steps = min(300 + 5 * num_classes, 1200)
    few = min(restarts, max(2, min(48, 2000 // free)))
    with tqdm(
        total=steps + steps // 2 + (few if polished else 0),
        desc=f"{num_classes} centers in {dim} dimensions",
        disable=not progress,
        delay=_DELAY,
        leave=False,
    ) as bar:
        points = random_starts(restarts, num_classes, dim, seed)
        points = anneal(points, np.geomspace(*_FIRST_POWERS, restarts), _COARSE, steps, bar)
        points = points[np.argsort(largest_cosines(points), kind="stable")[:few]]
        last = _FINE if polished else _HARDEST
        points = anneal(points, np.full(few, _COARSE), last, steps // 2, bar)
        cosines = largest_cosines(points)
        order = np.argsort(cosines, kind="stable")
        if polished:
            angles = np.arccos(cosines)
            order = [i for i in order if angles[i] >= (1 - _TRAILING) * angles[order[0]]]
            points = np.stack([_polished(points[i], bar) for i in order])
            cosines = largest_cosines(points)
            order = np.flatnonzero(cosines <= cosines.min() + _TIE)
    return _turned(points[order[0]])


def _polished(
    points: Float[ndarray, "num_classes dim"], bar: tqdm
) -> Float[ndarray, "num_classes dim"]:
    bar.update()
    return polish(points)


def _turned(points: Float[ndarray, "num_classes dim"]) -> Float[ndarray, "num_classes dim"]:
    """Turn points so that the first lies on the first axis, the second in the first plane, ..."""
    axes, triangle = np.linalg.qr(points[: points.shape[1]].T)
    axes = axes * np.where(np.diag(triangle) < 0, -1, 1)
    return np.tril(points @ axes)
