"""One attack under the microscope: a climb on one image, step by step, forwards and back.

`mmc_viz.microscope` computes the climbs of several models on several objectives, each from several
starts, and the hill about each. All of it is sent to the browser once, so that a step is drawn
there at once, with or without a kernel. With other settings the image is attacked again.

    slides     all climbs, packed
    subject    title of the model that is shown
    objective  what is climbed
    restart    from which start
    step       how far
    form       the settings with which the reader may attack again
"""

from dataclasses import asdict, dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import traitlets

from mmc_viz.microscope import pack_slides, read_header, slides
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models

_MOST_STEPS, _MOST_STARTS = 100, 10
#: What may become of a climb.
FATES = ("it never moves", "it moves, but fools nobody", "it fools the model")
_FORM = ("image", "eps", "steps", "step_size", "restarts", "momentum")


@dataclass(frozen=True)
class MicroscopeSettings:
    """What a microscope computes.

    Parameters
    ----------
    models : tuple of str
        Shipped names.
    dataset : str
        Name of the data set.
    image : int
        Place of the image in its test split.
    eps : float
        Budget, in the unit of images in [0, 1].
    steps : int
        Of each climb.
    step_size : float
        Change of a pixel in one step; 0: `2.5 * eps / steps`.
    restarts : int
        Random starts.
    momentum : bool
        Whether the attack is `mim`, which starts at the image itself, once.
    objectives : tuple of str
        What is climbed.
    seed : int
        Of the starts.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    image: int = 3
    eps: float | int = 0.06
    steps: int = 20
    step_size: float | int = 0.0
    restarts: int = 3
    momentum: bool = False
    objectives: tuple[str, ...] = ("cross_entropy", "margin")
    seed: int = 0


class AttackMicroscope(LabWidget):
    """A climb on one image, step by step.

    `AttackMicroscope.of(models=..., image=..., eps=...)` computes what its settings ask for.

    Attributes
    ----------
    slides : bytes
        See `mmc_viz.microscope.packing`.
    subject, objective : str
        Which model, by its title, and what is climbed.
    restart, step : int
        Which start, and how many steps from it. Beyond their range, the nearest one is taken.
    form : dict
        What the reader's form shows: image, eps, steps, step_size, restarts, momentum.
    """

    _esm = assemble("attack_microscope.js")
    _css = style("attack_microscope.css")
    kind = "attack-microscope"
    Settings = MicroscopeSettings
    view = ("subject", "objective", "restart", "step")

    slides = traitlets.Bytes().tag(sync=True)
    subject = traitlets.Unicode().tag(sync=True)
    objective = traitlets.Unicode().tag(sync=True)
    restart = traitlets.Int().tag(sync=True)
    step = traitlets.Int().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)

    def __init__(self, **kwargs: Any):
        self._header: dict[str, Any] = {"slides": [], "steps": 0}
        super().__init__(**kwargs)

    @property
    def shown(self) -> dict[str, Any]:
        """The numbers of the climb that is shown, as the browser has them."""
        return self._find(self.subject, self.objective, self.restart)

    @property
    def sentence(self) -> str:
        """What the browser says under the picture."""
        return write_sentence(self._header, self.shown, self.step)

    def fooled_at(self, subject: str, objective: str, restart: int = 0) -> int | None:
        """First step at which this climb fools the model; None if none does."""
        one = self._find(subject, objective, restart)
        wrong = [seen != self._header["label"] for seen in one["predicted"]]
        return wrong.index(True) if any(wrong) else None

    def fate(self, subject: str, objective: str, restart: int = 0) -> str:
        """Say what becomes of this climb: one of `FATES`."""
        if self.fooled_at(subject, objective, restart) is not None:
            return FATES[2]
        one = self._find(subject, objective, restart)
        return FATES[0] if not any(one["slopes"]) else FATES[1]

    def fooling(self, subject: str, objective: str) -> int:
        """Count the starts from which this climb fools the model."""
        starts = 1 + max(one["restart"] for one in self._header["slides"])
        found = [self.fooled_at(subject, objective, restart) for restart in range(starts)]
        return sum(step is not None for step in found)

    def _find(self, subject: str, objective: str, restart: int) -> dict[str, Any]:
        key = (subject, objective, restart)
        for one in self._header["slides"]:
            if (one["model"], one["objective"], one["restart"]) == key:
                return one
        raise ValueError(f"there is no climb of {subject!r} on {objective!r}, start {restart}.")

    def attack(self, **asked: Any) -> None:
        """Attack again with other settings, such as `eps=0.03, steps=10`; the rest stays.

        Raises
        ------
        ValueError
            If a setting is unknown or impossible.
        """
        self._adopt(self._asked(asked))

    def do_attack(self, **asked: Any) -> None:
        """Attack again in a thread, at the browser's wish."""
        settings = self._asked(asked)

        def work(report: Report) -> None:
            self._adopt(settings, report)
            self.status = "Done: this is the new attack."

        self._start(work)

    def _asked(self, asked: dict[str, Any]) -> MicroscopeSettings:
        unknown = [name for name in asked if name not in _FORM]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(_FORM)}.")
        _check(asked)
        return replace(self.settings or MicroscopeSettings(), **asked)

    def _compute(self, settings: MicroscopeSettings, report: Report) -> dict[str, Any]:
        _check(asdict(settings))
        data = find_images(settings.dataset, [settings.image])
        models = find_models(settings.models, self._models)
        found = {}
        for place, (title, model) in enumerate(models.items()):
            found[title] = slides(
                model,
                data.inputs()[0],
                int(data.labels[0]),
                eps=settings.eps,
                objectives=settings.objectives,
                class_names=data.class_names,
                seed=settings.seed,
                watch=lambda share, place=place, title=title: report(
                    (place + share) / len(models), f"attacking {title}…"
                ),
                steps=settings.steps,
                step_size=settings.step_size or None,
                momentum=settings.momentum,
                restarts=settings.restarts,
            )
        packed = pack_slides(found)
        self._header = read_header(packed)
        # The view is no secret of a locked widget, and what a code says of it comes later.
        if not any(self._is_shown(one) for one in self._header["slides"]):
            first = self._header["slides"][0]
            self.subject, self.objective, self.restart = first["model"], first["objective"], 0
        self.step = 0
        values = asdict(settings)
        return {"slides": packed, "form": {name: values[name] for name in _FORM}}

    def _is_shown(self, one: dict[str, Any]) -> bool:
        return (one["model"], one["objective"], one["restart"]) == (
            self.subject,
            self.objective,
            self.restart,
        )

    # ---- what traits may be

    @traitlets.validate("subject", "objective")
    def _must_be_there(self, proposal: traitlets.Bunch) -> str:
        key = {"subject": "model"}.get(proposal["trait"].name, proposal["trait"].name)
        names = list(dict.fromkeys(one[key] for one in self._header["slides"]))
        if names and proposal["value"] not in names:
            raise traitlets.TraitError(
                f"`{proposal['trait'].name}` must be one of {', '.join(names)}; "
                f"got {proposal['value']!r}."
            )
        return proposal["value"]

    @traitlets.validate("restart")
    def _clamp_restart(self, proposal: traitlets.Bunch) -> int:
        last = max([one["restart"] for one in self._header["slides"]], default=0)
        return min(max(proposal["value"], 0), last)

    @traitlets.validate("step")
    def _clamp_step(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], 0), self._header["steps"])


def _check(values: dict[str, Any]) -> None:
    """Refuse settings that a page could not show, with the name, the rule and the value."""
    limits = {"steps": (1, _MOST_STEPS), "restarts": (1, _MOST_STARTS), "image": (0, 10**6)}
    for name, value in values.items():
        # The browser sends null for a field that is empty.
        if name in limits:
            low, high = limits[name]
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"`{name}` must be a whole number, {low} to {high}; got {value}.")
        elif name in ("eps", "step_size"):
            if not isinstance(value, float | int) or not 0 <= value <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]; got {value}.")
    if values.get("eps") == 0:
        raise ValueError("`eps` must be above 0: with no budget there is no step to see.")


def write_sentence(header: dict[str, Any], slide: dict[str, Any], step: int) -> str:
    """Say where a climb stands; the browser writes the same words.

    Parameters
    ----------
    header : dict
        As `mmc_viz.microscope.read_header` gives it.
    slide : dict
        One of its slides.
    step : int
        Number of the iterate.
    """
    starts = 1 + max(one["restart"] for one in header["slides"])
    start = f" from start {slide['restart'] + 1} of {starts}" if starts > 1 else ""
    seen, label, names = slide["predicted"], header["label"], header["class_names"]
    wrong = [k for k, one in enumerate(seen) if one != label]
    says = f"{slide['model']} says {names[seen[step]]}"
    if seen[step] == label:
        word = "says" if step == 0 else "says again" if wrong and wrong[0] < step else "still says"
        verdict = f"{slide['model']} {word} {names[label]}"
    elif wrong[0] == step:
        verdict = f"{says}: fooled"
    else:
        verdict = f"{says}: fooled first at step {wrong[0]}"
    return (
        f"Step {step} of {header['steps']}{start}: {write_name(slide['objective'])} "
        f"{write_number(slide['reached'][step])}, "
        + (
            ""
            if slide["objective"] == "margin"
            else f"margin {write_number(slide['margins'][step])}, "
        )
        + f"and {verdict}."
    )


def write_name(objective: str) -> str:
    """Write the name of an objective in plain words."""
    return objective.replace("cross_entropy", "cross-entropy").replace("_", " ")


def write_number(value: float | int) -> str:
    """Write a number with two decimals, or one from 10 on, as JavaScript rounds it."""
    digits = Decimal("0.1") if abs(value) >= 10 else Decimal("0.01")
    return str(Decimal(value).quantize(digits, ROUND_HALF_UP)).replace("-", "−")
