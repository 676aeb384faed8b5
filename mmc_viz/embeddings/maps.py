"""One way to ask for a map of features, whatever draws it: `fit`, then `place`.

A map is fitted once, to clean features. What comes later, such as features under attack, is placed
into it and moves nothing: so a point that wanders wanders by itself, and not because the map was
drawn anew around it.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz import tables
from mmc_viz.embeddings import cache as disk
from mmc_viz.embeddings import layouts, linear

#: Name of each method to what its map keeps and what it distorts.
NOTES: dict[str, str] = {
    "pca": "PCA: the two directions of largest variance; what differs in the others alone falls "
    "together. Distances are true or too short.",
    "plane": "The plane of three classes: exact in it, blind across it; all other classes fall "
    "onto it. Distances are true or too short.",
    "umap": "UMAP keeps neighbours: gaps, sizes and densities of groups mean little, and a feature "
    "far from all others is drawn among them.",
    "tsne": "t-SNE keeps neighbours: gaps, sizes and densities of groups mean little, and new "
    "points have no place in it.",
}
METHODS = tuple(NOTES)


@dataclass(frozen=True)
class FeatureMap:
    """Features in two dimensions, on the CPU.

    Attributes
    ----------
    method : {"pca", "plane", "umap", "tsne"}
        What drew it.
    features : Float[Tensor, "fitted dim"]
        What it was fitted to.
    positions : Float[Tensor, "fitted 2"]
        Where they lie, float64. In units of the features for `pca` and `plane`; without a unit for
        the others.
    seed : int
        Of the methods that draw random numbers.
    settings : dict[str, float | int]
        Further settings of the method.
    origin, axes : Float[Tensor, "dim"], Float[Tensor, "2 dim"], optional
        Of linear maps: a position is `axes @ (z - origin)`; the axes are orthonormal.
    variance : tuple of float, optional
        Of linear maps: the share of the features' variance along each axis, 0..1.
    cache : bool
        Whether positions are kept on disk and looked for there.
    """

    method: str
    features: Float[Tensor, "fitted dim"]
    positions: Float[Tensor, "fitted 2"]
    seed: int = 0
    settings: dict[str, float | int] = field(default_factory=dict)
    origin: Float[Tensor, " dim"] | None = None
    axes: Float[Tensor, "2 dim"] | None = None
    variance: tuple[float, float] | None = None
    cache: bool = True

    @property
    def can_place(self) -> bool:
        """Whether new points can be placed into the map; t-SNE has no rule for them."""
        return self.method != "tsne"

    @property
    def is_linear(self) -> bool:
        """Whether the map is a projection, so that its distances have a unit."""
        return self.axes is not None

    @property
    def spacing(self) -> float:
        """Median distance of a fitted feature to its nearest other one, in feature space."""
        from scipy.spatial import cKDTree

        values = self.features.double().numpy()
        distances, _ = cKDTree(values).query(values, 2)
        return float(torch.from_numpy(distances[:, 1]).quantile(0.5))

    @property
    def note(self) -> str:
        """What the map keeps and what it distorts, in words."""
        return NOTES[self.method]

    def place(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch 2"]:
        """Place features into the map, each on its own; the map stays as it is.

        Parameters
        ----------
        features : Float[Tensor, "batch dim"]
            On any device.

        Returns
        -------
        positions : Float[Tensor, "batch 2"]
            On the CPU, float64. Features the map was fitted to get their own positions again: to
            1e-12 of the spread in linear maps, exactly in UMAP.

        Raises
        ------
        ValueError
            If the method cannot place, or the features are not finite or of another dimension.

        Notes
        -----
        UMAP's descent is stochastic, so a point has a place only up to some noise. With 500 images
        of Fashion-MNIST fitted and 500 placed, features of the shipped 64-d models, moving a
        feature by 1 % of the features' standard deviation moved half of the placed points by less
        than 0.9 % of the map's, 90 % of them by less than 3.5 %. A fitted point, once it is moved
        at all, comes to lie 2 % away from where it was (4 % for one in ten).
        """
        if not self.can_place:
            raise ValueError(
                "`method` must be able to place new points; t-SNE is not. Fit it to all points at "
                "once, clean and adversarial together, or use 'umap' or 'pca'."
            )
        new = _checked(features)
        if new.shape[1] != self.features.shape[1]:
            raise ValueError(
                f"`features` must have dimension {self.features.shape[1]}, as those that were "
                f"fitted; got {new.shape[1]}."
            )
        if self.axes is not None and self.origin is not None:
            return linear.project(new, self.origin, self.axes)
        if not len(new):
            return torch.zeros(0, 2, dtype=torch.float64)
        arrays = [values.double().numpy() for values in (new, self.features)]
        positions = self.positions.float().numpy()
        settings = {"seed": self.seed, **self.settings}
        key = disk.key_of("umap place", settings, *arrays, positions) if self.cache else ""
        placed = disk.load(key, len(new)) if key else None
        if placed is None:
            placed = layouts.umap_place(*arrays, positions, **settings)
            if key:
                disk.store(key, placed)
        return torch.from_numpy(placed).double()

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the map, without its features, as JSON; write it too if `path` is given."""
        values = {
            "method": self.method,
            "seed": self.seed,
            "settings": self.settings,
            "variance": self.variance,
            "note": self.note,
            "positions": self.positions.tolist(),
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each point as CSV; write it too if `path` is given."""
        rows = [{"point": n, "x": x, "y": y} for n, (x, y) in enumerate(self.positions.tolist())]
        return tables.to_csv(rows, path)


def fit(
    method: str,
    features: Float[Tensor, "fitted dim"],
    *,
    seed: int = 0,
    centers: Float[Tensor, "classes dim"] | None = None,
    neighbours: int = 15,
    min_dist: float | int = 0.1,
    perplexity: float | int = 30.0,
    cache: bool = True,
) -> FeatureMap:
    """Fit a map to features.

    Parameters
    ----------
    method : {"pca", "plane", "umap", "tsne"}
        `pca` and `plane` are projections; `umap` and `tsne` keep neighbours.
    features : Float[Tensor, "fitted dim"]
        At least two dimensions, on any device.
    seed : int
        Of `umap` and `tsne`, from 0 to 2^32 - 1. The global random state is left alone.
    centers : Float[Tensor, "3 dim"], optional
        For `plane`, which needs them: three points that span it, such as class centers.
    neighbours : int
        For `umap`: how many nearest points count as neighbours, the point itself among them; 2 to
        one less than there are points.
    min_dist : float
        For `umap`: how close together points may lie, 0..1, in units of the map.
    perplexity : float
        For `tsne`: about how many points count as neighbours, from 1 to less than there are points.
    cache : bool
        Whether to keep the positions of `umap` and `tsne` in `mmc_viz.locations.cache_dir()`, and
        to look for them there first.

    Returns
    -------
    map : FeatureMap

    Raises
    ------
    ValueError
        If a name is unknown, there are too few points, they are all the same or not finite, the
        plane has no three centers, or a setting is out of range.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}; got {method!r}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be from 0 to 2^32 - 1; got {seed}.")
    points = _checked(features)
    if points.shape[1] < 2:
        raise ValueError(
            f"`features` must have at least 2 dimensions; got {points.shape[1]}. "
            "Draw a histogram of one dimension instead."
        )
    if len(points) < 3:
        raise ValueError(f"`features` must hold at least 3 points; got {len(points)}.")
    if bool((points == points[0]).all()):
        raise ValueError(
            f"`features` must differ from one another; all {len(points)} are the same."
        )
    if method == "plane":
        origin, axes = linear.plane_axes(_three(centers, points))
    elif centers is not None:
        raise ValueError(f"`centers` must be None for the method {method!r}; they span a plane.")
    elif method == "pca":
        origin, axes = linear.pca_axes(points)
    else:
        settings = _settings(method, len(points), neighbours, min_dist, perplexity)
        positions = _laid_out(method, points, seed, settings, cache)
        return FeatureMap(method, points, positions, seed, settings, cache=cache)
    positions = linear.project(points, origin, axes)
    shares = linear.variance_shares(points, axes)
    return FeatureMap(
        method, points, positions, seed, {}, origin, axes, variance=shares, cache=cache
    )


def _laid_out(
    method: str,
    points: Float[Tensor, "fitted dim"],
    seed: int,
    settings: dict[str, float | int],
    cache: bool,
) -> Float[Tensor, "fitted 2"]:
    """Positions by UMAP or t-SNE, from the disk if they are there."""
    values = points.double().numpy()
    key = disk.key_of(method, {"seed": seed, **settings}, values) if cache else ""
    positions = disk.load(key, len(values)) if key else None
    if positions is None:
        layout = layouts.umap_layout if method == "umap" else layouts.tsne_layout
        positions = layout(values, seed=seed, **settings)
        if key:
            disk.store(key, positions)
    return torch.from_numpy(positions).double()


def _settings(
    method: str, count: int, neighbours: int, min_dist: float | int, perplexity: float | int
) -> dict[str, float | int]:
    """Check the settings of UMAP or t-SNE, and give those of the method."""
    if method == "umap":
        if not 2 <= neighbours < count:
            raise ValueError(
                f"`neighbours` must be from 2 to {count - 1}, one less than there are points; got "
                f"{neighbours}. Use more points or fewer neighbours."
            )
        if not 0 <= min_dist <= 1:
            raise ValueError(f"`min_dist` must be in 0..1; got {min_dist}.")
        return {"neighbours": neighbours, "min_dist": float(min_dist)}
    if not (math.isfinite(perplexity) and 1 <= perplexity < count):
        raise ValueError(
            f"`perplexity` must be at least 1 and less than the {count} points; got {perplexity}. "
            "Use more points or a smaller perplexity."
        )
    return {"perplexity": float(perplexity)}


def _checked(features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    """Features on the CPU, finite, in float32 or float64."""
    values = features.detach().cpu()
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    rows = (~values.isfinite()).any(dim=1).nonzero()[:, 0].tolist()
    if rows:
        raise ValueError(
            f"`features` must be finite; those of {len(rows)} points are not, the first is point "
            f"{rows[0]}. Leave them out, or see what the model makes of these images."
        )
    return values


def _three(
    centers: Float[Tensor, "classes dim"] | None, points: Float[Tensor, "fitted dim"]
) -> Float[Tensor, "classes dim"]:
    if centers is None:
        raise ValueError(
            "`centers` must be given for the method 'plane'; got None. For a head without centers "
            "use the means of three classes."
        )
    if centers.shape != (3, points.shape[1]):
        raise ValueError(
            f"`centers` must be three points of dimension {points.shape[1]}; got shape "
            f"{list(centers.shape)}."
        )
    return _checked(centers)
