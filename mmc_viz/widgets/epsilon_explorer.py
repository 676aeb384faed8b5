"""Slide the attacker's budget and watch which images each model then gets wrong.

The explorer shows what `mmc_viz.bundles.pack` made of finished epsilon paths, one grid of images
per model. All of it is sent to the browser once, and a move of the slider is drawn there in about
a millisecond, with or without a kernel. A student who does not believe the paths of the lesson
chooses a budget, a number of steps and an objective, presses "Attack now", and finds the result at
the end of the menu.

    bundle  the paths of the lesson
    live    paths that were computed later, at the student's wish; may be empty
    run     name of the attack that is shown
    step    index of its epsilon
    own     what the student attacked with, so that a replay code can do it again

so a view is joined to others with `link` or `jslink` on `run` and `step`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import traitlets

from mmc_viz.bundles import Bundle, Panel, Run, pack, unpack
from mmc_viz.devices import choose_device
from mmc_viz.paths import EpsilonPath, attack_once, compare
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models

KEPT = 5  # results of the student's own on the menu; older ones give way
_MOST_STEPS = 200


@dataclass(frozen=True)
class ExplorerSettings:
    """What an explorer computes.

    Parameters
    ----------
    models : tuple of str
        Shipped names, one panel each.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split.
    objectives : tuple of str
        One run each.
    steps : int
        Of PGD, at each budget.
    eps : float
        The largest budget, in the unit of images in [0, 1].
    count : int
        Number of budgets, evenly spaced from 0.
    seed : int
        Of the random starts.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(30))
    objectives: tuple[str, ...] = ("cross_entropy", "distance", "margin")
    steps: int = 20
    eps: float | int = 0.3
    count: int = 31
    seed: int = 0

    @property
    def epsilons(self) -> list[float]:
        """The budgets, rounded to what their decimals say."""
        if self.count < 2 or not 0 < self.eps <= 1 or not self.steps >= 1:
            raise ValueError(
                "`count` must be at least 2, `steps` at least 1 and `eps` in (0, 1]; got "
                f"count={self.count}, steps={self.steps}, eps={self.eps}."
            )
        return [round(self.eps * k / (self.count - 1), 6) for k in range(self.count)]


class EpsilonExplorer(LabWidget):
    """Grids of attacked images, a menu of attacks and a slider for epsilon.

    `EpsilonExplorer.of(models=..., images=...)` computes what its settings ask for; the
    constructor shows paths that you computed.

    Parameters
    ----------
    runs : dict[str, dict[str, EpsilonPath]]
        Run name (the attacker's objective, say) to panel title (the model, say) to path.
    class_names : list[str]
        One name per class.
    attack : Callable[..., dict[str, EpsilonPath]], optional
        Called as `attack(eps=, steps=, objective=)`, with `eps` in the unit of images in [0, 1];
        returns panel title to path. The last epsilon of the paths is the student's. Without it
        there is no "Attack now".
    **kwargs : Any
        Other traits, such as `run` and `step` to begin with.

    Attributes
    ----------
    bundle, live : bytes
        Packed paths; runs of `live` stand at the end of the menu and hide those of the same name.
        A new `live` selects its last run, at its largest epsilon.
    run : str
        The run that is shown, one of `runs`.
    step : int
        Index into its epsilons. Beyond their range, the nearest one is taken.
    perturbation : bool
        Whether the change is drawn instead of the images.
    own : str
        The student's attacks, such as `margin 0.1 50; distance 0.06 200`.
    seconds : float
        What the last of them took to compute.
    """

    _esm = assemble("epsilon_explorer.js")
    _css = style("epsilon_explorer.css")
    kind = "epsilon-explorer"
    Settings = ExplorerSettings
    view = ("own", "run", "step", "perturbation")

    bundle = traitlets.Bytes().tag(sync=True)
    live = traitlets.Bytes().tag(sync=True)
    run = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int().tag(sync=True)
    perturbation = traitlets.Bool().tag(sync=True)
    own = traitlets.Unicode().tag(sync=True)
    objectives = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        runs: dict[str, dict[str, EpsilonPath]] | None = None,
        class_names: list[str] | None = None,
        *,
        attack: Callable[..., dict[str, EpsilonPath]] | None = None,
        **kwargs: Any,
    ):
        self._unpacked: dict[str, Bundle] = {}
        self._class_names = list(class_names or [])
        self._attack = attack
        self._results: dict[str, dict[str, EpsilonPath]] = {}  # the student's own
        self.seconds = 0.0
        if attack is not None:
            kwargs.setdefault("objectives", ["cross_entropy", "distance", "margin"])
        if runs is not None:
            bundle = pack(runs, self._class_names)
            # Known before any trait is set: traits are validated against it, in no fixed order.
            self._unpacked["bundle"] = unpack(bundle)
            kwargs = {"bundle": bundle, "run": next(iter(runs)), **kwargs}
        super().__init__(**kwargs)

    @property
    def runs(self) -> dict[str, Run]:
        """What can be chosen from, by name, in the order of the menu."""
        bundles = [self._unpacked[name] for name in ("bundle", "live") if name in self._unpacked]
        return {name: run for bundle in bundles for name, run in bundle.runs.items()}

    @property
    def sentences(self) -> dict[str, str]:
        """Panel title to the sentence that the browser shows below its grid."""
        panels = self.runs[self.run].panels
        return {title: write_sentence(title, panels[title], self.step) for title in panels}

    def right(self, run: str, eps: float | int) -> dict[str, int]:
        """Count the images that each panel still gets right in a run, at the budget nearest `eps`.

        It answers in the kernel also while the widget is locked: a prediction asks for it.
        """
        found = self.runs[run]
        step = min(range(len(found.epsilons)), key=lambda k: abs(found.epsilons[k] - eps))
        return {title: int(panel.right[step]) for title, panel in found.panels.items()}

    # ---- what is computed

    def _compute(self, settings: ExplorerSettings, report: Report) -> dict[str, Any]:
        epsilons = settings.epsilons
        data = find_images(settings.dataset, settings.images)
        models = find_models(settings.models, self._models)
        images, labels = data.inputs(), data.labels
        runs = {}
        for k, objective in enumerate(settings.objectives):
            report(k / len(settings.objectives), f"attacking on {objective}…")
            runs |= compare(
                models,
                images,
                labels,
                epsilons,
                objectives=[objective],
                steps=settings.steps,
                seed=settings.seed,
                progress=False,
            )
        self._class_names = data.class_names
        self._results = {}

        def attack(**asked: Any) -> dict[str, EpsilonPath]:
            return attack_once(models, images, labels, seed=settings.seed, **asked)

        self._attack = attack
        bundle = pack(runs, data.class_names)
        self._unpacked = {"bundle": unpack(bundle)}
        return {
            "live": b"",
            "own": "",
            "objectives": ["cross_entropy", "distance", "margin"],
            "bundle": bundle,
            "run": next(iter(runs)),
            "step": 0,
        }

    def _set_view(self, view: dict[str, Any]) -> None:
        own = view.get("own", self.own)
        if own != self.own:  # these attacks and no others, in this order
            asked = [_read_own(words) for words in own.split("; ") if words]
            self.live, self.own, self._results = b"", "", {}
            for one in asked:
                self.attack(**one)
        super()._set_view({name: value for name, value in view.items() if name != "own"})

    def attack(self, *, eps: float | int, steps: int, objective: str) -> None:
        """Attack the same images anew, and show what comes out.

        Parameters
        ----------
        eps : float
            The budget, in the unit of images in [0, 1].
        steps : int
            Of PGD, 1 to 200.
        objective : str
            What the attacker maximises.

        Raises
        ------
        ValueError
            If a setting is impossible, or the widget shows results that it cannot attack.
        """
        self._check_attack(eps=eps, steps=steps, objective=objective)
        asked = {"eps": eps, "steps": steps, "objective": objective}
        paths = self._attack(**asked)
        name = _name(**asked)
        results = {key: value for key, value in self._results.items() if key != name}
        results = dict(list({**results, name: paths}.items())[-KEPT:])
        words = [part for part in self.own.split("; ") if part and part != _own(**asked)]
        data = pack(results, self._class_names)
        with self.hold_sync():  # one message with the result and its selection
            self.live = data
            self.own = "; ".join([*words, _own(**asked)][-KEPT:])
        self._results = results

    def _check_attack(self, *, eps: Any, steps: Any, objective: Any) -> None:
        """Refuse what cannot be attacked with; the browser may ask for anything."""
        if self._attack is None:
            raise ValueError("this explorer shows finished results; it has nothing to attack.")
        # The browser sends null for a field that is empty.
        if not isinstance(eps, float | int) or not 0 <= eps <= 1:
            raise ValueError(f"`eps` must lie in [0, 1]; got {eps}.")
        if type(steps) is not int or not 1 <= steps <= _MOST_STEPS:
            raise ValueError(f"`steps` must be a whole number, 1 to {_MOST_STEPS}; got {steps}.")
        if objective not in self.objectives:
            raise ValueError(f"`objective` must be one of {', '.join(self.objectives)}.")

    def do_attack(self, **asked: Any) -> None:
        """Attack in a thread, at the browser's wish."""

        def work(report: Report) -> None:
            self._check_attack(**asked)
            words = _name(**asked).removeprefix("yours: ")
            device = choose_device()
            report(-1.0, f"{words}: attacking on {device}…")
            begin = time.perf_counter()
            self.attack(**asked)
            self.seconds = time.perf_counter() - begin
            self.status = (
                f"{words}: {self._counts()}. Computed on {device} in {self.seconds:.1f} s."
            )

        self._start(work)

    def _counts(self) -> str:
        """Say how many images each model still gets right, such as "SCE 3 of 30 still right"."""
        counts = [
            f"{title} {int(panel.right[self.step])} of {panel.success.shape[1]}"
            for title, panel in self.runs[self.run].panels.items()
        ]
        return ", ".join([f"{counts[0]} still right", *counts[1:]])

    # ---- what traits may be

    @traitlets.validate("bundle", "live")
    def _unpack(self, proposal: traitlets.Bunch) -> bytes:
        name, data = proposal["trait"].name, proposal["value"]
        if not data:
            if name == "live":
                self._unpacked.pop(name, None)
            return data
        try:
            self._unpacked[name] = unpack(data)
        except ValueError as error:
            raise traitlets.TraitError(f"`{name}` cannot be shown: {error}") from None
        return data

    @traitlets.validate("run")
    def _must_be_on_the_menu(self, proposal: traitlets.Bunch) -> str:
        if proposal["value"] not in self.runs:
            raise traitlets.TraitError(
                f"`run` must be one of {', '.join(map(repr, self.runs))}; "
                f"got {proposal['value']!r}."
            )
        return proposal["value"]

    @traitlets.validate("step")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        if self.run not in self.runs:
            return 0
        return min(max(proposal["value"], 0), len(self.runs[self.run].epsilons) - 1)

    @traitlets.observe("bundle", "live")
    def _choose(self, change: traitlets.Bunch) -> None:
        """Show what has just arrived; leave what has just gone."""
        if change["name"] == "live" and self.live:
            newest, run = list(self._unpacked["live"].runs.items())[-1]
            self.run, self.step = newest, len(run.epsilons) - 1
        elif self.run not in self.runs and self.runs:
            self.run = next(iter(self.runs))
        self.step = self.step  # validated again

    @traitlets.observe("run")
    def _stay_in_range(self, change: traitlets.Bunch) -> None:
        self.step = self.step  # validated again: the new run may have fewer epsilons


def write_sentence(title: str, panel: Panel, step: int) -> str:
    """Say how many images a model still gets right; the browser writes the same words.

    Parameters
    ----------
    title : str
        Name of the model.
    panel : Panel
        What was computed for it.
    step : int
        Index of the epsilon.

    Returns
    -------
    sentence : str
        The percentage is rounded to the nearest integer, halves upwards.
    """
    right, count = int(panel.right[step]), panel.success.shape[1]
    percent = (200 * right + count) // (2 * count)
    return f"{title}: {right} of {count} still right ({percent} %)."


def write_epsilon(eps: float | int) -> str:
    """Write a budget as the browser does: two decimals, or three where two would round it.

    Parameters
    ----------
    eps : float
        In the unit of images in [0, 1].

    Returns
    -------
    text : str
        For example "0.10", or "0.031" for 8/255.
    """
    return f"{eps:.2f}" if abs(100 * eps - round(100 * eps)) < 1e-3 else f"{eps:.3f}"


def _name(*, eps: float | int, steps: int, objective: str) -> str:
    """Name a result of the student's own on the menu."""
    return f"yours: {objective}, ε = {write_epsilon(eps)}, {steps} steps"


def _own(*, eps: float | int, steps: int, objective: str) -> str:
    return f"{objective} {eps!r} {steps}"


def _read_own(words: str) -> dict[str, Any]:
    objective, _, numbers = words.partition(" ")
    eps, _, steps = numbers.partition(" ")
    try:
        return {"objective": objective, "eps": float(eps), "steps": int(steps)}
    except ValueError:
        raise ValueError(
            f"`own` of a replay code must be objective, budget, steps; got {words!r}."
        ) from None
