"""What a grid over feature space holds: a loss, predictions, and the features that go with it."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.contours.planes import Plane, Projection


@dataclass(frozen=True)
class FeatureContours:
    """A head's loss on a grid over a plane, or a space, of features; float64, on the CPU.

    Attributes
    ----------
    plane : Plane
        Where the grid lies.
    label : int or None
        The true class; None for the least loss over all.
    loss : str
        Which loss: `training`, `two_class`, or the name of an objective.
    rival : int or None
        For `two_class`: the one rival, or None for the strongest at each point.
    ticks : tuple of Float[Tensor, "ticks"]
        Coordinates along each of the two or three axes.
    values : Float[Tensor, "*grid"]
        The loss. The last axis belongs to the first of `ticks`: `values[row, column]` in a picture.
    predicted : Int[Tensor, "*grid"]
        Class of the largest logit.
    features : Projection or None
        The features that go with the picture.
    feature_losses : Float[Tensor, "batch"] or None
        Of the features where they truly lie, not of their feet on the plane, for their own classes.
    centers : Projection or None
        Class centers, or class means of the features for a head that has none: of all classes in a
        whole space, else of those that span the plane. Its labels are the classes.
    centers_are : str
        `centers` or `class means`; empty where there is neither.
    class_names : tuple of str
        One for each class.
    """

    plane: Plane
    label: int | None
    loss: str
    rival: int | None
    ticks: tuple[Float[Tensor, " _"], ...]
    values: Float[Tensor, "*grid"]
    predicted: Int[Tensor, "*grid"]
    features: Projection | None
    feature_losses: Float[Tensor, " batch"] | None
    centers: Projection | None
    centers_are: str
    class_names: tuple[str, ...]

    @property
    def log10(self) -> Float[Tensor, "*grid"]:
        """Logarithm of the loss to the base of 10, not below -300; not a number below 0."""
        return torch.where(self.values < 0, torch.nan, self.values.clamp_min(1e-300).log10())

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest loss on the grid."""
        return float(self.values.amin()), float(self.values.amax())

    @property
    def left_outside(self) -> int:
        """How many of the features lie outside of the grid, so that a picture of it misses them."""
        if self.features is None:
            return 0
        low, high = (torch.stack([axis[end] for axis in self.ticks]) for end in (0, -1))
        places = self.features.coordinates
        return int(((places < low) | (places > high)).any(dim=1).sum())

    def share_below(self, loss: float | int) -> float | None:
        """Share of the class's features, 0..1, whose own loss is below a value.

        Of all features where the contours are those of no one class; None without features.
        """
        if self.features is None or self.feature_losses is None:
            return None
        mine = self.feature_losses
        if self.label is not None:
            mine = mine[self.features.labels == self.label]
        return float((mine < loss).double().mean()) if len(mine) else None

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the grid, and the features on it, as JSON; write it too if `path` is given."""
        values = {
            "label": self.label,
            "loss": self.loss,
            "rival": self.rival,
            "origin": self.plane.origin.tolist(),
            "axes": self.plane.axes.tolist(),
            "ticks": [axis.tolist() for axis in self.ticks],
            "values": self.values.tolist(),
            "predicted": self.predicted.tolist(),
            "class_names": list(self.class_names),
            "features": _projection_values(self.features),
            "centers_are": self.centers_are,
            "centers": _projection_values(self.centers),
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each point of the grid as CSV; write it too if `path` is given."""
        names = ("x", "y", "z")[: len(self.ticks)]
        places = product(*(axis.tolist() for axis in reversed(self.ticks)))
        rows = [
            dict(zip(names, reversed(place), strict=True)) | {"loss": loss, "predicted": predicted}
            for place, loss, predicted in zip(
                places,
                self.values.flatten().tolist(),
                self.predicted.flatten().tolist(),
                strict=True,
            )
        ]
        return tables.to_csv(rows, path)


def _projection_values(projection: Projection | None) -> dict | None:
    if projection is None:
        return None
    return {
        "coordinates": projection.coordinates.tolist(),
        "distance": projection.distance.tolist(),
        "labels": projection.labels.tolist(),
        "variance_left_out": projection.variance_left_out,
    }
