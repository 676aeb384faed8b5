"""A question whose answer stays in the kernel until a guess has been committed.

Two widgets ask: `Prediction` for numbers and choices, `PredictionCurve` for curves. Whatever was
opened with `after=` one of them shows itself only then. Before the commitment neither the traits
nor the page hold the answer; an exported page carries it sealed.
"""

from collections.abc import Callable
from typing import Any

import traitlets

from mmc_viz import predictions
from mmc_viz.widgets.base import LabWidget, Report, seal


class Commitment(LabWidget):
    """What all questions share; subclasses say what is guessed and how it is answered.

    Parameters
    ----------
    lesson : str
        Under which the ledger keeps the guesses.
    **kwargs : Any
        Traits, `controls` and `after`.

    Attributes
    ----------
    question : str
        In plain words.
    guesses : dict
        What was committed, by name; empty before.
    answers : dict
        The answers, by name; empty before.
    committed : bool
        Whether a guess has been committed. It never becomes False again.
    """

    question = traitlets.Unicode().tag(sync=True)
    guesses = traitlets.Dict().tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    committed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, lesson: str = "", **kwargs: Any):
        self.lesson = lesson
        self._known: dict[str, Any] | None = None  # the answers, in the kernel alone
        super().__init__(**kwargs)

    def commit(self, guesses: dict[str, Any]) -> None:
        """Commit a guess and send the answer; returns when it is there.

        Parameters
        ----------
        guesses : dict
            Name to guess.

        Raises
        ------
        ValueError
            If a guess is missing or none, or one has been committed before.
        """
        self._commit(self._checked_all(guesses), lambda *_: None)

    def do_commit(self, guesses: dict[str, Any]) -> None:
        """Commit what the browser sends; the answer may take a while to compute."""
        checked = self._checked_all(guesses)
        self._start(lambda report: self._commit(checked, report))

    def on_commit(self, action: Callable[[], None]) -> None:
        """Call `action()` once a guess has been committed; at once if it has been."""
        if self.committed:
            action()
        else:
            self.observe(lambda change: action(), "committed")

    def offline(self) -> dict[str, Any]:
        """Give the answer, sealed, for a page that opens it when `committed` becomes true there."""
        if self.committed:
            return {}
        if self.locked:
            return super().offline()
        return {"sealed": seal({"answers": self._answered()}), "after": self.model_id}

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take no trait from the browser: what it wants to change, it has to ask for by name."""
        super().set_state({})

    def _checked_all(self, guesses: dict[str, Any]) -> dict[str, Any]:
        if self.committed:
            raise ValueError("a committed guess stands; run the cell again for a fresh one.")
        return self._checked(guesses)

    def _commit(self, guesses: dict[str, Any], report: Report) -> None:
        answers = self._answered(report)
        predictions.ledger.record(self._entries(guesses, answers))
        with self.hold_sync():
            self.guesses, self.answers = guesses, answers
            self.status = ""  # the answer is there; how it was computed is no news any more
            self.committed = True

    def _answered(self, report: Report = lambda *_: None) -> dict[str, Any]:
        """Compute the answer once."""
        if self._known is None:
            self._known = self._answer(report)
        return self._known

    def _checked(self, guesses: dict[str, Any]) -> dict[str, Any]:
        """Return the guesses if they are complete; subclasses do."""
        raise NotImplementedError

    def _answer(self, report: Report) -> dict[str, Any]:
        """Compute the answers in plain values; subclasses do."""
        raise NotImplementedError

    def _entries(self, guesses: dict[str, Any], answers: dict[str, Any]) -> list[predictions.Entry]:
        """Give what the ledger is to keep; subclasses do."""
        raise NotImplementedError
