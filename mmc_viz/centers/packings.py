r"""How the centers that we find compare with the best that is known.

The values of others rest on different ground, and each row of the table says on which:

exact
    The regular polygon, the regular simplex, and 90 degrees for $d + 1 < L \le 2d$ (Rankin 1955).
    Nothing can be larger.
proven
    Codes of which it has been proven that no larger angle exists, with their angle in closed form:
    (3, 8) and (3, 9) Schuette and van der Waerden 1951; (3, 11) Danzer 1963; (3, 12) Fejes Toth
    1943; (3, 24) Robinson 1961; (4, 10) Bachoc and Vallentin 2009; (5, 16), (6, 27) and (7, 56)
    Levenshtein 1992, see Cohn and Kumar, https://arxiv.org/abs/math/0607446.
best known
    The 24-cell, in closed form, and Sloane's tables of spherical codes in three dimensions
    (http://neilsloane.com/packings/), as recalled, to 4 decimals.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mmc_viz import tables
from mmc_viz.centers.geometry import geometry
from mmc_viz.centers.spreading import spread_centers

#: Inner product of the closest two, for dimension and number of classes, and the code's name.
_TRIBONACCI = 1.8392867552141612  # t, where t^3 = t^2 + t + 1
_PROVEN: dict[tuple[int, int], tuple[float, str]] = {
    (3, 8): ((math.sqrt(8) - 1) / 7, "square antiprism"),
    (3, 9): (1 / 3, "cos 1/3"),
    (3, 11): (1 / math.sqrt(5), "icosahedron less a vertex"),
    (3, 12): (1 / math.sqrt(5), "icosahedron"),
    (3, 24): (_TRIBONACCI**2 / (1 + _TRIBONACCI**2 + _TRIBONACCI**-2), "snub cube"),
    (4, 10): (1 / 6, "cos 1/6"),
    (5, 16): (1 / 5, "cos 1/5"),
    (6, 27): (1 / 4, "cos 1/4"),
    (7, 56): (1 / 3, "cos 1/3"),
}
_BEST: dict[tuple[int, int], tuple[float, str]] = {
    (3, 7): (77.8695, "Sloane, 4 decimals"),
    (3, 10): (66.1468, "Sloane, 4 decimals"),
    (3, 13): (57.1367, "Sloane, 4 decimals"),
    (3, 14): (55.6706, "Sloane, 4 decimals"),
    (3, 15): (53.6579, "Sloane, 4 decimals"),
    (3, 16): (52.2444, "Sloane, 4 decimals"),
    (3, 17): (51.0903, "Sloane, 4 decimals"),
    (3, 18): (49.5567, "Sloane, 4 decimals"),
    (3, 19): (47.6919, "Sloane, 4 decimals"),
    (3, 20): (47.4310, "Sloane, 4 decimals"),
    (3, 21): (45.6132, "Sloane, 4 decimals"),
    (3, 22): (44.7402, "Sloane, 4 decimals"),
    (3, 23): (43.7100, "Sloane, 4 decimals"),
    (4, 24): (60.0, "24-cell"),
}
#: Number of classes and dimension of each row of the table, unless others are asked for.
CASES: tuple[tuple[int, int], ...] = (
    *((count, 2) for count in (3, 5, 10)),
    *((count, 3) for count in range(4, 25)),
    *((count, 4) for count in (5, 6, 8, 10, 24)),
    *((count, 5) for count in (6, 7, 10, 16)),
    *((count, 8) for count in (9, 10, 12, 16)),
)


@dataclass(frozen=True)
class Packing:
    """One row of the packing table.

    Attributes
    ----------
    num_classes, dim : int
        How many centers, in how many dimensions.
    angle : float
        Smallest angle of `spread_centers`, in degrees, in float64.
    known : float or None
        The best that is known, in degrees; None where we know of no value.
    basis : str
        On what that rests, empty for none.
    tight : int
        Number of pairs within 1e-6 degrees of the smallest angle.
    """

    num_classes: int
    dim: int
    angle: float
    known: float | None
    basis: str
    tight: int

    @property
    def difference(self) -> float | None:
        """Ours less the best known, in degrees; None where none is known."""
        return None if self.known is None else self.angle - self.known


@dataclass(frozen=True)
class PackingTable:
    """Smallest angles of our centers beside the best that is known.

    Attributes
    ----------
    rows : list of Packing
        One for each number of classes and dimension.
    seed : int
        Of the search.
    """

    rows: list[Packing]
    seed: int

    @property
    def shortfall(self) -> float:
        """By how many degrees we miss the best known value at most; 0 where we miss none."""
        return max((-row.difference for row in self.rows if row.difference is not None), default=0)

    def values(self) -> list[dict]:
        """Give each row as plain values."""
        return [asdict(row) | {"difference": row.difference} for row in self.rows]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json({"seed": self.seed, "rows": self.values()}, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.values(), path)


def packing_table(
    cases: Iterable[tuple[int, int]] = CASES, *, seed: int = 0, progress: bool = False
) -> PackingTable:
    """Spread centers for several numbers of classes and dimensions, and compare the angles.

    Parameters
    ----------
    cases : iterable of (int, int)
        Number of classes and dimension of each row; unless given, `CASES`: a few in the plane, 4 to
        24 classes in three dimensions, and some in 4, 5 and 8.
    seed : int
        Of the search.
    progress : bool
        Show a bar for each search that takes longer than a second.

    Returns
    -------
    table : PackingTable

    Raises
    ------
    ValueError
        If there is no case, or `spread_centers` refuses one.
    """
    rows = []
    for num_classes, dim in cases:
        centers = spread_centers(
            num_classes, dim, radius=1.0, seed=seed, progress=progress, dtype=torch.float64
        )
        found = geometry(centers, tolerance=1e-6)
        known, basis = best_known(num_classes, dim)
        rows.append(Packing(num_classes, dim, found.smallest_angle, known, basis, len(found.tight)))
    if not rows:
        raise ValueError("`cases` must hold at least one number of classes and dimension.")
    return PackingTable(rows, seed)


def best_known(num_classes: int, dim: int) -> tuple[float | None, str]:
    """Give the largest smallest angle that is known, in degrees, and what that rests on."""
    if dim >= num_classes - 1:
        return math.degrees(math.acos(-1 / (num_classes - 1))), "exact: regular simplex"
    if dim == 2:
        return 360 / num_classes, "exact: regular polygon"
    if num_classes <= 2 * dim:
        return 90.0, "exact: 90 degrees"
    if (dim, num_classes) in _PROVEN:
        cosine, name = _PROVEN[dim, num_classes]
        return math.degrees(math.acos(cosine)), f"proven: {name}"
    angle, name = _BEST.get((dim, num_classes), (None, ""))
    return angle, f"best known: {name}" if name else ""
