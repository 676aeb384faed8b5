"""The measures of neural collapse, for one set of features; formulas in `mmc_viz.collapse`."""

import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.collapse.arrangement import arrangement, by_chance, distances, reachable
from mmc_viz.collapse.classes import check_features, class_means, counts
from mmc_viz.heads import Head

#: Each measure to what it is, in a few words. All are 0 at perfect collapse.
MEASURES: dict[str, str] = {
    "nc1": "tr(Sw pinv(Sb)) / L: scatter within classes, seen along the span of the class means",
    "nc1_ratio": "tr Sw / tr Sb: scatter within classes against scatter of the class means",
    "nc2_norm": "std over mean of the norms of the centred class means",
    "nc2_angle": "std of the cosines between centred class means",
    "nc2_simplex": "mean |cos + 1/(L-1)| between centred class means",
    "nc3": "|W/|W| - M/|M||: class vectors of the head against centred class means",
    "nc4": "share of points whose nearest class mean disagrees with the head",
    "distance_to_simplex": "relative distance of the class means to the best regular simplex",
    "distance_to_best": "relative distance of the class means to the best known arrangement",
    "distance_to_centers": "mean distance of a class mean to its center, in radii of the centers",
}


@dataclass(frozen=True)
class Collapse:
    """How far the features of some images have collapsed; each measure is 0 where they have.

    Attributes
    ----------
    nc1, nc1_ratio : float
        Scatter within classes against scatter of the class means; from 0 on, without a bound.
    nc2_norm : float
        Relative spread of the norms of the centred class means.
    nc2_angle, nc2_simplex : float
        Spread of the cosines between them; mean distance of the cosines from -1/(L-1).
    nc3 : float
        Distance of the head's class vectors to the class means, both of unit size; 0 .. 2.
    nc4 : float
        Share of points, 0 .. 1, whose nearest class mean is not the class that the head chooses.
    distance_to_simplex : float
        In `reachable["distance_to_simplex"]` .. 1.
    distance_to_best : float
        To the best arrangement in this dimension: the regular simplex where it fits, the regular
        polygon in the plane. NaN in between, where the best arrangement is not known in general.
    distance_to_centers : float
        In radii of the head's centers, from 0 on.
    rank : int
        Directions in which the class means spread, L - 1 at most.
    num_classes, dim, images : int
        What was measured.
    reachable : dict[str, float]
        Measure to its value at the best arrangement in this dimension. 0 where a simplex fits; else
        no features bring the distance to the simplex below its entry, and the other entries are
        what the regular polygon gives.
    chance : dict[str, float]
        Measure of the arrangement to its mean over class means drawn at random, as `by_chance`
        gives it: in many dimensions they are near a simplex without anybody's doing.
    gaps : dict[str, str]
        Measure that is NaN to the reason.
    """

    nc1: float
    nc1_ratio: float
    nc2_norm: float
    nc2_angle: float
    nc2_simplex: float
    nc3: float
    nc4: float
    distance_to_simplex: float
    distance_to_best: float
    distance_to_centers: float
    rank: int
    num_classes: int
    dim: int
    images: int
    reachable: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    gaps: dict[str, str] = field(default_factory=dict)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the measures as JSON, gaps as null; write it too if `path` is given."""
        values = vars(self) | {name: gap_or(getattr(self, name)) for name in MEASURES}
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each measure as CSV, gaps empty; write it too if `path` is given."""
        rows = [
            {
                "measure": name,
                "value": gap_or(getattr(self, name)),
                "reachable": self.reachable.get(name),
                "chance": self.chance.get(name),
                "meaning": self.gaps.get(name, meaning),
            }
            for name, meaning in MEASURES.items()
        ]
        return tables.to_csv(rows, path)


def neural_collapse(
    features: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    head: Head | None = None,
) -> Collapse:
    """Measure how far features have collapsed.

    Parameters
    ----------
    features : Float[Tensor, "batch dim"]
        At least two of each class, in any numbers; every class weighs the same.
    labels : Int[Tensor, "batch"]
        True classes.
    head : Head, optional
        What decides on these features. None: NC3, NC4 and the distance to the centers are gaps, and
        the classes are 0 .. the largest label.

    Returns
    -------
    collapse : Collapse
        Computed in float64 on the CPU; the head decides in its own precision.

    Raises
    ------
    ValueError
        If a feature is not a finite number, there are fewer than two classes, or a class has fewer
        than two features.
    """
    check_features(features, labels)
    logits = None if head is None else _logits(head, features)
    num_classes = int(labels.max()) + 1 if logits is None else logits.shape[1]
    # In float32 the class means of a hundred thousand features would lose three digits.
    points, labels = features.detach().cpu().double(), labels.cpu()
    count = counts(labels, num_classes)
    means = class_means(points, labels, num_classes)
    centred = means - means.mean(dim=0)
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    # Class means that differ by less than the features' own rounding do not differ.
    blur = max(centred.shape) * torch.finfo(features.dtype).eps * points.abs().max()
    rank = min(num_classes - 1, int((singular > blur).sum()))

    found = []
    if rank > 0:
        # Each class weighs the same: a point counts by one over the number of its class.
        weight = 1 / (num_classes * count[labels].double())
        scatter = (points - means[labels]) * weight.sqrt()[:, None]
        found.append((_nc1(scatter, singular[:rank], directions[:rank], num_classes), {}))
        found.append(_nc2(centred))
    else:
        found.append(_missing(_OF_MEANS, "all class means are one point"))
    if head is None or logits is None:
        found.append(_missing(("nc3", "nc4", "distance_to_centers"), "no head was given"))
    else:
        if rank > 0:
            found.append(_nc3(head, centred))
        nearest = torch.cdist(points, means).argmin(dim=1)
        disagree = (nearest != logits.argmax(dim=1)).double().mean().item()
        found.append(({"nc4": disagree}, {}))
        found.append(_to_centers(head, means))
    return Collapse(
        **{name: value for values, _ in found for name, value in values.items()},
        rank=rank,
        num_classes=num_classes,
        dim=points.shape[1],
        images=len(points),
        reachable=reachable(num_classes, points.shape[1]),
        chance=dict(by_chance(num_classes, points.shape[1])),
        gaps={name: why for _, gaps in found for name, why in gaps.items()},
    )


def gap_or(value: float) -> float | None:
    """Give None for NaN, which JSON does not know."""
    return None if math.isnan(value) else value


def _logits(head: Head, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch classes"]:
    """Ask the head where it stands and in its own precision; answer on the CPU."""
    if features.shape[1] != head.dim:
        raise ValueError(
            f"`features` must have the dimension of the head, {head.dim}; got {features.shape[1]}."
        )
    own = next(chain(head.parameters(), head.buffers()), features)
    with torch.no_grad():
        return head.logits(features.to(own)).cpu()


#: What cannot be said of class means that are one point; `nc3` too, as they have no direction.
_OF_MEANS = (
    *("nc1", "nc1_ratio", "nc2_norm", "nc2_angle", "nc2_simplex", "nc3"),
    *("distance_to_simplex", "distance_to_best"),
)
_Found = tuple[dict[str, float], dict[str, str]]  # the measures, and why some are NaN


def _missing(names: tuple[str, ...], why: str) -> _Found:
    return dict.fromkeys(names, math.nan), dict.fromkeys(names, why)


def _nc1(
    scatter: Float[Tensor, "batch dim"],
    singular: Float[Tensor, " rank"],
    directions: Float[Tensor, "rank dim"],
    num_classes: int,
) -> dict[str, float]:
    """NC1 in the basis of the singular vectors of the means, in which their scatter is diagonal."""
    spread = singular.square() / num_classes  # eigenvalues of the scatter of the means, not 0
    along = (scatter @ directions.T).square().sum(dim=0)
    within = scatter.square().sum()
    return {
        "nc1": ((along / spread).sum() / num_classes).item(),
        "nc1_ratio": (within / spread.sum()).item(),
    }


def _nc2(centred: Float[Tensor, "num_classes dim"]) -> _Found:
    """NC2 and the distances to the simplex and to the best arrangement."""
    num_classes, dim = centred.shape
    values, gaps = arrangement(centred), {}
    if math.isnan(values["nc2_angle"]):
        why = "a class mean lies at the mean of all class means, so it has no direction"
        gaps = dict.fromkeys(("nc2_angle", "nc2_simplex"), why)
    values |= {"distance_to_best": math.nan} | distances(centred)
    if math.isnan(values["distance_to_best"]):
        gaps["distance_to_best"] = (
            f"the best arrangement of {num_classes} points in {dim} dimensions is not known in "
            "general"
        )
    return values, gaps


def _nc3(head: Head, centred: Float[Tensor, "num_classes dim"]) -> _Found:
    form, centers = head.generalized_sce(), getattr(head, "centers", None)
    if form is not None:
        vectors = 2 * form.scales[:, None] * form.means
    elif centers is not None:
        vectors = centers
    elif getattr(head, "weight", None) is not None:  # a head of angles: directions count alone
        vectors = torch.nn.functional.normalize(head.weight, dim=1)
    else:
        why = "the head has no class vectors: no linear form, no centers, no weight"
        return _missing(("nc3",), why)
    vectors = vectors.detach().cpu().double()
    vectors = vectors - vectors.mean(dim=0)
    if not vectors.any():
        return _missing(("nc3",), "all class vectors of the head are one")
    distance = (vectors / vectors.norm() - centred / centred.norm()).norm()
    return {"nc3": distance.item()}, {}


def _to_centers(head: Head, means: Float[Tensor, "num_classes dim"]) -> _Found:
    centers = getattr(head, "centers", None)
    if centers is None:
        return _missing(("distance_to_centers",), "the head has no centers")
    centers = centers.detach().cpu().double()
    radius = centers.norm(dim=1).mean()
    if radius == 0:
        return _missing(("distance_to_centers",), "all centers lie at the origin")
    return {"distance_to_centers": ((means - centers).norm(dim=1).mean() / radius).item()}, {}
