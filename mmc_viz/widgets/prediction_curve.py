"""Draw a guess of accuracy against the attacker's budget; the true curves come after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import traitlets

from mmc_viz.attacks import pgd
from mmc_viz.attacks.checks import check_epsilons
from mmc_viz.evaluation import RobustnessCurve, robustness_curve
from mmc_viz.objectives import resolve
from mmc_viz.predictions import Entry, curve_error, curve_sentence, tenth
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import Report
from mmc_viz.widgets.commitment import Commitment
from mmc_viz.widgets.subjects import find_images, find_models, titles

_WORDS = {"cross_entropy": "cross-entropy", "cross_entropy_float64": "cross-entropy in float64"}


@dataclass(frozen=True)
class CurveSettings:
    """What a prediction curve asks for: one curve for each model and objective.

    Parameters
    ----------
    models : tuple of str
        Shipped names.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split.
    objectives : tuple of str
        What the attacker climbs.
    steps : int
        Of PGD, at each budget.
    epsilons : tuple of float
        Budgets, rising, in the unit of images in [0, 1].
    seed : int
        Of the random starts.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(100))
    objectives: tuple[str, ...] = ("cross_entropy",)
    steps: int = 20
    epsilons: tuple[float, ...] = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """One name for each curve."""
        models, objectives = titles(self.models), [_words(name) for name in self.objectives]
        if len(objectives) == 1:
            return models
        if len(models) == 1:
            return objectives
        return [f"{model}, {objective}" for model in models for objective in objectives]

    @property
    def question(self) -> str:
        """What is asked, with all that was chosen."""
        words = [_words(name) for name in self.objectives]
        climbed = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
        who = "each model" if len(self.models) > 1 else titles(self.models)[0]
        return (
            f"How many of {len(self.images)} images does {who} still get right as ε grows? "
            f"The attacker climbs {climbed}, {self.steps} steps."
        )


def _words(objective: str) -> str:
    return _WORDS.get(objective, objective)


class PredictionCurve(Commitment):
    """Draw curves, commit them, and see the true ones with their 95 % intervals.

    `PredictionCurve.of(models=..., objectives=..., epsilons=...)` asks for what its settings
    compute, at the commitment and no earlier; the constructor asks for curves of your own.

    Parameters
    ----------
    question : str
        In plain words.
    names : sequence of str
        One for each curve.
    epsilons : sequence of float
        Budgets, rising.
    answer : callable or mapping
        Name to accuracies in 0..1, one for each budget, or to (accuracy, low, high), three of
        these; a callable is called when the guess is committed and returns that.
    **kwargs : Any
        `lesson`, `controls`, `after`.

    Attributes
    ----------
    names : list[str]
    epsilons : list[float]
    guesses : dict[str, list[float]]
        In percent.
    answers : dict[str, dict[str, list[float]]]
        `accuracy`, `low`, `high` in percent.
    sentences : list[str]
        What the browser says of each guess, and of all; empty before the commitment.

    Raises
    ------
    ValueError
        If the budgets do not rise, or an objective is unknown.
    """

    kind = "prediction-curve"
    Settings = CurveSettings
    _esm = assemble("prediction_curve.js")
    _css = style("prediction.css", "prediction_curve.css")

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    epsilons = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(
        self,
        question: str = "",
        names: Sequence[str] = (),
        epsilons: Sequence[float | int] = (),
        answer: Callable[[], Mapping[str, Any]] | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._ask(question, list(names), list(epsilons), answer)

    @classmethod
    def of(
        cls, *, objective: str | None = None, lesson: str = "", **settings: Any
    ) -> "PredictionCurve":
        """Ask for what the settings compute.

        Parameters
        ----------
        objective : str, optional
            The only one of `objectives`.
        lesson : str
            Under which the ledger keeps the guess.
        **settings : Any
            Fields of `CurveSettings`, and `models`, `controls`, `after` as for every widget.

        Raises
        ------
        ValueError
            If a setting is unknown or impossible.
        """
        if objective is not None:
            settings["objectives"] = (objective,)
        if "epsilons" in settings:
            settings["epsilons"] = tuple(map(float, settings["epsilons"]))
        widget = super().of(**settings)
        widget.lesson = lesson
        return widget

    def restore(self, code: str, report: Report | None = None) -> None:
        """Ask for what a replay code asks for; a committed guess stands.

        Raises
        ------
        ValueError
            If a guess has been committed, or the code is damaged.
        """
        if self.committed:
            raise ValueError("a committed guess stands; open the code by a cell of its own.")
        super().restore(code, report)

    @property
    def sentences(self) -> list[str]:
        """What the browser says of each guess, and of all."""
        if not self.committed:
            return []
        truths = {name: self.answers[name]["accuracy"] for name in self.names}
        said = [
            curve_sentence(name, self.epsilons, self.guesses[name], truths[name])
            for name in self.names
        ]
        if len(said) > 1:
            errors = [curve_error(self.guesses[name], truths[name]) for name in self.names]
            said.append(f"All together: {tenth(sum(errors) / len(errors))} points.")
        return said

    def _compute(self, settings: CurveSettings, report: Report) -> dict[str, Any]:
        """Give what is asked; the answer is computed at the commitment."""
        for objective in settings.objectives:
            resolve(objective)
        find_images(settings.dataset, settings.images)
        answer = lambda report: _measured(settings, self._models, report)  # noqa: E731
        return self._asking(settings.question, settings.names, list(settings.epsilons), answer)

    def _ask(self, question: str, names: list[str], epsilons: list[float], answer: Any) -> None:
        if names:
            given = lambda report: answer() if callable(answer) else answer  # noqa: E731
            self._deliver(**self._asking(question, names, epsilons, given))

    def _asking(
        self, question: str, names: list[str], epsilons: Sequence[float | int], source: Any
    ) -> dict[str, Any]:
        check_epsilons(torch.as_tensor(epsilons, dtype=torch.float64))
        self._question, self._names, self._budgets = question, names, list(map(float, epsilons))
        self._source, self._known = source, None
        return {"question": question, "names": names, "epsilons": self._budgets}

    def _checked(self, guesses: dict[str, Any]) -> dict[str, list[float]]:
        checked = {}
        for name in self._names:
            curve = guesses.get(name) or []
            if len(curve) != len(self._budgets):
                raise ValueError(f"{name}: draw a value at each of the {len(self._budgets)} ε.")
            if not all(isinstance(value, float | int) and 0 <= value <= 100 for value in curve):
                raise ValueError(f"{name}: each value must lie in 0 .. 100 %.")
            checked[name] = [float(value) for value in curve]
        return checked

    def _answer(self, report: Report) -> dict[str, Any]:
        given = self._source(report)
        return {name: _percent(given[name]) for name in self._names}

    def _entries(self, guesses: dict[str, Any], answers: dict[str, Any]) -> list[Entry]:
        return [
            Entry(
                self.lesson,
                self._question,
                name,
                _ends(guesses[name]),
                _ends(answers[name]["accuracy"]),
                curve_error(guesses[name], answers[name]["accuracy"]),
            )
            for name in self._names
        ]


def _measured(
    settings: CurveSettings, own: dict[str, torch.nn.Module], report: Report
) -> dict[str, tuple[list[float], ...]]:
    """Attack every model with every objective; name to accuracy, low and high, 0..1."""
    data = find_images(settings.dataset, settings.images)
    models = find_models(settings.models, own).values()
    pairs = [(model, objective) for model in models for objective in settings.objectives]
    total, done, found = len(pairs) * len(settings.epsilons), 0, {}
    for name, (model, objective) in zip(settings.names, pairs, strict=True):

        def attack(model, images, labels, *, eps, objective=objective, name=name):
            nonlocal done
            report(min(done / total, 1.0), f"{name}: ε = {eps:.4g}")
            done += 1
            generator = torch.Generator().manual_seed(settings.seed)
            return pgd(
                model,
                images,
                labels,
                eps=eps,
                steps=settings.steps,
                objective=objective,
                generator=generator,
            )

        curve = robustness_curve(
            model, data.inputs(), data.labels, settings.epsilons, {name: attack}
        )
        found[name] = _shares(curve)
    return found


def _shares(curve: RobustnessCurve) -> tuple[list[float], ...]:
    return tuple(getattr(curve, kind)[0].tolist() for kind in ("accuracy", "low", "high"))


def _percent(shares: Sequence[Any]) -> dict[str, list[float]]:
    """Give accuracy, low and high in percent; without an interval its ends are the accuracy."""
    curves = shares if isinstance(shares[0], Sequence) else (shares, shares, shares)
    return {
        kind: [100.0 * float(value) for value in curve]
        for kind, curve in zip(("accuracy", "low", "high"), curves, strict=True)
    }


def _ends(curve: Sequence[float | int]) -> str:
    return f"from {tenth(curve[0])} % to {tenth(curve[-1])} %"
