r"""Maps by projection: a plane of feature space, seen from straight above.

A linear map is $p = A (z - o)$ with two orthonormal rows $a_1, a_2$ and an origin $o$. It never
lengthens a distance, $\lVert p - p' \rVert \le \lVert z - z' \rVert$, and keeps it where $z - z'$
lies in the plane. What it shows of the features' variance is

$$s_k = \frac{\sum_n \langle a_k, z_n - \bar z \rangle^2}{\sum_n \lVert z_n - \bar z \rVert^2},$$

a share for each axis. PCA picks the plane where $s_1 + s_2$ is as large as can be: $a_k$ are the
first right singular vectors of the centred features. The plane through three class centers is
picked by us: within it the map is exact, so what the theory says of three classes can be seen as it
is.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def pca_axes(
    features: Float[Tensor, "fitted dim"],
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "2 dim"]]:
    """Give origin and axes of the plane of largest variance, float64.

    The sign of a singular vector is arbitrary; here its largest entry is positive, so that the same
    features give the same map everywhere.
    """
    values = features.double()
    origin = values.mean(dim=0)
    # NumPy's, because it can be had in float64 on every machine and ignores torch's settings.
    *_, rows = np.linalg.svd((values - origin).numpy(), full_matrices=False)
    axes = torch.from_numpy(rows[:2].copy())
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    return origin, axes * torch.where(largest < 0, -1.0, 1.0)


def plane_axes(
    centers: Float[Tensor, "3 dim"],
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "2 dim"]]:
    """Give origin and axes of the plane through three centers, float64.

    The origin is their mean. The second center lies to the right of the first, at the same height,
    and the third above both.

    Raises
    ------
    ValueError
        If the centers lie on a line, so that they do not span a plane.
    """
    points = centers.double()
    right, up = points[1] - points[0], points[2] - points[0]
    first = right / right.norm().clamp_min(1e-300)
    second = up - (up @ first) * first
    if not second.norm() > 1e-6 * max(right.norm(), up.norm()) or right.norm() == 0:
        raise ValueError(
            "`centers` must span a plane; these three lie on a line. Choose other classes."
        )
    # Once more: rounding may leave a little of the first axis in the second.
    second = second - (second @ first) * first
    return points.mean(dim=0), torch.stack([first, second / second.norm()])


def project(
    features: Float[Tensor, "batch dim"],
    origin: Float[Tensor, " dim"],
    axes: Float[Tensor, "2 dim"],
) -> Float[Tensor, "batch 2"]:
    """Drop features onto the plane, float64."""
    return (features.double() - origin) @ axes.T


def variance_shares(
    features: Float[Tensor, "batch dim"], axes: Float[Tensor, "2 dim"]
) -> tuple[float, float]:
    """Give the share of the features' variance along each axis, 0..1."""
    centred = features.double()
    centred = centred - centred.mean(dim=0)
    along = (centred @ axes.T).square().sum(dim=0) / centred.square().sum()
    first, second = along.clamp(0, 1).tolist()
    return first, second
