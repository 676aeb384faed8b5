"""Move class centers on a circle or a sphere and watch the smallest angle between them.

Everything is sent once: for each number of centers and each dimension the arrangements to begin
with, and the largest smallest angle that is known. The browser turns, moves and measures; no step
needs a kernel.

    catalogue    starts, best known angles and what they rest on
    num_classes  number of centers L
    dim          2: on a circle; 3: on a sphere; 0: in L - 1 dimensions, where only the table of
                 their cosines can be shown
    arrangement  a name from `mmc_viz.centers.ARRANGEMENTS`
    draw         which of the random draws
    chosen       the center that arrow keys move
    moved        for each center that was moved its number and its place, in 1/100,000 of the radius
    turn         how the sphere is turned: about its upright axis, then towards us, in degrees
"""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers import ARRANGEMENTS, Geometry, arrangement, geometry
from mmc_viz.centers.packings import best_known
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report

MOST = 20  # centers
DRAWS = 5  # of the random arrangement
UNIT = 100_000  # whole numbers a radius
_DIMS = (2, 3, 0)


@dataclass(frozen=True)
class WorkbenchSettings:
    """What a workbench begins with.

    Parameters
    ----------
    seed : int
        Of the first random draw; the others follow it.
    """

    seed: int = 0


class CenterWorkbench(LabWidget):
    """Centers to be moved by hand; `CenterWorkbench.of(num_classes=3, dim=2)` makes one."""

    _esm = assemble("center_workbench.js")
    _css = style("center_workbench.css")
    kind: ClassVar[str] = "center-workbench"
    Settings: ClassVar[type] = WorkbenchSettings
    view: ClassVar[tuple[str, ...]] = (
        *("num_classes", "dim", "arrangement", "draw", "chosen", "moved", "turn"),
    )

    catalogue = traitlets.Dict().tag(sync=True)
    num_classes = traitlets.Int(3).tag(sync=True)
    dim = traitlets.Int(2).tag(sync=True)
    arrangement = traitlets.Unicode("spread").tag(sync=True)
    draw = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)
    moved = traitlets.List(traitlets.Int()).tag(sync=True)
    turn = traitlets.List(traitlets.Int(), [30, 20]).tag(sync=True)

    @property
    def centers(self) -> Float[Tensor, "num_classes dim"]:
        """The centers as they stand, of norm 1, float64."""
        dim = self.dim or self.num_classes - 1
        start = _start(self.arrangement, self.num_classes, dim, self._seed + self.draw)
        centers = arrangement("spread", self.num_classes, dim) if start is None else start
        if self.dim:
            rows = torch.tensor(self.moved, dtype=torch.float64).reshape(-1, 1 + dim)
            centers[rows[:, 0].long()] = torch.nn.functional.normalize(rows[:, 1:], dim=1)
        return centers

    @property
    def geometry(self) -> Geometry:
        """Angles of the centers as they stand."""
        return geometry(self.centers)

    @property
    def _seed(self) -> int:
        return self.settings.seed if self.settings else 0

    def _compute(self, settings: WorkbenchSettings, report: Report) -> dict[str, Any]:
        return {"catalogue": catalogue(settings.seed)}

    def _set_view(self, view: dict[str, Any]) -> None:
        shown = {name: getattr(self, name) for name in self.view} | view
        _check(shown)
        super()._set_view(view)


@functools.cache
def catalogue(seed: int = 0) -> dict[str, Any]:
    """Give all that the browser needs, as plain values.

    Returns
    -------
    catalogue : dict
        `names`: arrangement to words. `starts`: dimension (2, 3, or 0 for L - 1) to number of
        centers to name to centers; `random` has a list of draws. `best`: dimension to number of
        centers to the largest smallest angle that is known, in degrees, and its basis.
    """
    starts: dict[str, Any] = {}
    best: dict[str, Any] = {}
    for key in _DIMS:
        starts[str(key)], best[str(key)] = {}, {}
        for count in range(2, MOST + 1):
            dim = key or count - 1
            draws = range(seed, seed + (DRAWS if key else 1))
            found = {name: _plain(_start(name, count, dim, seed)) for name in ARRANGEMENTS}
            found["random"] = [_plain(_start("random", count, dim, one)) for one in draws]
            starts[str(key)][str(count)] = found
            best[str(key)][str(count)] = best_known(count, dim)
    return {"names": dict(ARRANGEMENTS), "starts": starts, "best": best, "unit": UNIT}


def _start(name: str, count: int, dim: int, seed: int) -> Float[Tensor, "count dim"] | None:
    return arrangement(name, count, dim, seed=seed)


def _plain(centers: Float[Tensor, "count dim"] | None) -> list[list[float]] | None:
    return (
        None if centers is None else [[round(x, 6) + 0.0 for x in row] for row in centers.tolist()]
    )


def _check(view: dict[str, Any]) -> None:
    """Refuse a view that cannot be shown, in one line."""
    count, dim, moved = view["num_classes"], view["dim"], view["moved"]
    allowed = {
        "num_classes": range(2, MOST + 1),
        "dim": _DIMS,
        "arrangement": tuple(ARRANGEMENTS),
        "draw": range(DRAWS),
        "chosen": range(count),
    }
    for name, values in allowed.items():
        if view[name] not in values:
            words = f"{values[0]} .. {values[-1]}" if isinstance(values, range) else f"of {values}"
            raise ValueError(f"`{name}` must be {words}; got {view[name]!r}.")
    width = 1 + dim
    places = [moved[i : i + width] for i in range(0, len(moved), width)]
    if moved and (
        not dim
        or any(len(one) < width or one[0] not in range(count) or not any(one[1:]) for one in places)
    ):
        raise ValueError(
            "`moved` must hold the number of a center and its place, again and again, in 2 or 3 "
            f"dimensions; got {list(moved)[:12]}."
        )
    if len(view["turn"]) != 2:
        raise ValueError(f"`turn` must be two angles in degrees; got {list(view['turn'])}.")
