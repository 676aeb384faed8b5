r"""How far points are from the regular simplex, or from the polygon where no simplex fits.

Procrustes' problem is to lay one set of points $P$ on another $T$ by a shift, a scale $a$, a
rotation and a reflection. With both centred and $\sigma_j$ the singular values of $P^\top T$,

$$\min_{a, Q} \lVert P - a T Q \rVert_F^2
= \lVert P \rVert_F^2 - \frac{(\sum_j \sigma_j)^2}{\lVert T \rVert_F^2}.$$

The two may lie in spaces of different dimension; the smaller is then thought to be filled up with
zeros, which changes no singular value.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.centers import max_mahalanobis_centers, spread_centers

#: Turns of the polygon from which the search for the best order of its corners starts. On 150
#: sets of 5 to 30 random points these find what 256 find.
_TURNS = 8


def procrustes_distance(
    points: Float[Tensor, "num_classes dim"], target: Float[Tensor, "num_classes other"]
) -> float:
    """Relative distance of points to a target after the best shift, scale, rotation, reflection.

    Parameters
    ----------
    points : Float[Tensor, "num_classes dim"]
        One a row; the distance is relative to how far they are from their mean.
    target : Float[Tensor, "num_classes other"]
        Where each point belongs, in a space of any dimension.

    Returns
    -------
    distance : float
        In 0 .. 1, to about 1e-8; its square is the disparity of `scipy.spatial.procrustes`. NaN
        where all points, or all targets, are one.
    """
    points, target = (p.cpu().double() - p.cpu().double().mean(dim=0) for p in (points, target))
    size = points.square().sum() * target.square().sum()
    if size == 0:
        return math.nan
    explained = torch.linalg.svdvals(points.T @ target).sum().square() / size
    return math.sqrt(max(0.0, 1 - explained.item()))


def distance_to_simplex(means: Float[Tensor, "num_classes dim"]) -> float:
    """Relative distance of class means to the regular simplex of as many corners.

    Which class takes which corner does not matter: any order of the corners is a rotation or a
    reflection. See `mmc_viz.collapse` for the formula.

    Parameters
    ----------
    means : Float[Tensor, "num_classes dim"]
        One a row, at least two, in any dimension.

    Returns
    -------
    distance : float
        In `simplex_floor(num_classes, dim)` .. 1; NaN where all means are one point.
    """
    num_classes = len(means)
    corners = max_mahalanobis_centers(num_classes, num_classes - 1, dtype=torch.float64)
    return procrustes_distance(means, corners)


def simplex_floor(num_classes: int, dim: int) -> float:
    r"""Least distance to the simplex that class means in `dim` dimensions can have.

    It is $\sqrt{1 - d / (L - 1)}$, and 0 from $d = L - 1$ on.
    """
    return math.sqrt(max(0.0, 1 - dim / (num_classes - 1)))


def distance_to_polygon(means: Float[Tensor, "num_classes 2"]) -> float:
    """Relative distance of class means in the plane to the regular polygon of as many corners.

    Here it does matter which class takes which corner, and the best way is looked for: for each of
    many turns of the polygon the best assignment, then the best turn for it, and so on until
    nothing moves.

    Parameters
    ----------
    means : Float[Tensor, "num_classes 2"]
        One a row, at least two.

    Returns
    -------
    distance : float
        In 0 .. 1; NaN where all means are one point.
    """
    points = means.cpu().double() - means.cpu().double().mean(dim=0)
    corners = spread_centers(len(points), 2, radius=1.0, dtype=torch.float64)
    if not points.any():
        return math.nan
    best = math.inf
    for turn in range(_TURNS):
        # A turn by one corner is another order of the corners, so all turns lie within one.
        angle = torch.tensor(2 * math.pi / len(points) * turn / _TURNS, dtype=torch.float64)
        order = _nearest(points, corners @ _rotation(angle))
        while True:
            left, _, right = torch.linalg.svd(corners[order].T @ points)
            again = _nearest(points, corners @ (left @ right))
            if torch.equal(again, order):
                break
            order = again
        best = min(best, procrustes_distance(points, corners[order]))
    return best


def _rotation(angle: Float[Tensor, ""]) -> Float[Tensor, "2 2"]:
    rows = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()])
    return rows.reshape(2, 2)


def _nearest(
    points: Float[Tensor, "num_classes 2"], corners: Float[Tensor, "num_classes 2"]
) -> Int[Tensor, " num_classes"]:
    """Give each point a corner of its own, the sum of their inner products as large as can be."""
    from scipy.optimize import linear_sum_assignment

    _, order = linear_sum_assignment((points @ corners.T).numpy(), maximize=True)
    return torch.from_numpy(order)
