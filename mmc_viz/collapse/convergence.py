r"""How fast training gets there: accuracy and loss against epochs, and against seconds.

The two axes answer different questions. Epochs count what a loss needs to see; seconds count what
it costs, and include what one epoch costs more than another's. One number for each: the first epoch
after which the accuracy has reached a share, 90 % unless said otherwise, of what it is in the end.
It is relative to the run's own end, so a run that ends low may get there soon; compare the end too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmc_viz import tables


@dataclass(frozen=True)
class Convergence:
    """The course of one training run or several, with lists that may differ in length.

    Attributes
    ----------
    names : list[str]
        Of the runs.
    epochs : list[list[int]]
        Of each run, from 1.
    seconds : list[list[float]]
        Of training until the end of each epoch, without testing.
    accuracy : list[list[float]]
        Of the clean test images, 0..1.
    loss : list[list[float]]
        Mean over the training images; losses of different heads have different units.
    share : float
        Of the final accuracy that is looked for, 0..1.
    final_accuracy : list[float]
        Of each run, after its last epoch.
    epochs_to_share : list[int]
        First epoch with `share` of the final accuracy or more; it may fall below it again.
    seconds_to_share : list[float]
        Of training until the end of that epoch.
    """

    names: list[str]
    epochs: list[list[int]]
    seconds: list[list[float]]
    accuracy: list[list[float]]
    loss: list[list[float]]
    share: float
    final_accuracy: list[float]
    epochs_to_share: list[int]
    seconds_to_share: list[float]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the runs as JSON; write it too if `path` is given."""
        return tables.to_json(vars(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each run and epoch as CSV; write it too if `path` is given."""
        rows = [
            {"run": name, "epoch": epoch, "seconds": seconds, "accuracy": accuracy, "loss": loss}
            for name, *course in zip(
                self.names, self.epochs, self.seconds, self.accuracy, self.loss, strict=True
            )
            for epoch, seconds, accuracy, loss in zip(*course, strict=True)
        ]
        return tables.to_csv(rows, path)


def convergence(
    histories: dict[str, Sequence[dict[str, Any]]] | Sequence[dict[str, Any]],
    *,
    share: float | int = 0.9,
) -> Convergence:
    """Lay the histories of training runs side by side.

    Parameters
    ----------
    histories : dict[str, list[dict]] or list[dict]
        Name to `TrainingRun.history`, or to the `history` of a model's card; or one history alone.
    share : float
        Of the final accuracy that is looked for, above 0 and at most 1.

    Returns
    -------
    convergence : Convergence

    Raises
    ------
    ValueError
        If there is no history or an empty one, an entry lacks a number or has one that is not
        finite or out of range, or `share` is out of range.
    """
    named = histories if isinstance(histories, dict) else {"": histories}
    if not named:
        raise ValueError("`histories` must hold at least one history; got none.")
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be above 0 and at most 1; got {share}.")
    epochs, seconds, accuracy, loss = [], [], [], []
    first, took = [], []
    for name, history in named.items():
        whose = f"the history of {name!r}" if name else "the history"
        if not history:
            raise ValueError(f"`histories` must hold an epoch at least; {whose} is empty.")
        for entry in history:
            _check(entry, whose)
        epochs.append([entry["epoch"] for entry in history])
        total = [0.0]
        for entry in history:
            total.append(total[-1] + entry["seconds"])
        seconds.append(total[1:])
        accuracy.append([entry["accuracy"] for entry in history])
        loss.append([entry["loss"] for entry in history])
        goal = share * accuracy[-1][-1]
        place = next(e for e, value in enumerate(accuracy[-1]) if value >= goal)
        first.append(epochs[-1][place])
        took.append(seconds[-1][place])
    return Convergence(
        names=list(named),
        epochs=epochs,
        seconds=seconds,
        accuracy=accuracy,
        loss=loss,
        share=float(share),
        final_accuracy=[course[-1] for course in accuracy],
        epochs_to_share=first,
        seconds_to_share=took,
    )


def _check(entry: dict[str, Any], whose: str) -> None:
    for key in ("epoch", "seconds", "accuracy", "loss"):
        value = entry.get(key)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(
                f"`histories` must have a finite number as `{key}` of each epoch; {whose} has "
                f"{value!r}."
            )
        if key in ("epoch", "seconds") and value <= 0:
            raise ValueError(f"`{key}` of an epoch must be positive; {whose} has {value}.")
