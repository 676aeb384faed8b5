"""Widgets that work: long work in a thread of its own, with progress, a Stop button and one status.

The notebook stays alive meanwhile. One thing is done at a time; what is asked for beside it is
refused in the status line.

    status    one line from the kernel
    busy      whether it is working
    progress  its share done, 0..1, or -1 where unknown
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import traitlets

from mmc_viz.widgets.cells import running_cell
from mmc_viz.widgets.threads import ThreadedWidget

Report = Callable[..., None]
_MADE: "weakref.WeakSet[WorkingWidget]" = weakref.WeakSet()


class Stopped(Exception):
    """Work was stopped by the user."""


class WorkingWidget(ThreadedWidget):
    """A widget that does one long piece of work at a time.

    Attributes
    ----------
    kind : str
        What it is called, in the names of its threads too.
    """

    kind: ClassVar[str] = ""

    status = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)

    def __init__(self, **kwargs: Any):
        self._stop = threading.Event()
        self._reported = ""  # the last line of progress
        self._thread: threading.Thread | None = None
        self._over = threading.Event()  # the work of this thread
        self._beginning = threading.Lock()
        super().__init__(**kwargs)
        self._cell = running_cell()
        for other in list(_MADE):  # what an earlier run of this cell began, nobody sees any more
            if self._cell is not None and self._cell.follows(other._cell):
                other.do_stop()
        _MADE.add(self)

    def do_stop(self) -> None:
        """Ask the running work to end."""
        self._stop.set()

    def _start(self, work: Callable[[Report], None], done: str = "") -> None:
        """Run `work(report)` in a thread of its own; one at a time.

        `report(share, words)` shows progress, 0..1 or -1, and a line; it raises `Stopped` after
        Stop was pressed, so work that reports often stops soon. At the end stands what the work
        itself set as status, or `done` where the last line was one of progress.
        """

        def report(share: float | int = -1.0, words: str = "") -> None:
            if self._stop.is_set():
                raise Stopped
            with self.hold_sync():
                self._progress(share, words or self.status)

        def run() -> None:
            try:
                self._guarded(lambda: work(report))
                if self.status == self._reported:
                    self.status = done
            finally:
                with self.hold_sync():
                    self.busy, self.progress = False, -1.0
                over.set()

        over = threading.Event()
        thread = threading.Thread(target=run, name=f"{self.kind}-work", daemon=True)
        with self._beginning:  # cells and what the page says come in threads of their own
            if self.busy:
                raise ValueError("one thing at a time: press Stop first.")
            self._stop.clear()
            with self.hold_sync():
                self.busy = True
                self._progress(-1.0, "working…")
            try:
                thread.start()
            except BaseException:
                self.busy = False
                raise
            self._thread, self._over = thread, over

    def _work(self, work: Callable[[Report], None]) -> None:
        """Run `work(report)` like `_start`, but wait for its end and raise its error.

        So the page shows that something runs and can stop it, which is no error. An interrupt of
        the cell stops it too.
        """
        failed: list[Exception] = []

        def attempt(report: Report) -> None:
            try:
                work(report)
            except Exception as error:
                failed.append(error)
                raise

        try:
            self._start(attempt)
            self.wait()
        except KeyboardInterrupt:
            self._stop.set()
            self.wait()
            raise
        if failed and not isinstance(failed[0], Stopped):
            raise failed[0]

    def _progress(self, share: float | int, words: str) -> None:
        self.progress, self.status = float(share), words
        self._reported = words

    def wait(self, seconds: float | int | None = None) -> None:
        """Wait until the work that was started has ended."""
        with self._beginning:
            thread, over = self._thread, self._over
        # An interrupt in the middle of `join` makes Python 3.11 take a thread that runs for ended.
        if thread is not None and over.wait(seconds):
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Work; an error becomes one line of the status, for in a callback nobody would see it."""
        try:
            work()
        except (Stopped, KeyboardInterrupt):
            self.status = "Stopped."
        except ValueError as error:
            self.status = first_line(error)
        except Exception as error:
            self.status = f"{type(error).__name__}: {first_line(error)}"

    def close(self) -> None:
        """Stop the work and leave the page."""
        self._stop.set()
        super().close()


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message."""
    return (str(error) or "no reason was given").splitlines()[0]
