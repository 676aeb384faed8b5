"""What an attack reaches, step by step."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure
from mmc_viz.trajectories import Trajectory


def attack_trajectory(
    trajectory: Trajectory | dict[str, Trajectory],
    *,
    image: int | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw what the attack maximises above the margin that decides, both against the step.

    A thin line is an image: vermilion if the attack fooled it, with a cross at the first step that
    did, else blue. The thick line is the median of all. Where the margin is above 0 the model errs.

    Parameters
    ----------
    trajectory : Trajectory or dict[str, Trajectory]
        One; or name to trajectory, drawn side by side with the same scale of margins.
    image : int, optional
        Draw this image alone, by its place in the trajectory.
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
        If there is no trajectory, no such image, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = trajectory if isinstance(trajectory, dict) else {"": trajectory}
    if not named:
        raise ValueError("`trajectory` must hold at least one trajectory; got none.")
    for one in named.values():
        if image is not None and not 0 <= image < len(one.labels):
            raise ValueError(f"`image` must be in 0 .. {len(one.labels) - 1}; got {image}.")

    figure = make_subplots(
        figure=Figure(),
        rows=2,
        cols=len(named),
        shared_xaxes="columns",
        vertical_spacing=0.06,
        horizontal_spacing=0.22 / len(named),
        column_titles=[f"<b>{style.quote(name)}</b>" for name in named] if len(named) > 1 else None,
    )
    shown: set[str] = set()  # in the legend, once each
    for column, one in enumerate(named.values(), start=1):
        for row in (1, 2):
            for trace in _lines(one, row == 1, image, colours):
                trace.showlegend = trace.name not in shown
                shown.add(trace.name)
                figure.add_trace(trace, row=row, col=column)
            for place in _breaks(one):
                line = {"color": colours.text, "width": 1, "dash": "dot"}
                figure.add_vline(place, line=line, row=row, col=column)
    several = len(named) > 1
    figure.update_layout(
        style.layout(
            colours,
            title=title or "How far the attack climbs, step by step",
            subtitle="; ".join(_outcome(name, one, image) for name, one in named.items()),
            height=600,
        )
    )
    figure.layout.margin.t += 26 if several else 0
    figure.layout.margin.b = 90
    figure.layout.margin.r = 40
    restarted = any(int(one.restarts[-1]) for one in named.values())
    figure.update_xaxes(style.axis(colours, nticks=6))
    for column, one in enumerate(named.values(), start=1):
        places = _places(one)
        room = 0.03 * (places[-1] - places[0]) + 0.1  # for the crosses at both ends
        figure.update_xaxes(range=[places[0] - room, places[-1] + room], col=column)
    figure.update_xaxes(title_text="step, restart after restart" if restarted else "step", row=2)
    figure.update_yaxes(style.axis(colours, nticks=6))
    figure.update_yaxes(title_text="objective value", row=1, col=1)
    figure.update_yaxes(title_text="margin (logits)", row=2, col=1)
    figure.update_yaxes(range=_margin_range(named, image), row=2)
    figure.update_annotations(font={"size": style.TEXT_SIZE + 1, "color": colours.text})
    _name_the_sides(figure, len(named), colours)
    figure.update_layout(legend=style.legend_below())
    outcomes = "; ".join(_outcome(name, one, image) for name, one in named.items())
    return style.describe(figure, f"Objective and margin of an attack step by step: {outcomes}.")


def _places(one: Trajectory) -> list[int]:
    """Where each iterate stands on the axis: at its step, or in turn if there are restarts."""
    return list(range(len(one.steps))) if int(one.restarts[-1]) else one.steps.tolist()


def _breaks(one: Trajectory) -> list[float]:
    """Where on the axis a restart begins."""
    restarts = one.restarts.tolist()
    return [s - 0.5 for s in range(1, len(restarts)) if restarts[s] != restarts[s - 1]]


def _gapped(one: Trajectory, values: list) -> list:
    """Put a gap where a restart begins: no step leads from the end of one to the next."""
    restarts = one.restarts.tolist()
    gapped = []
    for s, value in enumerate(values):
        gapped += [None] if s and restarts[s] != restarts[s - 1] else []
        gapped.append(value)
    return gapped


def _lines(
    one: Trajectory, is_loss: bool, image: int | None, colours: style.Theme
) -> list[go.Scatter]:
    """Draw the images in one panel: both fates, the crosses and the median."""
    values = (one.loss if is_loss else one.margin).tolist()
    places, steps, success = _places(one), one.steps.tolist(), one.success.tolist()
    what = "objective" if is_loss else "margin"
    chosen = range(len(success)) if image is None else [image]

    def say(i: int, s: int) -> str:
        return f"image {i}, step {steps[s]}<br>{what} {values[s][i]:.4g}"

    traces = []
    for fooled, colour, name in (
        (False, colours.right, "still right"),
        (True, colours.wrong, "fooled"),
    ):
        rows = [i for i in chosen if success[i] == fooled]
        if not rows:
            continue
        # All images of one fate are one trace, with gaps: hundreds of traces would be slow.
        x, y, text = [], [], []
        for i in rows:
            x += [*_gapped(one, places), None]
            y += [*_gapped(one, [value[i] for value in values]), None]
            text += [*_gapped(one, [say(i, s) for s in range(len(steps))]), None]
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                text=text,
                name=name,
                mode="lines" if image is None else "lines+markers",
                line={"color": colour, "width": 1.4 if image is None else 3},
                opacity=0.8 if image is None else 1,
                hovertemplate="%{text}<extra></extra>",
                legendgroup=name,
            )
        )
    met = [(i, s) for i, s in enumerate(one.first_fooled) if s is not None and i in chosen]
    if met:
        traces.append(
            go.Scatter(
                x=[places[s] for _, s in met],
                y=[values[s][i] for i, s in met],
                text=[f"{say(i, s)}<br>fooled from here on" for i, s in met],
                name="first step that fools",
                mode="markers",
                marker={"color": colours.wrong, "symbol": "x-thin", "size": 10}
                | {"line": {"color": colours.wrong, "width": 2}},
                hovertemplate="%{text}<extra></extra>",
                legendgroup="first",
            )
        )
    if image is None:
        median = (one.median_loss if is_loss else one.median_margin).tolist()
        text = [
            f"median of {len(success)} images, step {step}<br>{what} {value:.4g}"
            for step, value in zip(steps, median, strict=True)
        ]
        traces.append(
            go.Scatter(
                x=_gapped(one, places),
                y=_gapped(one, median),
                text=_gapped(one, text),
                name="median",
                mode="lines",
                line={"color": colours.text, "width": 5},
                hovertemplate="%{text}<extra></extra>",
                legendgroup="median",
            )
        )
    return traces


def _outcome(name: str, one: Trajectory, image: int | None) -> str:
    """Say in words what became of the images."""
    start = f"{style.quote(name)}: " if name else ""
    success, met = one.success.tolist(), one.first_fooled
    if image is None:
        late = sum(fooled and s is None for fooled, s in zip(success, met, strict=True))
        tail = f", {late} of them after the last step" if late else ""
        return f"{start}{sum(success)} of {len(success)} images fooled{tail}"
    if not success[image]:
        return f"{start}image {image} not fooled"
    if met[image] is None:
        return f"{start}image {image} fooled after the last step"
    run = int(one.restarts[met[image]])
    tail = f" of restart {run}" if run else ""
    return f"{start}image {image} fooled at step {int(one.steps[met[image]])}{tail}"


def _margin_range(named: dict[str, Trajectory], image: int | None) -> list[float]:
    """Give a range that all columns share, with room for a word on both sides of 0."""
    values = [
        value
        for one in named.values()
        for row in one.margin.tolist()
        for value in (row if image is None else [row[image]])
    ]
    low, high = min(*values, 0.0), max(*values, 0.0)
    span = (high - low) or 1.0
    return [min(low - 0.06 * span, -0.3 * span), max(high + 0.06 * span, 0.3 * span)]


def _name_the_sides(figure: go.Figure, columns: int, colours: style.Theme) -> None:
    """Say what a margin above and below 0 means: beside the last panel, clear of its lines."""
    for column in range(1, columns + 1):
        place: dict[str, Any] = {"row": 2, "col": column}
        low, high = figure.layout[f"yaxis{columns + column}"].range
        shade = style.faint(colours.wrong, 0.12)
        figure.add_hrect(0, high, fillcolor=shade, line_width=0, layer="below", **place)
        figure.add_hline(0, line={"color": colours.wrong, "width": 2}, **place)
    for word, middle, colour in (
        ("fooled", high / 2, colours.wrong),
        ("right", low / 2, colours.right),
    ):
        figure.add_annotation(
            text=f"<b>{word}</b>",
            x=1,
            xref="x domain",
            xanchor="left",
            xshift=3,
            y=middle,
            yanchor="middle",
            textangle=-90,
            font={"color": colour},
            showarrow=False,
            **place,
        )
