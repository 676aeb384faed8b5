"""What all figures of maps share: panels, axes, words over them, pictures for hovering."""

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from mmc_viz.embeddings import FeatureMap
from mmc_viz.figures import style
from mmc_viz.figures.pictures import braille

SMALL = style.TEXT_SIZE - 2  # pixels: of the lines over a panel
#: What each method is called in a sentence.
METHOD_NAMES = {"pca": "PCA", "plane": "plane of three classes", "umap": "UMAP", "tsne": "t-SNE"}

_LEGEND_ROW, _LEGEND_WIDTH = 34, 700  # pixels


def points_of_class(
    label: int, names: list[str], colours: style.Theme, x: list[float], y: list[float]
) -> go.Scatter:
    """Draw points of one class with its colour and symbol, without hover text."""
    name = style.quote(names[label])
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="markers",
        marker={
            "symbol": style.at(style.CLASS_SYMBOLS, label),
            "size": 6,
            "color": style.at(colours.classes, label),
            "opacity": 0.8,
        },
        legendgroup=name,
        hoverinfo="skip",
    )


def add(
    figure: go.Figure, traces: Iterable[go.Scatter], known: dict[str, None], *, row: int, col: int
) -> None:
    """Add traces to a panel; each name comes into the legend once."""
    for trace in traces:
        if trace.showlegend is not False:
            trace.showlegend = trace.name not in known
            known[trace.name] = None
        figure.add_trace(trace, row=row, col=col)


def map_axes(figure: go.Figure, drawn: FeatureMap, colours: style.Theme, **place: int) -> None:
    """Give a map axes as long as each other; they have numbers only where these mean something."""
    shares = drawn.variance or (None, None)
    for update, share in ((figure.update_xaxes, shares[0]), (figure.update_yaxes, shares[1])):
        settings: dict[str, Any] = {"nticks": 5}
        title = "" if share is None else f"{style.percent(share)} of the variance"
        if not drawn.is_linear:
            settings = {"ticks": "", "showticklabels": False, "showgrid": False, "mirror": True}
        update(style.axis(colours, **settings), **place)
        update(title=heading(title), **place)
    x = next(figure.select_xaxes(**place)).plotly_name.removeprefix("xaxis")
    figure.update_yaxes(scaleanchor=f"x{x}", **place)


def heading(text: str) -> dict[str, Any]:
    """Give the title of an axis, no larger than other text."""
    return {"text": text, "standoff": 10, "font": {"size": style.TEXT_SIZE - 1}}


def over(figure: go.Figure, lines: list[str], *, row: int, col: int) -> None:
    """Write lines above a panel."""
    x = next(figure.select_xaxes(row=row, col=col)).plotly_name.removeprefix("xaxis")
    figure.add_annotation(
        text="<br>".join(lines),
        x=0,
        y=1,
        xref=f"x{x} domain",
        yref=f"y{x} domain",
        xanchor="left",
        yanchor="bottom",
        yshift=4,
        align="left",
        showarrow=False,
        font={"size": style.TEXT_SIZE + 1},
    )


def small(text: str) -> str:
    """Write text in a smaller size than the panel's name."""
    return f'<span style="font-size:{SMALL}px">{text}</span>'


def legend(figure: go.Figure, known: dict[str, None], *, above: int = 0) -> None:
    """Put the legend along the bottom edge, with room for its rows and `above` pixels more."""
    rows, left = 1, _LEGEND_WIDTH
    for name in known:
        width = 52 + 8.8 * len(name)  # pixels: the symbol, the gaps and the letters
        if width > left:
            rows, left = rows + 1, _LEGEND_WIDTH
        left -= width
    room = 64 + above + _LEGEND_ROW * rows
    figure.layout.margin.b = room
    figure.layout.height += room
    figure.update_layout(legend=style.legend_below() | {"itemsizing": "constant"})


def texts(images: Any, shown: list[bool]) -> list[str]:
    """Write a picture, and the break after it, for each point that is to have one; else nothing."""
    if images is None:
        return [""] * len(shown)
    rows = [n for n, chosen in enumerate(shown) if chosen]
    drawn = dict(zip(rows, braille(images[rows].numpy()), strict=True))
    return [f"{drawn[n]}<br>" if n in drawn else "" for n in range(len(shown))]


def spread(total: int, count: int) -> list[bool]:
    """Choose `count` of `total` places, evenly spread; all, if there are no more."""
    if count >= total:
        return [True] * total
    return [(n + 1) * count // total > n * count // total for n in range(total)]


def columns(positions: list[list[float]]) -> tuple[list[float], list[float]]:
    """Part positions into x and y, without digits that nobody sees."""
    return [short(x) for x, _ in positions], [short(y) for _, y in positions]


def short(value: float) -> float:
    """Round to five significant digits: to less than a hundredth of a pixel."""
    return float(f"{value:.5g}")


def models(count: int) -> str:
    """Count models in words."""
    return "one model" if count == 1 else f"{count} models"
