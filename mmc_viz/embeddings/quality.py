r"""How far a map can be believed: what it keeps of the true space, in numbers.

Let $r(i, j)$ be the rank of $j$ among the neighbours of $i$ in the true space, $\hat r(i, j)$ on
the map. Of the $k$ nearest of a point on the map some are false: far away in truth. Of its $k$
nearest in truth some are torn off. Trustworthiness counts the first, by how far from being
neighbours they are, and continuity the second:

$$T = 1 - \frac{2}{N k (2N - 3k - 1)} \sum_i \sum_{j : \hat r(i, j) \le k} \max(0, r(i, j) - k),
\qquad C = \text{the same with } r \text{ and } \hat r \text{ swapped.}$$

Both are 1 for a map that keeps all neighbourhoods, and about 0.5 for points strewn at random. They
look at neighbours alone. Three more numbers look farther: the rank correlation of all true
distances with those on the map; and, of the $k$ nearest of a point, the share that has its class,
in the true space and in the map. Where the map shows a larger share than there is, it draws the
classes more apart than they are.

Beside a map stands what no map can distort: the distances of all pairs in the true space, within
classes and between them.

References
----------
Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.embeddings.maps import FeatureMap

_ROWS = 256  # points whose distances to all others are held at once
_CORRELATED = 1000  # points, at most, whose distances are ranked: their pairs are 499,500


@dataclass(frozen=True)
class MapQuality:
    """What a map keeps of the true space.

    Attributes
    ----------
    neighbours : int
        How many nearest points count, $k$.
    trustworthiness, continuity : float
        Whether neighbours on the map are true ones, and true ones stay neighbours; 1 is perfect,
        about 0.5 is chance.
    distance_correlation : float or None
        Spearman's rank correlation of the distances of all pairs, true against drawn; where there
        are more than 1,000 points, of 1,000 drawn at random. None where all distances are the same.
    class_share, true_class_share : float
        Share of the $k$ nearest points that have a point's own class, on the map and in truth.
    edges : Float[Tensor, "edges"]
        Of the bins of true distances, float64; the first is 0 and the last the largest distance.
    within, between : Int[Tensor, "bins"]
        Pairs of the same class, and of two classes, in each bin.
    median_within, median_between : float or None
        Their median distances, interpolated within a bin; None where there are no such pairs.
    """

    neighbours: int
    trustworthiness: float
    continuity: float
    distance_correlation: float | None
    class_share: float
    true_class_share: float
    edges: Float[Tensor, " edges"]
    within: Int[Tensor, " bins"]
    between: Int[Tensor, " bins"]
    median_within: float | None
    median_between: float | None

    @property
    def within_share(self) -> Float[Tensor, " bins"]:
        """Share of the pairs within classes that lies in each bin; NaN where there are none."""
        return self.within.double() / self.within.sum()

    @property
    def between_share(self) -> Float[Tensor, " bins"]:
        """Share of the pairs between classes that lies in each bin; NaN where there are none."""
        return self.between.double() / self.between.sum()

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the numbers as JSON; write it too if `path` is given."""
        values = dict(vars(self))
        for name in ("edges", "within", "between"):
            values[name] = values[name].tolist()
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each bin of distances as CSV; write it too if `path` is given."""
        edges = self.edges.tolist()
        pairs = zip(self.within.tolist(), self.between.tolist(), strict=True)
        rows = [
            {"from": edges[b], "to": edges[b + 1], "within": inner, "between": outer}
            for b, (inner, outer) in enumerate(pairs)
        ]
        return tables.to_csv(rows, path)


def assess(
    drawn: FeatureMap | Tensor,
    features: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    *,
    neighbours: int = 15,
    bins: int = 40,
) -> MapQuality:
    """Compare a map with the true space.

    Parameters
    ----------
    drawn : FeatureMap or Float[Tensor, "batch 2"]
        The map that was fitted to these features, or positions from anywhere.
    features : Float[Tensor, "batch dim"]
        In the true space.
    labels : Int[Tensor, "batch"]
        Classes.
    neighbours : int
        How many nearest points count, from 1 to less than half of the points.
    bins : int
        Of the histogram of distances.

    Returns
    -------
    quality : MapQuality
        Time and memory grow with the square, and linearly, with the number of points.

    Raises
    ------
    ValueError
        If the sizes do not fit, values are not finite, or there are too few points.
    """
    positions = (drawn.positions if isinstance(drawn, FeatureMap) else drawn).detach().cpu()
    true, flat, classes = features.detach().cpu().double(), positions.double(), labels.cpu()
    count = len(true)
    if len(flat) != count or len(classes) != count:
        raise ValueError(
            f"`features`, positions and `labels` must be of the same points; got {count}, "
            f"{len(flat)} and {len(classes)}."
        )
    if not (true.isfinite().all() and flat.isfinite().all()):
        raise ValueError("`features` and positions must be finite; some are not.")
    if not 1 <= neighbours < count / 2:
        raise ValueError(
            f"`neighbours` must be at least 1 and less than half of the {count} points; got "
            f"{neighbours}. Use more points or fewer neighbours."
        )
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1; got {bins}.")

    places, flat_places = _nearest(true, neighbours), _nearest(flat, neighbours)
    edges, within, between = _histogram(true, classes, bins)
    return MapQuality(
        neighbours=neighbours,
        trustworthiness=_kept(true, flat_places),
        continuity=_kept(flat, places),
        distance_correlation=_correlation(true, flat),
        class_share=_same_class(flat_places, classes),
        true_class_share=_same_class(places, classes),
        edges=edges,
        within=within,
        between=between,
        median_within=_median(edges, within),
        median_between=_median(edges, between),
    )


def _distances(
    points: Float[Tensor, "batch dim"],
) -> Iterator[tuple[int, Float[Tensor, "rows batch"]]]:
    """Distances of some points after the other to all, and the place of the first of them."""
    for first in range(0, len(points), _ROWS):
        # Differences, not inner products: those lose the small distances to rounding.
        yield (
            first,
            torch.cdist(
                points[first : first + _ROWS],
                points,
                compute_mode="donot_use_mm_for_euclid_dist",
            ),
        )


def _others(rows: Float[Tensor, "rows batch"], first: int) -> Float[Tensor, "rows batch"]:
    """Put each point itself at a distance before all others."""
    rows[torch.arange(len(rows)), first + torch.arange(len(rows))] = -1.0
    return rows


def _nearest(points: Float[Tensor, "batch dim"], neighbours: int) -> Int[Tensor, "batch k"]:
    """Places of the nearest other points of each point."""
    found = [
        _others(rows, first).topk(neighbours + 1, largest=False).indices[:, 1:]
        for first, rows in _distances(points)
    ]
    return torch.cat(found)


def _kept(points: Float[Tensor, "batch dim"], places: Int[Tensor, "batch k"]) -> float:
    """Give 1 less the penalty for neighbours, found elsewhere, that are none among these points."""
    count, neighbours = places.shape
    penalty = 0.0
    for first, rows in _distances(points):
        others = _others(rows, first)
        length = others.gather(1, places[first : first + len(rows)])
        # The rank of a neighbour is the number of those nearer, the point itself among them.
        ranks = torch.stack([(others < one[:, None]).sum(dim=1) for one in length.T])
        penalty += float((ranks - neighbours).clamp_min(0).sum())
    return 1 - 2 * penalty / (count * neighbours * (2 * count - 3 * neighbours - 1))


def _same_class(places: Int[Tensor, "batch k"], classes: Int[Tensor, " batch"]) -> float:
    return float((classes[places] == classes[:, None]).double().mean())


def _correlation(true: Float[Tensor, "batch dim"], flat: Float[Tensor, "batch 2"]) -> float | None:
    """Spearman's correlation of true and drawn distances."""
    from scipy.stats import spearmanr

    if len(true) > _CORRELATED:
        chosen = torch.randperm(len(true), generator=torch.Generator().manual_seed(0))
        true, flat = true[chosen[:_CORRELATED]], flat[chosen[:_CORRELATED]]
    pairs = [torch.nn.functional.pdist(points) for points in (true, flat)]
    if any(bool((lengths == lengths[0]).all()) for lengths in pairs):
        return None
    return float(spearmanr(*(lengths.numpy() for lengths in pairs)).statistic)


def _histogram(
    points: Float[Tensor, "batch dim"], classes: Int[Tensor, " batch"], bins: int
) -> tuple[Float[Tensor, " edges"], Int[Tensor, " bins"], Int[Tensor, " bins"]]:
    """Count the pairs by their distance, within classes and between them."""
    largest = max(float(rows.max()) for _, rows in _distances(points))
    edges = torch.linspace(0, largest or 1.0, bins + 1, dtype=torch.float64)
    counts = torch.zeros(2, bins, dtype=torch.int64)
    places = torch.arange(len(points))
    for first, rows in _distances(points):
        mine = places[first : first + len(rows), None]
        bin_of = (rows / edges[-1] * bins).long().clamp_max(bins - 1)
        once = mine < places  # each pair once
        same = classes[first : first + len(rows), None] == classes
        for kind, chosen in enumerate((once & same, once & ~same)):
            counts[kind] += torch.bincount(bin_of[chosen], minlength=bins)
    return edges, counts[0], counts[1]


def _median(edges: Float[Tensor, " edges"], counts: Int[Tensor, " bins"]) -> float | None:
    """Give the distance below which half of the pairs lie, straight within its bin."""
    total = int(counts.sum())
    if not total:
        return None
    below = counts.cumsum(0)
    place = int((below * 2 >= total).nonzero()[0, 0])
    inside = (total / 2 - int(below[place] - counts[place])) / int(counts[place])
    return float(edges[place] + inside * (edges[place + 1] - edges[place]))
