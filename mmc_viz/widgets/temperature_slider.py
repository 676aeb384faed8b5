"""Turn the temperature of the logits, and watch the slope of cross-entropy vanish and come back."""

from dataclasses import dataclass
from typing import Any

import traitlets

from mmc_viz.audit import Blindness, blindness
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models


@dataclass(frozen=True)
class TemperatureSettings:
    """What is attacked, and at which temperatures.

    Parameters
    ----------
    models : tuple of str
        Shipped names, one panel each.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split.
    eps : float
        Budget in linf, in the unit of images in [0, 1].
    steps : int
        Of PGD on cross-entropy.
    temperatures : tuple of float
        By which the logits are divided.
    seed : int
        Of the random starts.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(100))
    eps: float | int = 0.06
    steps: int = 20
    temperatures: tuple[float, ...] = (0.001, 0.01, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 100.0)
    seed: int = 0


class TemperatureSlider(LabWidget):
    """One dot an image: how steep cross-entropy is where the attack on it begins.

    Dots in the box on the left have a slope of exactly zero. A dot is a circle where the model is
    right after the attack, a cross where it is fooled.

    Attributes
    ----------
    step : int
        Index of the temperature.
    temperatures : list[float]
    panels : list[dict]
        For each model `title`, `slopes` and `survives`: one list a temperature.
    eps : float
    sentences : list[str]
        What the browser says, one a model.
    """

    kind = "temperature-slider"
    Settings = TemperatureSettings
    view = ("step",)
    _esm = assemble("temperature_slider.js")
    _css = style("temperature_slider.css")

    step = traitlets.Int().tag(sync=True)
    temperatures = traitlets.List(traitlets.Float()).tag(sync=True)
    panels = traitlets.List(traitlets.Dict()).tag(sync=True)
    eps = traitlets.Float().tag(sync=True)

    @classmethod
    def of(cls, **settings: Any) -> "TemperatureSlider":
        """Attack at all temperatures; begin with the one nearest to 1, which changes nothing.

        Parameters
        ----------
        **settings : Any
            Fields of `TemperatureSettings`, and `step`, `models`, `controls`, `after`.

        Raises
        ------
        ValueError
            If a setting is unknown or impossible.
        """
        asked = settings.get("temperatures", TemperatureSettings.temperatures)
        settings["temperatures"] = tuple(map(float, asked))
        nearest = min(range(len(asked)), key=lambda k: abs(asked[k] - 1), default=0)
        return super().of(**{"step": nearest, **settings})

    def survivors(self, temperature: float | int) -> dict[str, int]:
        """Count the images that each model is right on after the attack, by title.

        It answers in the kernel also while the widget is locked: a prediction asks for it.

        Parameters
        ----------
        temperature : float
            The nearest one that was computed is taken.
        """
        asked = self.settings.temperatures
        step = min(range(len(asked)), key=lambda k: abs(asked[k] - temperature))
        return {panel["title"]: sum(panel["survives"][step]) for panel in self._found}

    @property
    def sentences(self) -> list[str]:
        """What the browser says, one a model."""
        return [write_sentence(panel, self.step) for panel in self.panels]

    @traitlets.validate("step")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        last = len(self.settings.temperatures if self.settings else self.temperatures) - 1
        return min(max(proposal["value"], 0), max(last, 0))

    def _compute(self, settings: TemperatureSettings, report: Report) -> dict[str, Any]:
        data = find_images(settings.dataset, settings.images)
        panels = []
        models = find_models(settings.models, self._models)
        for k, (title, model) in enumerate(models.items()):
            report(k / len(models), f"attacking {title}")
            found = blindness(
                model,
                data.inputs(),
                data.labels,
                eps=settings.eps,
                temperatures=settings.temperatures,
                steps=settings.steps,
                seed=settings.seed,
            )
            panels.append(_panel(title, found))
        self._found = panels
        return {
            "temperatures": list(settings.temperatures),
            "panels": panels,
            "eps": float(settings.eps),
        }


def _panel(title: str, found: Blindness) -> dict[str, Any]:
    slopes = [[float(f"{slope:.3g}") for slope in row] for row in found.slopes.tolist()]
    return {"title": title, "slopes": slopes, "survives": found.survives.int().tolist()}


def write_sentence(panel: dict[str, Any], step: int) -> str:
    """Say what a panel shows at one temperature; the browser writes the same words."""
    slopes, survives = panel["slopes"][step], panel["survives"][step]
    flat = [slope == 0 for slope in slopes]
    both = sum(1 for zero, alive in zip(flat, survives, strict=True) if zero and alive)
    return (
        f"{panel['title']}: no slope on {sum(flat)} of {len(flat)} images; "
        f"{sum(survives)} survive the attack, {both} of them without a slope."
    )
