"""The regular simplex: as many centers as fit with all pairs equally far apart."""

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers.checks import check_arguments


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
    check_arguments(num_classes, radius)
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
