"""Maps with what is known of their points: classes, predictions, pictures, and the map's quality.

Each model has a feature space of its own, so each gets a map of its own. Positions of two maps
cannot be compared, and neither can distances in two feature spaces; what can be compared is who
lies among whom, and the numbers that `assess` gives.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmc_viz import tables
from mmc_viz.embeddings.maps import FeatureMap
from mmc_viz.embeddings.quality import MapQuality, assess


@dataclass(frozen=True)
class Placed:
    """Points that were placed into a map, such as images under attack.

    Attributes
    ----------
    positions : Float[Tensor, "placed 2"]
        On the map.
    origins : Int[Tensor, "placed"]
        Which fitted point each of them comes from.
    predictions : Int[Tensor, "placed"]
        Class that the model gives each of them.
    nearest : Float[Tensor, "placed"]
        Distance of each to the nearest fitted feature, in feature space.
    images : UInt8[Tensor, "placed channels height width"], optional
        Their pictures.
    """

    positions: Float[Tensor, "placed 2"]
    origins: Int[Tensor, " placed"]
    predictions: Int[Tensor, " placed"]
    nearest: Float[Tensor, " placed"]
    images: UInt8[Tensor, "placed channels height width"] | None = None


@dataclass(frozen=True)
class MapView:
    """A map and what is known of its points.

    Attributes
    ----------
    map : FeatureMap
        Fitted to the features of the points, and of the placed ones if `joint`.
    labels : Int[Tensor, "points"]
        True classes.
    quality : MapQuality
        What the map keeps of the true space, for these points.
    predictions : Int[Tensor, "points"], optional
        Class that the model gives each.
    images : UInt8[Tensor, "points channels height width"], optional
        Their pictures.
    centers : Float[Tensor, "num_classes 2"], optional
        Where the class centers lie on the map.
    placed : Placed, optional
        Points that were placed into it.
    joint : bool
        Whether the map was fitted to the placed points too, so that they have shaped it.
    """

    map: FeatureMap
    labels: Int[Tensor, " points"]
    quality: MapQuality
    predictions: Int[Tensor, " points"] | None = None
    images: UInt8[Tensor, "points channels height width"] | None = None
    centers: Float[Tensor, "num_classes 2"] | None = None
    placed: Placed | None = None
    joint: bool = False

    @property
    def positions(self) -> Float[Tensor, "points 2"]:
        """Where the clean points lie on the map."""
        return self.map.positions[: len(self.labels)]

    @property
    def fooled(self) -> int | None:
        """How many placed points the model takes for another class; None where none are placed."""
        if self.placed is None:
            return None
        return int((self.placed.predictions != self.labels[self.placed.origins]).sum())

    @property
    def remoteness(self) -> float | None:
        """How far placed points lie from all fitted ones, which no map can show.

        Median distance of a placed feature to its nearest fitted one, over the median distance of a
        fitted one to its nearest other; None where none are placed, or the map was fitted to them,
        or the fitted ones coincide.
        """
        if self.placed is None or self.joint or self.map.spacing == 0:
            return None
        return float(self.placed.nearest.quantile(0.5)) / self.map.spacing


@dataclass(frozen=True)
class Embedding:
    """Maps of one method, one for each model, of the same images.

    Attributes
    ----------
    views : dict[str, MapView]
        Name of each model to its map.
    class_names : list[str]
        Name of each class.
    spanned_by : tuple of int, optional
        For `plane`: the three classes that span it.
    anchors : str, optional
        For `plane`: what of these classes, their `centers` or the `means` of their features.
    """

    views: dict[str, MapView]
    class_names: list[str]
    spanned_by: tuple[int, int, int] | None = None
    anchors: str | None = None

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all numbers, without pictures and features, as JSON; write it if `path` is given."""
        values = {
            "class_names": self.class_names,
            "spanned_by": self.spanned_by,
            "anchors": self.anchors,
            "views": {},
        }
        for name, view in self.views.items():
            quality = dict(vars(view.quality))
            for key in ("edges", "within", "between"):
                quality[key] = quality[key].tolist()
            values["views"][name] = {
                "method": view.map.method,
                "seed": view.map.seed,
                "settings": view.map.settings,
                "variance": view.map.variance,
                "note": view.map.note,
                "joint": view.joint,
                "fooled": view.fooled,
                "remoteness": view.remoteness,
                "centers": None if view.centers is None else view.centers.tolist(),
                "quality": quality,
                "points": _rows(view),
            }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each point of each model as CSV; write it too if `path` is given."""
        rows = [{"model": name} | row for name, view in self.views.items() for row in _rows(view)]
        return tables.to_csv(rows, path)


def view_map(
    drawn: FeatureMap,
    labels: Int[Tensor, " points"],
    *,
    predictions: Int[Tensor, " points"] | None = None,
    images: UInt8[Tensor, "points channels height width"] | None = None,
    centers: Float[Tensor, "num_classes dim"] | None = None,
    neighbours: int = 15,
) -> MapView:
    """Join a map with what is known of its points, and assess it.

    Parameters
    ----------
    drawn : FeatureMap
        Fitted to the features of these points.
    labels : Int[Tensor, "points"]
        True classes.
    predictions, images
        See `MapView`.
    centers : Float[Tensor, "num_classes dim"], optional
        Class centers in feature space, placed into the map where it can place.
    neighbours : int
        See `assess`.

    Raises
    ------
    ValueError
        If the numbers of points differ or there are too few.
    """
    check_count("labels", labels, len(drawn.positions))
    for name, values in (("predictions", predictions), ("images", images)):
        if values is not None:
            check_count(name, values, len(labels))
    return MapView(
        drawn,
        labels.cpu(),
        assess(drawn, drawn.features, labels, neighbours=neighbours),
        None if predictions is None else predictions.cpu(),
        None if images is None else images.cpu(),
        None if centers is None or not drawn.can_place else drawn.place(centers),
    )


def nearest_distance(
    features: Float[Tensor, "*batch dim"], fitted: Float[Tensor, "fitted dim"]
) -> Float[Tensor, "*batch"]:
    """Distance of each feature to the nearest of the fitted ones, float64."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(fitted.double().numpy()).query(features.double().numpy())
    return torch.from_numpy(distances)


def _rows(view: MapView) -> list[dict[str, Any]]:
    """One line for each point: the clean ones, then the placed ones."""
    labels = view.labels.tolist()
    guesses = ["" for _ in labels] if view.predictions is None else view.predictions.tolist()
    rows = [
        {"kind": "clean", "image": n, "x": x, "y": y, "label": labels[n], "prediction": guesses[n]}
        for n, (x, y) in enumerate(view.positions.tolist())
    ]
    if view.placed is not None:
        rows += [
            {"kind": "placed", "image": n, "x": x, "y": y, "label": labels[n], "prediction": guess}
            for (x, y), n, guess in zip(
                view.placed.positions.tolist(),
                view.placed.origins.tolist(),
                view.placed.predictions.tolist(),
                strict=True,
            )
        ]
    return rows


def check_count(name: str, values: Tensor, count: int) -> None:
    """Refuse a tensor of another number of points."""
    if len(values) != count:
        raise ValueError(f"`{name}` must be of the {count} points; got {len(values)}.")
