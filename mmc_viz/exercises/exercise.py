"""An exercise: a task, hints in stages, a checker, and a solution that the tests hold against it.

The checker says what is wrong in words that help, and never shows a traceback: an answer that is
still empty, raises an error, or has the wrong shape is an answer too.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_LEVELS = {1: "easy", 2: "middling", 3: "hard"}
_STYLE = (
    "border-left:4px solid {colour};padding:6px 14px;margin:4px 0;max-width:760px;line-height:1.45"
)


class Wrong(Exception):
    """An answer is not right yet; the message says, to the student, what is missing."""


@dataclass(frozen=True)
class Verdict:
    """What the checker says of an answer.

    Attributes
    ----------
    passed : bool
    message : str
        For the student, in plain text.
    """

    passed: bool
    message: str

    def __repr__(self) -> str:
        return f"{'✔ Right' if self.passed else '✘ Not yet'}. {self.message}"

    def _repr_html_(self) -> str:
        colour = "#009e73" if self.passed else "#d55e00"
        style = _STYLE.format(colour=colour)
        return f'<div role="status" style="{style}">{_as_html(repr(self))}</div>'


@dataclass(frozen=True)
class Exercise:
    """A task for a student.

    Attributes
    ----------
    name : str
        Such as `02.1`: lesson and number.
    title : str
    minutes : int
        How long it takes a student.
    difficulty : int
        1 easy, 2 middling, 3 hard.
    task : str
        HTML; formulas in Unicode, because it is shown without a network.
    stub : str
        The code that the notebook begins with; run as it is, it must fail the check, kindly.
    answer : str
        The name that the stub defines and the check is given.
    solution : str
        Code in the place of the stub that passes.
    hints : tuple of str
        Plain text, in stages.
    check : callable
        Given the answer; returns praise, or raises `Wrong`.
    setup : str
        Imports that stub and solution need, in a cell before.
    """

    name: str
    title: str
    minutes: int
    difficulty: int
    task: str
    stub: str
    answer: str
    solution: str
    hints: tuple[str, ...]
    check: Callable[[Any], str]
    setup: str = ""

    def verdict(self, answer: Any) -> Verdict:
        """Check an answer; whatever it does, a verdict comes back."""
        if answer is None or answer is ...:
            return Verdict(False, "Nothing is there yet: fill in the cell above and run it again.")
        try:
            return Verdict(True, self.check(answer))
        except Wrong as wrong:
            return Verdict(False, str(wrong))
        except Exception as error:  # of the student's code
            line = (str(error) or "no reason was given").splitlines()[0]
            return Verdict(False, f"Your answer raised {type(error).__name__}: {line}")

    def __repr__(self) -> str:
        return f"Exercise {self.name}: {self.title} ({self.minutes} minutes)"

    def _repr_html_(self) -> str:
        level = _LEVELS[self.difficulty]
        style = _STYLE.format(colour="#0072b2")
        hints = "".join(
            f"<details><summary>Hint {i} of {len(self.hints)}</summary>"
            f'<p style="margin:4px 0 8px 18px">{_as_html(hint)}</p></details>'
            for i, hint in enumerate(self.hints, start=1)
        )
        return (
            f'<div style="{style}"><b>Exercise {self.name} · {html.escape(self.title)}</b> '
            f"<small>({self.minutes} minutes, {level})</small>"
            f'<p style="margin:6px 0">{self.task}</p>{hints}'
            f"<details><summary>Solution</summary>"
            f'<pre style="margin:6px 0 0 18px">{html.escape(self.solution)}</pre></details></div>'
        )


def _as_html(text: str) -> str:
    """Escape a text, with what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def returned(answer: Any, *arguments: Any) -> Any:
    """Call a student's function; an empty stub is told apart from a wrong result.

    Raises
    ------
    Wrong
        If it is no function, or returns nothing.
    """
    if not callable(answer):
        raise Wrong(f"A function is wanted here; got {type(answer).__name__}.")
    value = answer(*arguments)
    if value is None:
        raise Wrong("The function returns nothing yet: replace the dots and `return` the result.")
    return value


def number(value: Any) -> float:
    """Read what a student gave as one number.

    Raises
    ------
    Wrong
        If it is none.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise Wrong(f"One number is wanted; got {type(value).__name__}.")
    return float(value)
