"""Keeping a training run in its model folder, and going on with one that was interrupted.

Here is what a command has to do for that: tell one run from another, hear the signals that end it,
and keep other writers out of the folder (`claimed`, which `mmc-viz export` needs too). What a state
holds, `mmc_viz.training.keeping` says; how it lies on the disk, `mmc_viz.checkpoints.progress`.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Settings that may change from one part of a run to the next; the card says so.
_MAY_CHANGE = ("lr",)


class Kept:
    """The state of a run in its model folder.

    Parameters
    ----------
    folder : Path
        The model folder.
    run : dict
        All that decides what comes out: the configuration and the fingerprints of the data.
    here : dict
        What this part of the run is computed with: versions, device, threads, processes.

    Attributes
    ----------
    parts : list[dict]
        What each part was computed with, this one last.
    changed : bool
        Whether a setting was changed on the way.
    """

    def __init__(self, folder: Path, run: dict[str, Any], here: dict[str, Any]):
        self.folder, self.run, self.parts, self.changed = folder, run, [here], False
        self._failed = ""

    @property
    def uniform(self) -> bool:
        """Whether all parts were computed alike, so that an uninterrupted run gives the same."""
        return not self.changed and all(part == self.parts[0] for part in self.parts)

    def load(self, *, resume: bool) -> Any:
        """Give the `State` of an interrupted run, or None where there is none.

        Raises
        ------
        ValueError
            If it is damaged or of another run, or there is one and nobody asked to resume it.
        """
        from mmc_viz.checkpoints import has_progress, load_progress
        from mmc_viz.training import State

        if not has_progress(self.folder):
            return None
        if not resume:
            raise ValueError(
                f"The folder {self.folder} keeps an interrupted run; add `--resume` to go on with "
                "it, or delete resume.json there to start anew."
            )
        tensors, values = load_progress(self.folder)
        run, parts = values.get("run"), values.get("parts")
        if type(run) is not dict or type(parts) is not list:
            raise ValueError(f"The interrupted run in {self.folder} does not say what it is of.")
        for name in sorted(run.keys() | self.run.keys()):
            if run.get(name) != self.run.get(name) and name not in _MAY_CHANGE:
                raise ValueError(
                    f"The run kept in {self.folder} is another one: `{name}` was {run.get(name)} "
                    f"there and is {self.run.get(name)} here. Go on with the settings it had, or "
                    "delete resume.json there to start anew."
                )
        self.changed = values.get("changed") is True or run != self.run
        self.parts = [*parts, *self.parts] if self.parts != parts[-1:] else parts
        return State(tensors, values)

    def write(self, state: Any) -> None:
        """Write a state; where the disk does not take it, say so once and let training go on."""
        from tqdm.auto import tqdm

        from mmc_viz.checkpoints import save_progress

        more = {"run": self.run, "parts": self.parts, "changed": self.changed}
        try:
            save_progress(self.folder, state.tensors, state.values | more)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._failed:
                tqdm.write(
                    f"mmc-viz train: step {state.values['taken']:,} could not be kept in "
                    f"{self.folder} ({reason}); what was kept before stays, and training goes on",
                    file=sys.stderr,
                )
            self._failed = reason
        else:
            self._failed = ""


def finished_card(folder: Path, run: dict[str, Any]) -> Any:
    """Give the card of a model that this very run has already led to; None where there is none."""
    from mmc_viz.checkpoints import CARD, load_card, load_model

    if not (folder / CARD).is_file():
        return None
    try:
        card = load_card(folder)
        load_model(folder)
    except ValueError:
        return None
    there = card.config | {"training images": card.dataset["sha256"]}
    return card if all(run.get(name) == value for name, value in there.items()) else None


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C, and the signal by which clusters end a job; give what says whether it came.

    A step must not be cut in two, so the first signal is only noted. The second ends the process
    where it is.
    """
    asked = False

    def note(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    # Whoever started the process may have had it ignore a signal, as nohup and `&` do.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Let nobody else write a folder that may not be there yet; leave no empty parents behind.

    Raises
    ------
    ValueError
        If another process is writing it.
    """
    from mmc_viz.files import locked

    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            yield
    finally:
        with suppress(OSError):  # not empty: something was kept
            for parent in made:
                parent.rmdir()
