r"""Density class by class: of one set of features, and of several held against each other.

For each class stand side by side what can be known of its density: the median over its points of
the nearest-neighbour estimate, and the density at the center by the radial fit. Training against
test features, clean against adversarial ones, and a model as it learns are all comparisons of
*sets* of features with the density of one and the same reference.

A density has a unit, and models do not share it: where a model doubles all its features, densities
in 64 dimensions fall by $2^{64}$ while nothing has changed. So each logarithm also comes *scaled*:
with the closest distance $D$ of two class means as the unit of length, $\log f + d \log D$. Compare
these between models of one dimension; between dimensions compare none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.density.central import CentralDensity, central_density
from mmc_viz.density.checks import check_features, check_labels, check_same_dim
from mmc_viz.density.neighbours import neighbour_density
from mmc_viz.heads import Head
from mmc_viz.training import Snapshot

Labelled = tuple[Tensor, Tensor]  # features [N, d] and labels [N]


@dataclass(frozen=True)
class ClassDensity:
    """Density of the features of one class in one set. All logarithms are natural.

    Attributes
    ----------
    group : str
        The set.
    label : int
        The class.
    count : int
        Its features in the set.
    neighbour, quarter, three_quarters : float or None
        Median and quartiles, over these features, of the log of the share of the class's reference
        features in a unit of volume; None with a gap.
    scaled : float or None
        `neighbour` in units of the closest distance of two class means.
    ties : int
        Features with k copies among the reference: infinite density. They count in the median.
    central : CentralDensity or None
        Fit at the center of the class, from these features; None with a gap.
    radius : float or None
        Root of the mean squared distance to the center.
    gap : str
        Why something is missing; "" if nothing is.
    """

    group: str
    label: int
    count: int
    neighbour: float | None
    quarter: float | None
    three_quarters: float | None
    scaled: float | None
    ties: int
    central: CentralDensity | None
    radius: float | None
    gap: str


@dataclass(frozen=True)
class DensityTable:
    """Densities of one or more sets of features, class by class.

    Attributes
    ----------
    rows_of : list[ClassDensity]
        Set after set, in each the classes by label.
    dim, k : int
        Dimension; which neighbour.
    unit : dict[str, float]
        For each set the closest distance of two class means of its reference.
    centers : str
        Where the centers are from: `head` or `class means`.
    reference : str
        Whose density it is, in words.
    intrinsic_dim : dict[str, float | None]
        For each set, the dimension that features fill by the estimate of the neighbours.
    """

    rows_of: list[ClassDensity]
    dim: int
    k: int
    unit: dict[str, float]
    centers: str
    reference: str
    intrinsic_dim: dict[str, float | None]

    @property
    def groups(self) -> list[str]:
        """Names of the sets, in order."""
        return list(self.unit)

    def of(self, group: str, label: int) -> ClassDensity:
        """Give one class of one set.

        Raises
        ------
        ValueError
            If it is not there.
        """
        for row in self.rows_of:
            if (row.group, row.label) == (group, label):
                return row
        raise ValueError(
            f"`group` must be one of {', '.join(self.groups)}; got {group!r}, {label}."
        )

    def median(self, group: str) -> float | None:
        """Median over the classes of `neighbour` in one set."""
        found = [row.neighbour for row in self.rows_of if row.group == group]
        found = [value for value in found if value is not None and math.isfinite(value)]
        return float(torch.tensor(found, dtype=torch.float64).quantile(0.5)) if found else None

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each class of each set."""
        rows = []
        for row in self.rows_of:
            central = None if row.central is None else row.central.values()
            rows.append(
                {
                    "set": row.group,
                    "class": row.label,
                    "count": row.count,
                    "neighbour": _plain(row.neighbour),
                    "quarter": _plain(row.quarter),
                    "three_quarters": _plain(row.three_quarters),
                    "scaled": _plain(row.scaled),
                    "ties": row.ties,
                    "radius": row.radius,
                    **{
                        f"central_{name}": None if central is None else central[name]
                        for name in ("log_density", "low", "high", "effective_dim", "misfit")
                    },
                    "gap": row.gap,
                }
            )
        return rows

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        values = {
            "dim": self.dim,
            "k": self.k,
            "unit": self.unit,
            "centers": self.centers,
            "reference": self.reference,
            "intrinsic_dim": self.intrinsic_dim,
            "classes": self.rows(),
        }
        return tables.to_json(values, path)


def _plain(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def compare_densities(
    sets: dict[str, Labelled],
    head: Head,
    *,
    reference: str | None = None,
    k: int = 10,
    origins: dict[str, Int[Tensor, " batch"]] | None = None,
) -> DensityTable:
    """Measure the density of one set's classes at the features of all sets.

    Parameters
    ----------
    sets : dict[str, tuple of Tensor and Tensor]
        Name to features [N, d] and labels [N]: training, test and adversarial features, say.
    head : Head
        For the centers of classes. Without any, class means of the reference are taken.
    reference : str, optional
        The set whose density it is. None: the first. Its own features each do without themselves.
    k : int
        Which neighbour.
    origins : dict[str, Int[Tensor, "batch"]], optional
        For sets that are changed forms of reference features, such as adversarial ones of a test
        set that is the reference itself: from which row of the reference each feature came. It does
        without that one, as that one does itself.

    Returns
    -------
    table : DensityTable
        With gaps, and their reasons, for classes with too few features.

    Raises
    ------
    ValueError
        If there is no set, a name is unknown, no class has enough features, or an argument is out
        of range.
    """
    if not sets:
        raise ValueError("`sets` must hold at least one set of features; got none.")
    reference = next(iter(sets)) if reference is None else reference
    for name in (reference, *(origins or {})):
        if name not in sets:
            raise ValueError(f"A set must be one of {', '.join(sets)}; got {name!r}.")
    base, base_labels = _checked(reference, *sets[reference], head)
    centers, where = _centers_of(head, base, base_labels)
    unit = _unit(base, base_labels)
    rows, dims = [], {}
    for name, (features, labels) in sets.items():
        points, own = _checked(name, features, labels, head)
        origin = (origins or {}).get(name)
        if name == reference:
            origin = torch.arange(len(base))
        elif origin is not None and (
            origin.shape != own.shape or not 0 <= int(origin.min()) <= int(origin.max()) < len(base)
        ):
            raise ValueError(
                f"`origins` must give each of the {len(own)} features of {name!r} a row of "
                f"{reference!r}, 0 .. {len(base) - 1}."
            )
        estimate, found = _classes(name, points, own, base, base_labels, origin, k, centers, unit)
        rows += found
        dims[name] = estimate
    if all(row.neighbour is None for row in rows):
        raise ValueError(
            f"`sets` must hold a class of more than `k` = {k} features in {reference!r}; none does."
        )
    units = dict.fromkeys(sets, unit)
    return DensityTable(rows, base.shape[1], k, units, where, f"the set {reference}", dims)


def densities_along_training(snapshots: Sequence[Snapshot], *, k: int = 10) -> DensityTable:
    """Measure the density of classes at each moment of a training run.

    Parameters
    ----------
    snapshots : sequence of Snapshot
        As `mmc_viz.training.Snapshots` takes them. Each is a set named `epoch E`, with its own
        head, its own features as the reference, each without itself, and its own unit.
    k : int
        Which neighbour.

    Raises
    ------
    ValueError
        If there is no snapshot, or no class of one has enough features.
    """
    if not snapshots:
        raise ValueError("`snapshots` must hold at least one snapshot; got none.")
    tables_ = [
        compare_densities({f"epoch {one.epoch}": (one.features, one.labels)}, one.head, k=k)
        for one in snapshots
    ]
    return DensityTable(
        [row for table in tables_ for row in table.rows_of],
        tables_[0].dim,
        k,
        {name: value for table in tables_ for name, value in table.unit.items()},
        tables_[0].centers,
        "the features of each epoch, each without itself",
        {name: value for table in tables_ for name, value in table.intrinsic_dim.items()},
    )


def _checked(name: str, features: Tensor, labels: Tensor, head: Head) -> Labelled:
    points = check_features(name, features).cpu()
    check_same_dim(name, points, head.dim, of="`head`")
    labels = check_labels(f"labels of {name}", labels, points)
    if int(labels.max()) >= head.num_classes:
        raise ValueError(
            f"`labels of {name}` must be in 0 .. {head.num_classes - 1}; got {int(labels.max())}."
        )
    return points, labels


def _centers_of(head: Head, points: Tensor, labels: Tensor) -> tuple[list[Tensor | None], str]:
    """Give the center of each class; None for a class without any."""
    centers = getattr(head, "centers", None)
    if centers is not None:
        return list(centers.detach().cpu().double()), "head"
    found = [points[labels == c] for c in range(head.num_classes)]
    return [some.mean(dim=0) if len(some) else None for some in found], "class means"


def _unit(points: Tensor, labels: Tensor) -> float:
    """Closest distance of two class means; 1 where there is but one class."""
    present = labels.unique().tolist()
    if len(present) < 2:
        return 1.0
    means = torch.stack([points[labels == c].mean(dim=0) for c in present])
    return float(torch.nn.functional.pdist(means).min())


def _classes(
    name: str,
    points: Tensor,
    labels: Tensor,
    base: Tensor,
    base_labels: Tensor,
    origin: Tensor | None,
    k: int,
    centers: list[Tensor | None],
    unit: float,
) -> tuple[float | None, list[ClassDensity]]:
    """Measure one set, class by class."""
    rows, dims = [], []
    for label, center in enumerate(centers):
        own = (labels == label).nonzero()[:, 0]
        theirs = int((base_labels == label).sum())
        some, count = points[own], len(own)
        gaps, neighbour, scaled, ties, central = [], [None] * 3, None, 0, None
        if count == 0:
            gaps.append("no features")
        elif theirs - (origin is not None) < k:
            gaps.append(f"{theirs} reference features, too few for k = {k}")
        else:
            around = neighbour_density(
                some,
                base,
                k=k,
                labels=labels[own],
                reference_labels=base_labels,
                left_out=None if origin is None else origin[own],
            )
            quartiles = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
            neighbour = around.log_density.quantile(quartiles, interpolation="nearest").tolist()
            scaled = neighbour[1] + points.shape[1] * math.log(unit)
            ties = around.ties
            dims.append(around.intrinsic_dim)
        if count and center is not None:
            try:
                central = central_density(some, center)
            except ValueError:  # the features have been checked; these are too few, or all alike
                gaps.append("too few different features for a fit at the center")
        distance = None
        if count and center is not None:
            distance = float((some - center).square().sum(dim=1).mean().sqrt())
        rows.append(
            ClassDensity(
                group=name,
                label=label,
                count=count,
                neighbour=neighbour[1],
                quarter=neighbour[0],
                three_quarters=neighbour[2],
                scaled=scaled,
                ties=ties,
                central=central,
                radius=distance,
                gap="; ".join(gaps),
            )
        )
    known = [value for value in dims if value is not None]
    return (sum(known) / len(known) if known else None), rows
