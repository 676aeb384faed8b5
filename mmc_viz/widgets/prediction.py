"""A question with numbers or choices to guess, answered after the guess has been committed."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import traitlets

from mmc_viz.predictions import Entry, Field, read_fields
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import Report
from mmc_viz.widgets.commitment import Commitment


class Prediction(Commitment):
    """Ask for a guess; answer once it is committed, and unlock what was opened `after` it.

    Parameters
    ----------
    question : str
        In plain words.
    fields : mapping
        Name to what can be guessed: `(low, high)` or `(low, high, unit)` for a number, whole where
        both ends are; a list of texts for a choice.
    answer : callable or mapping
        Name to answer; a callable is called when the guess is committed and returns that, or the
        bare answer where there is but one field.
    **kwargs : Any
        `lesson`, `controls`, `after`.

    Attributes
    ----------
    sentences : list[str]
        What the browser says of each guess; empty before the commitment.

    Raises
    ------
    ValueError
        If a field offers nothing to guess, or a given answer is not on its scale or menu.

    Examples
    --------
    >>> guess = Prediction("How many of 30?", {"SCE": (0, 30)}, answer={"SCE": 12})
    >>> guess.answers
    {}
    >>> guess.commit({"SCE": 13})
    >>> guess.sentences
    ['SCE: 12; you said 13, 1 too high. Close.']
    """

    _esm = assemble("prediction.js")
    _css = style("prediction.css")

    fields = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(
        self,
        question: str,
        fields: Mapping[str, Any],
        answer: Callable[[], Any] | Mapping[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._fields = read_fields(fields)
        self._source = answer
        if not callable(answer):
            self._plain(answer)
        shown = [asdict(field) | {"whole": field.whole} for field in self._fields]
        self._deliver(
            question=question,
            fields=[one | {"choices": list(one["choices"])} for one in shown],
        )
        self._question = question  # known here also while locked

    @property
    def sentences(self) -> list[str]:
        """What the browser says of each guess."""
        return [
            field.sentence(self.guesses[field.name], self.answers[field.name])
            for field in self._fields
            if self.committed
        ]

    def _checked(self, guesses: dict[str, Any]) -> dict[str, Any]:
        missing = [field.name for field in self._fields if field.name not in guesses]
        if missing:
            raise ValueError(f"{missing[0]}: make a guess first.")
        return {field.name: field.checked(guesses[field.name]) for field in self._fields}

    def _answer(self, report: Report) -> dict[str, Any]:
        return self._plain(self._source() if callable(self._source) else self._source)

    def _plain(self, answer: Any) -> dict[str, Any]:
        """Give the answers as plain values, one for each field."""
        if not isinstance(answer, Mapping):
            answer = {self._fields[0].name: answer}
        names = [field.name for field in self._fields]
        if sorted(answer) != sorted(names):
            raise ValueError(f"`answer` must name {', '.join(names)}; got {', '.join(answer)}.")
        return {field.name: _plain_value(field, answer[field.name]) for field in self._fields}

    def _entries(self, guesses: dict[str, Any], answers: dict[str, Any]) -> list[Entry]:
        return [
            Entry(
                self.lesson,
                self._question,
                field.name,
                field.written(guesses[field.name]),
                field.written(answers[field.name]),
                field.score(guesses[field.name], answers[field.name]),
            )
            for field in self._fields
        ]


def _plain_value(field: Field, answer: Any) -> float | int | str:
    """Turn a number of any kind, such as a tensor, into a plain one that lies on the scale."""
    if field.choices:
        return field.checked(answer)
    number = answer.item() if hasattr(answer, "item") else answer
    whole = isinstance(number, int) or float(number).is_integer()
    if not field.low <= number <= field.high:
        raise ValueError(
            f"The answer to {field.name!r} must lie on its scale, {field.low} to {field.high}; "
            f"got {number}."
        )
    return int(number) if whole and field.whole else float(number)
