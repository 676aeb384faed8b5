"""Several training runs in one figure: a look for each, their axes, and a legend that fits."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import plotly.graph_objects as go

from mmc_viz.figures import style


def check_highlight(highlight: Collection[str] | None, names: list[str]) -> None:
    """Refuse a name that no run has."""
    for name in highlight or ():
        if name not in names:
            raise ValueError(f"`highlight` must be of {', '.join(names)}; got {name!r}.")


def looks_of(
    names: Sequence[str], highlight: Collection[str] | None, colours: style.Theme
) -> dict[str, dict[str, Any]]:
    """Give each name a look of its own; grey where others are to stand out.

    A few have a colour and a dash each; many a colour and a symbol, since dashes cross badly.
    """
    shown = [name for name in names if highlight is None or name in highlight]
    few = len(shown) <= len(colours.series) - 1  # the last is the grey of the lines for comparison
    palette = colours.series[:-1] if few else colours.classes
    quiet = {"color": style.faint(colours.text, 0.45), "width": 1.4, "dash": "solid"}
    looks = {name: {"line": quiet, "mode": "lines", "showlegend": False} for name in names}
    for place, name in enumerate(shown):
        dash = style.at(style.DASHES, place if few else place // len(palette))
        looks[name] = {
            "line": {"color": style.at(palette, place), "width": 3 if few else 2.2, "dash": dash},
            "mode": "lines" if few else "lines+markers",
            "showlegend": True,
        }
        if not few:
            # One further on the second time round, or colour and symbol would come again together.
            symbol = style.at(style.CLASS_SYMBOLS, place + place // len(palette))
            looks[name]["marker"] = {"symbol": symbol, "size": 9, "maxdisplayed": 6}
    return looks


def others(colours: style.Theme) -> go.Scatter:
    """Give the legend one entry for all that do not stand out."""
    return go.Scatter(
        x=[None],
        y=[None],
        name="others",
        mode="lines",
        line={"color": style.faint(colours.text, 0.45), "width": 1.4},
        showlegend=True,
    )


def log_ticks(values: Sequence[float | int]) -> dict[str, Any]:
    """Give the ticks 1, 2, 5 of each power of ten, or the powers alone where these are many."""
    low, high = (math.log10(end) for end in (min(values, default=1.0), max(values, default=1.0)))
    # Half a power of ten at least, so that a tick stands in it.
    room = max(0.04 * (high - low) + 0.03, 0.25 - (high - low) / 2)
    steps = (1, 2, 5) if high - low <= 2.2 else (1,)
    powers = range(math.floor(low) - 1, math.ceil(high) + 2)
    ticks = [step * 10.0**power for power in powers for step in steps]
    ticks = [tick for tick in ticks if low - room <= math.log10(tick) <= high + room]
    return {
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
        "range": [low - room, high + room],
    }


def leave_room(figure: go.Figure, *, top: int) -> None:
    """Make the figure taller by what the legend below and the headings above need."""
    rows, used = 1, 0
    for trace in figure.data:
        if trace.showlegend is not False:
            width = 48 + 9 * len(trace.name)  # pixels: the line, and each letter
            rows, used = (rows, used + width) if used + width <= 640 else (rows + 1, width)
    bottom = 80 + 34 * rows
    figure.layout.margin.t += top
    figure.layout.margin.b = bottom
    figure.layout.height += top + bottom - 20
    figure.update_layout(legend=style.legend_below())


def count(epochs: int) -> str:
    """Say a number of epochs."""
    return f"{epochs} epoch" + "s" * (epochs != 1)
