r"""How far the theorem's contours lie from the true ones.

The theorem speaks of two classes. With $L$ of them the loss is
$\log(1 + \sum_{j \ne y} e^{h_j - h_y})$: every further rival adds to it, less than $\log(L - 1)$ in
all if none is stronger than the first. So the true level set of the value $c$ lies on that side of
the theorem's on which the loss falls, and on the theorem's the true loss is above $c$. Both
differences are measured:

`compare`, here,
    on a plane: the distance of the true level set from the theorem's curve, in feature units, and
    the true loss along that curve. The theorem's curve for a class is put together from those for
    each rival, each where this rival is the strongest.
`loss_on_contours`, in `reading`,
    in all dimensions: every feature is moved to the nearest point of the theorem's contour for its
    class and its strongest rival, and the true loss is read there.

For a loss that is a squared distance there is nothing to choose, and no difference beyond rounding.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz import tables
from mmc_viz.contours.feature_contours import FeatureContours
from mmc_viz.contours.levels import crossings
from mmc_viz.contours.losses import Loss, loss_function, strongest_rival
from mmc_viz.contours.theorem import Hyperplane, Hypersphere, contour_of, in_float64
from mmc_viz.heads import Head

#: Where along each of the theorem's curves points are taken, from one end, -1, to the other.
_STEPS = torch.linspace(-1, 1, 1441, dtype=torch.float64)


@dataclass(frozen=True)
class ContourDifference:
    """The theorem's contours of one class beside the true level sets, for some values of the loss.

    Distances are in feature units, within the plane. A number is NaN where there is nothing to
    measure: the curve is empty, or does not come into the picture.

    Attributes
    ----------
    label : int
        The true class.
    rival : int or None
        The rival asked for; None if each counts where it is the strongest.
    loss : str
        Which true loss: `training` for a squared distance, `cross_entropy` for all others.
    levels : Float[Tensor, "levels"]
        Values $c$ of the loss.
    shapes : tuple of str
        For each value, what theory draws: `lines`, `circles`, `circles and lines` or `nothing`.
    curves : tuple of Float[Tensor, "points 2"]
        For each value, the theorem's curve in the plane's coordinates; rows of NaN part its pieces.
    true_points : tuple of Float[Tensor, "points 2"]
        For each value, points of the true level set, in no order.
    check : Float[Tensor, "levels"]
        Largest distance of the level set of the two-class loss from the curve: rounding alone,
        or the theorem is wrong.
    mean_distance, max_distance : Float[Tensor, "levels"]
        Of the points of the true level set from the theorem's curve for their strongest rival.
    median_loss, max_loss : Float[Tensor, "levels"]
        The true loss along the theorem's curve.
    """

    label: int
    rival: int | None
    loss: str
    levels: Float[Tensor, " levels"]
    shapes: tuple[str, ...]
    curves: tuple[Float[Tensor, "_ 2"], ...]
    true_points: tuple[Float[Tensor, "_ 2"], ...]
    check: Float[Tensor, " levels"]
    mean_distance: Float[Tensor, " levels"]
    max_distance: Float[Tensor, " levels"]
    median_loss: Float[Tensor, " levels"]
    max_loss: Float[Tensor, " levels"]

    def rows(self) -> list[dict]:
        """Give one row for each value; None where there was nothing to measure."""
        columns = ("check", "mean_distance", "max_distance", "median_loss", "max_loss")
        return [
            {"label": self.label, "level": level, "shape": self.shapes[i]}
            | {name: or_none(getattr(self, name)[i]) for name in columns}
            for i, level in enumerate(self.levels.tolist())
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the numbers and the curves as JSON; write it too if `path` is given."""
        values = {
            "rival": self.rival,
            "loss": self.loss,
            "levels": self.rows(),
            "curves": [
                [None if row[0] != row[0] else row for row in curve.tolist()]
                for curve in self.curves
            ],
            "true_points": [points.tolist() for points in self.true_points],
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each value of the loss as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def compare(
    head: Head,
    contours: FeatureContours,
    levels: list[float] | tuple[float, ...] = (0.1, 1.0),
    *,
    rival: int | None = None,
) -> ContourDifference:
    """Hold the theorem's contours of one class against the true level sets on a plane.

    Parameters
    ----------
    head : Head
        The head of which `contours` were computed.
    contours : FeatureContours
        A plane with one true class; its grid says where to look for the level sets.
    levels : sequence of float
        Values of the loss, positive.
    rival : int, optional
        Look at one rival alone. None: at each where it is the strongest.

    Raises
    ------
    ValueError
        If the contours are of no one class or not of a plane, the head has no closed form, or a
        value or rival is out of range.
    """
    label, plane = contours.label, contours.plane
    if label is None:
        raise ValueError("`contours` must be those of one class; these are the least over all.")
    if len(contours.ticks) != 2:
        raise ValueError("`contours` must be those of a plane; these have three axes.")
    if len(levels) == 0:
        raise ValueError("`levels` must hold at least one value; got none.")
    wide = in_float64(head)
    if wide.dim != plane.axes.shape[1]:
        raise ValueError(
            f"`head` must be the one of `contours`, with features of {plane.axes.shape[1]} "
            f"dimensions; got one of {wide.dim}."
        )
    by_distance = wide.loss_form == "distance"
    kind = "training" if by_distance else "cross_entropy"
    true = loss_function(wide, kind)
    ideal = true if by_distance else loss_function(wide, "two_class", rival)
    rivals = [-1] if by_distance else _rivals(wide, label, rival)

    def of(loss: Loss, points: Tensor) -> Tensor:
        with torch.no_grad():
            return loss(plane.lift(points), label)

    def strongest(points: Tensor) -> Tensor:
        if by_distance:
            return torch.full((len(points),), -1)
        with torch.no_grad():
            return strongest_rival(wide.logits(plane.lift(points)), label)

    grid = torch.stack(torch.meshgrid(*reversed(contours.ticks), indexing="ij")[::-1], dim=-1)
    on_grid = {
        which: of(loss, grid.reshape(-1, 2)).reshape(grid.shape[:-1])
        for which, loss in (("true", true), ("ideal", ideal))
    }
    shapes, curves, found, numbers = [], [], [], []
    for level in levels:
        sections = {
            t: contour.section(plane)
            for t in rivals
            if (contour := contour_of(wide, label, level, rival=None if by_distance else t))
            is not None
        }
        sections = {t: section for t, section in sections.items() if section is not None}
        pieces = [_piece(section, t, contours, strongest) for t, section in sections.items()]
        seen = zip(sections.values(), pieces, strict=True)
        shapes.append(_shape([section for section, piece in seen if len(piece)]))
        curves.append(torch.cat([torch.zeros(0, 2, dtype=torch.float64), *pieces]))
        true_points = crossings(
            contours.ticks, on_grid["true"], level, lambda points: of(true, points)
        )
        ideal_points = crossings(
            contours.ticks, on_grid["ideal"], level, lambda points: of(ideal, points)
        )
        ideal_rivals = (
            strongest(ideal_points) if rival is None else torch.full((len(ideal_points),), rival)
        )
        check = _distances(ideal_points, ideal_rivals, sections)
        away = _distances(true_points, strongest(true_points), sections)
        along = curves[-1][~curves[-1].isnan().any(dim=1)]
        reached = of(true, along)
        found.append(true_points)
        numbers.append(
            [
                _largest(check),
                float(away.mean()) if len(away) else torch.nan,
                _largest(away),
                _median(reached),
                _largest(reached),
            ]
        )
    table = torch.tensor(numbers, dtype=torch.float64)
    return ContourDifference(
        label,
        rival,
        kind,
        torch.tensor(levels, dtype=torch.float64),
        tuple(shapes),
        tuple(curves),
        tuple(found),
        *table.unbind(dim=1),
    )


def or_none(value: Tensor) -> float | None:
    """Give a number as tables hold it: None for NaN, which JSON does not know."""
    return None if value.isnan() else float(value)


def _rivals(head: Head, label: int, rival: int | None) -> list[int]:
    return [rival] if rival is not None else [t for t in range(head.num_classes) if t != label]


def _piece(
    section: Hyperplane | Hypersphere,
    rival: int,
    contours: FeatureContours,
    strongest: Callable[[Tensor], Tensor],
) -> Float[Tensor, "points 2"]:
    """Sample a line or circle where it is in the picture and its rival the strongest."""
    low, high = (torch.stack([axis[end] for axis in contours.ticks]) for end in (0, -1))
    middle, reach = (low + high) / 2, float((high - low).norm())
    if isinstance(section, Hypersphere):
        # Of a circle much larger than the picture only the arc that may come into it.
        away = middle - section.center
        half = torch.pi if section.radius < reach else 2 * math.asin(reach / section.radius / 2)
        angle = torch.atan2(away[1], away[0]) + half * _STEPS
        circle = torch.stack([angle.cos(), angle.sin()], dim=1)
        points = section.center + section.radius * circle
    else:
        along = torch.stack([-section.normal[1], section.normal[0]]) / section.normal.norm()
        points = section.foot(middle[None]) + reach * _STEPS[:, None] * along
    seen = ((points >= low) & (points <= high)).all(dim=1)
    seen &= strongest(points) == rival
    points[~seen] = torch.nan
    if not seen.any():
        return points[:0]
    gap = torch.full((1, 2), torch.nan, dtype=torch.float64)
    # One row of NaN parts two pieces as well as a hundred do.
    again = torch.cat([torch.tensor([False]), ~seen[1:] & ~seen[:-1]])
    return torch.cat([points[~again], gap])


def _shape(sections: list[Hyperplane | Hypersphere]) -> str:
    """Name what is drawn; scales may agree for some rivals and differ for others."""
    words = {"circles" if isinstance(one, Hypersphere) else "lines" for one in sections}
    return " and ".join(sorted(words)) or "nothing"


def _distances(
    points: Tensor, rivals: Tensor, sections: dict[int, Hyperplane | Hypersphere]
) -> Float[Tensor, " batch"]:
    """Distance of each point from the curve of its rival, of points whose rival has one."""
    parts = [section.signed_distance(points[rivals == t]).abs() for t, section in sections.items()]
    return torch.cat([torch.zeros(0, dtype=torch.float64), *parts])


def _largest(values: Tensor) -> float:
    return float(values.amax()) if len(values) else torch.nan


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5)) if len(values) else torch.nan
