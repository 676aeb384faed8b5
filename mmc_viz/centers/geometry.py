r"""What an arrangement of centers is worth: angles, distances, and which pairs set the limit.

Two bounds hold for any $L$ centers in any dimension. Their directions $u_i$ cannot all be more than
$\arccos(-1 / (L - 1))$ apart, as the package's docstring shows. And since

$$\sum_{i < j} \lVert \mu_i - \mu_j \rVert^2
= L \sum_i \lVert \mu_i \rVert^2 - \Big\lVert \sum_i \mu_i \Big\rVert^2
\le L^2 \, \overline{r^2},$$

with the mean $\overline{r^2}$ of the squared norms, the closest two are at most
$\sqrt{2 L \, \overline{r^2} / (L - 1)}$ apart. The regular simplex reaches both. The second bound
also holds for centers of unequal norm, such as those a head has learned.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables


@dataclass(frozen=True)
class Geometry:
    """Angles and distances of class centers, in float64 on the CPU.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        What was asked about.
    gram : Float[Tensor, "num_classes num_classes"]
        Inner products, in squared feature units.
    angles : Float[Tensor, "num_classes num_classes"]
        Between the directions of two centers, in degrees, 0..180; 0 on the diagonal.
    distances : Float[Tensor, "num_classes num_classes"]
        Between two centers, in feature units.
    norms : Float[Tensor, "num_classes"]
        Of the centers, in feature units.
    equal_norms : bool
        Whether all norms agree to one part in 100,000. Only then does the nearest center have the
        largest inner product, and only then is the closest pair the one of the smallest angle.
    smallest_angle : float
        Of two different centers, in degrees.
    smallest_distance : float
        Of two different centers, in feature units.
    simplex_angle : float
        Bound on the smallest angle for this many centers in any dimension, in degrees.
    simplex_distance : float
        Bound on the smallest distance for this many centers with these norms in any dimension.
    tight : Int[Tensor, "pairs 2"]
        Pairs whose angle is the smallest, the lower class first.
    tolerance : float
        By how many degrees the angle of a tight pair may exceed the smallest.
    """

    centers: Float[Tensor, "num_classes dim"]
    gram: Float[Tensor, "num_classes num_classes"]
    angles: Float[Tensor, "num_classes num_classes"]
    distances: Float[Tensor, "num_classes num_classes"]
    norms: Float[Tensor, " num_classes"]
    equal_norms: bool
    smallest_angle: float
    smallest_distance: float
    simplex_angle: float
    simplex_distance: float
    tight: Int[Tensor, "pairs 2"]
    tolerance: float

    @property
    def num_classes(self) -> int:
        """Number of centers."""
        return len(self.centers)

    @property
    def dim(self) -> int:
        """Dimension of the feature space."""
        return self.centers.shape[1]

    @property
    def norm_range(self) -> tuple[float, float]:
        """Smallest and largest norm, in feature units."""
        return self.norms.min().item(), self.norms.max().item()

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the geometry as JSON; write it too if `path` is given."""
        values = {
            "centers": self.centers.tolist(),
            "gram": self.gram.tolist(),
            "angles": self.angles.tolist(),
            "distances": self.distances.tolist(),
            "norms": self.norms.tolist(),
            "equal_norms": self.equal_norms,
            "smallest_angle": self.smallest_angle,
            "smallest_distance": self.smallest_distance,
            "simplex_angle": self.simplex_angle,
            "simplex_distance": self.simplex_distance,
            "tight": self.tight.tolist(),
            "tolerance": self.tolerance,
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each pair of centers as CSV; write it too if `path` is given."""
        tight = {tuple(pair) for pair in self.tight.tolist()}
        gram, angles, distances = (
            values.tolist() for values in (self.gram, self.angles, self.distances)
        )
        rows = [
            {
                "class": i,
                "other": j,
                "inner_product": gram[i][j],
                "angle": angles[i][j],
                "distance": distances[i][j],
                "tight": int((i, j) in tight),
            }
            for i in range(self.num_classes)
            for j in range(i + 1, self.num_classes)
        ]
        return tables.to_csv(rows, path)


def geometry(
    centers: Float[Tensor, "num_classes dim"], *, tolerance: float | int = 1e-3
) -> Geometry:
    r"""Measure how class centers stand to each other.

    Parameters
    ----------
    centers : Float[Tensor, "num_classes dim"]
        One a row, at least 2, none at the origin. On any device, with or without gradient.
    tolerance : float
        In degrees, at least 0: pairs whose angle exceeds the smallest by at most this are tight.
        Centers in float32 have angles that are off by about 1e-5 degrees.

    Returns
    -------
    geometry : Geometry

    Raises
    ------
    ValueError
        If there are fewer than 2 centers, a coordinate is not finite, a center is at the origin, so
        that it has no direction, or the tolerance is negative or not finite.

    Notes
    -----
    The angle of two directions $u, v$ is $2 \arctan(\lVert u - v \rVert / \lVert u + v \rVert)$,
    which is exact to the last digits also near 0 and 180 degrees, where an arc cosine is not.
    """
    if len(centers) < 2:
        raise ValueError(f"`centers` must hold at least 2 centers; got {len(centers)}.")
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise ValueError(f"`tolerance` must be at least 0 and finite; got {tolerance}.")
    points = centers.detach().cpu().double().clone()
    if not points.isfinite().all():
        wrong = (~points.isfinite()).any(dim=1).nonzero()[0].item()
        raise ValueError(
            f"`centers` must be finite; center {wrong} is not. Training may have diverged."
        )
    norms = points.norm(dim=1)
    if not (norms > 0).all():
        raise ValueError(
            f"`centers` must not be at the origin, where they have no direction; center "
            f"{norms.argmin().item()} is. Leave it out, or move the origin."
        )
    count = len(points)
    units = points / norms[:, None]
    difference, total = units[:, None] - units[None], units[:, None] + units[None]
    angles = _mirrored(torch.rad2deg(2 * torch.atan2(difference.norm(dim=2), total.norm(dim=2))))
    distances = _mirrored((points[:, None] - points[None]).norm(dim=2))
    first, second = torch.triu_indices(count, count, offset=1)
    smallest = angles[first, second].min().item()
    is_tight = angles[first, second] <= smallest + tolerance
    return Geometry(
        centers=points,
        gram=_mirrored(points @ points.T),
        angles=angles,
        distances=distances,
        norms=norms,
        equal_norms=bool((norms.max() - norms.min()) <= 1e-5 * norms.max()),
        smallest_angle=smallest,
        smallest_distance=distances[first, second].min().item(),
        simplex_angle=math.degrees(math.acos(-1 / (count - 1))),
        simplex_distance=math.sqrt(2 * norms.square().sum().item() / (count - 1)),
        tight=torch.stack([first[is_tight], second[is_tight]], dim=1),
        tolerance=float(tolerance),
    )


def _mirrored(table: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Give both entries of a pair the value of the upper one; their last digits may differ."""
    return table.triu() + table.triu(1).T
