"""The training loop: epoch after epoch, tested after each, kept along the way."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from mmc_viz.datasets import Dataset
from mmc_viz.distributed import ALONE, Ranks
from mmc_viz.networks import Classifier
from mmc_viz.training.config import TrainConfig
from mmc_viz.training.course import Course
from mmc_viz.training.keeping import Keeping, State, Stopped
from mmc_viz.training.precision import deterministic
from mmc_viz.training.testing import examine


@dataclass(frozen=True)
class TrainingRun:
    """A trained model and how it came about.

    Attributes
    ----------
    model : Classifier
        In evaluation mode, on the device it was trained on.
    config : TrainConfig
        With nothing left open, but that `bfloat16` may be None: then the device decided.
    history : list[dict]
        For each epoch: `epoch` from 1, `loss` (mean over the training images), `accuracy` on the
        clean test images (0..1), `seconds` of training without testing, and
        `intra_class_distance`, the mean distance of a test feature to the mean of its class, in
        feature units.
    """

    model: Classifier
    config: TrainConfig
    history: list[dict[str, Any]]


def train(
    config: TrainConfig,
    train_set: Dataset,
    test_set: Dataset,
    *,
    device: str | torch.device = "auto",
    progress: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    probe: Callable[[Classifier, int], Any] | None = None,
    keeping: Keeping | None = None,
    ranks: Ranks = ALONE,
) -> TrainingRun:
    """Train a classifier from scratch, or from where an interrupted run was.

    Parameters
    ----------
    config : TrainConfig
        The run.
    train_set, test_set : Dataset
        Images to learn from, and to measure the history on.
    device : str or torch.device
        Where to compute; `auto` picks CUDA, then MPS, then CPU.
    progress : bool
        Whether to show a bar with the time left.
    on_epoch : callable, optional
        Called with each epoch's entry of the history.
    probe : callable, optional
        Called as `probe(model, epoch)` before the first step, with epoch 0, and after every epoch,
        counted from 1. It may look at the model and must leave it as it is; `Snapshots` is one.
        Its time counts for no epoch.
    keeping : Keeping, optional
        How to keep the run while it trains, and from where to go on. A run that goes on calls
        `on_epoch` and `probe` for the epochs that are left.
    ranks : Ranks
        The processes that take part, each with the same arguments; see `mmc_viz.distributed`.

    Returns
    -------
    run : TrainingRun

    Raises
    ------
    Diverged
        If loss or features stop being finite numbers; the message says when, and the likely cause.
        It is a `FloatingPointError`. What was kept before stays.
    Stopped
        If `keeping.stop` asked for it; it is a `KeyboardInterrupt`.
    ValueError
        If the state in `keeping` is of another run, or a batch has fewer images than there are
        ranks.
    """
    with deterministic(config.deterministic):
        course = Course(config, train_set, device=device, ranks=ranks)
        config, history, spent = course.config, [], 0.0
        if keeping is not None and keeping.state is not None:
            course.restore(keeping.state)
            history, spent = _history_of(keeping.state, course)
        elif probe is not None:
            probe(course.model, 0)
        written = time.monotonic()
        bar = tqdm(total=course.steps, initial=course.taken, unit="step", disable=not progress)
        with bar:
            while course.taken < course.steps:
                start = time.perf_counter()
                course.advance()
                if course.looks:
                    course.look()
                spent += time.perf_counter() - start
                bar.update()
                if course.at_epoch_end:
                    entry = _finish_epoch(course, test_set, spent, ranks)
                    history, spent = [*history, entry], 0.0
                    bar.set_postfix(
                        epoch=entry["epoch"],
                        loss=f"{entry['loss']:.4g}",
                        accuracy=f"{entry['accuracy']:.1%}",
                    )
                    if on_epoch is not None:
                        on_epoch(entry)
                    if probe is not None:
                        probe(course.model, entry["epoch"])
                if keeping is None:
                    continue
                leaves = course.looks and ranks.any(keeping.stop())
                if ranks.first and (leaves or time.monotonic() - written >= keeping.every):
                    _keep(course, history, spent, keeping)
                    written = time.monotonic()
                if leaves:
                    raise Stopped(course.taken, course.steps)
        return TrainingRun(_plain(course.model).eval(), config, history)


def _finish_epoch(
    course: Course, test_set: Dataset, seconds: float, ranks: Ranks
) -> dict[str, Any]:
    """Measure the model after an epoch, and give its entry of the history."""
    epoch, loss = course.taken // course.steps_per_epoch, course.loss
    entry = {"epoch": epoch, "loss": loss, "seconds": seconds}
    entry |= examine(course.model, test_set, ranks=ranks)
    # The last step may spoil the weights after the last loss; then the features show it.
    if not math.isfinite(entry["intra_class_distance"]):
        raise course.spoiled("The features")
    return entry


def _keep(course: Course, history: list[dict[str, Any]], spent: float, keeping: Keeping) -> None:
    """Write the state of a run, unless it is spoiled: then the one before is the last good one."""
    course.look()
    state = course.state()
    if all(value.isfinite().all() for value in state.tensors.values()):
        keeping.write(State(state.tensors, state.values | {"history": history, "spent": spent}))


def _history_of(state: State, course: Course) -> tuple[list[dict[str, Any]], float]:
    """Read the epochs that a kept run has behind it, and the seconds of the one it was in.

    Raises
    ------
    ValueError
        If it has another number of epochs than its steps make.
    """
    history, spent = state.values.get("history"), state.values.get("spent")
    if (
        type(history) is not list
        or len(history) != course.taken // course.steps_per_epoch
        or type(spent) is not float
    ):
        raise ValueError("the state's history does not fit the number of its steps.")
    return history, spent


def _plain(model: nn.Module) -> nn.Module:
    """Put plain batch norms in the place of those that talk to other processes."""
    for name, part in model.named_children():
        if isinstance(part, nn.SyncBatchNorm):
            plain = nn.BatchNorm2d(part.num_features, part.eps, part.momentum)
            plain.load_state_dict(part.state_dict())
            setattr(model, name, plain.to(part.weight.device))
        else:
            _plain(part)
    return model
