"""The noise bench: images under noise and rotation, which nobody aims at a model.

`mmc_viz.disturbances` asks the models what they see, for every pair of strengths. The browser makes
the pictures itself, to the last bit those that were judged, so both sliders work without a kernel.

    bench   turned images, one draw of noise, and what each model sees
    noise   place of the noise's strength
    turn    place of the angle
"""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import traitlets

from mmc_viz.disturbances import Disturbances, disturb, pack_disturbances
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models


@dataclass(frozen=True)
class BenchSettings:
    """What a noise bench computes.

    Parameters
    ----------
    models : tuple of str
        Shipped names, one panel each.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split.
    sigma : float
        The strongest noise: its standard deviation, in the unit of images in [0, 1].
    sigmas : int
        Number of strengths, evenly spaced from 0.
    degrees : float
        The largest angle, both ways.
    angles : int
        Number of angles, an odd number, so that 0 is among them.
    seed : int
        Of the noise.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(30))
    sigma: float | int = 0.3
    sigmas: int = 11
    degrees: float | int = 40
    angles: int = 17
    seed: int = 0

    def strengths(self) -> tuple[list[float], list[float]]:
        """Give all strengths of the noise, and all angles.

        Raises
        ------
        ValueError
            If they are out of range, or too many for a page.
        """
        if not 0 < self.sigma <= 4 or not 2 <= self.sigmas <= 41:
            raise ValueError(
                "`sigma` must lie in (0, 4] and `sigmas` in 2 .. 41; got "
                f"sigma={self.sigma}, sigmas={self.sigmas}."
            )
        if not 0 < self.degrees <= 180 or not 3 <= self.angles <= 41 or self.angles % 2 == 0:
            raise ValueError(
                "`degrees` must lie in (0, 180] and `angles` be odd, 3 .. 41; got "
                f"degrees={self.degrees}, angles={self.angles}."
            )
        middle = self.angles // 2
        return (
            [round(self.sigma * k / (self.sigmas - 1), 6) for k in range(self.sigmas)],
            [round(self.degrees * (k - middle) / middle, 6) for k in range(self.angles)],
        )


class NoiseBench(LabWidget):
    """Images under noise and rotation, and what models see in them.

    `NoiseBench.of(models=..., images=...)` computes what its settings ask for.

    Attributes
    ----------
    bench : bytes
        See `mmc_viz.disturbances.pack_disturbances`.
    noise, turn : int
        Places of the strength and of the angle. Beyond their range, the nearest one is taken.
    """

    _esm = assemble("noise_bench.js")
    _css = style("noise_bench.css")
    kind = "noise-bench"
    Settings = BenchSettings
    view = ("noise", "turn")

    bench = traitlets.Bytes().tag(sync=True)
    noise = traitlets.Int().tag(sync=True)
    turn = traitlets.Int().tag(sync=True)

    def __init__(self, **kwargs: Any):
        self._found: Disturbances | None = None
        super().__init__(**kwargs)

    @property
    def disturbances(self) -> Disturbances:
        """What was computed."""
        assert self._found is not None
        return self._found

    @property
    def sentence(self) -> str:
        """What the browser says under the pictures."""
        return write_sentence(self.disturbances, self.noise, self.turn)

    def right(self, title: str, *, sigma: float | int = 0, degrees: float | int = 0) -> int:
        """How many images a model gets right at the strengths nearest to these."""
        found = self.disturbances
        s, d = (
            min(range(len(values)), key=lambda k: abs(values[k] - wanted))
            for values, wanted in ((found.sigmas, sigma), (found.degrees, degrees))
        )
        return int(found.right(title)[s, d])

    def do_redraw(self) -> None:
        """Draw other noise, at the browser's wish: the next seed."""
        settings = replace(self.settings, seed=self.settings.seed + 1)

        def work(report: Report) -> None:
            self._adopt(settings, report)
            self.status = f"This is the noise of seed {settings.seed}."

        self._start(work)

    def _compute(self, settings: BenchSettings, report: Report) -> dict[str, Any]:
        sigmas, degrees = settings.strengths()
        data = find_images(settings.dataset, settings.images)
        fresh = self._found is None
        found = disturb(
            find_models(settings.models, self._models),
            data.images,
            data.labels,
            sigmas=sigmas,
            degrees=degrees,
            class_names=data.class_names,
            seed=settings.seed,
            watch=lambda share: report(share, "asking the models…"),
        )
        self._found = found
        # The view is no secret of a locked widget, and what a code says of it comes later.
        self.noise, self.turn = (0, len(degrees) // 2) if fresh else (self.noise, self.turn)
        return {"bench": pack_disturbances(found)}

    @traitlets.validate("noise", "turn")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        if self._found is None:
            return max(proposal["value"], 0)
        found = self._found
        count = len(found.sigmas if proposal["trait"].name == "noise" else found.degrees)
        return min(max(proposal["value"], 0), count - 1)


def write_sentence(found: Disturbances, noise: int, turn: int) -> str:
    """Say how many images each model gets right; the browser writes the same words.

    Parameters
    ----------
    found : Disturbances
    noise, turn : int
        Places of the strength and of the angle.

    Returns
    -------
    sentence : str
        Percentages are rounded to the nearest integer, halves upwards.
    """
    count = len(found.labels)
    counts = []
    for title in found.predictions:
        right = int(found.right(title)[noise, turn])
        percent = (200 * right + count) // (2 * count)
        counts.append(f"{title} gets {right} of {count} right ({percent} %)")
    change = Decimal(float(f"{float(found.change[noise, turn]):.4g}"))
    angle = f"{found.degrees[turn]:g}".replace("-", "−")
    return (
        f"Noise σ = {found.sigmas[noise]:g}, turned by {angle}°: {', '.join(counts)}. "
        f"A pixel has changed by {change.quantize(Decimal('0.001'), ROUND_HALF_UP)} on average."
    )
