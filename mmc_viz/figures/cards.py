"""The outcome of an audit on one card."""

from typing import Any

import plotly.graph_objects as go

from mmc_viz.audit import AuditReport
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure

_WIDTH = (
    720  # pixels of the card, which stands amid the figure: plotly cannot break lines by itself
)
_INDENT = 60  # of text beside a sign
_NAME, _SMALL = 24, 20  # pixels a line
_SENTENCE_WIDTH, _EVIDENCE_WIDTH = 80, 86  # characters that fit in, also in a wide font

_SIGNS = {"pass": "✓", "warn": "!", "fail": "✕"}


def audit_card(report: AuditReport, *, title: str | None = None, theme: str = "both") -> go.Figure:
    """Draw the verdict of an audit, the claim beside what was found, and each check in a row.

    Parameters
    ----------
    report : AuditReport
    title : str, optional
        Line below the verdict: the name of the model, say. None: what was attacked.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure
        720 pixels of content amid the figure, whatever its width.

    Raises
    ------
    ValueError
        If the theme is unknown, or a verdict is none of pass, warn and fail.
    """
    card = _Card(style.resolve(theme))
    verdict = "fail" if report.masked else "pass"
    says = "Masked: the claim does not hold" if report.masked else "No sign of masking"
    card.sign(verdict, 24, 44, radius=19)
    card.write(f"<b>{says}</b>", x=_INDENT + 8, y=24, size=26)
    said = f"{report.images} images, {report.norm}, epsilon {report.eps:.4g}"
    card.write(title or said, x=_INDENT + 8, y=60, size=15)

    card.bar(f"claimed ({style.quote(report.about)})", report.claim, card.theme.text, y=100)
    card.bar("lowest accuracy found", report.accuracy, card.colour(verdict), y=150)
    card.down = 214
    for check in report.checks:
        card.row(check.name, check.verdict, check.sentence, check.evidence)
    failed = sum(check.verdict == "fail" for check in report.checks)
    return style.describe(
        card.figure(),
        f"{says}: {style.percent(report.claim)} of {report.images} images claimed, "
        f"{style.percent(report.accuracy)} found, {failed} of {len(report.checks)} checks failed.",
    )


def _joined(text: str) -> str:
    """Keep `p = 0.5` from being broken at its spaces."""
    return text.replace(" = ", "\u00a0=\u00a0")


class _Card:
    """Collects what is drawn, placed by pixels from the upper left corner of the card."""

    def __init__(self, theme: style.Theme):
        self.theme = theme
        self.texts: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.down = 0  # how far the card is filled

    def colour(self, verdict: str) -> str:
        colours = {"pass": self.theme.right, "warn": self.theme.doubtful, "fail": self.theme.wrong}
        if verdict not in colours:
            raise ValueError(f"`verdict` must be one of {', '.join(colours)}; got {verdict!r}.")
        return colours[verdict]

    def write(
        self,
        text: str,
        *,
        x: float | int,
        y: float | int,
        size: int,
        colour: str | None = None,
        anchor: tuple[str, str] = ("left", "top"),
    ) -> None:
        self.texts.append(
            {"text": text, "x": 0.5, "y": 1, "xref": "paper", "yref": "paper"}
            | {"xshift": x - _WIDTH / 2, "yshift": -y, "xanchor": anchor[0], "yanchor": anchor[1]}
            | {"align": anchor[0], "showarrow": False, "borderpad": 0}
            | {"font": {"size": size, "color": colour or self.theme.text}}
        )

    def draw(self, kind: str, box: tuple[float | int, ...], **settings: Any) -> None:
        """Draw a shape in the box (left, top, right, bottom)."""
        left, top, right, bottom = box
        self.shapes.append(
            {"type": kind, "xref": "paper", "yref": "paper", "xanchor": 0.5, "yanchor": 1}
            | {"xsizemode": "pixel", "x0": left - _WIDTH / 2, "x1": right - _WIDTH / 2}
            | {"ysizemode": "pixel", "y0": -top, "y1": -bottom}
            | settings
        )

    def sign(self, verdict: str, x: int, y: int, *, radius: int) -> None:
        """Draw the sign of a verdict: told apart by shape, not by colour alone."""
        box = (x + 6 - radius, y - radius, x + 6 + radius, y + radius)
        self.draw("circle", box, fillcolor=self.colour(verdict), line={"width": 0})
        self.write(
            f"<b>{_SIGNS[verdict]}</b>",
            x=x + 6,
            y=y,
            size=round(1.25 * radius),
            colour="#ffffff",
            anchor=("center", "middle"),
        )

    def bar(self, label: str, share: float | int, colour: str, *, y: int) -> None:
        """Draw a share, 0..1, as a bar in a frame that stands for 1."""
        left, right = _INDENT + 8, _WIDTH - 125
        self.write(label, x=left, y=y - 4, size=15)
        box = (left, y + 18, right, y + 36)
        self.draw("rect", box, line={"width": 1, "color": self.theme.grid})
        end = left + share * (right - left)
        self.draw("rect", (left, y + 18, end, y + 36), fillcolor=colour, line={"width": 0})
        number = f"<b>{style.percent(share)}</b>"
        self.write(number, x=right + 12, y=y + 27, size=22, anchor=("left", "middle"))

    def row(self, name: str, verdict: str, sentence: str, evidence: str) -> None:
        """Write a check below what is there."""
        rule = {"width": 1, "color": self.theme.grid}
        self.draw("line", (16, self.down, _WIDTH - 16, self.down), line=rule)
        top = self.down + 10
        self.sign(verdict, 24, top + 13, radius=14)
        self.write(f"<b>{style.quote(name)}</b>", x=_INDENT + 8, y=top, size=17)
        self.write(
            f"<b>{verdict}</b>",
            x=_WIDTH - 20,
            y=top,
            size=16,
            colour=self.colour(verdict),
            anchor=("right", "top"),
        )
        top += _NAME
        for text, width, size in (
            (sentence, _SENTENCE_WIDTH, 15),
            (evidence, _EVIDENCE_WIDTH, 14),
        ):
            lines = [style.quote(line) for line in style.wrap(_joined(text), width)]
            shown = "<br>".join(lines)
            self.write(f"<i>{shown}</i>" if size == 14 else shown, x=_INDENT + 8, y=top, size=size)
            top += _SMALL * len(lines)
        self.down = top + 12

    def figure(self) -> go.Figure:
        hidden = {"visible": False, "fixedrange": True}
        frame = {"color": self.theme.grid, "width": 1.5}
        self.draw("rect", (0, 0, _WIDTH, self.down), line=frame)
        return Figure(
            layout=style.layout(self.theme, title="", height=self.down)
            | {"title": None, "height": self.down + 20, "xaxis": hidden, "yaxis": hidden}
            | {"margin": {"t": 10, "l": 0, "r": 0, "b": 10}, "dragmode": False}
            | {"annotations": self.texts, "shapes": self.shapes}
        )
