"""How fast training gets there."""

from collections.abc import Collection
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.collapse import Convergence
from mmc_viz.figures import runs, style
from mmc_viz.figures.shown import Figure


def convergence(
    result: Convergence,
    *,
    highlight: Collection[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw accuracy against epochs and against seconds, on logarithmic axes, one line a run.

    A ring marks the first epoch with the share of the final accuracy that the result looks for.

    Parameters
    ----------
    result : Convergence
        Of one run or several.
    highlight : collection of str, optional
        Names of runs that stand out; the others become grey. None: all are alike.
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
        If a name or the theme is unknown.
    """
    colours = style.resolve(theme)
    runs.check_highlight(highlight, result.names)
    figure = make_subplots(
        figure=Figure(), rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05
    )
    looks = runs.looks_of(result.names, highlight, colours)
    order = sorted(range(len(looks)), key=lambda r: looks[result.names[r]]["showlegend"])
    for column, (courses, reached, unit) in enumerate(
        (
            (result.epochs, result.epochs_to_share, "epoch"),
            (result.seconds, result.seconds_to_share, "seconds of training"),
        ),
        start=1,
    ):
        for r in order:
            figure.add_trace(_accuracies(result, r, courses[r], looks, column == 1), 1, column)
        for r in order:
            figure.add_trace(_ring(result, r, reached[r], looks), 1, column)
        ticks = runs.log_ticks([x for course in courses for x in course])
        figure.update_xaxes(style.axis(colours, unit, type="log", **ticks), row=1, col=column)
    figure.add_trace(_ring_for_legend(result, colours))
    if highlight is not None and len(order) > len(set(highlight)):
        figure.add_trace(runs.others(colours))
    values = [value for course in result.accuracy for value in course]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) + 0.01
    figure.update_yaxes(
        style.axis(colours, range=[low - room, high + room], tickformat=".0%", nticks=7)
    )
    figure.update_yaxes(title_text="accuracy on test images", row=1, col=1)
    figure.update_layout(
        style.layout(
            colours,
            title=title or "How fast training gets there, in epochs and in seconds",
            subtitle=_speeds(result, highlight),
            height=380,
        )
    )
    runs.leave_room(figure, top=0)
    return style.describe(figure, _speed_sentence(result))


def _accuracies(
    result: Convergence, r: int, course: list, looks: dict[str, dict[str, Any]], first: bool
) -> go.Scatter:
    name = result.names[r]
    return go.Scatter(
        x=course,
        y=result.accuracy[r],
        text=_course(result, r),
        name=style.quote(name) or "accuracy",
        legendgroup=name,
        hovertemplate="%{text}<extra></extra>",
        **looks[name] | {"showlegend": first and looks[name]["showlegend"]},
    )


def _ring(
    result: Convergence, r: int, reached: float | int, looks: dict[str, dict[str, Any]]
) -> go.Scatter:
    """Mark where a run has the share of its final accuracy for the first time."""
    place = result.epochs[r].index(result.epochs_to_share[r])
    colour = looks[result.names[r]]["line"]["color"]
    return go.Scatter(
        x=[reached],
        y=[result.accuracy[r][place]],
        text=[_reached(result, r)],
        mode="markers",
        marker={"symbol": "circle-open", "size": 15, "color": colour, "line": {"width": 3}},
        name=f"reached by {style.quote(result.names[r])}",
        legendgroup=result.names[r],
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
    )


def _ring_for_legend(result: Convergence, colours: style.Theme) -> go.Scatter:
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": "circle-open", "size": 15, "color": colours.text, "line": {"width": 3}},
        name=f"{style.percent(result.share)} of the final accuracy",
        showlegend=True,
    )


def _course(result: Convergence, r: int) -> list[str]:
    """Say each point of one run in words."""
    who = style.quote(result.names[r]) or "the run"
    rows = zip(result.epochs[r], result.seconds[r], result.accuracy[r], result.loss[r], strict=True)
    return [
        f"{who} after epoch {epoch}, {_short(seconds)} s<br>{style.percent(accuracy)} right, "
        f"training loss {loss:.4g}"
        for epoch, seconds, accuracy, loss in rows
    ]


def _reached(result: Convergence, r: int) -> str:
    who = style.quote(result.names[r]) or "the run"
    return (
        f"{who} has {style.percent(result.share)} of its final accuracy,<br>"
        f"{style.percent(result.final_accuracy[r])}, after {_took(result, r, 's')}"
    )


def _short(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def _took(result: Convergence, r: int, unit: str) -> str:
    epochs, seconds = result.epochs_to_share[r], result.seconds_to_share[r]
    return f"{runs.count(epochs)}, {_short(seconds)} {unit}"


def _speeds(result: Convergence, highlight: Collection[str] | None) -> str:
    """Say who that stands out got there when: each of a few runs, else the first and the last."""
    shown = [r for r, name in enumerate(result.names) if highlight is None or name in highlight]
    order = sorted(shown, key=lambda r: result.epochs_to_share[r])
    chosen = shown if len(shown) <= 3 else [order[0], order[-1]]
    told = "; ".join(
        (f"{style.quote(result.names[r])} " if result.names[r] else "")
        + f"{_took(result, r, 's')} (ends at {style.percent(result.final_accuracy[r])})"
        for r in chosen
    )
    extremes = ", soonest and latest" if len(order) > 3 else ""
    return f"To {style.percent(result.share)} of the final accuracy{extremes}: {told}"


def _speed_sentence(result: Convergence) -> str:
    parts = [
        f"{style.quote(name) or 'the run'} reaches it after {_took(result, r, 'seconds')} and ends "
        f"at {style.percent(result.final_accuracy[r])}"
        for r, name in enumerate(result.names)
    ]
    return (
        "Accuracy on test images against epochs and against seconds of training, with "
        f"{style.percent(result.share)} of the final accuracy marked: {', '.join(parts)}."
    )
