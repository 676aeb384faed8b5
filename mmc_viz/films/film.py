"""What a film holds: for each head one reel, for each epoch that is kept one frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmc_viz import tables

_TITLES = {"lgm": "L-GM", "center": "center loss", "mmc_random": "MMC, random centers"}


@dataclass(frozen=True)
class Reel:
    """One head's features in the plane through training, and its loss over that plane.

    Attributes
    ----------
    head : str
        Name of the head.
    features : Float[Tensor, "frames batch 2"]
        Of the same images in each frame.
    predicted : Int[Tensor, "frames batch"]
        Class of the largest logit.
    losses : Float[Tensor, "frames batch"]
        The head's own training loss of each feature.
    places : Float[Tensor, "frames num_classes 2"]
        Class centers, or class means of the features for a head that has no centers.
    places_are : str
        `centers` or `class means`.
    extent : tuple of float
        Left, right, bottom and top of the part of the plane that is shown in all frames.
    log10 : Float[Tensor, "frames num_classes rows columns"]
        Logarithm, to the base of 10, of the loss on a grid over that part, rows from the bottom up,
        for each true class. Not a number where the loss is below 0.
    scatter : Float[Tensor, "frames"]
        Scatter within the classes over scatter of the class means, tr Sw / tr Sb.
    stretch : Float[Tensor, "frames"]
        How long a class is in the direction away from the middle of all class means, over how wide
        it is across: standard deviations, the median over the classes. 1 for a ball.
    away : Float[Tensor, "frames"]
        Median distance of a feature to the place of its class, over the mean norm of the places.
    """

    head: str
    features: Float[Tensor, "frames batch 2"]
    predicted: Int[Tensor, "frames batch"]
    losses: Float[Tensor, "frames batch"]
    places: Float[Tensor, "frames num_classes 2"]
    places_are: str
    extent: tuple[float, float, float, float]
    log10: Float[Tensor, "frames num_classes rows columns"]
    scatter: Float[Tensor, " frames"]
    stretch: Float[Tensor, " frames"]
    away: Float[Tensor, " frames"]

    @property
    def title(self) -> str:
        """What the head is called."""
        return _TITLES.get(self.head, self.head.upper())

    @property
    def outside(self) -> Int[Tensor, " frames"]:
        """How many features lie outside of the part of the plane that is shown."""
        left, right, bottom, top = self.extent
        x, y = self.features.unbind(dim=2)
        return ((x < left) | (x > right) | (y < bottom) | (y > top)).sum(dim=1)


@dataclass(frozen=True)
class Film:
    """The same images through the training of several heads.

    Attributes
    ----------
    reels : tuple of Reel
        One a head.
    epochs : tuple of int
        Epoch of each frame; 0 is before the first step.
    images : UInt8[Tensor, "batch channels height width"]
        What is watched.
    labels : Int[Tensor, "batch"]
        True classes of the images.
    class_names : tuple of str
        One for each class.
    """

    reels: tuple[Reel, ...]
    epochs: tuple[int, ...]
    images: UInt8[Tensor, "batch channels height width"]
    labels: Int[Tensor, " batch"]
    class_names: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each head and frame."""
        return [
            {
                "title": reel.title,
                "epoch": epoch,
                "right": int((reel.predicted[k] == self.labels).sum()),
                "images": len(self.labels),
                "median_loss": float(reel.losses[k].quantile(0.5)),
                "scatter": float(reel.scatter[k]),
                "stretch": float(reel.stretch[k]),
                "away": float(reel.away[k]),
                "outside": int(reel.outside[k]),
            }
            for reel in self.reels
            for k, epoch in enumerate(self.epochs)
        ]

    @property
    def last(self) -> dict[str, dict[str, Any]]:
        """Title of each head to its row of the last frame."""
        return {row["title"]: row for row in self.rows() if row["epoch"] == self.epochs[-1]}

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the rows as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the rows as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)
