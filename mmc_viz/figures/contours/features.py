"""A model's features on the contours of its loss."""

import math
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.contours import ContourDifference, FeatureContours
from mmc_viz.figures import style
from mmc_viz.figures.contours import feature_words as words
from mmc_viz.figures.shown import Figure

_DECADES = 0.5  # between two contours, in powers of ten
_LOWEST, _HIGHEST = -3.0, 2.5  # of the colours, in powers of ten
_TRUTH = "true level set"
_MANY = 4000  # points that SVG still draws fast

Differences = ContourDifference | list[ContourDifference]


def feature_scatter_2d(
    contours: FeatureContours | dict[str, FeatureContours],
    differences: Differences | dict[str, Differences] | None = None,
    *,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw features over the contours of a loss, with the theorem's curves on top.

    Colour is the loss, on a scale of powers of ten that two models share. A class has its colour
    and its symbol; a star is its center or, for a head without centers, its mean. Where the picture
    is a plane of a larger space, only the classes that span it are told apart. The theorem's
    contour is dashed, on the band of the true level set.

    Parameters
    ----------
    contours : FeatureContours or dict[str, FeatureContours]
        Of a plane; or names to those of two models, drawn side by side.
    differences : ContourDifference, list or dict, optional
        What `compare` found for the same contours, one or several classes; by name for two models.
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
        If there are none or more than two contours, one of them is not of a plane, differences have
        a name that no contours have, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = contours if isinstance(contours, dict) else {"": contours}
    if not 1 <= len(named) <= 2:
        raise ValueError(f"`contours` must be one or two; got {len(named)}.")
    for one in named.values():
        if len(one.ticks) != 2:
            raise ValueError("`contours` must be those of a plane. Use `loss_volume` for a space.")
    compared = _by_name(differences, named)
    figure = make_subplots(
        figure=Figure(),
        rows=1,
        cols=len(named),
        horizontal_spacing=0.1,
        column_titles=[f"<b>{style.quote(name)}</b>" for name in named] if len(named) > 1 else None,
    )
    shown: set[str] = set()  # in the legend, once each
    for column, (name, one) in enumerate(named.items(), start=1):
        traces = [_loss(one), *_boundary(one, colours), *_points(one, colours, len(named))]
        for difference in compared[name]:
            traces += _theorem(difference, colours)
        traces += _centers(one, colours, _center_word(named), len(named))
        for trace in traces:
            if trace.showlegend is None:
                trace.showlegend = trace.name not in shown
                shown.add(trace.name)
            figure.add_trace(trace, row=1, col=column)
    figure.update_layout(
        style.layout(
            colours,
            title=title or words.title(named),
            subtitle=words.subtitle(named, compared),
            height=620 if len(named) == 1 else 350,
        ),
        coloraxis=_colour_axis(),
        legend=style.legend_below(),
    )
    several = len(named) > 1
    figure.layout.margin.t += 26 if several else 0
    figure.layout.margin.b = 70 + 32 * _legend_rows(shown)
    figure.layout.height += figure.layout.margin.b - 20
    figure.layout.margin.l = 70
    for column, one in enumerate(named.values(), start=1):
        x, y = ("" if column == 1 else str(column) for _ in range(2))
        figure.update_xaxes(
            style.axis(
                colours,
                _axis_title(one, 0),
                range=[float(one.ticks[0][0]), float(one.ticks[0][-1])],
                showgrid=False,
                constrain="domain",
                nticks=7,
            ),
            col=column,
        )
        figure.update_yaxes(
            style.axis(
                colours,
                _axis_title(one, 1) if column == 1 else "",
                range=[float(one.ticks[1][0]), float(one.ticks[1][-1])],
                showgrid=False,
                constrain="domain",
                scaleanchor=f"x{x}",
                nticks=7,
            ),
            col=column,
        )
    figure.update_annotations(font={"size": style.TEXT_SIZE + 1, "color": colours.text})
    return style.describe(figure, words.sentence(named, compared))


def _by_name(
    differences: Differences | dict[str, Differences] | None, named: dict[str, FeatureContours]
) -> dict[str, list[ContourDifference]]:
    if differences is None:
        differences = {}
    if not isinstance(differences, dict):
        if len(named) > 1:
            raise ValueError("`differences` must be named like `contours`: give a dict.")
        differences = {next(iter(named)): differences}
    for name in differences:
        if name not in named:
            raise ValueError(f"`differences` must be named like `contours`; got {name!r}.")
    found = {name: differences.get(name, []) for name in named}
    return {name: one if isinstance(one, list | tuple) else [one] for name, one in found.items()}


def _loss(one: FeatureContours) -> go.Contour:
    powers = [[_short(value) for value in row] for row in one.log10.tolist()]
    return go.Contour(
        x=[_short(value) for value in one.ticks[0].tolist()],
        y=[_short(value) for value in one.ticks[1].tolist()],
        z=powers,
        coloraxis="coloraxis",
        contours={"start": _LOWEST, "end": _HIGHEST, "size": _DECADES},
        line={"width": 0.6},
        opacity=0.5,  # so that points stand out on any page
        name="loss",
        showlegend=False,
        hovertemplate="loss 10<sup>%{z:.2f}</sup> at (%{x:.3g}, %{y:.3g})<extra></extra>",
    )


def _boundary(one: FeatureContours, colours: style.Theme) -> list[go.Contour]:
    """Draw the edge of where the class of the picture is predicted."""
    if one.label is None:
        return []
    return [
        go.Contour(
            x=[_short(value) for value in one.ticks[0].tolist()],
            y=[_short(value) for value in one.ticks[1].tolist()],
            z=(one.predicted == one.label).int().tolist(),
            contours={"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"},
            line={"color": colours.text, "width": 2, "dash": "dot"},
            showscale=False,
            name="edge of its region",
            hoverinfo="skip",
        )
    ]


def _points(one: FeatureContours, colours: style.Theme, panels: int) -> list[go.Scatter]:
    if one.features is None:
        return []
    kind = go.Scattergl if len(one.features.labels) > _MANY else go.Scatter
    places, labels = one.features.coordinates.tolist(), one.features.labels.tolist()
    away, losses = one.features.distance.tolist(), one.feature_losses.tolist()
    told = one.plane.classes or range(len(one.class_names))
    traces = []
    others = [i for i, label in enumerate(labels) if label not in told]
    groups = [(None, others)] if others else []
    groups += [(k, [i for i, label in enumerate(labels) if label == k]) for k in told]
    for k, rows in groups:
        if not rows:
            continue
        name = "other classes" if k is None else style.quote(one.class_names[k])
        traces.append(
            kind(
                x=[_short(places[i][0]) for i in rows],
                y=[_short(places[i][1]) for i in rows],
                text=[
                    f"image {i}, {style.quote(one.class_names[labels[i]])}<br>its own loss "
                    f"{losses[i]:.3g}"
                    + ("" if one.plane.is_whole else f"<br>{away[i]:.3g} off this plane")
                    for i in rows
                ],
                mode="markers",
                name=name,
                marker={
                    "color": colours.text if k is None else style.at(colours.classes, k),
                    "symbol": "circle" if k is None else style.at(style.CLASS_SYMBOLS, k),
                    "size": 4 if k is None else (7 if panels == 1 else 6),
                    "opacity": 0.35 if k is None else 0.9,
                    "line": {"width": 0 if k is None else 0.5, "color": "#ffffff"},
                },
                legendgroup=name,
                hovertemplate="%{text}<extra></extra>",
            )
        )
    return traces


def _center_word(named: dict[str, FeatureContours]) -> str:
    kinds = {one.centers_are for one in named.values() if one.centers is not None}
    return f"class {kinds.pop()}" if len(kinds) == 1 else "class centers or means"


def _centers(
    one: FeatureContours, colours: style.Theme, word: str, panels: int
) -> list[go.Scatter]:
    if one.centers is None:
        return []
    what = "center" if one.centers_are == "centers" else "mean"
    labels = one.centers.labels.tolist()
    named = panels == 1 or len(labels) <= 3  # else there is no room
    return [
        go.Scatter(
            x=[_short(value) for value in one.centers.coordinates[:, 0].tolist()],
            y=[_short(value) for value in one.centers.coordinates[:, 1].tolist()],
            text=[f"<b>{style.quote(one.class_names[k])}</b>" for k in labels],
            hovertext=[f"{what} of {style.quote(one.class_names[k])}" for k in labels],
            mode="markers+text" if named else "markers",
            textposition="top center",
            textfont={"size": style.TEXT_SIZE, "color": colours.text, "shadow": _halo(colours)},
            name=word,
            marker={
                "color": [style.at(colours.classes, k) for k in labels],
                "symbol": "star",
                "size": 17,
                "line": {"width": 1.8, "color": "#111111"},
            },
            hovertemplate="%{hovertext}<extra></extra>",
        )
    ]


def _under(colours: style.Theme) -> str:
    """Give what stands out from the text colour: black on dark pages, else white."""
    return "#111111" if colours is style.THEMES["dark"] else "#ffffff"


def _halo(colours: style.Theme) -> str:
    return ", ".join(f"{x}px {y}px 2px {_under(colours)}" for x in (-1, 1) for y in (-1, 1))


def _theorem(difference: ContourDifference, colours: style.Theme) -> list[go.Scatter]:
    """Draw the true level sets as bands, and over them the theorem's contours, dashed."""
    traces = []
    for row, curve, points in zip(
        difference.rows(), difference.curves, difference.true_points, strict=True
    ):
        band = {"color": _under(colours), "size": 6}
        truth = go.Scatter(
            x=[_short(value) for value in points[:, 0].tolist()],
            y=[_short(value) for value in points[:, 1].tolist()],
            mode="markers",
            name=_TRUTH,
            marker=band,
            legendgroup="true",
            showlegend=False,
            hovertemplate=f"true loss {row['level']:.4g}<extra></extra>",
        )
        # In the legend the band may have the colour of the page, so there it has an edge.
        key = go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=_TRUTH,
            marker=band | {"size": 9, "line": {"width": 1, "color": "#787878"}},
            legendgroup="true",
        )
        theorem = go.Scatter(
            x=[_gap(x) for x in curve[:, 0].tolist()],
            y=[_gap(y) for y in curve[:, 1].tolist()],
            mode="lines",
            name="the theorem's contour",
            line={"color": colours.text, "width": 2.5, "dash": "dash"},
            legendgroup="theorem",
            hovertext=_words(row),
            hoverinfo="text",
        )
        traces += [trace for trace in (truth, theorem) if len(trace.x)]
        traces += [key] if len(points) else []
    return traces


def _legend_rows(names: set[str]) -> int:
    """Guess how many rows the legend takes, in 690 pixels."""
    rows, used = 1, 0
    for width in (55 + 9 * len(name) for name in names):
        rows, used = (rows + 1, width) if used + width > 690 else (rows, used + width)
    return rows


def _words(row: dict[str, Any]) -> str:
    if row["median_loss"] is None:
        return f"theorem, loss {row['level']:.4g}"
    return (
        f"theorem, loss {row['level']:.4g}<br>true loss along it: median {row['median_loss']:.4g}, "
        f"at most {row['max_loss']:.4g}"
        + (
            ""
            if row["max_distance"] is None
            else f"<br>true level set: {row['max_distance']:.2g} away at most"
        )
    )


def _colour_axis() -> dict[str, Any]:
    marks = [-3, -2, -1, 0, 1, 2]
    return {
        "colorscale": style.SCALE,
        "cmin": _LOWEST,
        "cmax": _HIGHEST,
        "colorbar": {
            "title": {"text": "loss", "side": "top"},
            "tickvals": marks,
            "ticktext": ["0.001", "0.01", "0.1", "1", "10", "100"],
            "outlinewidth": 0,
            "thickness": 14,
        },
    }


def _axis_title(one: FeatureContours, axis: int) -> str:
    word = ("first", "second")[axis]
    if one.plane.is_whole:
        return f"{word} feature"
    return f"{word} direction of the plane"


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _gap(value: float) -> float | None:
    return None if math.isnan(value) else _short(value)
