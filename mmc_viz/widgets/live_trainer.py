"""Train two models side by side and watch: start, pause, step, rewind, and slide through the past.

The training runs in a daemon thread of the kernel and sends what it looks like every few tenths of
a second; all epochs so far are in the browser, so looking back needs no kernel. Whatever the thread
does, it does step by step with `mmc_viz.duels.Duel`, so a paused, stepped or rewound training comes
to the same weights as one that ran through. A short stamp of the weights stands under the figure,
and in the replay code.

    numbers, maps  the moments, as `mmc_viz.duels.pack` gives them: all epochs, then the present
    taken          batches so far
    epoch          the epoch that is shown; -1 follows the training
    stamp          eight digits that change with any weight
"""

import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import traitlets

from mmc_viz.duels import MEASURES, Duel, make_duel, pack
from mmc_viz.heads import HEADS
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report, Stopped

REDRAW = 0.4  # seconds between two looks at a running training
_MOST_EPOCHS = 200
_SIDES = 4


@dataclass(frozen=True)
class TrainerSettings:
    """What a trainer trains.

    Parameters
    ----------
    heads : tuple of str
        One model each.
    dataset : str
        Name of the data set.
    dim : int
        Of the features; 2 shows them as they are.
    epochs : int
        Length of the run, 1 to 200.
    learning_rate : float
        Peak, times each head's own.
    radius : float
        Norm of the class centers, for heads that have centers.
    seed : int
        Of first weights, order and augmentation.
    """

    heads: tuple[str, ...] = ("sce", "mmc")
    dataset: str = "digits"
    dim: int = 2
    epochs: int = 30
    learning_rate: float | int = 1.0
    radius: float | int = 10.0
    seed: int = 0

    def __post_init__(self):
        if not 1 <= self.epochs <= _MOST_EPOCHS:
            raise ValueError(f"`epochs` must lie in 1..{_MOST_EPOCHS}; got {self.epochs}.")
        if not 1 <= len(self.heads) <= _SIDES:
            raise ValueError(f"`heads` must be 1 to {_SIDES} names; got {len(self.heads)}.")


class LiveTrainer(LabWidget):
    """Feature maps, curves and collapse measures of models that are being trained.

    Open it with `LiveTrainer.of(heads=("sce", "mmc"), dim=2, epochs=30, learning_rate=1, seed=0)`.
    It begins before the first batch; `taken=36` trains 36 batches at once.

    Attributes
    ----------
    duel : Duel
        What is trained. Leave it alone while the widget is busy.
    taken : int
        Batches so far.
    epoch : int
        The epoch that is shown, -1 for the present one.
    stamp : str
        Of the weights of all models together.

    Examples
    --------
    >>> trainer = LiveTrainer.of(epochs=10)  # doctest: +SKIP
    >>> trainer.train(epochs=3)  # doctest: +SKIP
    >>> trainer.rewind()  # doctest: +SKIP
    """

    _esm = assemble("live_trainer.js")
    _css = style("live_trainer.css")
    kind = "live-trainer"
    Settings = TrainerSettings
    view = ("taken", "epoch", "stamp")

    numbers = traitlets.List(traitlets.Dict()).tag(sync=True)
    maps = traitlets.Bytes().tag(sync=True)
    taken = traitlets.Int().tag(sync=True)
    epoch = traitlets.Int(-1).tag(sync=True)
    stamp = traitlets.Unicode().tag(sync=True)
    plan = traitlets.Dict().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    pictures = traitlets.Bytes().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, **kwargs: Any):
        self._lock = threading.RLock()
        self.duel: Duel | None = None
        super().__init__(choices=sorted(HEADS), **kwargs)

    @property
    def titles(self) -> list[str]:
        """What the models are called."""
        return [title_of(head) for head in self.settings.heads]

    @property
    def sentence(self) -> str:
        """What the browser says under the figure."""
        shown = self.epoch if 0 <= self.epoch < len(self.numbers) else len(self.numbers) - 1
        moment = self.numbers[shown]
        parts = [
            f"{title} {100 * side['accuracy']:.1f} % right, loss {write_loss(side['loss'])}"
            for title, side in zip(self.titles, moment["sides"], strict=True)
        ]
        epoch = write_epoch(moment["taken"], self.plan["steps_per_epoch"])
        return f"Epoch {epoch} of {self.settings.epochs}: {'; '.join(parts)}."

    def measured(self, name: str, epoch: int = -1) -> dict[str, float]:
        """Give a measure of each model at an epoch, also while the widget is locked.

        Parameters
        ----------
        name : str
            One of `mmc_viz.duels.MEASURES`, such as `accuracy` or `distance_to_best`.
        epoch : int
            0 is the start; -1 the newest that is complete.

        Raises
        ------
        ValueError
            If there is no such measure, or it has not been trained so far.
        """
        if name not in MEASURES:
            raise ValueError(f"`name` must be one of {', '.join(MEASURES)}; got {name!r}.")
        last = len(self.duel.history) - 1
        if not -1 <= epoch <= last:
            raise ValueError(f"`epoch` must lie in -1..{last}; got {epoch}. Train on to see more.")
        sides = self.duel.history[epoch].sides
        return dict(zip(self.titles, [getattr(side, name) for side in sides], strict=True))

    def epochs_to(self, accuracy: float | int) -> dict[str, int]:
        """Give for each model the first epoch with so large an accuracy, 0..1, if there is one."""
        found: dict[str, int] = {}
        for epoch in range(len(self.duel.history)):
            for title, value in self.measured("accuracy", epoch).items():
                if value >= accuracy:
                    found.setdefault(title, epoch)
        return found

    def first_to(self, accuracy: float | int) -> str:
        """Name the model that came to so large an accuracy, 0..1, first.

        Raises
        ------
        ValueError
            If none did.
        """
        epochs = self.epochs_to(accuracy)
        if not epochs:
            raise ValueError(f"`accuracy` must have been reached; no model came to {accuracy}.")
        return min(epochs, key=epochs.__getitem__)

    # ---- training

    def train(self, *, epochs: int = 1) -> None:
        """Train some epochs, or until the run is over, and return when they are done.

        The page may pause it meanwhile; then it returns earlier.

        Parameters
        ----------
        epochs : int
            A begun epoch is ended and counts as one.
        """
        self.pause()
        goal = self._end_of(epochs)
        self._work(lambda report: self._train_to(goal))

    def pause(self) -> None:
        """Stop at the end of this batch; the training can go on from there."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self.wait()

    def rewind(self) -> None:
        """Stop, and go back to the same first weights."""
        self.pause()
        self._rewind()

    def _rewind(self) -> None:
        with self._lock:
            self.duel.rewind()
        self._show()
        self.epoch = -1

    def _end_of(self, epochs: int) -> int:
        """Give the number of batches at the end of the next so many epochs."""
        each = self.duel.steps_per_epoch
        return min((self.duel.taken // each + epochs) * each, self.duel.steps)

    def _train_to(self, goal: int) -> None:
        """Train until `goal` batches have been taken, or Stop; show the way."""
        duel, shown = self.duel, time.monotonic()
        try:
            while duel.taken < goal:
                if self._stop.is_set():
                    raise Stopped
                with self._lock:
                    if duel.taken < goal:  # still, now that it is our turn
                        duel.step()
                if time.monotonic() - shown > REDRAW:
                    self._show()
                    shown = time.monotonic()
        except FloatingPointError as error:
            raise ValueError(str(error)) from None
        finally:
            self._show()

    def _show(self) -> None:
        """Send all moments so far and the present one; where there is a progress bar, move it."""
        with self._lock, self.hold_sync():
            duel = self.duel
            self._deliver(**_state(duel))
            if self.busy:
                done = duel.taken // duel.steps_per_epoch
                words = f"training: {done} of {duel.configs[0].epochs} epochs done…"
                self._progress(duel.taken / duel.steps, words)

    # ---- settings and view

    def _compute(self, settings: TrainerSettings, report: Report) -> dict[str, Any]:
        report(-1.0, "drawing the first weights…")
        with self._lock:
            self.duel = make_duel(**asdict(settings))
        self.epoch = -1
        test_set = self.duel.test_set
        plan = asdict(settings) | {
            "heads": list(settings.heads),
            "titles": [title_of(head) for head in settings.heads],
            "steps": self.duel.steps,
            "steps_per_epoch": self.duel.steps_per_epoch,
            "names": list(test_set.class_names),
            "shape": list(test_set.images.shape[1:]),
        }
        return _state(self.duel) | {
            "plan": plan,
            "labels": bytes(test_set.labels.tolist()),
            "pictures": test_set.images.contiguous().numpy().tobytes(),
        }

    def _set_view(self, view: dict[str, Any]) -> None:
        """Train to the place of a code, and say whether the weights are those of the code."""
        taken = view.get("taken", self.duel.taken)
        if not 0 <= taken <= self.duel.steps:
            raise ValueError(f"`taken` must lie in 0..{self.duel.steps}; got {taken}.")
        if taken < self.duel.taken:
            self._rewind()
        self._train_to(taken)
        self.epoch = view.get("epoch", -1)
        stamp, told = self.duel.fingerprint(), view.get("stamp", "")
        if told:
            same = f"Restored: the weights are those of the code, {stamp}."
            other = (
                f"Restored, but the weights are {stamp}, not {told}: "
                "other versions or another processor round differently."
            )
            self.status = same if stamp == told else other

    # ---- what the browser asks for

    def do_start(self) -> None:
        """Train in a thread, to the end of the run or to Stop."""
        if self.duel.over:
            raise ValueError("The run is over: rewind it, or set up a longer one.")
        self._start(lambda report: self._until_stopped(self.duel.steps))

    def do_epoch(self) -> None:
        """Train to the end of this epoch."""
        self._start(lambda report: self._until_stopped(self._end_of(1)))

    def do_step(self) -> None:
        """Train on one batch, here and now: it is done before a thread would have begun."""
        if self.busy:
            raise ValueError("Press Pause first.")
        self._stop.clear()
        self._train_to(min(self.duel.taken + 1, self.duel.steps))
        self.status = self._where()

    def do_rewind(self) -> None:
        """Go back to the first weights."""
        self.pause()
        self._start(lambda report: self._rewind(), "Rewound to the first weights.")

    def do_setup(self, **settings: Any) -> None:
        """Set up another run in place of this one."""
        given = settings | {"heads": tuple(settings.get("heads", self.settings.heads))}
        for name, value in given.items():  # the browser sends null for a field that is empty
            kind = "a whole number" if name in ("dim", "epochs", "seed") else "a number"
            if name != "heads" and not isinstance(value, int if "whole" in kind else float | int):
                raise ValueError(f"`{name}` must be {kind}; got {value}.")
        wanted = replace(self.settings, **given)
        self.pause()

        def work(report: Report) -> None:
            self._adopt(wanted, report)
            self.status = "Set up: press Start."

        self._start(work)

    def _until_stopped(self, goal: int) -> None:
        try:
            self._train_to(goal)
        except Stopped:
            pass
        self.status = self._where()

    def _where(self) -> str:
        if self.duel.over:
            return "The run is over. Slide back through its epochs, or rewind it."
        return f"Paused after {self.duel.taken} of {self.duel.steps} batches."

    def close(self) -> None:
        """Stop training, wait for the thread, and leave the page."""
        self.pause()
        super().close()


def title_of(head: str) -> str:
    """Give the name under which a head is shown, such as SCE."""
    return head.replace("_", " ").upper()


def write_loss(value: float | None) -> str:
    """Write a loss with about three digits, as the browser does."""
    if value is None:
        return "?"
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def write_epoch(taken: int, steps_per_epoch: int) -> str:
    """Write how many epochs so many batches are, as the browser does: 2, or 2 + 1/12."""
    whole, rest = divmod(taken, steps_per_epoch)
    return f"{whole} + {rest}/{steps_per_epoch}" if rest else str(whole)


def _state(duel: Duel) -> dict[str, Any]:
    """Give the traits that follow the training."""
    moments = list(duel.history)
    if moments[-1].taken < duel.taken:
        try:
            moments.append(duel.look())
        except FloatingPointError:
            pass  # the curves end at the last moment that could be measured
    numbers, maps = pack(moments)
    return {"numbers": numbers, "maps": maps, "taken": duel.taken, "stamp": duel.fingerprint()}
