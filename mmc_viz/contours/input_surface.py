"""What a grid of images about one image holds, and the paths of attacks on it."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmc_viz import tables


@dataclass(frozen=True)
class AttackPath:
    """Iterates of an attack on one image, as a plane shows them; on the CPU.

    Attributes
    ----------
    coordinates : Float[Tensor, "steps 2"]
        Of the foot of each iterate on the plane.
    distance : Float[Tensor, "steps"]
        Of each iterate from the plane, in l2.
    values : dict[str, Float[Tensor, "steps"]]
        Each objective at each iterate, not at its foot.
    fooled : Bool[Tensor, "steps"]
        Whether the model errs there.
    """

    coordinates: Float[Tensor, "steps 2"]
    distance: Float[Tensor, " steps"]
    values: dict[str, Tensor]
    fooled: Bool[Tensor, " steps"]

    @property
    def first_fooled(self) -> int | None:
        """Place of the first iterate on which the model errs; None if there is none."""
        return int(self.fooled.int().argmax()) if self.fooled.any() else None

    @property
    def stands_still(self) -> bool:
        """Whether all iterates are one and the same image."""
        return len(self.fooled) == 1


@dataclass(frozen=True)
class InputSurface:
    """Objectives over a plane of images about one image; on the CPU.

    Attributes
    ----------
    a, b : Float[Tensor, "ticks"]
        Coordinates along the attack's direction and the random one, in the unit of the images.
    values : dict[str, Float[Tensor, "rows columns"]]
        Each objective on the grid, `[b, a]`.
    predicted : Int[Tensor, "rows columns"]
        The class that the model gives.
    margin : Float[Tensor, "rows columns"]
        Lead of the best wrong class over the true one: its zero is the boundary.
    flat : Bool[Tensor, "rows columns"]
        Where the gradient of the cross-entropy in the logits is exactly zero, in the model's own
        precision.
    clamped : Float[Tensor, "rows columns"]
        Share, 0..1, of the pixels that clamping to [0, 1] has moved.
    change : Float[Tensor, "rows columns"]
        How much the image differs from the clean one, in `norm`, after clamping.
    paths : dict[str, AttackPath]
        For each objective, the path of an attack that climbs it.
    label : int
        True class of the image.
    eps : float
        Budget of the attacks.
    norm : str
        In which it is measured.
    spanned_by : str
        The objective whose attack gave the first direction; `given` if the caller did.
    image, direction, other : Float[Tensor, "channels height width"]
        The clean image and the two directions.
    class_names : tuple of str
        One for each class.
    """

    a: Float[Tensor, " columns"]
    b: Float[Tensor, " rows"]
    values: dict[str, Tensor]
    predicted: Int[Tensor, "rows columns"]
    margin: Float[Tensor, "rows columns"]
    flat: Bool[Tensor, "rows columns"]
    clamped: Float[Tensor, "rows columns"]
    change: Float[Tensor, "rows columns"]
    paths: dict[str, AttackPath]
    label: int
    eps: float
    norm: str
    spanned_by: str
    image: Float[Tensor, "channels height width"]
    direction: Float[Tensor, "channels height width"]
    other: Float[Tensor, "channels height width"]
    class_names: tuple[str, ...]

    @property
    def flat_share(self) -> float:
        """Share of the grid, 0..1, on which the cross-entropy gives no direction at all."""
        return float(self.flat.double().mean())

    @property
    def wrong_share(self) -> float:
        """Share of the grid, 0..1, on which the model errs."""
        return float((self.predicted != self.label).double().mean())

    @property
    def clamped_share(self) -> float:
        """Share of pixels, 0..1, that clamping has moved, over the whole grid."""
        return float(self.clamped.mean())

    def to_json(self, path: str | Path | None = None) -> str:
        """Give grid and paths, without the images, as JSON; write it too if `path` is given."""
        values = {
            "label": self.label,
            "eps": self.eps,
            "norm": self.norm,
            "spanned_by": self.spanned_by,
            "class_names": list(self.class_names),
            "a": self.a.tolist(),
            "b": self.b.tolist(),
            "values": {name: grid.tolist() for name, grid in self.values.items()},
            "predicted": self.predicted.tolist(),
            "margin": self.margin.tolist(),
            "flat": self.flat.tolist(),
            "clamped": self.clamped.tolist(),
            "change": self.change.tolist(),
            "paths": {
                name: {
                    "coordinates": one.coordinates.tolist(),
                    "distance": one.distance.tolist(),
                    "values": {which: line.tolist() for which, line in one.values.items()},
                    "fooled": one.fooled.tolist(),
                }
                for name, one in self.paths.items()
            },
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each point of the grid as CSV; write it too if `path` is given."""
        columns = {name: grid.flatten().tolist() for name, grid in self.values.items()}
        columns["predicted"] = self.predicted.flatten().tolist()
        columns["flat"] = self.flat.flatten().int().tolist()
        places = product(self.b.tolist(), self.a.tolist())
        rows = [
            {"a": a, "b": b} | {name: column[i] for name, column in columns.items()}
            for i, (b, a) in enumerate(places)
        ]
        return tables.to_csv(rows, path)
