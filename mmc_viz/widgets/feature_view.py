"""Linked maps of feature space: the same images move through each model's map as epsilon grows.

`mmc_viz.journeys` attacks the images and draws the maps; all of it is sent to the browser once, so
a move of the slider, a brush and a change of map are answered there, with or without a kernel. A
map that was not asked for at first, such as UMAP, which takes a while, can be drawn later.

    bundle   the attacked images, as `mmc_viz.bundles` packs them
    atlas    journeys and maps, as `mmc_viz.journeys` packs them
    map      which map is shown
    step     index of the budget
    chosen   places of the images that are picked out, in all maps alike
    classes  classes that are shown; empty: all
    tails    whether the way since the clean image is drawn
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import traitlets

from mmc_viz.attacks import pgd
from mmc_viz.bundles import pack
from mmc_viz.journeys import Journey, JourneyMap, draw, pack_maps, travel
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models

#: What each map is called on the menu.
NAMES = {"pca": "PCA", "plane": "plane of three classes", "umap": "UMAP"}
_MOST_IMAGES, _MOST_BUDGETS = 300, 41


@dataclass(frozen=True)
class FeatureViewSettings:
    """What a feature view computes.

    Parameters
    ----------
    models : tuple of str
        Shipped names, one map each.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split of what is attacked.
    objective : str
        What the attacker maximises.
    steps : int
        Of PGD, at each budget.
    eps : float
        The largest budget, in the unit of images in [0, 1].
    count : int
        Number of budgets, evenly spaced from 0.
    maps : tuple of str
        Of `pca`, `plane`, `umap`.
    plane : tuple of int
        Three classes that span the plane.
    background : int
        How many clean test images the maps are fitted to.
    seed : int
        Of attack and maps.
    """

    models: tuple[str, ...] = ("fashion-sce", "fashion-mmc")
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(120))
    objective: str = "margin"
    steps: int = 20
    eps: float | int = 0.1
    count: int = 16
    maps: tuple[str, ...] = ("pca", "plane", "umap")
    plane: tuple[int, ...] = (0, 3, 6)
    background: int = 500
    seed: int = 0

    @property
    def epsilons(self) -> list[float]:
        """The budgets, rounded to what their decimals say."""
        return [round(self.eps * k / (self.count - 1), 6) for k in range(self.count)]

    def check(self) -> None:
        """Refuse what cannot be shown.

        Raises
        ------
        ValueError
            With the name, the rule and the value.
        """
        if not 2 <= self.count <= _MOST_BUDGETS or not 0 < self.eps <= 1 or self.steps < 1:
            raise ValueError(
                f"`count` must be 2 to {_MOST_BUDGETS}, `steps` at least 1 and `eps` in (0, 1]; "
                f"got count={self.count}, steps={self.steps}, eps={self.eps}."
            )
        if not 0 < len(self.images) <= _MOST_IMAGES:
            raise ValueError(
                f"`images` must be 1 to {_MOST_IMAGES} images; got {len(self.images)}."
            )
        unknown = [name for name in self.maps if name not in NAMES]
        if unknown or not self.maps or len(set(self.maps)) < len(self.maps):
            raise ValueError(f"`maps` must be of {', '.join(NAMES)}, each once; got {self.maps}.")
        if self.background < 3:
            raise ValueError(f"`background` must be at least 3; got {self.background}.")


class FeatureView(LabWidget):
    """Maps of several models side by side, with a slider for epsilon and a brush.

    `FeatureView.of(models=..., images=..., eps=...)` computes what its settings ask for.

    Attributes
    ----------
    bundle, atlas : bytes
        What is drawn; see the module.
    map : str
        The map that is shown, one of those in the atlas.
    step : int
        Index of the budget. Beyond its range, the nearest one is taken.
    chosen : list[int]
        Places among the attacked images, rising.
    classes : list[int]
        Classes that are shown, rising; empty: all.
    tails : bool
    menu : dict[str, str]
        Maps that can be drawn, to what they are called.
    journeys : dict[str, Journey]
        Title of each model to what was computed.
    maps : dict[str, dict[str, JourneyMap]]
        Map to title to what was drawn.
    """

    _esm = assemble("feature_view.js")
    _css = style("feature_view.css")
    kind = "feature-view"
    Settings = FeatureViewSettings
    view = ("map", "step", "chosen", "classes", "tails")

    bundle = traitlets.Bytes().tag(sync=True)
    atlas = traitlets.Bytes().tag(sync=True)
    map = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int().tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)
    classes = traitlets.List(traitlets.Int()).tag(sync=True)
    tails = traitlets.Bool(True).tag(sync=True)
    menu = traitlets.Dict(NAMES).tag(sync=True)

    def __init__(self, **kwargs: Any):
        self.journeys: dict[str, Journey] = {}
        self.maps: dict[str, dict[str, JourneyMap]] = {}
        self._of: FeatureViewSettings | None = None  # what the journeys were computed for
        self._stamp_of = ""
        super().__init__(**kwargs)

    @property
    def sentence(self) -> str:
        """What the browser says under the maps."""
        return write_sentence(self.journeys, self.step)

    # ---- what is computed

    def _compute(self, settings: FeatureViewSettings, report: Report) -> dict[str, Any]:
        settings.check()
        sent: dict[str, Any] = {}
        same = replace(settings, maps=())
        if same != self._of or self._stamp(settings) != self._stamp_of:
            sent = self._travel(settings, report)
            self._of, self._stamp_of = same, self._stamp(settings)
        for k, name in enumerate(settings.maps):
            report(0.8 + 0.2 * k / len(settings.maps), f"drawing {NAMES[name]}…")
            self._draw(name, settings)
        maps = {name: self.maps[name] for name in settings.maps}
        self.maps = maps
        sent["atlas"] = pack_maps(self.journeys, maps, plane=settings.plane)
        return sent if self.map in maps else sent | {"map": settings.maps[0]}

    def _travel(self, settings: FeatureViewSettings, report: Report) -> dict[str, Any]:
        data = find_images(settings.dataset, settings.images)
        ground = find_images(settings.dataset, range(settings.background))
        models = find_models(settings.models, self._models)
        journeys = {}
        for k, (title, model) in enumerate(models.items()):
            report(0.8 * k / len(models), f"attacking {title}…")
            journeys[title] = travel(
                model,
                data.inputs(),
                data.labels,
                settings.epsilons,
                background=ground.inputs(),
                background_labels=ground.labels,
                attack=partial(pgd, steps=settings.steps, objective=settings.objective),
                seed=settings.seed,
            )
        paths = {title: journey.path for title, journey in journeys.items()}
        bundle = pack({settings.objective: paths}, data.class_names)
        first = not self.journeys
        self.journeys, self.maps = journeys, {}
        # What is shown of other images means nothing here.
        return {"bundle": bundle} | ({} if first else {"step": 0, "chosen": [], "classes": []})

    def _draw(self, name: str, settings: FeatureViewSettings) -> None:
        """Draw a map of each model, once."""
        if name not in self.maps:
            drawn = {
                title: draw(journey, name, plane=settings.plane, seed=settings.seed)
                for title, journey in self.journeys.items()
            }
            self.maps = {**self.maps, name: drawn}

    def add_map(self, name: str) -> None:
        """Draw one more map of the same journeys and show it.

        Parameters
        ----------
        name : {"pca", "plane", "umap"}
            UMAP takes some ten seconds the first time, for its program is then compiled.

        Raises
        ------
        ValueError
            If there is no such map.
        """
        self._add(name, lambda *_: None)

    def do_map(self, name: str) -> None:
        """Draw a map in a thread, at the browser's wish."""
        self._start(lambda report: self._add(str(name), report), "Drawn.")

    def _add(self, name: str, report: Report) -> None:
        if self.settings is None:
            raise ValueError("this view shows nothing yet; make it with `FeatureView.of()`.")
        if name not in NAMES:
            raise ValueError(f"`name` must be one of {', '.join(NAMES)}; got {name!r}.")
        if name not in self.settings.maps:
            report(-1.0, f"drawing {NAMES[name]}, which takes some seconds…")
            self._adopt(replace(self.settings, maps=(*self.settings.maps, name)))
        self.map = name

    # ---- what traits may be

    @traitlets.validate("map")
    def _must_be_drawn(self, proposal: traitlets.Bunch) -> str:
        if self.maps and proposal["value"] not in self.maps:
            raise traitlets.TraitError(
                f"`map` must be one of {', '.join(self.maps)}; got {proposal['value']!r}."
            )
        return proposal["value"]

    @traitlets.validate("step")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        last = len(next(iter(self.journeys.values())).path.epsilons) - 1 if self.journeys else 0
        return min(max(proposal["value"], 0), last)

    @traitlets.validate("chosen")
    def _keep_images(self, proposal: traitlets.Bunch) -> list[int]:
        count = len(next(iter(self.journeys.values())).path.labels) if self.journeys else 0
        return _among(proposal["value"], count)

    @traitlets.validate("classes")
    def _keep_classes(self, proposal: traitlets.Bunch) -> list[int]:
        count = len(next(iter(self.journeys.values())).anchors) if self.journeys else 0
        return _among(proposal["value"], count)


def write_sentence(journeys: dict[str, Journey], step: int) -> str:
    """Say how many images are fooled and how far features have moved; the browser says the same.

    Parameters
    ----------
    journeys : dict[str, Journey]
        Title of each model to its journey.
    step : int
        Index of the budget.
    """
    parts = []
    for title, journey in journeys.items():
        fooled, count = int(journey.path.success[step].sum()), len(journey.path.labels)
        moved = float(journey.median_moved[step])
        shares = write_fixed(moved / journey.class_distance, 2)
        way = write_fixed(100 * float(journey.median_way[step]), 0)
        parts.append(
            f"{title}: {fooled} of {count} fooled; features moved {write_fixed(moved, 1)} "
            f"({shares} class distances) and are {way} % of the way to another center (medians)."
        )
    epsilon = float(str(next(iter(journeys.values())).path.epsilons[step].numpy()))
    return " ".join([f"ε = {write_fixed(epsilon, 3)}.", *parts])


def write_fixed(value: float | int, digits: int) -> str:
    """Write a number with so many decimals, as JavaScript's toFixed does."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def _among(places: Iterable[int], count: int) -> list[int]:
    return sorted({place for place in places if 0 <= place < count})
