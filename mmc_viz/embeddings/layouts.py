r"""Maps by neighbourhoods: UMAP and t-SNE, and how UMAP takes in new points.

Both draw a graph of nearest neighbours so that neighbours stay together. UMAP gives the edge from
$z_i$ to its neighbour $z_j$ a weight $w_{ij} = \exp(-(d_{ij} - \rho_i) / \sigma_i)$, with
$\rho_i$ the distance of the nearest and $\sigma_i$ such that the weights sum to $\log_2 k$, and
moves the points until $q_{ij} = 1 / (1 + a \lVert p_i - p_j \rVert^{2b})$ resembles the weights.

A new point $z$ is placed into the map by the same rule, as in umap-learn's `transform`: with
weights to its $k$ nearest fitted points ($\rho = 0$, since none of them has to touch it), it starts
at their weighted mean,

$$p = \frac{\sum_j w_j p_j}{\sum_j w_j},$$

and is then moved by the same stochastic descent, while the fitted points stand still. The program
of umap-learn schedules this descent by the largest weight of the whole batch, and seeds it by the
last bits of sums that depend on the batch; so where a point comes to lie depends on which others
are placed with it. Here the largest weight possible, 1, takes the place of the first and rounded
starts that of the second. So each point is placed on its own, the same in any company, and nothing
is needed for it but the fitted features and their positions: no fitted object has to be kept.

References
----------
McInnes, Healy, Melville, "UMAP", https://arxiv.org/abs/1802.03426. van der Maaten, Hinton,
"Visualizing data using t-SNE", JMLR 2008. Both start from PCA, which keeps more of the arrangement
at large: Kobak and Linderman, Nature Biotechnology 2021.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch

_EPOCHS = 100  # of the descent that places new points, as in umap-learn up to 10,000 points
_GRID = 1024.0  # starts are rounded to this fraction of a unit of the map


def umap_layout(features: np.ndarray, *, neighbours: int, min_dist: float, seed: int) -> np.ndarray:
    """Lay features `[fitted, dim]` out with UMAP, from exact nearest neighbours: `[fitted, 2]`."""
    from scipy.spatial import cKDTree

    umap = _umap()
    distances, places = cKDTree(features).query(features, neighbours)
    with warnings.catch_warnings(), _threads_kept():
        # It has no index for new neighbours, and needs none: we place new points ourselves.
        warnings.filterwarnings("ignore", "precomputed_knn.*knn_search_index", UserWarning)
        return umap.UMAP(
            n_neighbors=neighbours,
            min_dist=min_dist,
            init="pca",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(places.astype(np.int32), distances.astype(np.float32), None),
        ).fit_transform(features.astype(np.float32))


def umap_place(
    new: np.ndarray,
    features: np.ndarray,
    positions: np.ndarray,
    *,
    neighbours: int,
    min_dist: float,
    seed: int,
) -> np.ndarray:
    """Place new features `[batch, dim]` among fitted ones, each on its own: `[batch, 2]`.

    A feature that is a fitted one, up to float32's rounding, gets exactly its position.
    """
    from scipy.spatial import cKDTree

    # A tree measures each point on its own, so distances do not depend on the batch.
    distances, places = cKDTree(features).query(new, neighbours)
    weights = membership(distances)
    near = positions[places].astype(np.float64)
    start = (weights[:, :, None] * near).sum(axis=1) / weights.sum(axis=1)[:, None]
    start = (np.round(start * _GRID) / _GRID).astype(np.float32)
    placed = _descend(start, positions, places, weights, min_dist=min_dist, seed=seed)

    scale = np.sqrt(features.var(axis=0, dtype=np.float64).sum())
    same = distances[:, 0] <= 1e-5 * scale
    placed[same] = positions[places[same, 0]]
    return placed


def membership(distances: np.ndarray) -> np.ndarray:
    r"""Give UMAP's weights of new points to their nearest fitted ones.

    Parameters
    ----------
    distances : np.ndarray, [batch, neighbours]
        Rising along each row.

    Returns
    -------
    weights : np.ndarray, [batch, neighbours]
        $\exp(-d_j / \sigma)$ in (0, 1], where those after the first sum to $\log_2 k$, as in
        umap-learn, which leaves the first out of the sum also where it is not the point itself.
    """
    count = distances.shape[1]
    # In units of the farthest neighbour, sigma is found between 1e-3 and 1e3 by bisection of its
    # logarithm; there is none where nearly all are at distance 0, and then the lower end will do.
    unit = np.maximum(distances[:, -1:], 1e-30)
    scaled = distances / unit
    low, high = np.full((len(scaled), 1), np.log(1e-3)), np.full((len(scaled), 1), np.log(1e3))
    for _ in range(50):
        middle = (low + high) / 2
        total = np.exp(-scaled[:, 1:] / np.exp(middle)).sum(axis=1, keepdims=True)
        above = total > np.log2(count)
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return np.exp(-scaled / np.exp(low))


def _descend(
    start: np.ndarray,
    positions: np.ndarray,
    places: np.ndarray,
    weights: np.ndarray,
    *,
    min_dist: float,
    seed: int,
) -> np.ndarray:
    """Move points from their start by UMAP's stochastic descent; the fitted ones stand still."""
    _umap()
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import find_ab_params

    a, b = find_ab_params(1.0, min_dist)
    head, column = np.nonzero(weights >= 1 / _EPOCHS)  # a weaker edge would not be drawn once
    if not len(head):
        return start
    with _threads_kept():
        moved = optimize_layout_euclidean(
            start.copy(),
            np.ascontiguousarray(positions, dtype=np.float32),
            head.astype(np.int32),
            places[head, column].astype(np.int32),
            _EPOCHS,
            len(positions),
            1 / weights[head, column],  # an edge of weight w is drawn in a share w of the epochs
            a,
            b,
            np.random.RandomState(seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64),
            1.0,
            0.25,
            5,
            False,
        )
    return np.asarray(moved)


def tsne_layout(features: np.ndarray, *, perplexity: float, seed: int) -> np.ndarray:
    """Lay features `[fitted, dim]` out with t-SNE (Barnes-Hut): `[fitted, 2]`."""
    from sklearn.manifold import TSNE

    return TSNE(
        perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed, n_jobs=1
    ).fit_transform(features.astype(np.float32))


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Undo what Numba does to the number of OpenMP's threads, which is torch's and all others' too.

    With more of them than free cores, each of the small steps of a later t-SNE waits for one.
    """
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _umap() -> ModuleType:
    """Import umap, which takes seconds, and only here says that it would like TensorFlow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import umap
    return umap
