"""What an attack sees about an image, and the way it takes."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.contours import AttackPath, InputSurface
from mmc_viz.figures import style

_WORDS = {
    "cross_entropy": "cross-entropy",
    "cross_entropy_float64": "cross-entropy (float64)",
    "distance": "minus the true logit",
    "margin": "margin",
    "dlr": "difference of logits ratio",
    "targeted_margin": "margin",
}
_FLAT = "its gradient is exactly 0"
_GREY = "#9a9a9a"
#: Numbers on contours are as faint as these, so they begin with more contrast.
_INK = {style.THEMES["light"].text: "#000000", style.THEMES["dark"].text: "#ffffff"}


def loss_surface(
    surface: InputSurface | dict[str, InputSurface],
    *,
    objectives: tuple[str, ...] | None = None,
    kind: str = "2d",
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw objectives over a plane of images, with the path of the attack that climbs each.

    Every panel has its own scale, written on its contours: the objectives of two models have no
    common unit. Brighter is higher. The thick line is where the model's decision changes, the
    dotted one the edge of the attacker's budget. Grey is where the cross-entropy's gradient is
    exactly zero. An open circle is the clean image; a path ends in a cross if it fooled the model.

    Parameters
    ----------
    surface : InputSurface or dict[str, InputSurface]
        One, or model name to surface: a column for each model.
    objectives : tuple of str, optional
        A row for each. None: cross-entropy and margin, as far as the surfaces have them; for `3d`
        as many of them as two scenes allow.
    kind : {"2d", "3d"}
        `3d` raises the objective above the plane, in at most two scenes: a page holds only so many.
        There a path runs at the height of its own images, which need not lie on the surface.
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
        If there is no surface, an objective is not on it, there are too many scenes, or the kind or
        theme is unknown.
    """
    colours = style.resolve(theme)
    named = surface if isinstance(surface, dict) else {"": surface}
    if not named:
        raise ValueError("`surface` must hold at least one surface; got none.")
    if kind not in ("2d", "3d"):
        raise ValueError(f"`kind` must be '2d' or '3d'; got {kind!r}.")
    chosen = _objectives(objectives, named, kind)
    if kind == "3d" and len(chosen) * len(named) > 2:
        raise ValueError(
            f"`objectives` times models must be at most 2 scenes in 3-D; got {len(chosen)} times "
            f"{len(named)}. Choose fewer, or draw them with kind='2d'."
        )
    figure = (_flat_panels if kind == "2d" else _scenes)(named, chosen, colours)
    figure.update_layout(
        style.layout(
            colours,
            title=title or _title(named),
            subtitle=_subtitle(named, chosen),
            height=_height(kind, len(chosen), len(named)),
        ),
        legend=style.legend_below(),
    )
    figure.layout.margin.t += 30
    figure.layout.margin.b = 150 if kind == "2d" else 90
    figure.layout.height += figure.layout.margin.b
    figure.layout.margin.l = 85 if kind == "2d" else 10
    figure.layout.margin.r = 25 if kind == "2d" else 10
    figure.update_annotations(font={"size": style.TEXT_SIZE + 1, "color": colours.text})
    return style.describe(figure, _sentence(named, chosen))


def _objectives(
    objectives: tuple[str, ...] | None, named: dict[str, InputSurface], kind: str
) -> list[str]:
    has = [name for name in next(iter(named.values())).values]
    if objectives is None:
        usual = [name for name in ("cross_entropy", "margin") if name in has] or has
        return usual[: max(1, 2 // len(named))] if kind == "3d" else usual
    for objective in objectives:
        for one in named.values():
            if objective not in one.values:
                raise ValueError(
                    f"`objectives` must be among {', '.join(one.values)}; got {objective!r}."
                )
    if not objectives:
        raise ValueError("`objectives` must name at least one; got none.")
    return list(objectives)


def _height(kind: str, rows: int, columns: int) -> int:
    if kind == "3d":
        return 520 if rows * columns == 1 else 400
    return rows * (560 if columns == 1 else 330)


def _panel_titles(named: dict[str, InputSurface], chosen: list[str]) -> list[str]:
    return [
        f"<b>{style.quote(name)}</b>{': ' if name else ''}{_word(objective)}"
        for objective in chosen
        for name in named
    ]


def _word(objective: str) -> str:
    return _WORDS.get(objective, style.quote(objective))


# --- flat ----------------------------------------------------------------------------------------


def _flat_panels(
    named: dict[str, InputSurface], chosen: list[str], colours: style.Theme
) -> go.Figure:
    figure = make_subplots(
        rows=len(chosen),
        cols=len(named),
        horizontal_spacing=0.1,
        vertical_spacing=0.13,
        subplot_titles=_panel_titles(named, chosen),
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
                _axis(one.a.tolist(), colours, _along(one) if bottom else ""), row=row, col=column
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


def _along(one: InputSurface) -> str:
    return "along the given direction" if one.spanned_by == "given" else "along the attack"


def _panel(one: InputSurface, objective: str, colours: style.Theme) -> list[Any]:
    x, y = (_shorts(ticks) for ticks in (one.a.tolist(), one.b.tolist()))
    on = {"x": x, "y": y, "showscale": False}
    field = go.Contour(
        **on,
        z=[_shorts(row) for row in one.values[objective].tolist()],
        colorscale=style.SCALE,
        contours={
            "showlabels": True,
            "labelfont": {"size": 15, "color": _INK.get(colours.text, colours.text)},
        },
        ncontours=9,
        line={"width": 0.6},
        opacity=0.55,
        name=_word(objective),
        showlegend=False,
        text=[[style.quote(one.class_names[k]) for k in row] for row in one.predicted.tolist()],
        hovertemplate=f"{_word(objective)} %{{z:.4g}}<br>taken for %{{text}}<extra></extra>",
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
                colorscale=[[0, style.CLEAR], [0.5, style.CLEAR], [0.5, _GREY], [1, _GREY]],
                line={"width": 0},
                hoverinfo="skip",
                name=_FLAT,
                showlegend=False,
            )
        )
        key = {"symbol": "square", "size": 14, "color": _GREY}
        traces.append(go.Scatter(x=[None], y=[None], mode="markers", marker=key, name=_FLAT))
    for values, level, line, name in (
        (one.margin, 0.0, {"width": 4}, "the decision changes"),
        (one.change, one.eps, {"width": 2, "dash": "dot"}, "edge of the budget"),
    ):
        traces.append(
            go.Contour(
                **on,
                z=[_shorts(row) for row in values.tolist()],
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
    x, y = (_shorts([place[axis] for place in places]) for axis in (0, 1))
    end = colours.right if path.first_fooled is None else colours.wrong
    edge = {"width": 1.5, "color": "#ffffff"}
    words = _steps(path, objective)
    walk = go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=_fate(path),
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


def _fate(path: AttackPath) -> str:
    if path.first_fooled is not None:
        return "path of an attack that fools"
    return "an attack that never moves" if path.stands_still else "path of an attack that fails"


def _steps(path: AttackPath, objective: str) -> list[str]:
    return [
        f"step {step}<br>{_word(objective)} {value:.4g}<br>{away:.2g} off this plane (l2)"
        + ("<br>fooled" if fooled else "")
        for step, (value, away, fooled) in enumerate(
            zip(
                path.values[objective].tolist(),
                path.distance.tolist(),
                path.fooled.tolist(),
                strict=True,
            )
        )
    ]


# --- in space ------------------------------------------------------------------------------------


def _scenes(named: dict[str, InputSurface], chosen: list[str], colours: style.Theme) -> go.Figure:
    panels = [(one, objective) for objective in chosen for one in named.values()]
    figure = make_subplots(
        rows=1,
        cols=len(panels),
        specs=[[{"type": "scene"}] * len(panels)],
        horizontal_spacing=0.02,
        subplot_titles=_panel_titles(named, chosen),
    )
    shown: set[str] = set()
    for column, (one, objective) in enumerate(panels, start=1):
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
            xaxis=plain | {"title": {"text": _along(one).removeprefix("along the ")}},
            yaxis=plain | {"title": {"text": "random"}},
            zaxis=plain | {"title": {"text": ""}},
            camera={"eye": {"x": -1.48, "y": -1.58, "z": 0.9}},
            aspectmode="cube",
            col=column,
        )
    return figure


def _scene(one: InputSurface, objective: str, colours: style.Theme) -> list[Any]:
    x, y = (_shorts(ticks) for ticks in (one.a.tolist(), one.b.tolist()))
    heights = [_shorts(row) for row in one.values[objective].tolist()]
    traces: list[Any] = [
        go.Surface(
            x=x,
            y=y,
            z=heights,
            colorscale=style.SCALE,
            showscale=False,
            opacity=0.85,
            name=_word(objective),
            showlegend=False,
            hovertemplate=f"{_word(objective)} %{{z:.4g}}<extra></extra>",
        )
    ]
    if one.flat_share and objective == "cross_entropy":
        flat = [
            [value if level else None for value, level in zip(*rows, strict=True)]
            for rows in zip(heights, one.flat.tolist(), strict=True)
        ]
        grey = [[0, _GREY], [1, _GREY]]
        traces.append(
            go.Surface(
                x=x,
                y=y,
                z=flat,
                colorscale=grey,
                showscale=False,
                name=_FLAT,
                showlegend=False,
                hoverinfo="skip",
            )
        )
        key = {"symbol": "square", "size": 10, "color": _GREY}
        traces.append(
            go.Scatter3d(x=[None], y=[None], z=[None], mode="markers", marker=key, name=_FLAT)
        )
    path = one.paths[objective]
    end = colours.right if path.first_fooled is None else colours.wrong
    traces.append(
        go.Scatter3d(
            x=_shorts(path.coordinates[:, 0].tolist()),
            y=_shorts(path.coordinates[:, 1].tolist()),
            z=_shorts(path.values[objective].tolist()),
            mode="lines+markers",
            name=_fate(path),
            line={"color": end, "width": 7},
            marker={"size": 6, "color": end, "line": {"width": 1, "color": "#ffffff"}},
            text=_steps(path, objective),
            hovertemplate="%{text}<extra></extra>",
        )
    )
    return traces


# --- in words ------------------------------------------------------------------------------------


def _title(named: dict[str, InputSurface]) -> str:
    one = next(iter(named.values()))
    return (
        f"What an attack sees about an image of class “{style.quote(one.class_names[one.label])}”"
    )


def _subtitle(named: dict[str, InputSurface], chosen: list[str]) -> str:
    parts = []
    if "cross_entropy" in chosen:
        shares = _and(named, lambda one: style.percent(one.flat_share))
        parts.append(f"Cross-entropy has exactly no gradient on {shares} of these images")
    first = next(iter(named.values()))
    parts.append(
        f"Budget {first.eps:.4g} in {first.norm}; pixels outside 0..1 clamped "
        f"({_and(named, lambda one: style.percent(one.clamped_share))} of all)"
    )
    return ". ".join(parts)


def _and(named: dict[str, InputSurface], say: Any) -> str:
    found = {name: say(one) for name, one in named.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return " and ".join(f"{text} ({style.quote(name)})" for name, text in found.items())


def _sentence(named: dict[str, InputSurface], chosen: list[str]) -> str:
    parts = []
    for name, one in named.items():
        fates = []
        for objective in chosen:
            path = one.paths[objective]
            fate = "never moves" if path.stands_still else "fails"
            if path.first_fooled is not None:
                fate = f"fools it at step {path.first_fooled}"
            fates.append(f"the attack on {_word(objective)} {fate}")
        parts.append(
            f"{name or 'The model'} errs on {style.percent(one.wrong_share)} of the plane of "
            f"images about one of class {one.class_names[one.label]}; {', '.join(fates)}"
        )
    return ". ".join([*parts, _subtitle(named, chosen)]) + "."


def _shorts(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
