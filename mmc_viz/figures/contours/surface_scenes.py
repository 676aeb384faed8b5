"""A surface of images raised above its plane."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.contours import InputSurface
from mmc_viz.figures import style
from mmc_viz.figures.contours import surface_words as said
from mmc_viz.figures.shown import Figure


def scenes(named: dict[str, InputSurface], chosen: list[str], colours: style.Theme) -> go.Figure:
    """Give a scene for each objective and model, side by side."""
    shown_in = [(one, objective) for objective in chosen for one in named.values()]
    figure = make_subplots(
        figure=Figure(),
        rows=1,
        cols=len(shown_in),
        specs=[[{"type": "scene"}] * len(shown_in)],
        horizontal_spacing=0.02,
        subplot_titles=said.panel_titles(named, chosen),
    )
    shown: set[str] = set()
    for column, (one, objective) in enumerate(shown_in, start=1):
        for trace in _scene(one, objective, colours):
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
        figure.update_scenes(
            xaxis=plain | {"title": {"text": said.along(one).removeprefix("along the ")}},
            yaxis=plain | {"title": {"text": "random"}},
            zaxis=plain | {"title": {"text": ""}},
            camera={"eye": {"x": -1.48, "y": -1.58, "z": 0.9}},
            aspectmode="cube",
            col=column,
        )
    return figure


def _scene(one: InputSurface, objective: str, colours: style.Theme) -> list[Any]:
    x, y = (said.shorts(ticks) for ticks in (one.a.tolist(), one.b.tolist()))
    heights = [said.shorts(row) for row in one.values[objective].tolist()]
    traces: list[Any] = [
        go.Surface(
            x=x,
            y=y,
            z=heights,
            colorscale=style.SCALE,
            showscale=False,
            opacity=0.85,
            name=said.word(objective),
            showlegend=False,
            hovertemplate=f"{said.word(objective)} %{{z:.4g}}<extra></extra>",
        )
    ]
    if one.flat_share and objective == "cross_entropy":
        flat = [
            [value if level else None for value, level in zip(*rows, strict=True)]
            for rows in zip(heights, one.flat.tolist(), strict=True)
        ]
        grey = [[0, said.GREY], [1, said.GREY]]
        traces.append(
            go.Surface(
                x=x,
                y=y,
                z=flat,
                colorscale=grey,
                showscale=False,
                name=said.FLAT,
                showlegend=False,
                hoverinfo="skip",
            )
        )
        key = {"symbol": "square", "size": 10, "color": said.GREY}
        traces.append(
            go.Scatter3d(x=[None], y=[None], z=[None], mode="markers", marker=key, name=said.FLAT)
        )
    path = one.paths[objective]
    end = colours.right if path.first_fooled is None else colours.wrong
    traces.append(
        go.Scatter3d(
            x=said.shorts(path.coordinates[:, 0].tolist()),
            y=said.shorts(path.coordinates[:, 1].tolist()),
            z=said.shorts(path.values[objective].tolist()),
            mode="lines+markers",
            name=said.fate(path),
            line={"color": end, "width": 7},
            marker={"size": 6, "color": end, "line": {"width": 1, "color": "#ffffff"}},
            text=said.steps(path, objective),
            hovertemplate="%{text}<extra></extra>",
        )
    )
    return traces
