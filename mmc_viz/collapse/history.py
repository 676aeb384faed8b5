"""Neural collapse through training: the measures of one snapshot after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.collapse.measures import MEASURES, gap_or, neural_collapse
from mmc_viz.training import Snapshot, Snapshots


@dataclass(frozen=True)
class CollapseHistory:
    """The measures of `Collapse` at several moments of one training run; NaN is a gap.

    Attributes
    ----------
    epochs : Int[Tensor, "epochs"]
        Passes over the training images before each snapshot; 0 is before the first step.
    nc1, nc1_ratio, nc2_norm, nc2_angle, nc2_simplex, nc3, nc4 : Float[Tensor, "epochs"]
        As in `Collapse`, float64.
    distance_to_simplex, distance_to_best, distance_to_centers : Float[Tensor, "epochs"]
        As in `Collapse`, float64.
    head : str
        Name of the head, as it is registered.
    num_classes, dim, images : int
        What was measured.
    reachable, chance : dict[str, float]
        As in `Collapse`.
    gaps : dict[str, str]
        Measure that is NaN at one epoch or more to the reason, that of the first such epoch.
    """

    epochs: Int[Tensor, " epochs"]
    nc1: Float[Tensor, " epochs"]
    nc1_ratio: Float[Tensor, " epochs"]
    nc2_norm: Float[Tensor, " epochs"]
    nc2_angle: Float[Tensor, " epochs"]
    nc2_simplex: Float[Tensor, " epochs"]
    nc3: Float[Tensor, " epochs"]
    nc4: Float[Tensor, " epochs"]
    distance_to_simplex: Float[Tensor, " epochs"]
    distance_to_best: Float[Tensor, " epochs"]
    distance_to_centers: Float[Tensor, " epochs"]
    head: str
    num_classes: int
    dim: int
    images: int
    reachable: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    gaps: dict[str, str] = field(default_factory=dict)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the history as JSON, gaps as null; write it too if `path` is given."""
        measured = {
            name: [gap_or(value) for value in getattr(self, name).tolist()] for name in MEASURES
        }
        return tables.to_json(vars(self) | {"epochs": self.epochs.tolist()} | measured, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each epoch as CSV, gaps empty; write it too if `path` is given."""
        columns = {name: getattr(self, name).tolist() for name in MEASURES}
        rows = [
            {"head": self.head, "epoch": epoch}
            | {name: gap_or(column[e]) for name, column in columns.items()}
            for e, epoch in enumerate(self.epochs.tolist())
        ]
        return tables.to_csv(rows, path)


def collapse_over_training(snapshots: Snapshots | Sequence[Snapshot]) -> CollapseHistory:
    """Measure the collapse at each snapshot of a training run.

    Parameters
    ----------
    snapshots : Snapshots or sequence of Snapshot
        Of one run, in order.

    Returns
    -------
    history : CollapseHistory

    Raises
    ------
    ValueError
        If there is no snapshot, the epochs do not rise, or `neural_collapse` refuses one; the
        message then names the epoch.
    """
    taken = list(snapshots.taken if isinstance(snapshots, Snapshots) else snapshots)
    if not taken:
        raise ValueError(
            "`snapshots` must hold at least one snapshot; got none. "
            "Hand a `Snapshots` to `train` as `probe`."
        )
    epochs = [one.epoch for one in taken]
    if any(later <= earlier for earlier, later in zip(epochs, epochs[1:], strict=False)):
        raise ValueError(
            f"`snapshots` must be of one run, with rising epochs; got {epochs}. "
            "Take a new `Snapshots` for each run."
        )
    found = []
    for one in taken:
        try:
            found.append(neural_collapse(one.features, one.labels, one.head))
        except ValueError as error:
            raise ValueError(f"At epoch {one.epoch}: {error}") from None
    gaps: dict[str, str] = {}
    for one in reversed(found):
        gaps |= one.gaps
    last = found[-1]
    return CollapseHistory(
        torch.tensor(epochs),
        **{
            name: torch.tensor([getattr(one, name) for one in found], dtype=torch.float64)
            for name in MEASURES
        },
        head=getattr(taken[-1].head, "name", type(taken[-1].head).__name__),
        num_classes=last.num_classes,
        dim=last.dim,
        images=last.images,
        reachable=last.reachable,
        chance=last.chance,
        gaps=gaps,
    )
