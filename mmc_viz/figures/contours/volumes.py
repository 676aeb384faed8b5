"""Surfaces of equal loss in three dimensions of feature space."""

import math
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.contours import FeatureContours
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure


def loss_volume(
    contours: FeatureContours | dict[str, FeatureContours],
    *,
    between: tuple[float | int, float | int] = (1.0, 10.0),
    count: int = 2,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw surfaces of equal loss, and features, in a space of three dimensions that turns.

    Colour is the loss. Features have the colour and the symbol of their class, so far as 3-D has
    it; those of classes that do not span the space are left out.

    Parameters
    ----------
    contours : FeatureContours or dict[str, FeatureContours]
        What `loss_in_space` gives; or names to those of two models, side by side.
    between : pair of float
        Lowest and highest loss with a surface, positive. A small ball needs a fine grid: where the
        grid does not reach a loss there is no surface, and the figure says so.
    count : int
        Number of surfaces; from one to the next the loss grows by the same factor.
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
        If there are none or more than two contours, one of them is not of a space, the losses are
        not positive or do not rise, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = contours if isinstance(contours, dict) else {"": contours}
    if not 1 <= len(named) <= 2:
        raise ValueError(f"`contours` must be one or two; got {len(named)}.")
    for one in named.values():
        if len(one.ticks) != 3:
            raise ValueError(
                "`contours` must be those of a space. Use `feature_scatter_2d` for a plane."
            )
    lowest, highest = between
    if not 0 < lowest < highest < math.inf:
        raise ValueError(f"`between` must be positive, finite and rise; got {between}.")
    if count < 2:
        raise ValueError(f"`count` must be at least 2; got {count}.")
    levels = [lowest * (highest / lowest) ** (i / (count - 1)) for i in range(count)]
    figure = make_subplots(
        figure=Figure(),
        rows=1,
        cols=len(named),
        specs=[[{"type": "scene"}] * len(named)],
        horizontal_spacing=0.02,
        column_titles=[f"<b>{style.quote(name)}</b>" for name in named] if len(named) > 1 else None,
    )
    shown: set[str] = set()  # in the legend, once each
    for column, one in enumerate(named.values(), start=1):
        for trace in [_surfaces(one, levels), *_points(one, colours)]:
            if trace.showlegend is None:
                trace.showlegend = trace.name not in shown
                shown.add(trace.name)
            figure.add_trace(trace, row=1, col=column)
        plain = {
            "color": colours.text,
            "gridcolor": colours.grid,
            "zeroline": False,
            "showbackground": False,
            "nticks": 5,
            "tickfont": {"size": 14},
        }
        kind = "feature" if one.plane.is_whole else "direction"
        figure.update_scenes(
            **{
                f"{axis}axis": plain | {"title": {"text": f"{kind} {i}", "font": {"size": 15}}}
                for i, axis in enumerate("xyz", start=1)
            },
            camera={"eye": dict.fromkeys("xy", 1.5 + 0.5 * (len(named) - 1)) | {"z": 1.1}}
            | {"center": {"x": 0, "y": 0, "z": -0.12}},
            aspectmode="cube",
            col=column,
        )
    figure.update_layout(
        style.layout(
            colours,
            title=title or _title(named),
            subtitle=_subtitle(named, levels),
            height=620 if len(named) == 1 else 370,
        ),
        coloraxis=_colour_axis(levels),
        legend=style.legend_below() | {"itemsizing": "constant"},
    )
    figure.layout.margin.t += 26 if len(named) > 1 else 0
    figure.layout.margin.b = 110
    figure.layout.height += 90
    figure.layout.margin.l = 10
    figure.update_annotations(font={"size": style.TEXT_SIZE + 1, "color": colours.text})
    return style.describe(figure, _sentence(named, levels))


def _reached(one: FeatureContours, levels: list[float]) -> list[float]:
    lowest, highest = one.range
    return [level for level in levels if lowest < level < highest]


def _surfaces(one: FeatureContours, levels: list[float]) -> go.Isosurface:
    # Plotly wants one entry a point; the grid's last axis is x.
    x, y, z = (_shorts(axis.tolist()) for axis in one.ticks)
    places = [(a, b, c) for c in z for b in y for a in x]
    return go.Isosurface(
        x=[place[0] for place in places],
        y=[place[1] for place in places],
        z=[place[2] for place in places],
        value=_shorts(one.log10.flatten().tolist()),
        isomin=math.log10(levels[0]),
        isomax=math.log10(levels[-1]),
        surface={"count": len(levels)},
        coloraxis="coloraxis",
        opacity=0.35,
        caps={axis: {"show": False} for axis in "xyz"},
        name="loss",
        showlegend=False,
        hovertemplate="loss 10<sup>%{value:.2f}</sup><extra></extra>",
    )


def _points(one: FeatureContours, colours: style.Theme) -> list[go.Scatter3d]:
    told = one.plane.classes or tuple(range(len(one.class_names)))
    traces = []
    if one.features is not None:
        places, labels = one.features.coordinates.tolist(), one.features.labels.tolist()
        losses = one.feature_losses.tolist()
        for k in told:
            rows = [i for i, label in enumerate(labels) if label == k]
            if not rows:
                continue
            name = style.quote(one.class_names[k])
            traces.append(
                go.Scatter3d(
                    **_coordinates([places[i] for i in rows]),
                    text=[f"image {i}, {name}<br>its own loss {losses[i]:.3g}" for i in rows],
                    mode="markers",
                    name=name,
                    marker={
                        "color": style.at(colours.classes, k),
                        "symbol": style.at(_SYMBOLS, k),
                        "size": 3.5,
                    },
                    legendgroup=name,
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    if one.centers is not None:
        names = [style.quote(one.class_names[k]) for k in one.centers.labels.tolist()]
        what = "center" if one.centers_are == "centers" else "mean"
        traces.append(
            go.Scatter3d(
                **_coordinates(one.centers.coordinates.tolist()),
                text=[f"<b>{name}</b>" for name in names],
                hovertext=[f"{what} of {name}" for name in names],
                mode="markers+text",
                textposition="top center",
                textfont={"size": 14, "color": colours.text},
                name="class centers or means",
                marker={"color": colours.text, "symbol": "diamond", "size": 6},
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return traces


#: 3-D scenes know only these.
_SYMBOLS = ("circle", "diamond", "square", "cross", "x", "circle-open", "square-open")


def _coordinates(places: list[list[float]]) -> dict[str, list[float]]:
    return {axis: _shorts([place[i] for place in places]) for i, axis in enumerate("xyz")}


def _colour_axis(levels: list[float]) -> dict[str, Any]:
    powers = [math.log10(level) for level in levels]
    return {
        "colorscale": style.SCALE,
        "cmin": powers[0],
        "cmax": powers[-1],
        "colorbar": {
            "title": {"text": "loss", "side": "top"},
            "tickvals": powers,
            "ticktext": [f"{level:.3g}" for level in levels],
            "outlinewidth": 0,
            "thickness": 14,
            "len": 0.7,
        },
    }


def _title(named: dict[str, FeatureContours]) -> str:
    labels = {
        one.label if one.label is None else one.class_names[one.label] for one in named.values()
    }
    if labels == {None}:
        return "Surfaces of equal loss, the least over all classes"
    if len(labels) == 1:
        return f"Surfaces of equal loss of class “{style.quote(labels.pop())}”"
    return "Surfaces of equal loss"


def _subtitle(named: dict[str, FeatureContours], levels: list[float]) -> str:
    parts = []
    for name, one in named.items():
        missing = [f"{level:.3g}" for level in levels if level not in _reached(one, levels)]
        words = []
        shares = [(level, one.share_below(level)) for level in levels]
        within = [
            f"{style.percent(share)} within loss {level:.3g}"
            for level, share in shares
            if share is not None
        ]
        if within:
            words.append(f"of the features of the class {', '.join(within)}")
        if missing:
            words.append(f"no surface for loss {', '.join(missing)}")
        if one.features is not None and not one.plane.is_whole:
            share = style.percent(one.features.variance_left_out)
            words.append(f"{share} of the variance lies off this space")
        if words:
            said = ", ".join(words)
            parts.append(f"{style.quote(name)}: {said}" if name else said[0].upper() + said[1:])
    return "; ".join(parts)


def _sentence(named: dict[str, FeatureContours], levels: list[float]) -> str:
    parts = []
    for name, one in named.items():
        start = f"{style.quote(name)}: s" if name else "S"
        reached = ", ".join(f"{level:.3g}" for level in _reached(one, levels)) or "none"
        lowest, highest = one.range
        count = 0 if one.features is None else len(one.features.labels)
        parts.append(
            f"{start}urfaces of equal loss at {reached}, in a space where "
            f"it goes from {lowest:.3g} to {highest:.3g}, with {count} features"
        )
    words = _subtitle(named, levels)
    return ". ".join([*parts, *([words] if words else [])]) + "."


def _shorts(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
