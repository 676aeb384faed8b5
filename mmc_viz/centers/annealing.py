r"""Spherical codes, first half: from many random starts to near a locally best arrangement.

The smallest distance between points of a sphere is a minimum of many, which has no gradient where
two are equal, and there most of the interesting things happen. The energy

$$E_p = \frac1p \log \sum_{i < j} \lVert x_i - x_j \rVert^{-p}
\;\longrightarrow\; -\log \min_{i<j} \lVert x_i - x_j \rVert \qquad (p \to \infty)$$

is smooth, and its gradient pushes each point away from the others, the nearer the harder:
$\nabla_i E_p = -\sum_j w_{ij} (x_i - x_j)$, where the weights $w_{ij}$ are proportional to
$\lVert x_i - x_j \rVert^{-p-2}$. On the sphere the part along $x_i$ does not count, so
$\sum_j w_{ij} x_j$ is left. With a small $p$ all points feel each other and few valleys remain;
with a large one only neighbours count. So $p$ grows while the points move. Where it begins decides
which valleys can be reached, and the best is not always the widest: restarts begin at different
$p$.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from tqdm.auto import tqdm

_MOMENTUM, _MEMORY = 0.9, 0.95  # of the gradient and of its square
_STEP = 0.4  # a point moves by about this part of the width 1 / p of the smoothed minimum
_LARGEST_STEP = 0.1  # of the distance between neighbours


def random_starts(
    restarts: int, num_classes: int, dim: int, seed: int
) -> Float[ndarray, "restarts num_classes dim"]:
    """Draw points uniformly from the unit sphere."""
    drawn = np.random.default_rng(seed).standard_normal((restarts, num_classes, dim))
    return drawn / np.linalg.norm(drawn, axis=2, keepdims=True)


def anneal(
    points: Float[ndarray, "restarts num_classes dim"],
    first: Float[ndarray, " restarts"],
    last: float,
    steps: int,
    bar: tqdm,
) -> Float[ndarray, "restarts num_classes dim"]:
    """Push points apart while the power grows geometrically from `first`, one each, to `last`.

    All restarts move in step; none sees another. NumPy's sums do not depend on a number of threads.
    """
    _, count, dim = points.shape
    gap = count ** (-1 / (dim - 1))  # how the distance between neighbours scales
    start = first[:, None, None]
    velocity, power_of_gradient = np.zeros_like(points), np.zeros_like(start)
    diagonal = np.arange(count)
    for step in range(steps):
        p = start * (last / start) ** (step / max(steps - 1, 1))
        squared = 2 - 2 * points @ points.transpose(0, 2, 1)
        squared[:, diagonal, diagonal] = np.inf
        np.maximum(squared, 1e-12, out=squared)
        squared /= squared.min(axis=(1, 2), keepdims=True)  # the largest weight is 1
        weights = np.exp(-(p / 2 + 1) * np.log(squared))
        gradient = weights @ points
        gradient -= (gradient * points).sum(axis=2, keepdims=True) * points
        gradient /= weights.sum(axis=(1, 2), keepdims=True)
        velocity = _MOMENTUM * velocity + (1 - _MOMENTUM) * gradient
        mean = (gradient**2).mean(axis=(1, 2), keepdims=True)
        power_of_gradient = _MEMORY * power_of_gradient + (1 - _MEMORY) * mean
        size = np.minimum(_LARGEST_STEP, _STEP / p) * gap
        points = points - size * velocity / np.sqrt(power_of_gradient + 1e-300)
        points /= np.linalg.norm(points, axis=2, keepdims=True)
        bar.update()
    return points


def largest_cosines(
    points: Float[ndarray, "restarts num_classes dim"],
) -> Float[ndarray, " restarts"]:
    """Give the largest inner product of two different points, for each restart."""
    gram = points @ points.transpose(0, 2, 1)
    diagonal = np.arange(points.shape[1])
    gram[:, diagonal, diagonal] = -1
    return gram.max(axis=(1, 2))
