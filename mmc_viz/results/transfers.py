"""Who fools whom, one row a model: images made on itself against those made on the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
