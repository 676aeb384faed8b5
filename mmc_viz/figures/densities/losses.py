"""Sample density against the loss: counted in shells, predicted, and what the prediction is of."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.density import ClassShells, ShellDensity
from mmc_viz.figures import style
from mmc_viz.figures.densities.loss_words import describe_profiles, outcome, subtitle
from mmc_viz.figures.densities.words import DECADE, class_name, power, power_ticks
from mmc_viz.figures.shown import Figure

#: Names of lines in the legend, and their dashes.
_EXACT, _PAPER = "exact form", "the paper's form, as recalled"
_GAUSS = "Gaussian fitted at the center"
_FROM_P, _FROM_ROOM = "what p(c) contributes", "what geometry contributes"
_LINES = {
    _EXACT: "solid",
    _PAPER: "dash",
    _GAUSS: "dot",
    _FROM_P: "dashdot",
    _FROM_ROOM: "longdash",
}


def density_vs_loss(
    result: ShellDensity | dict[str, ShellDensity],
    *,
    classes: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw counted densities over the curve that theory predicts, and what the curve is made of.

    On top, density against loss: counted in shells, with 95 % Poisson bars; the exact form; the
    paper's form as recalled, dashed; and for half a squared distance the Gaussian fitted at the
    center, dotted. In the middle, all as multiples of the exact form. Below, what the distribution
    of losses p(c) and what geometry contribute, as multiples of what they are at the median loss.

    Parameters
    ----------
    result : ShellDensity or dict[str, ShellDensity]
        One; or name to result, a column each.
    classes : sequence of int, optional
        Labels to draw, each with its colour and symbol. For a two-class loss, of each the rival
        with the most features. None: of each result the first class that has shells.
    class_names : sequence of str, optional
        By label.
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
        If there is no result, a class is not in one, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = result if isinstance(result, dict) else {"": result}
    if not named:
        raise ValueError("`result` must hold at least one result; got none.")
    chosen = {name: _choose(one, classes) for name, one in named.items()}
    words = {name: [outcome(one, class_names) for one in some] for name, some in chosen.items()}

    columns = len(named)
    figure = make_subplots(
        figure=Figure(),
        rows=3,
        cols=columns,
        shared_xaxes="columns",
        row_heights=[0.42, 0.28, 0.3],
        vertical_spacing=0.05,
        horizontal_spacing=0.19 / columns,
        column_titles=[f"<b>{style.quote(name)}</b>" for name in named] if columns > 1 else None,
    )
    several = any(len(some) > 1 for some in chosen.values())
    shown: set[str] = set()
    for column, some in enumerate(chosen.values(), start=1):
        for one in some:
            if one.measured is None or one.predicted is None:
                continue
            colour = style.at(colours.classes, one.label) if several else colours.right
            who = class_name(one.label, class_names)
            for row, trace in _profile(one, colour, colours, who, several):
                trace.showlegend = trace.showlegend is not False and trace.name not in shown
                shown.add(trace.name)
                figure.add_trace(trace, row=row, col=column)
        if all(one.measured is None for one in some):
            _say_gap(figure, column, some)
        else:
            figure.add_hline(0, line={"color": colours.right, "width": 2}, row=2, col=column)
    if several:
        _name_the_lines(figure, colours)
    figure.update_layout(
        style.layout(
            colours,
            title=title or "Density of features against their loss",
            subtitle=subtitle(chosen, class_names),
            height=760,
        )
    )
    figure.layout.margin.t += 26 if columns > 1 else 0
    figure.layout.margin.b = 130
    figure.update_xaxes(style.axis(colours, type="log", exponentformat="power"))
    figure.update_yaxes(style.axis(colours))
    for column, (one, some) in enumerate(
        zip(named.values(), chosen.values(), strict=True), start=1
    ):
        loss = "half the squared distance" if one.loss == "distance" else "two-class loss, nats"
        figure.update_xaxes(title_text=f"c ({loss})", row=3, col=column)
        _label_losses(figure, column)
        _label_powers(figure, column)
        if all(entry.measured is None for entry in some):
            figure.update_xaxes(visible=False, range=[-1, 1], type="linear", col=column)
            figure.update_yaxes(visible=False, range=[0, 1], col=column)
    # What the rows show is said once, left of the first panels that show something.
    full = [any(entry.measured is not None for entry in some) for some in chosen.values()]
    first = full.index(True) + 1 if any(full) else 1
    texts = ("features per<br>unit of volume", "over the<br>exact form", "over value<br>at median")
    for row, text in enumerate(texts, start=1):
        figure.update_yaxes(title_text=text, row=row, col=first)
    figure.update_annotations(font={"size": style.TEXT_SIZE, "color": colours.text})
    figure.update_layout(legend=style.legend_below())
    return style.describe(figure, describe_profiles(words))


def _choose(one: ShellDensity, classes: Sequence[int] | None) -> list[ClassShells]:
    """Find what is to be drawn of a result."""
    if classes is None:
        with_shells = [entry for entry in one.classes if entry.measured is not None]
        return (with_shells or one.classes)[:1]
    found = []
    for label in classes:
        entries = [entry for entry in one.classes if entry.label == label]
        if not entries:
            there = sorted({entry.label for entry in one.classes})
            raise ValueError(f"`classes` must be of {there}; got {label}.")
        # One with shells before one without, then the one with more features.
        found.append(max(entries, key=lambda entry: (entry.measured is not None, entry.count)))
    return found


def _name_the_lines(figure: go.Figure, colours: style.Theme) -> None:
    """Say in the legend what each kind of line is, where colours say which class."""
    for name, dash in _LINES.items():
        if any(trace.legendgroup == name for trace in figure.data):
            line = {"color": colours.text, "width": 3, "dash": dash}
            look = {"name": name, "mode": "lines", "line": line, "legendgroup": name}
            figure.add_trace(go.Scatter(x=[None], y=[None], hoverinfo="skip", **look), row=1, col=1)


def _profile(
    one: ClassShells, colour: str, colours: style.Theme, who: str, several: bool
) -> list[tuple[int, go.Scatter]]:
    """Draw one class: rows and their traces."""
    m, p = one.measured, one.predicted
    keep = [i for i, count in enumerate(m.counts.tolist()) if count]
    at = [math.exp(m.log_loss[i]) for i in keep]
    grid = p.log_loss.exp().tolist()
    hover = [
        f"{who}<br>loss {math.exp(m.log_edges[i]):.3g} to {math.exp(m.log_edges[i + 1]):.3g}"
        f"<br>{int(m.counts[i])} of {m.counted} features counted"
        f"<br>density {power(float(m.log_density[i]))}"
        f"<br>the exact form says {power(float(m.log_exact[i]))}"
        f"<br>the paper's form {power(float(m.log_paper[i]))}"
        for i in keep
    ]

    def points(row: int, values: Any, low: Any, high: Any) -> tuple[int, go.Scatter]:
        middle = [float(values[i]) / DECADE for i in keep]
        trace = go.Scatter(
            x=at,
            y=middle,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [float(high[i] - values[i]) / DECADE for i in keep],
                "arrayminus": [float(values[i] - low[i]) / DECADE for i in keep],
                "color": colours.text,
                "thickness": 1.5,
                "width": 4,
            },
            text=hover,
            hovertemplate="%{text}<extra></extra>",
            name=who if several else "counted in shells, 95 %",
            mode="markers",
            marker={
                "color": colour if several else colours.text,
                "size": 9,
                "symbol": style.at(style.CLASS_SYMBOLS, one.label if several else 0),
            },
            legendgroup=who,
        )
        return row, trace

    def line(row: int, values: Any, name: str, own: str, what: str) -> tuple[int, go.Scatter]:
        numbers = values.tolist()
        trace = go.Scatter(
            x=grid,
            y=[value / DECADE if math.isfinite(value) else None for value in numbers],
            text=[
                f"{who}<br>{what}<br>at a loss of {x:.3g}: {power(value)}"
                for x, value in zip(grid, numbers, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            name=name,
            mode="lines",
            # Where the colour says which class, the dash alone says which line.
            line={"color": colour if several else own, "width": 3, "dash": _LINES[name]},
            legendgroup=name,
            showlegend=False if several else None,
        )
        return row, trace

    traces = []
    if p.log_gauss is not None:
        traces.append(line(1, p.log_gauss, _GAUSS, colours.doubtful, _GAUSS))
    return [
        *traces,
        line(1, p.log_paper, _PAPER, colours.wrong, "the paper's form"),
        line(1, p.log_exact, _EXACT, colour, "the exact form"),
        points(1, m.log_density, m.low, m.high),
        line(2, p.log_paper_ratio, _PAPER, colours.wrong, "the paper's form over the exact one"),
        points(2, *m.log_ratio),
        line(3, p.from_p, _FROM_P, colours.right, "p(c) over its value at the median loss"),
        line(3, p.from_geometry, _FROM_ROOM, colours.text, "1 / (dV/dc) over that at the median"),
        line(3, p.from_paper_geometry, _PAPER, colours.wrong, "the paper's power of the radius"),
    ]


def _label_losses(figure: go.Figure, column: int) -> None:
    """Give the panels of a column the range of their losses, with a label at each power of ten."""
    places = [
        math.log10(x)
        for trace in figure.select_traces(col=column)
        for x in trace.x
        if x is not None
    ]
    if places:
        low, high = min(places), max(places)
        step = max(1, math.ceil((high - low) / 5))
        room = 0.03 * (high - low)
        figure.update_xaxes(dtick=step, range=[low - room, high + room], col=column)


def _label_powers(figure: go.Figure, column: int) -> None:
    """Label axes of logarithms as powers of ten."""
    for row in (1, 2, 3):
        values = [
            value
            for trace in figure.select_traces(row=row, col=column)
            # A Gaussian falls so fast that nothing else could be seen beside its end.
            if trace.name != _GAUSS
            for value in _ends(trace)
            if value is not None
        ]
        if not values:
            continue
        low, high = min(values), max(values)
        room = 0.06 * (high - low) or 0.5
        marks, texts = power_ticks(low, high)
        figure.update_yaxes(
            tickvals=marks, ticktext=texts, range=[low - room, high + room], row=row, col=column
        )


def _ends(trace: go.Scatter) -> list[float | None]:
    """Give all heights that a trace reaches, bars included."""
    values = list(trace.y)
    if trace.error_y.array is not None:
        values += [y + up for y, up in zip(trace.y, trace.error_y.array, strict=True)]
        values += [y - down for y, down in zip(trace.y, trace.error_y.arrayminus, strict=True)]
    return values


def _say_gap(figure: go.Figure, column: int, some: list[ClassShells]) -> None:
    """Say in an empty column why it is empty."""
    text = "<br>".join(style.wrap(f"No density here: {some[0].gap}.", 22))
    # Without a trace plotly would not draw the axes to which the words belong.
    figure.add_trace(go.Scatter(x=[None], y=[None], showlegend=False), row=1, col=column)
    figure.add_annotation(text=text, x=0, y=0.5, showarrow=False, row=1, col=column)
