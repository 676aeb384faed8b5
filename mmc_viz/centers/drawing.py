r"""Centers drawn at random, the control for all that optimal centers are said to do.

A Gaussian vector with independent coordinates of equal variance has no preferred direction, so
$g / \lVert g \rVert$ is uniform on the unit sphere. Two such directions have an inner product of
mean 0 and variance $1 / d$: in many dimensions random centers are almost orthogonal by themselves,
and what the simplex adds is the step from 0 to $-1 / (L - 1)$.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers.checks import check_arguments


def random_centers(
    num_classes: int,
    dim: int,
    *,
    radius: float | int = 10.0,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "num_classes dim"]:
    r"""Draw each class center uniformly from a sphere, independent of the others.

    Parameters
    ----------
    num_classes : int
        Number of classes $L$, at least 2.
    dim : int
        Dimension $d$ of the feature space, at least 2: on a line there are only two directions.
    radius : float
        Euclidean norm $r$ of each center, in feature units (not squared).
    generator : torch.Generator, optional
        Source of the directions. None: a private one, seeded 0.
    device : torch.device or str, optional
        Where to put the result; they are drawn where the generator lives.
    dtype : torch.dtype
        Floating-point type of the result; it is drawn in float64.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"]
        One center a row, without gradient.

    Raises
    ------
    ValueError
        If `num_classes` < 2, `dim` < 2, or `radius` is not positive and finite.

    References
    ----------
    The control "MMC (rand)" of Pang et al., ICLR 2020, https://arxiv.org/abs/1905.10626. How they
    drew is not published; normalised Gaussian directions are our choice.
    """
    check_arguments(num_classes, radius)
    if dim < 2:
        raise ValueError(f"`dim` must be at least 2; got {dim}.")
    generator = generator or torch.Generator().manual_seed(0)
    drawn = torch.randn(
        num_classes, dim, generator=generator, device=generator.device, dtype=torch.float64
    )
    centers = radius * drawn / drawn.norm(dim=1, keepdim=True)
    return centers.to(device=device, dtype=dtype)
