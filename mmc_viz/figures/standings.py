"""All models on one plane: how often right, and how often still right under attack."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from mmc_viz.figures import style
from mmc_viz.figures.labels import Box, Page, place_names
from mmc_viz.figures.shown import Figure
from mmc_viz.results import PROTOCOL, TITLES, AtBudget, Summary, budget

_STANDS_OUT = 0.15  # share of the images, left or seemingly left, from which a model is named
_MARKER, _DASH = 12, 24  # pixels
_SIZES = [(530, 320), (780, 430)]  # of the plot on a narrow and on a wide page, pixels
_Y_RANGE = [-0.03, 1.06]


def standings(
    summaries: Sequence[Summary],
    *,
    budgets: dict[str, float] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw each model at its clean accuracy and at what the worst case leaves of it.

    A line goes up from each model to a dash at what cross-entropy PGD leaves: the longer it is, the
    more the usual attack flatters the model. Colours and symbols are data sets; a ring is a model
    that was trained adversarially. A model bears its name if it holds something, or seems to, and
    there is room; the others lie close together at the bottom, and hovering tells them apart.

    Parameters
    ----------
    summaries : sequence of Summary
        Models without a worst case at their budget are left out.
    budgets : dict[str, float], optional
        For each data set the budget in linf, in the unit of the images, at which all of its models
        are shown. None: the one that adversarial training is for, `Protocol.trained`.
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
        If no model has a worst case at its budget, or the theme is unknown.
    """
    colours = style.resolve(theme)
    budgets = {dataset: one.trained for dataset, one in PROTOCOL.items()} | (budgets or {})
    shown = [(one, one.at_budget(budgets[one.dataset])) for one in summaries]
    shown = [(one, at) for one, at in shown if at is not None and at.worst is not None]
    if not shown:
        raise ValueError("`summaries` must hold a model with a worst case at its budget.")
    figure = Figure()
    datasets = list(dict.fromkeys(one.dataset for one, _ in shown))
    for place, dataset in enumerate(datasets):
        here = [(one, at) for one, at in shown if one.dataset == dataset]
        colour = style.at(colours.series, place)
        figure.add_trace(_claims(here, colour))
        for adversarial in (False, True):
            group = [(one, at) for one, at in here if (one.adversarial is not None) == adversarial]
            if group:
                figure.add_trace(_models(group, dataset, place, adversarial, colour, budgets))
    x_range = _with_room(shown)
    figure.update_xaxes(style.axis(colours, "clean accuracy", tickformat=".3~%", range=x_range))
    figure.update_yaxes(
        style.axis(colours, "still right under attack", range=_Y_RANGE, tickformat=".0%")
    )
    said = ", ".join(f"{TITLES[d]} {budget(budgets[d])}" for d in datasets)
    figure.update_layout(
        style.layout(
            colours,
            title=title or "What holds, and what only looked as if it did",
            subtitle=f"Markers: the worst case within linf ({said}); dashes: what PGD-50 on "
            "cross-entropy leaves.",
            height=600,
        )
    )
    hues = {dataset: style.at(colours.series, place) for place, dataset in enumerate(datasets)}
    figure.update_layout(
        legend=style.legend_below(),
        margin_b=120,
        annotations=_names(shown, x_range, hues),
    )
    return style.describe(figure, _sentence(shown))


def _with_room(shown: list) -> list[float]:
    """Give the axis room for a name on either side of the outermost models."""
    clean = [one.clean for one, _ in shown]
    room = 0.1 * (max(clean) - min(clean)) or 0.01
    return [min(clean) - room, max(clean) + room]


def _claims(here: list, colour: str) -> go.Scatter:
    """Give the lines from the worst case up to the usual attack."""
    x, y = [], []
    for one, at in here:
        if at.usual is not None:
            x += [one.clean, one.clean, None]
            y += [at.worst, at.usual, None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": style.faint(colour, 0.6), "width": 2},
        # A dash at the upper end alone: below, the model's own marker stands.
        marker={
            "symbol": "line-ew",
            "size": [0, _DASH // 2, 0] * (len(x) // 3),
            "line": {"width": 2.5, "color": colour},
        },
        hoverinfo="skip",
        showlegend=False,
    )


def _names(shown: list, x_range: list[float], hues: dict[str, str]) -> list[dict[str, Any]]:
    """Write by the upper end of each line whose it is, where there is room for that."""
    named = [(_top(at), one) for one, at in shown if _top(at) >= _STANDS_OUT]
    named.sort(key=lambda pair: pair[0], reverse=True)
    texts = [one.name.partition("-")[2] or one.name for _, one in named]
    pages = [_page(shown, named, x_range, width, height) for width, height in _SIZES]
    size = style.TEXT_SIZE - 2
    return [
        {
            "x": one.clean,
            "y": top,
            "text": style.quote(text),
            "ax": offset[0],
            "ay": -offset[1],  # plotly counts downwards
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": hues[one.dataset],
            "borderpad": 0,
            "font": {"size": size},
        }
        for (top, one), text, offset in zip(
            named, texts, place_names(texts, pages, size=size), strict=True
        )
        if offset is not None
    ]


def _page(shown: list, named: list, x_range: list[float], width: int, height: int) -> Page:
    """Say where all stands on a plot of some size, in pixels."""

    def pixels(x: float | int, y: float | int) -> tuple[float, float]:
        return _scaled(x, x_range, width), _scaled(y, _Y_RANGE, height)

    obstacles = []
    for one, at in shown:
        (x, low), (_, high) = pixels(one.clean, at.worst), pixels(one.clean, _top(at))
        obstacles.append(Box.about(x, low, _MARKER + 4, _MARKER + 4))
        obstacles += [Box(x - 2, low, x + 2, high), Box.about(x, high, _DASH, 4)]
    points = [pixels(one.clean, top) for top, one in named]
    return Page(points, Box(0, 0, width, height), obstacles)


def _top(at: AtBudget) -> float | int:
    """Give the upper end of a model's line."""
    return max(at.worst, at.usual or 0)


def _scaled(value: float | int, limits: list[float], pixels: int) -> float:
    low, high = limits
    return pixels * (value - low) / (high - low)


def _models(
    group: list,
    dataset: str,
    place: int,
    adversarial: bool,
    colour: str,
    budgets: dict[str, float],
) -> go.Scatter:
    symbol = style.at(style.SYMBOLS, place)
    eps = budget(budgets[dataset])
    return go.Scatter(
        x=[one.clean for one, _ in group],
        y=[at.worst for _, at in group],
        error_y={
            "type": "data",
            "array": [at.high - at.worst for _, at in group],
            "arrayminus": [at.worst - at.low for _, at in group],
            "thickness": 1,
            "width": 3,
        },
        mode="markers",
        name=TITLES[dataset] + (", adversarially trained" if adversarial else ""),
        marker={
            "symbol": symbol + ("-open" if adversarial else ""),
            "size": _MARKER,
            "color": colour,
            "line": {"width": 2.5 if adversarial else 1},
        },
        customdata=[[one.name, _percent(at.usual), _percent(at.adaptive)] for one, at in group],
        hovertemplate=(
            f"%{{customdata[0]}}, linf {eps}<br>clean %{{x:.1%}}, worst case %{{y:.1%}}<br>"
            "cross-entropy PGD %{customdata[1]}, MMC's objective %{customdata[2]}<extra></extra>"
        ),
    )


def _percent(value: float | None) -> str:
    return "not measured" if value is None else style.percent(value)


def _sentence(shown: list) -> str:
    parts = [
        f"{one.name}: {style.percent(one.clean)} clean, {_percent(at.usual)} under cross-entropy, "
        f"{style.percent(at.worst)} in the worst case"
        for one, at in shown
    ]
    return f"{len(shown)} models. {'; '.join(parts)}."
