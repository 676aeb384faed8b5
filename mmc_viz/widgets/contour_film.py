"""Watch features move over the contours of their loss while models train, several heads at once.

The models are small, with features in the plane, and are trained when the widget is opened. Then
everything is sent once, in one deflated block (`mmc_viz.films.packing`): a move needs no kernel.

    film   what is shown
    step   index of the epoch among those kept
    label  class whose loss the contours are; -1 for the least loss over all classes
    image  the image that is pointed at, in all panels; -1 for none
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import traitlets

from mmc_viz.films import Film, make_film, pack_film
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report


@dataclass(frozen=True)
class FilmSettings:
    """What is trained, and which moments are kept.

    Parameters
    ----------
    heads : tuple of str
        One panel each.
    dataset : str
        Name of the data set.
    epochs : int
        Passes over the training images.
    at : tuple of int
        Epochs to keep.
    batch_size : int
        Images a step.
    seed : int
        Of weights and order.
    images : tuple of int
        Places of the test images that are watched; none for all.
    """

    heads: tuple[str, ...] = ("sce", "mmlda", "lgm", "mmc")
    dataset: str = "digits"
    epochs: int = 10
    at: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 8, 10)
    batch_size: int = 64
    seed: int = 0
    images: tuple[int, ...] = ()


class ContourFilm(LabWidget):
    """Features in the plane through training; `ContourFilm.of()` trains four heads on digits."""

    _esm = assemble("contour_film.js")
    _css = style("contour_film.css")
    kind: ClassVar[str] = "contour-film"
    Settings: ClassVar[type] = FilmSettings
    view: ClassVar[tuple[str, ...]] = ("step", "label", "image")

    film = traitlets.Bytes().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    label = traitlets.Int(0).tag(sync=True)
    image = traitlets.Int(-1).tag(sync=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        #: The film as it was made, for questions from Python; None before.
        self.made: Film | None = None

    def _compute(self, settings: FilmSettings, report: Report) -> dict[str, Any]:
        made = make_film(
            settings.heads,
            settings.dataset,
            epochs=settings.epochs,
            at=settings.at,
            batch_size=settings.batch_size,
            seed=settings.seed,
            images=settings.images or None,
            progress=False,  # the frame of all widgets shows how far it is
            report=report,
        )
        self.made = made
        return {"film": pack_film(made)}

    def _set_view(self, view: dict[str, Any]) -> None:
        film = self.made
        if film is not None:
            ranges = {
                "step": range(len(film.epochs)),
                "label": range(-1, len(film.class_names)),
                "image": range(-1, len(film.labels)),
            }
            for name, value in view.items():
                if value not in ranges[name]:
                    raise ValueError(
                        f"`{name}` must be {ranges[name][0]} .. {ranges[name][-1]}; got {value}."
                    )
        super()._set_view(view)
