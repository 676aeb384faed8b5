"""Draw a digit, and see what two models make of it and how little changes their minds.

The browser holds the drawing, 32 x 32 dots; the kernel makes the 8 x 8 picture of it that a model
can read, asks each model, and attacks it until it sees something else (`mmc_viz.drawings`).
"""

from dataclasses import dataclass
from typing import Any

import torch
import traitlets
from jaxtyping import Bool, UInt8
from torch import Tensor

from mmc_viz.drawings import SIDE, draw, opinion, to_digit
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_models

#: What stands in the field at first: a seven.
SEVEN = draw([(8, 5), (24, 5), (13, 27)], [(12, 16), (21, 16)])


@dataclass(frozen=True)
class DrawingSettings:
    """Who looks at the drawing.

    Parameters
    ----------
    models : tuple of str
        Shipped names, of models that take pictures of 8 x 8.
    eps : float
        The largest budget that is tried, in the unit of pictures in [0, 1].
    count : int
        How many budgets, evenly spaced.
    seed : int
        Of the attack's random starts.
    """

    models: tuple[str, ...] = ("digits-sce", "digits-mmc")
    eps: float | int = 0.4
    count: int = 20
    seed: int = 0


class DrawDigit(LabWidget):
    """A field to draw in, the picture that is made of it, and the opinions of models.

    Attributes
    ----------
    drawing : str
        The dots, row by row, as 256 hexadecimal digits; each stands for four dots.
    picture : bytes
        8 x 8 grey levels; empty as long as no one was asked.
    opinions : list of dict
        For each model its `title`, what it `sees`, from which `eps` on it sees what (`then`), and
        the `changed` picture; None where nothing changed its mind.
    asked : str
        The drawing that the opinions are about.
    """

    _esm = assemble("draw_digit.js")
    _css = style("draw_digit.css")
    kind = "draw-digit"
    Settings = DrawingSettings
    view = ("drawing",)

    drawing = traitlets.Unicode().tag(sync=True)
    asked = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    opinions = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self, **kwargs: Any):
        super().__init__(drawing=to_hex(SEVEN), **kwargs)

    @property
    def image(self) -> UInt8[Tensor, "1 1 8 8"]:
        """The drawing as a picture like those of the data set."""
        return to_digit(from_hex(self.drawing))

    @property
    def sentences(self) -> list[str]:
        """What the browser says of each model."""
        return [write_opinion(one, self.settings.eps) for one in self.opinions]

    def look(self) -> None:
        """Ask all models about the drawing."""
        self._deliver(**self._opinions(self.settings, lambda *_: None))

    def do_look(self, drawing: str) -> None:
        """Ask all models about the drawing of the browser."""
        from_hex(drawing)
        self.drawing = drawing
        self._start(lambda report: self._deliver(**self._opinions(self.settings, report)))

    def _compute(self, settings: DrawingSettings, report: Report) -> dict[str, Any]:
        if settings.count < 1 or not 0 < settings.eps <= 1:
            raise ValueError(
                "`count` must be at least 1 and `eps` in (0, 1]; "
                f"got count={settings.count}, eps={settings.eps}."
            )
        self._subjects = find_models(settings.models, self._models)
        return self._opinions(settings, report)

    def _opinions(self, settings: DrawingSettings, report: Report) -> dict[str, Any]:
        drawing, picture = self.drawing, self.image
        steps = range(1, settings.count + 1)
        epsilons = [round(settings.eps * k / settings.count, 6) for k in steps]
        opinions = []
        for title, model in self._subjects.items():
            report(-1.0, f"asking {title}…")
            found = opinion(model, picture, epsilons=epsilons, seed=settings.seed)
            changed = None if found.changed is None else found.changed.flatten().tolist()
            opinions.append(
                {
                    "title": title,
                    "sees": found.sees,
                    "eps": found.eps and round(found.eps, 6),
                    "then": found.then,
                    "changed": changed,
                    "most": settings.eps,
                }
            )
        report(-1.0, " ")
        data = bytes(picture.flatten().tolist())
        return {"picture": data, "opinions": opinions, "asked": drawing}

    def _set_view(self, view: dict[str, Any]) -> None:
        """Take over the drawing of a code, and ask about it."""
        if "drawing" in view and view["drawing"] != self.drawing:
            from_hex(view["drawing"])
            self.drawing = view["drawing"]
            self.look()


def write_opinion(one: dict[str, Any], most: float | int) -> str:
    """Put an opinion into words, as the browser does."""
    if one["eps"] is None:
        return f"{one['title']} sees {one['sees']}, and no ε up to {most:.2f} changed its mind."
    return f"{one['title']} sees {one['sees']}; from ε = {one['eps']:.2f} on it sees {one['then']}."


def to_hex(bitmap: Bool[Tensor, "32 32"]) -> str:
    """Write dots as hexadecimal digits, row by row, four dots each, the first the highest bit."""
    bits = "".join(str(int(dot)) for dot in bitmap.flatten().tolist())
    return f"{int(bits, 2):0{SIDE * SIDE // 4}x}"


def from_hex(text: str) -> Bool[Tensor, "32 32"]:
    """Read what `to_hex` wrote.

    Raises
    ------
    ValueError
        If it is no drawing.
    """
    digits = SIDE * SIDE // 4
    if len(text) != digits or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f"`drawing` must be {digits} hexadecimal digits; got {text[:20]!r}.")
    bits = f"{int(text, 16):0{SIDE * SIDE}b}"
    return torch.tensor([bit == "1" for bit in bits]).reshape(SIDE, SIDE)
