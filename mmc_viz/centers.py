r"""Where class centers stand.

A classifier that measures distances needs one point of feature space for each class. The farther
apart these points, the more a feature may move before it lies nearer to a wrong one. On a sphere of
radius $r$, $L$ points $\mu_1, \dots, \mu_L$ cannot all be farther apart than the vertices of a
regular simplex: from

$$0 \le \Big\lVert \sum_i \mu_i \Big\rVert^2 = L r^2 + \sum_{i \ne j} \langle \mu_i, \mu_j \rangle$$

the largest inner product of two of them is at least $-r^2 / (L - 1)$, with equality only where all
pairs share that value, and $L - 1$ dimensions are enough to reach it. Pang et al. call these points
the Max-Mahalanobis centers. In fewer dimensions no regular simplex exists and the best arrangement
is a spherical code; in the plane it is the regular polygon.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def max_mahalanobis_centers(
    num_classes: int,
    dim: int,
    *,
    radius: float | int = 10.0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "num_classes dim"]:
    r"""Place the class centers at the vertices of a regular simplex.

    Every center has norm $r$ and every pair of distinct centers has inner product
    $-r^2 / (L - 1)$, so any two are $r \sqrt{2L / (L - 1)}$ apart.

    Parameters
    ----------
    num_classes : int
        Number of classes $L$, at least 2.
    dim : int
        Dimension $d$ of the feature space, at least $L - 1$.
    radius : float
        Euclidean norm $r$ of each center, in feature units (not squared).
    device : torch.device or str, optional
        Where to put the result.
    dtype : torch.dtype
        Floating-point type of the result; it is computed in float64 first.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"]
        One center a row, lower triangular, without gradient. Coordinates past $L - 1$ are 0.

    Raises
    ------
    ValueError
        If `num_classes` < 2, `dim` < `num_classes` - 1, or `radius` is not positive and finite.

    Notes
    -----
    `radius` is called `mean_var` in the authors' code, where it multiplies unit vectors, and
    $C_{MM}$ in the paper. The recursion there fills row after row; solved in closed form, column
    $j$ holds $t_j = \sqrt{L (L - j) / ((L - 1)(L - j + 1))}$ on the diagonal and
    $-t_j / (L - j)$ everywhere below it, which is what is done here.

    References
    ----------
    Pang, Du, Zhu, "Max-Mahalanobis Linear Discriminant Analysis Networks", ICML 2018,
    https://arxiv.org/abs/1802.09308, and Pang et al., ICLR 2020,
    https://arxiv.org/abs/1905.10626.

    Examples
    --------
    >>> max_mahalanobis_centers(2, 1, radius=3.0)
    tensor([[ 3.],
            [-3.]])
    """
    _check(num_classes, radius)
    if dim < num_classes - 1:
        raise ValueError(
            f"`dim` must be at least `num_classes` - 1 = {num_classes - 1}; got {dim}. "
            "Use `spread_centers` for fewer dimensions."
        )
    column = torch.arange(1, num_classes, dtype=torch.float64)
    remaining = num_classes - column  # the number of rows below the diagonal
    diagonal = torch.sqrt(num_classes * remaining / ((num_classes - 1) * (remaining + 1)))
    centers = torch.zeros(num_classes, dim, dtype=torch.float64)
    simplex = centers[:, : num_classes - 1]
    simplex.copy_((-diagonal / remaining).expand(num_classes, -1).tril(diagonal=-1))
    simplex.diagonal().copy_(diagonal)
    return (radius * centers).to(device=device, dtype=dtype)


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
    _check(num_classes, radius)
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


def _check(num_classes: int, radius: float | int) -> None:
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2; got {num_classes}.")
    if not (radius > 0 and math.isfinite(radius)):
        raise ValueError(f"`radius` must be positive and finite; got {radius}.")
