"""Sample density: against the loss, and against the distance to the nearest adversarial image."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.density import ClassShells, DensityDistance, ShellDensity
from mmc_viz.figures import style

_DECADE = math.log(10)  # results hold natural logarithms, axes show powers of ten
#: What is drawn sideways of each measure: the axis, and the measure in a sentence.
_SIDEWAYS = {
    "density": "density at the feature (share of features per unit volume)",
    "closeness": "minus distance to the center of the class (feature units)",
    "margin": "margin of the true class (logits)",
}
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


# --- density against loss -------------------------------------------------------------------------


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
    words = {name: [_outcome(one, class_names) for one in some] for name, some in chosen.items()}

    columns = len(named)
    figure = make_subplots(
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
            who = _class_name(one.label, class_names)
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
            subtitle=_subtitle(chosen, class_names),
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
    return style.describe(figure, _describe_profiles(words))


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


def _class_name(label: int, names: Sequence[str] | None) -> str:
    return style.quote(names[label]) if names is not None else f"class {label}"


def _outcome(one: ClassShells, names: Sequence[str] | None) -> str:
    """Say what came out for one class, with its dimension."""
    who = _class_name(one.label, names)
    if one.rival is not None:
        who += f" against {_class_name(one.rival, names)}"
    start = f"{who}, N = {one.count:,}, d = {one.dim}"
    if one.measured is None:
        return f"{start}: no density, {one.gap}"
    m = one.measured
    if m.off_exact is None:
        return f"{start}: every shell is empty"
    text = (
        f"{start}: counts are off the exact form by a factor of {math.exp(m.off_exact):.2f}, "
        f"off the paper's by {math.exp(m.off_paper):.2f} (rms); {m.within} of {len(m.counts)} "
        "intervals hold the exact form"
    )
    return text + (f"; {m.empty} empty shells are left out" if m.empty else "")


def _subtitle(chosen: dict[str, list[ClassShells]], names: Sequence[str] | None) -> str:
    """Say how far counts and forms are apart; in full if there is one class, else in figures."""
    if sum(map(len, chosen.values())) == 1:
        return "; ".join(_outcome(one, names) for some in chosen.values() for one in some)
    parts = []
    for name, some in chosen.items():
        found = []
        for one in some:
            who = _class_name(one.label, names)
            m = one.measured
            if m is None or m.off_exact is None:
                found.append(f"{who} nothing counted")
                continue
            ratio = f"{math.exp(m.off_exact):.2f} / {math.exp(m.off_paper):.2f}"
            found.append(f"{who} (N = {one.count:,}) {ratio}")
        start = f"{style.quote(name)}, " if name else ""
        parts.append(f"{start}d = {some[0].dim}: {', '.join(found)}")
    return "Factor (rms) by which counts are off the exact form / the paper's. " + "; ".join(parts)


def _name_the_lines(figure: go.Figure, colours: style.Theme) -> None:
    """Say in the legend what each kind of line is, where colours say which class."""
    for name, dash in _LINES.items():
        if any(trace.legendgroup == name for trace in figure.data):
            line = {"color": colours.text, "width": 3, "dash": dash}
            look = {"name": name, "mode": "lines", "line": line, "legendgroup": name}
            figure.add_trace(go.Scatter(x=[None], y=[None], hoverinfo="skip", **look), row=1, col=1)


def _describe_profiles(words: dict[str, list[str]]) -> str:
    parts = [
        f"{name + ', ' if name else ''}{said}" for name, some in words.items() for said in some
    ]
    return (
        "Density of features against their loss, counted in shells and predicted: "
        + "; ".join(parts)
        + "."
    )


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
        f"<br>density {_power(float(m.log_density[i]))}"
        f"<br>the exact form says {_power(float(m.log_exact[i]))}"
        f"<br>the paper's form {_power(float(m.log_paper[i]))}"
        for i in keep
    ]

    def points(row: int, values: Any, low: Any, high: Any) -> tuple[int, go.Scatter]:
        middle = [float(values[i]) / _DECADE for i in keep]
        trace = go.Scatter(
            x=at,
            y=middle,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [float(high[i] - values[i]) / _DECADE for i in keep],
                "arrayminus": [float(values[i] - low[i]) / _DECADE for i in keep],
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
            y=[value / _DECADE if math.isfinite(value) else None for value in numbers],
            text=[
                f"{who}<br>{what}<br>at a loss of {x:.3g}: {_power(value)}"
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


def _power(log: float) -> str:
    """Write a number given by its natural logarithm, however large."""
    if not math.isfinite(log):
        return "0"
    decades = log / _DECADE
    if abs(decades) < 4:
        return f"{math.exp(log):.3g}"
    whole = math.floor(decades)
    return f"{10 ** (decades - whole):.2f} x 10<sup>{whole}</sup>"


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
        marks, texts = _marks(low, high)
        figure.update_yaxes(
            tickvals=marks, ticktext=texts, range=[low - room, high + room], row=row, col=column
        )


def _marks(low: float, high: float) -> tuple[list[float | int], list[str]]:
    """Choose a few places on an axis of logarithms to base ten, and what to write there."""
    step = next((s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if (high - low) / s <= 5), 1000)
    marks = list(range(step * math.floor(low / step), step * math.ceil(high / step) + 1, step))
    if high - low >= 2.5:
        return marks, [f"10<sup>{mark}</sup>" for mark in marks]
    between = (1, 3) if high - low > 1 else (1, 2, 5)
    numbers = [times * 10.0**mark for mark in marks for times in between]
    return [math.log10(number) for number in numbers], [f"{number:g}" for number in numbers]


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


# --- density against distance ---------------------------------------------------------------------


def density_vs_distance(
    result: DensityDistance | dict[str, DensityDistance],
    *,
    measure: str = "density",
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw the density of each image against its distance to the nearest adversarial image.

    Each image that has a distance is a point, in the colour and with the symbol of its class. Above
    each panel stands Spearman's rho with its 95 % bootstrap interval, over all images and within
    classes.

    Parameters
    ----------
    result : DensityDistance or dict[str, DensityDistance]
        One; or name to result, side by side with one scale of distances.
    measure : {"density", "closeness", "margin"}
        What goes to the right.
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
        If there is no result, the measure or the theme is unknown, or norms differ.
    """
    colours = style.resolve(theme)
    named = result if isinstance(result, dict) else {"": result}
    if not named:
        raise ValueError("`result` must hold at least one result; got none.")
    if measure not in _SIDEWAYS:
        raise ValueError(f"`measure` must be one of {', '.join(_SIDEWAYS)}; got {measure!r}.")
    norms = list(dict.fromkeys(one.norm for one in named.values()))
    if len(norms) > 1:
        raise ValueError(f"`result` must hold distances in one norm; got {', '.join(norms)}.")

    columns = min(2, len(named))
    rows = math.ceil(len(named) / columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes="all",
        horizontal_spacing=0.05,
        vertical_spacing=0.3 / rows,
        subplot_titles=[_heading(name, one, measure) for name, one in named.items()],
    )
    shown: set[int] = set()
    for place, (name, one) in enumerate(named.items()):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        for label in sorted(set(one.labels.tolist())):
            trace = _cloud(name, one, measure, label, class_names, colours)
            trace.showlegend = label not in shown and len(trace.x) > 0
            shown.update({label} if len(trace.x) else ())
            figure.add_trace(trace, **where)
    figure.update_layout(
        style.layout(
            colours,
            title=title or _question(named, measure),
            subtitle="; ".join(_counts(name, one, measure) for name, one in named.items()),
            height=90 + 400 * rows,
        )
    )
    figure.layout.margin.t += 62
    figure.layout.margin.b = 150
    figure.update_xaxes(style.axis(colours, nticks=5))
    if measure == "density":
        for place in range(len(named)):
            where = {"row": place // columns + 1, "col": place % columns + 1}
            _label_densities(figure, where)
    figure.update_xaxes(title_text="", row=rows)
    figure.update_yaxes(style.axis(colours, nticks=6, rangemode="tozero"))
    for row in range(1, rows + 1):
        figure.update_yaxes(title_text=f"distance ({norms[0]}, pixel range 0..1)", row=row, col=1)
    figure.update_annotations(font={"size": style.TEXT_SIZE, "color": colours.text})
    figure.add_annotation(
        text=_SIDEWAYS[measure],
        x=0.5,
        xref="paper",
        y=0,
        yref="paper",
        yshift=-36,
        yanchor="top",
        showarrow=False,
        font={"size": style.TEXT_SIZE},
    )
    figure.update_layout(legend=style.legend_below())
    sentence = " ".join(
        f"{name or 'The model'}: Spearman's rho of {measure} and {one.norm} distance is "
        f"{_rho(one, measure, 'overall')} over {one.counts['measured']} images and "
        f"{_rho(one, measure, 'pooled')} within classes."
        for name, one in named.items()
    )
    return style.describe(figure, sentence)


def _question(named: dict[str, DensityDistance], measure: str) -> str:
    if measure == "density":
        return "Are images in dense places more robust?"
    if measure == "closeness":
        return "Are images close to their center more robust?"
    return "Are images with a large margin more robust?"


def _rho(one: DensityDistance, measure: str, which: str) -> str:
    found = getattr(one.correlations[measure], which)
    if found.rho is None:
        return "unknown"
    return f"{found.rho:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _heading(name: str, one: DensityDistance, measure: str) -> str:
    lines = [f"<b>{style.quote(name)}</b>, d = {one.dim}" if name else f"d = {one.dim}"]
    lines.append(f"rho {_rho(one, measure, 'overall')}")
    lines.append(f"within classes {_rho(one, measure, 'pooled')}")
    return "<br>".join(lines)


def _counts(name: str, one: DensityDistance, measure: str) -> str:
    """Say how many images are drawn, and what became of the others."""
    counts = one.counts
    text = f"{style.quote(name)}: " if name else ""
    text += f"{counts['measured']} images"
    if counts["misclassified"]:
        text += f", {counts['misclassified']} misclassified left out"
    if counts["not found"]:
        text += f", {counts['not found']} without an adversarial image left out"
    if measure == "density":
        infinite = int((one.measures["density"].isinf() & one.measured).sum())
        text += f", {infinite} of infinite density not drawn" if infinite else ""
        text += f", density of {one.reference}"
    return text


def _cloud(
    name: str,
    one: DensityDistance,
    measure: str,
    label: int,
    names: Sequence[str] | None,
    colours: style.Theme,
) -> go.Scatter:
    """Draw the images of one class."""
    values, distances = one.measures[measure], one.distance
    rows = (one.measured & (one.labels == label) & values.isfinite()).nonzero()[:, 0].tolist()
    scale = _DECADE if measure == "density" else 1.0
    who = _class_name(label, names)
    own = one.correlations[measure].classes.get(label)
    within = (
        ""
        if own is None or own.rho is None
        else f"<br>rho within the class {own.rho:+.2f} ({own.low:+.2f} to {own.high:+.2f})"
    )
    say = {
        "density": lambda v: f"density {_power(v)}",
        "closeness": lambda v: f"{-v:.3g} from its center",
        "margin": lambda v: f"margin {v:.3g}",
    }[measure]
    return go.Scatter(
        x=[float(values[i]) / scale for i in rows],
        y=[float(distances[i]) for i in rows],
        text=[
            f"image {i}, {who}<br>{say(float(values[i]))}"
            f"<br>nearest adversarial image at {float(distances[i]):.4f}{within}"
            for i in rows
        ],
        hovertemplate="%{text}<extra></extra>",
        name=who,
        mode="markers",
        marker={
            "color": style.at(colours.classes, label),
            "symbol": style.at(style.CLASS_SYMBOLS, label),
            "size": 7,
            "opacity": 0.75,
        },
        legendgroup=str(label),
    )


def _label_densities(figure: go.Figure, where: dict[str, int]) -> None:
    """Label an axis of logarithms of densities as powers of ten."""
    values = [x for trace in figure.select_traces(**where) for x in trace.x]
    if values:
        marks, texts = _marks(min(values), max(values))
        figure.update_xaxes(tickvals=marks, ticktext=texts, **where)
