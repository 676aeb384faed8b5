r"""Guesses made before an answer is seen: how far off they are, and a ledger that keeps them.

Whoever writes down a guess first learns more from the answer, and cannot say afterwards "I knew".
Three kinds of guess are scored on one scale, from 0 (exact) to 100 (as wrong as can be):

$$\text{number}: \; 100\,\frac{|g - a|}{h - l} \qquad
\text{curve}: \; \frac1K \sum_{k=1}^{K} |g_k - a_k| \qquad
\text{choice}: \; 0 \text{ or } 100$$

with $g$ the guess, $a$ the answer, $l$ and $h$ the ends of the scale. A curve is in percent, so its
score is the mean absolute error in percentage points.

The browser writes the sentences below in the same words (`widgets/js/prediction.js`).
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CLOSE, _NEAR = 5, 20  # scores up to which a guess is called so


@dataclass(frozen=True)
class Field:
    """One thing to guess: a number on a scale, or one of several choices.

    Attributes
    ----------
    name : str
        What is guessed.
    low, high : float
        Ends of the scale; where both are whole, so is every guess.
    unit : str
        Of the number, such as "%"; may be empty.
    choices : tuple of str
        To choose from; empty for a number.
    """

    name: str
    low: float | int = 0
    high: float | int = 0
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether only whole numbers can be guessed."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def checked(self, guess: Any) -> float | int | str:
        """Return the guess if it is one.

        Raises
        ------
        ValueError
            If it is none of the choices, or no number on the scale.
        """
        if self.choices:
            if guess not in self.choices:
                raise ValueError(f"{self.name}: choose one of {', '.join(self.choices)}.")
            return guess
        number = isinstance(guess, float | int) and not isinstance(guess, bool)
        if not number or not self.low <= guess <= self.high or (self.whole and guess != int(guess)):
            kind = "a whole number" if self.whole else "a number"
            low, high = write_number(self.low), write_number(self.high)
            raise ValueError(f"{self.name}: enter {kind} from {low} to {high}.")
        return int(guess) if self.whole else guess

    def score(self, guess: float | int | str, answer: float | int | str) -> float:
        """Say how far off a guess is, from 0 (exact) to 100."""
        if self.choices:
            return 0.0 if guess == answer else 100.0
        return min(100.0, 100 * abs(guess - answer) / (self.high - self.low))

    def sentence(self, guess: float | int | str, answer: float | int | str) -> str:
        """Put a guess and its answer into words."""
        if self.choices:
            asked = self.name if self.name.endswith((":", "?")) else f"{self.name}:"
            right = f"{asked} {answer}. You were right."
            wrong = f"{asked} {answer}; you chose {guess}. Now find out why."
            return right if guess == answer else wrong
        said, truth = self.written(guess), self.written(answer)
        score = self.score(guess, answer)
        if score == 0:
            return f"{self.name}: {truth}, exactly as you said."
        gap = self.written(abs(guess - answer))
        side = "high" if guess > answer else "low"
        if score <= _CLOSE:
            remark = "Close."
        elif score <= _NEAR:
            remark = "Not far off."
        else:
            remark = "A surprise: now there is something to explain."
        return f"{self.name}: {truth}; you said {said}, {gap} too {side}. {remark}"

    def written(self, value: float | int | str) -> str:
        """Write a value with its unit."""
        text = value if isinstance(value, str) else write_number(value)
        return f"{text} {self.unit}" if self.unit else text


def read_fields(
    fields: Mapping[str, tuple[float | int | str, ...] | list[str]],
) -> list[Field]:
    """Read what a notebook writes: name to (low, high), (low, high, unit) or a list of choices.

    Raises
    ------
    ValueError
        If there is no field, a scale has no length or a choice no alternative.
    """
    if not fields:
        raise ValueError("`fields` must name at least one thing to guess; got none.")
    read = []
    for name, value in fields.items():
        if all(isinstance(item, str) for item in value):
            if len(set(value)) < max(2, len(value)):
                raise ValueError(f"{name!r} must offer two or more different choices; got {value}.")
            read.append(Field(name, choices=tuple(value)))
            continue
        low, high, unit = (*value, "")[:3]
        if not low < high:
            raise ValueError(f"The scale of {name!r} must rise; got {low} to {high}.")
        read.append(Field(name, low, high, unit))
    return read


def curve_error(guess: Sequence[float | int], truth: Sequence[float | int]) -> float:
    """Mean absolute error of a guessed curve.

    Parameters
    ----------
    guess, truth : sequence of float
        Accuracies in percent, at the same budgets.

    Returns
    -------
    error : float
        In percentage points, 0..100.

    Raises
    ------
    ValueError
        If the curves are not equally long, or empty.
    """
    if len(guess) != len(truth) or not truth:
        raise ValueError(
            f"`guess` must have one value for each of the {len(truth)} budgets; got {len(guess)}."
        )
    return sum(abs(g - t) for g, t in zip(guess, truth, strict=True)) / len(truth)


def curve_sentence(
    name: str,
    epsilons: Sequence[float | int],
    guess: Sequence[float | int],
    truth: Sequence[float | int],
) -> str:
    """Say how far off a guessed curve is, and where it is farthest off."""
    error = curve_error(guess, truth)
    gaps = [abs(g - t) for g, t in zip(guess, truth, strict=True)]
    if max(gaps) == 0:
        return f"{name}: exactly as you drew it."
    worst = gaps.index(max(gaps))
    side = "high" if guess[worst] > truth[worst] else "low"
    return (
        f"{name}: off by {tenth(error)} percentage points on average, "
        f"most at ε = {write_number(epsilons[worst])}: {tenth(gaps[worst])} too {side}."
    )


def write_number(value: float | int) -> str:
    """Write a number with at most four digits that count: 0.06, 12, 3.142."""
    if isinstance(value, int):
        return str(value)
    short = float(f"{value:.4g}")
    return f"{short:.12f}".rstrip("0").rstrip(".")


def tenth(value: float | int) -> str:
    """Write a number with one decimal, halves upwards, as the browser does."""
    return f"{math.floor(10 * value + 0.5) / 10:.1f}"


@dataclass(frozen=True)
class Entry:
    """One committed guess.

    Attributes
    ----------
    lesson, question : str
        Where it was asked, and what.
    name : str
        Of the field or the curve.
    guess, truth : str
        In words.
    score : float
        From 0 (exact) to 100.
    """

    lesson: str
    question: str
    name: str
    guess: str
    truth: str
    score: float


class Ledger:
    """The guesses committed so far; in a notebook it shows itself as a table.

    The first commitment to a question stands. Whoever runs the cell again has seen the answer.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], list[Entry]] = {}

    @property
    def entries(self) -> list[Entry]:
        """All guesses, in the order of their commitment."""
        return [entry for entries in self._kept.values() for entry in entries]

    def record(self, entries: Sequence[Entry]) -> None:
        """Keep the guesses of one question, unless it has been answered before."""
        for entry in entries[:1]:
            self._kept.setdefault((entry.lesson, entry.question), list(entries))

    def clear(self) -> None:
        """Forget all guesses."""
        self._kept.clear()

    @property
    def score(self) -> float | None:
        """Mean score over all guesses, 0 (exact) to 100; None without a guess."""
        scores = [entry.score for entry in self.entries]
        return sum(scores) / len(scores) if scores else None

    def __repr__(self) -> str:
        lines = [
            f"{entry.question} {entry.name}: you said {entry.guess}, it was {entry.truth}"
            for entry in self.entries
        ]
        return "\n".join([*lines, self._summary()])

    def _repr_html_(self) -> str:
        if not self._kept:
            return f"<p>{self._summary()}</p>"
        head = "".join(
            f'<th scope="col" style="text-align:left;padding:4px 12px 4px 0">{title}</th>'
            for title in ("What you were asked", "You said", "It was", "Off by")
        )
        return (
            '<table style="border-collapse:collapse;font-size:14px;text-align:left">'
            f'<caption style="text-align:left;font-weight:600;padding-bottom:6px">'
            f"Your predictions. {self._summary()}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{self._rows()}</tbody></table>"
        )

    def _rows(self) -> str:
        rows = []
        for entry in self.entries:
            off = "nothing" if entry.score == 0 else f"{tenth(entry.score)} of 100"
            asked = f"{html.escape(entry.question)} <b>{html.escape(entry.name)}</b>"
            cells = "".join(
                '<td style="text-align:left;padding:4px 12px 4px 0;vertical-align:top;'
                f'white-space:normal">{text}</td>'
                for text in (asked, html.escape(entry.guess), html.escape(entry.truth), off)
            )
            rows.append(f"<tr>{cells}</tr>")
        return "".join(rows)

    def _summary(self) -> str:
        if self.score is None:
            return (
                "No prediction had been committed when this ran. "
                "In JupyterLab, commit yours above and run this cell again."
            )
        count = len(self.entries)
        guesses = "1 guess" if count == 1 else f"{count} guesses"
        return f"{guesses}, off by {tenth(self.score)} of 100 on average (0 is exact)."


#: The predictions of this kernel.
ledger = Ledger()
