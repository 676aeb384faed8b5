"""What more work brings an attack: images still right against the steps it took."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure
from mmc_viz.trajectories import Trajectory


def effort(
    trajectories: Trajectory | dict[str, Trajectory],
    *,
    work: str = "step",
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw how many images are still right against the number of steps, one line an attack.

    A line that still falls at its end is that of an attack that had more to give. Only where it is
    flat, more steps would bring nothing.

    Parameters
    ----------
    trajectories : Trajectory or dict[str, Trajectory]
        One; or name to trajectory. Restarts follow one another.
    work : str
        What one step of these attacks is: `step`, or for instance `query`.
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
        If there is no trajectory, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = trajectories if isinstance(trajectories, dict) else {"": trajectories}
    if not named:
        raise ValueError("`trajectories` must hold at least one trajectory; got none.")
    lines = []
    for place, (name, one) in enumerate(named.items()):
        right, count = one.right.tolist(), len(one.labels)
        x, y = _corners([value / count for value in right])
        said = f"{style.quote(name)}, " if name else ""
        lines.append(
            go.Scatter(
                x=x,
                y=y,
                name=style.quote(name or "attack"),
                mode="lines",
                line={
                    "color": style.at(colours.series, place),
                    "width": 3,
                    "dash": style.at(style.DASHES, place),
                },
                text=[f"{said}{work} {k}<br>{right[k]} of {count} still right" for k in x],
                hovertemplate="%{text}<extra></extra>",
                showlegend=bool(name),
            )
        )
    figure = Figure(lines)
    counts = sorted({len(one.labels) for one in named.values()})
    images = f"{' or '.join(map(str, counts))} images"
    figure.update_layout(
        style.layout(
            colours,
            title=title or f"What one more {work} brings the attack",
            subtitle=f"{images}; a line that still falls at its end has more to give",
            height=440,
        )
    )
    plural = "queries" if work == "query" else f"{work}s"
    longest = max(len(one.steps) for one in named.values()) - 1
    figure.update_xaxes(
        style.axis(colours, f"{plural} so far", range=[-0.01 * longest, 1.01 * longest])
    )
    marks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    figure.update_yaxes(
        style.axis(
            colours,
            "still right (%)",
            range=[-0.025, 1.025],
            tickvals=marks,
            ticktext=[f"{100 * mark:.0f}" for mark in marks],
        )
    )
    figure.layout.margin.b = 100
    figure.update_layout(legend=style.legend_below())
    return style.describe(figure, _summary(named, work))


def _corners(values: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Keep the places where a line that only falls changes, and those before them.

    A search of a thousand queries then has a few dozen points.
    """
    last = len(values) - 1
    kept = [
        k
        for k in range(len(values))
        if k in (0, last) or values[k] != values[k - 1] or values[k] != values[k + 1]
    ]
    return kept, [values[k] for k in kept]


def _summary(named: dict[str, Trajectory], work: str) -> str:
    """Say where each line ends, in one sentence."""
    ends = []
    for name, one in named.items():
        right, count = one.right.tolist(), len(one.labels)
        since = right.index(right[-1])
        who = f"{style.quote(name)}: " if name else ""
        ends.append(f"{who}{right[0]} of {count} at the start, {right[-1]} from {work} {since} on")
    return f"Images still right: {'; '.join(ends)}."
