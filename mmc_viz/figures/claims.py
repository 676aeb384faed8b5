"""What is claimed of models, and what was found, on one scale."""

from collections.abc import Sequence

import plotly.graph_objects as go

from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure
from mmc_viz.results import MEASURED, Published

_ROW, _HEAD, _AROUND = 30, 34, 150  # pixels: of a line, a heading, and above and below all
#: How far a figure can be relied on: its words, its place among the colours, its symbol.
_KINDS = {
    "claimed": ("claimed by the authors", 4, "diamond-open"),
    "reported by a user": ("reported by a user", 5, "triangle-up-open"),
    "independent": ("found by others", 0, "circle"),
    MEASURED: ("measured here", 1, "square"),
}


def claims(
    figures: Sequence[Published], *, title: str | None = None, theme: str = "both"
) -> go.Figure:
    """Draw each figure as a point: one line an attack, under the name of the model.

    A stroke on each line is the clean accuracy. Hollow markers are what nobody else has confirmed.

    Parameters
    ----------
    figures : sequence of Published
        Of others, and from `mmc_viz.results.as_published` our own.
    title : str, optional
        None: a plain one.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there is none, or the theme is unknown.
    """
    colours = style.resolve(theme)
    if not figures:
        raise ValueError("`figures` must hold at least one; got none.")
    models = list(dict.fromkeys(one.model for one in figures))
    heads, places, down = {}, {}, 0.0
    for model in models:
        heads[model] = down
        down += _HEAD / _ROW
        for k, one in enumerate(figures):
            if one.model == model:
                places[k] = down
                down += 1
        down += 0.3
    figure = Figure(
        go.Scatter(
            x=[one.clean for one in figures],
            y=[places[k] for k in range(len(figures))],
            mode="markers",
            name="clean accuracy",
            marker={
                "symbol": "line-ns-open",
                "size": 16,
                "color": colours.text,
                "line": {"width": 2},
            },
            text=[
                f"{style.quote(one.model)}<br>clean: {style.percent(one.clean)}" for one in figures
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    for kind, (words, place, symbol) in _KINDS.items():
        rows = [k for k, one in enumerate(figures) if one.reliability == kind]
        if rows:
            figure.add_trace(_points([figures[k] for k in rows], [places[k] for k in rows]))
            marker = {"symbol": symbol, "size": 14, "color": colours.series[place]}
            figure.data[-1].update(name=words, marker=marker | {"line": {"width": 2.5}})
    height = round(down * _ROW) + _AROUND
    figure.update_layout(
        style.layout(
            colours,
            title=title or "What is claimed, and what was found",
            subtitle="Share of images that is still right under the attack",
            height=height,
        )
    )
    figure.update_xaxes(
        style.axis(colours, "accuracy", range=[-0.03, 1.03], tickformat=".0%", nticks=6)
    )
    figure.update_yaxes(
        style.axis(colours, "")
        | {"range": [down - 0.2, -0.7], "tickvals": [places[k] for k in range(len(figures))]}
        | {"ticktext": [_attack(one) for one in figures], "fixedrange": True}
    )
    for model, where in heads.items():
        figure.add_annotation(
            text=f"<b>{style.quote(model)}</b>",
            x=0,
            xref="x",
            y=where,
            yref="y",
            xanchor="left",
            showarrow=False,
            font={"size": style.TEXT_SIZE, "color": colours.text},
        )
    figure.update_layout(legend=style.legend_below(), margin={"b": 110, "l": 10})
    return style.describe(figure, _summary(figures))


def _points(figures: list[Published], down: list[float]) -> go.Scatter:
    return go.Scatter(
        x=[one.accuracy for one in figures],
        y=down,
        mode="markers",
        text=[
            f"{style.quote(one.model)}<br>{style.quote(_attack(one))}: "
            f"{style.percent(one.accuracy)}<br>{style.quote(one.source)}"
            for one in figures
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _attack(one: Published) -> str:
    return f"{one.attack}, {one.budget}"


def _summary(figures: Sequence[Published]) -> str:
    """Say the lowest figure of each model, in one sentence."""
    lowest: dict[str, Published] = {}
    for one in figures:
        if one.model not in lowest or one.accuracy < lowest[one.model].accuracy:
            lowest[one.model] = one
    said = [
        f"{style.quote(model)}: {style.percent(one.accuracy)} ({style.quote(_attack(one))})"
        for model, one in lowest.items()
    ]
    return f"{len(figures)} figures; the lowest of each model: {'; '.join(said)}."
