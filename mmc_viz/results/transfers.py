"""Who fools whom: the full matrices that ship, and one row a model of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.files import read_json
from mmc_viz.locations import DATA_DIR
from mmc_viz.texts import check_json, first_line, shorten


@dataclass(frozen=True)
class ShippedMatrix:
    """Who fools whom on one data set, as measured by `mmc-viz results`.

    Attributes
    ----------
    sources : list[str]
        Models on which the images were made.
    targets : list[str]
        Models by which they are judged.
    accuracy : Float[Tensor, "sources targets"]
        Share of images on which the target is right, 0..1.
    count : int
        Number of images.
    about : str
        The attack, in words.
    """

    sources: list[str]
    targets: list[str]
    accuracy: Float[Tensor, "sources targets"]
    count: int
    about: str

    def of(self, names: Sequence[str]) -> "ShippedMatrix":
        """Give the part of these models, in this order.

        Raises
        ------
        ValueError
            If one of them is not in the matrix.
        """
        unknown = [name for name in names if name not in self.sources]
        if unknown:
            raise ValueError(f"`names` must be of {', '.join(self.sources)}; got {unknown[0]!r}.")
        places = [self.sources.index(name) for name in names]
        part = self.accuracy[places][:, places]
        return ShippedMatrix(list(names), list(names), part, self.count, self.about)


def shipped_transfers(path: Path | None = None) -> dict[str, ShippedMatrix]:
    """Read the transfer matrices that ship, by data set.

    Parameters
    ----------
    path : Path, optional
        None: `data/results.json`.

    Raises
    ------
    ValueError
        If the file cannot be read or holds something else.
    """
    return {
        dataset: ShippedMatrix(
            list(one["weights"]),
            list(one["weights"]),
            torch.tensor(one["accuracy"], dtype=torch.float64),
            one["images"],
            f"{one['attack'].upper()} on the {one['objective']}, {one['steps']} steps, "
            f"eps {one['eps']:.3g}",
        )
        for dataset, one in read_transfers(path or DATA_DIR / "results.json").items()
    }


def read_transfers(path: Path) -> dict[str, dict[str, Any]]:
    """Read the entries of `transfer` in a file of results, by data set.

    Raises
    ------
    ValueError
        If the file cannot be read, or is no such file.
    """
    try:
        values = read_json(path)
        check_json(values)
        if type(values) is not dict or type(values.get("transfer")) is not dict:
            raise ValueError("it has no `transfer`")
        for dataset, matrix in values["transfer"].items():
            _check(matrix, f"`transfer` of {shorten(dataset, 40)!r}")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The file {path} holds no results ({first_line(error)}); delete it, and it is made "
            "anew."
        ) from None
    return values["transfer"]


def _check(matrix: Any, what: str) -> None:
    """Refuse what is no matrix of shares with a row and a column for each model."""
    kinds = {
        **{"weights": (dict,), "accuracy": (list,), "attack": (str,), "objective": (str,)},
        **{"images": (int,), "steps": (int,), "eps": (float, int)},
    }
    if type(matrix) is not dict:
        raise ValueError(f"{what} is no object")
    for name, allowed in kinds.items():
        if type(matrix.get(name)) not in allowed:
            raise ValueError(f"`{name}` in {what} is not of type {allowed[0].__name__}")
    count, rows = len(matrix["weights"]), matrix["accuracy"]
    square = len(rows) == count >= 2 and all(type(r) is list and len(r) == count for r in rows)
    if not square or not all(_is_share(share) for row in rows for share in row):
        raise ValueError(f"`accuracy` in {what} is no matrix of shares of its {count} model(s)")


def _is_share(value: Any) -> bool:
    return type(value) in (float, int) and 0 <= value <= 1


@dataclass(frozen=True)
class Transferred:
    """What one model has left of images that were made to fool a model.

    Attributes
    ----------
    name : str
        Of the model that judges.
    own : float
        Accuracy on what was made on itself, 0..1.
    foreign : float
        Accuracy on what was made on the other that harms it most, 0..1. Below `own` it says that
        the attack failed on the model rather than that the model withstood.
    source : str
        Which other that is.
    """

    name: str
    own: float
    foreign: float
    source: str


def transferred(names: Sequence[str], accuracy: Sequence[Sequence[float]]) -> list[Transferred]:
    """Read a transfer matrix column by column.

    Parameters
    ----------
    names : sequence of str
        Of the models, two at least; rows and columns are in this order.
    accuracy : sequence of sequence of float
        `accuracy[s][t]` is what model t has left of what was made on model s, 0..1.

    Returns
    -------
    rows : list[Transferred]
        One for each model, in the order of `names`.
    """
    rows = []
    for place, name in enumerate(names):
        left = [row[place] for row in accuracy]
        others = [number for number in range(len(names)) if number != place]
        worst = min(others, key=left.__getitem__)
        rows.append(Transferred(name, left[place], left[worst], names[worst]))
    return rows


def rows_of(matrix: dict[str, Any]) -> list[Transferred]:
    """Read one data set's entry of `transfer` in `data/results.json`."""
    return transferred(list(matrix["weights"]), matrix["accuracy"])
