r"""Density from the distance to the $k$-th nearest neighbour.

Of $m$ reference points drawn from a density $f$, the number within $r$ of a place $z$ is binomial
with mean $m V_d r^d f(z)$, as long as $f$ is even within $r$. Turned around: the mass of the ball
that reaches to the $k$-th neighbour is $\mathrm{Beta}(k, m - k + 1)$, and the mean of its logarithm
is $\psi(k) - \psi(m + 1)$, with the digamma function $\psi$. So

$$\log \hat f(z) = \psi(k) - \psi(m + 1) - \log V_d - d \log r_k(z)$$

is right on average, with a standard deviation of about $\sqrt{\psi'(k)} \approx 1 / \sqrt{k}$,
whatever the dimension. The usual form $(k - 1) / (m V_d r_k^d)$ is right on average for $f$ itself;
on the logarithmic scale, on which densities in 64 dimensions have to be compared, it is low by
about $1 / 2k$.

Three things to bear in mind. *Bias:* $f$ is not even within $r_k$, and in high dimension $r_k$ is
nearly as large as the data. With 20,000 points of a Gaussian in 32 dimensions and $k = 10$ the
logarithm is 5.5 too low at the center, a factor of about 250, and 2.8 too low at a typical point of
the Gaussian; in 8 dimensions it is 0.28 and 0.1 (in closed form, and measured by the tests). So the
center has a method of its own, `central_density`. *Dimension:* features seldom fill their space. On
a set of fewer dimensions $r_k^{-d}$ grows without bound as points are added, so the level of the
estimate says little; its order is that of $-r_k$ in any case. *Ties:* where $k$ reference points
lie exactly at $z$, $r_k = 0$ and the estimate is infinite. It is kept so, and counted.

References
----------
Loftsgaarden and Quesenberry, "A nonparametric estimate of a multivariate density function", 1965.
Kozachenko and Leonenko, "Sample estimate of the entropy of a random vector", 1987.
Levina and Bickel, "Maximum likelihood estimation of intrinsic dimension", NeurIPS 2004.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.density.checks import check_features, check_labels, check_same_dim
from mmc_viz.density.level_sets import log_ball

_CELLS = 2**23  # distances held at once: 64 MB


@dataclass(frozen=True)
class NeighbourDensity:
    """Density at each query point, from its $k$-th nearest reference point; on the CPU.

    Attributes
    ----------
    log_density : Float[Tensor, "batch"]
        Natural logarithm, of the share of reference points in a unit of volume, float64; infinite
        where `radius` is 0.
    radius : Float[Tensor, "batch"]
        Distance to the $k$-th neighbour, in feature units.
    intrinsic_dim : float or None
        Dimension of the set that the reference points fill at this scale, by the estimate of Levina
        and Bickel over all query points; None where ties or $k < 3$ leave none. It is low where
        many dimensions are filled: about 22 for a Gaussian in 32, from 20,000 points.
    k : int
        Which neighbour.
    dim : int
        $d$.
    references : Int[Tensor, "batch"]
        Number of reference points that each value is made from.
    leave_one_out : bool
        Whether each query does without one reference point, itself as a rule.
    """

    log_density: Float[Tensor, " batch"]
    radius: Float[Tensor, " batch"]
    intrinsic_dim: float | None
    k: int
    dim: int
    references: Int[Tensor, " batch"]
    leave_one_out: bool

    @property
    def log_sample_density(self) -> Float[Tensor, " batch"]:
        """The same for points instead of shares: log of the points in a unit of volume."""
        return self.log_density + (self.references + self.leave_one_out).double().log()

    @property
    def ties(self) -> int:
        """Number of queries with at least $k$ reference points exactly there."""
        return int((self.radius == 0).sum())

    @property
    def caveats(self) -> list[str]:
        """What to bear in mind about these numbers, in sentences."""
        noise = math.sqrt(float(torch.special.polygamma(1, torch.tensor(float(self.k)))))
        found = [f"Each value has a standard deviation of about {noise:.2f}, by chance alone."]
        if self.intrinsic_dim is not None and self.intrinsic_dim < 0.5 * self.dim:
            found.append(
                f"The features fill about {self.intrinsic_dim:.1f} of {self.dim} dimensions, so "
                "the level depends on k and on their number; the order of the values does not "
                "depend on the dimension."
            )
        elif self.dim > 8:
            found.append(
                f"In {self.dim} dimensions the ball to the k-th neighbour is not small, and the "
                "value is an average over it: too low at peaks."
            )
        if self.ties:
            found.append(f"{self.ties} points have k copies of themselves: infinite density.")
        return found

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all as JSON, infinite values as null; write it too if `path` is given."""
        values = {
            "k": self.k,
            "dim": self.dim,
            "leave_one_out": self.leave_one_out,
            "intrinsic_dim": self.intrinsic_dim,
            "caveats": self.caveats,
            "points": self.rows(),
        }
        return tables.to_json(values, path)

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each query."""
        values = zip(self.log_density, self.radius, self.references, strict=True)
        return [
            {
                "log_density": float(value) if math.isfinite(value) else None,
                "radius": float(radius),
                "references": int(references),
            }
            for value, radius, references in values
        ]

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each query as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def neighbour_density(
    query: Float[Tensor, "batch dim"],
    reference: Float[Tensor, "references dim"] | None = None,
    *,
    k: int = 10,
    labels: Int[Tensor, " batch"] | None = None,
    reference_labels: Int[Tensor, " references"] | None = None,
    left_out: Int[Tensor, " batch"] | None = None,
) -> NeighbourDensity:
    r"""Estimate the density of reference features at query features, by nearest neighbours.

    Parameters
    ----------
    query : Float[Tensor, "batch dim"]
        Where the density is wanted. Any device; computed in float64.
    reference : Float[Tensor, "references dim"], optional
        Whose density. None: that of the queries, each without itself, as it must not be its own
        neighbour. A tensor is taken as other points, even if some are equal to queries; see
        `left_out`.
    k : int
        Which neighbour. More: less noise and more bias.
    labels, reference_labels : Int[Tensor, "batch"], Int[Tensor, "references"], optional
        With them, neighbours are sought in the query's own class alone, and the density is that of
        the class. The second is needed where `reference` is given.
    left_out : Int[Tensor, "batch"], optional
        Row of `reference` that each query does without: where it is a changed form of that point.

    Returns
    -------
    density : NeighbourDensity

    Raises
    ------
    ValueError
        If there are too few reference points for `k`, features are not finite, or shapes do not go
        together.
    """
    points = check_features("query", query)
    others = points if reference is None else check_features("reference", reference)
    others = others.to(points.device)
    check_same_dim("reference", others, points.shape[1], of="`query`")
    if k < 1:
        raise ValueError(f"`k` must be at least 1; got {k}.")
    if reference is None:
        reference_labels, left_out = labels, torch.arange(len(points))
    if (labels is None) != (reference_labels is None):
        missing = "labels" if labels is None else "reference_labels"
        raise ValueError(f"`{missing}` must be given along with the other labels; got None.")
    if labels is None:
        groups = [(torch.arange(len(points)), torch.arange(len(others)), "reference points")]
    else:
        own = check_labels("labels", labels, points).cpu()
        theirs = check_labels("reference_labels", reference_labels, others).cpu()
        groups = [
            ((own == c).nonzero()[:, 0], (theirs == c).nonzero()[:, 0], f"points of class {c}")
            for c in own.unique().tolist()
        ]

    distances = torch.empty(len(points), k, dtype=torch.float64)
    counts = torch.empty(len(points), dtype=torch.int64)
    for rows, columns, what in groups:
        skipped = None
        if left_out is not None:
            # Its place among the columns; -1 where it is of another class and not met anyway.
            place = torch.full((len(others),), -1).scatter(0, columns, torch.arange(len(columns)))
            skipped = place[left_out.cpu()[rows]]
        fewer = skipped is not None
        available = len(columns) - fewer
        if available < k:
            raise ValueError(
                f"`k` must be at most the number of {what}, {max(available, 0)}"
                f"{' without the point itself' if fewer else ''}; got {k}."
            )
        counts[rows] = available if skipped is None else len(columns) - (skipped >= 0).long()
        distances[rows] = nearest(points[rows], others[columns], k, skipped)
    radius = distances[:, -1]
    dim = points.shape[1]
    log_density = (
        torch.digamma(torch.tensor(float(k), dtype=torch.float64))
        - torch.digamma(counts.double() + 1)
        - log_ball(dim)
        - dim * radius.log()
    )
    less = left_out is not None
    return NeighbourDensity(log_density, radius, _intrinsic(distances), k, dim, counts, less)


def nearest(
    points: Float[Tensor, "batch dim"],
    others: Float[Tensor, "references dim"],
    k: int,
    skipped: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch k"]:
    """Distances to the `k` nearest of `others`, rising, on the CPU.

    Candidates come from one matrix product, which rounds; their distances are then taken anew from
    the differences, so that copies are at exactly 0. `skipped` is the one that each point does
    without, -1 for none.
    """
    middle = others.mean(dim=0)  # about the origin squares would cancel less exactly
    points, others = points - middle, others - middle
    # Some more than k, in case that rounding changed the order.
    room = min(k + 8, len(others))
    squares = others.square().sum(dim=1)
    found = torch.empty(len(points), k, dtype=torch.float64)
    for start in range(0, len(points), size := max(1, _CELLS // len(others))):
        some = points[start : start + size]
        scores = torch.addmm(squares, some, others.T, alpha=-2)
        if skipped is not None:
            left = skipped[start : start + size].to(some.device)
            rows = (left >= 0).nonzero()[:, 0]
            scores[rows, left[rows]] = torch.inf
        scores, candidates = scores.topk(room, largest=False)
        exact = torch.cat(
            [
                (some[a : a + 256, None] - others[candidates[a : a + 256]]).norm(dim=2)
                for a in range(0, len(some), 256)
            ]
        )
        exact[scores == torch.inf] = torch.inf  # the one left out, where there are hardly others
        found[start : start + size] = exact.sort(dim=1).values[:, :k].cpu()
    return found


def _intrinsic(distances: Float[Tensor, "batch k"]) -> float | None:
    """Dimension in which the number of neighbours grows as these distances do."""
    k = distances.shape[1]
    if k < 3:
        return None
    logs = (distances[:, -1:] / distances[:, :-1]).log()
    # The inverses are averaged, which MacKay and Ghahramani found to be less biased.
    mean = logs[logs.isfinite().all(dim=1)].sum(dim=1).mean() / (k - 2)
    return 1 / float(mean) if mean > 0 else None
