"""A surface of images in flat panels."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.contours import AttackPath, InputSurface
from mmc_viz.figures import style
from mmc_viz.figures.contours import surface_words as said
from mmc_viz.figures.shown import Figure

#: Numbers on contours are as faint as these, so they begin with more contrast.
_INK = {style.THEMES["light"].text: "#000000", style.THEMES["dark"].text: "#ffffff"}


def panels(named: dict[str, InputSurface], chosen: list[str], colours: style.Theme) -> go.Figure:
    """Give a row of panels for each objective, a column for each model."""
    figure = make_subplots(
        figure=Figure(),
        rows=len(chosen),
        cols=len(named),
        horizontal_spacing=0.1,
        vertical_spacing=0.13,
        subplot_titles=said.panel_titles(named, chosen),
    )
    shown: set[str] = set()  # in the legend, once each
    for row, objective in enumerate(chosen, start=1):
        for column, one in enumerate(named.values(), start=1):
            for trace in _panel(one, objective, colours):
                if trace.showlegend is None:
                    trace.showlegend = trace.name not in shown
                    shown.add(trace.name)
                figure.add_trace(trace, row=row, col=column)
            place = (row - 1) * len(named) + column
            bottom, left = row == len(chosen), column == 1
            figure.update_xaxes(
                _axis(one.a.tolist(), colours, said.along(one) if bottom else ""),
                row=row,
                col=column,
            )
            figure.update_yaxes(
                _axis(one.b.tolist(), colours, "along a random direction" if left else "")
                | {"scaleanchor": f"x{place if place > 1 else ''}"},
                row=row,
                col=column,
            )
    return figure


def _axis(ticks: list[float], colours: style.Theme, title: str) -> dict[str, Any]:
    return style.axis(
        colours,
        title,
        range=[ticks[0], ticks[-1]],
        showgrid=False,
        constrain="domain",
        nticks=5,
    )


def _panel(one: InputSurface, objective: str, colours: style.Theme) -> list[Any]:
    x, y = (said.shorts(ticks) for ticks in (one.a.tolist(), one.b.tolist()))
    on = {"x": x, "y": y, "showscale": False}
    field = go.Contour(
        **on,
        z=[said.shorts(row) for row in one.values[objective].tolist()],
        colorscale=style.SCALE,
        contours={
            "showlabels": True,
            "labelfont": {"size": 15, "color": _INK.get(colours.text, colours.text)},
        },
        ncontours=9,
        line={"width": 0.6},
        opacity=0.55,
        name=said.word(objective),
        showlegend=False,
        text=[[style.quote(one.class_names[k]) for k in row] for row in one.predicted.tolist()],
        hovertemplate=f"{said.word(objective)} %{{z:.4g}}<br>taken for %{{text}}<extra></extra>",
    )
    traces: list[Any] = [field]
    if one.flat_share and objective == "cross_entropy":
        traces.append(
            go.Contour(
                **on,
                z=one.flat.int().tolist(),
                zmin=0,
                zmax=1,
                contours={"start": 0.5, "end": 0.5, "size": 1},
                colorscale=[[0, style.CLEAR], [0.5, style.CLEAR], [0.5, said.GREY], [1, said.GREY]],
                line={"width": 0},
                hoverinfo="skip",
                name=said.FLAT,
                showlegend=False,
            )
        )
        key = {"symbol": "square", "size": 14, "color": said.GREY}
        traces.append(go.Scatter(x=[None], y=[None], mode="markers", marker=key, name=said.FLAT))
    for values, level, line, name in (
        (one.margin, 0.0, {"width": 4}, "the decision changes"),
        (one.change, one.eps, {"width": 2, "dash": "dot"}, "edge of the budget"),
    ):
        traces.append(
            go.Contour(
                **on,
                z=[said.shorts(row) for row in values.tolist()],
                contours={"start": level, "end": level, "size": 1, "coloring": "none"},
                line={"color": colours.text, **line},
                name=name,
                hoverinfo="skip",
                showlegend=False,
            )
        )
        traces.append(
            go.Scatter(
                x=[None], y=[None], mode="lines", line={"color": colours.text, **line}, name=name
            )
        )
    return traces + _path(one.paths[objective], objective, colours)


def _path(path: AttackPath, objective: str, colours: style.Theme) -> list[go.Scatter]:
    places = path.coordinates.tolist()
    x, y = (said.shorts([place[axis] for place in places]) for axis in (0, 1))
    end = colours.right if path.first_fooled is None else colours.wrong
    edge = {"width": 1.5, "color": "#ffffff"}
    words = said.steps(path, objective)
    walk = go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=said.fate(path),
        line={"color": end, "width": 3},
        marker={"size": 9, "color": end, "line": edge},
        text=words,
        hovertemplate="%{text}<extra></extra>",
    )
    start = go.Scatter(
        x=[0],
        y=[0],
        mode="markers",
        name="the clean image",
        marker={"symbol": "circle-open", "size": 17, "color": colours.text, "line": {"width": 3}},
        hoverinfo="skip",
    )
    if path.first_fooled is None:
        return [start, walk]
    fooled = go.Scatter(
        x=x[path.first_fooled : path.first_fooled + 1],
        y=y[path.first_fooled : path.first_fooled + 1],
        mode="markers",
        name="where it first fools",
        marker={"symbol": "x", "size": 13, "color": colours.wrong, "line": edge},
        text=words[path.first_fooled : path.first_fooled + 1],
        hovertemplate="%{text}<extra></extra>",
    )
    return [start, walk, fooled]
