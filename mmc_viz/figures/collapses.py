"""What becomes of the classes through training."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.collapse import MEASURES, CollapseHistory
from mmc_viz.figures import runs, style
from mmc_viz.figures.shown import Figure

#: Heading of the panel of each measure.
_HEADINGS = {
    "nc1": "NC1: scatter within classes",
    "nc1_ratio": "scatter within / between",
    "nc2_norm": "NC2: norms unequal",
    "nc2_angle": "NC2: angles unequal",
    "nc2_simplex": "NC2: angles off the simplex",
    "nc3": "NC3: head off the means",
    "nc4": "NC4: nearest mean disagrees",
    "distance_to_simplex": "distance to the simplex",
    "distance_to_best": "distance to the polygon",
    "distance_to_centers": "distance to own centers",
}
_LOGARITHMIC = ("nc1", "nc1_ratio")  # these fall by orders of magnitude
_PANEL, _BETWEEN = 215, 84  # pixels of height: a panel with what is above it, and that alone


def collapse_over_training(
    history: CollapseHistory | dict[str, CollapseHistory],
    *,
    measures: Sequence[str] | None = None,
    highlight: Collection[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw measures of neural collapse against the epoch, one panel each and one line a head.

    Thin level lines say what class means drawn at random have and, in few dimensions, what the
    regular polygon has or no arrangement goes below. A gap in a line is a measure that does not
    exist there; the subtitle says why.

    Parameters
    ----------
    history : CollapseHistory or dict[str, CollapseHistory]
        One; or name to history, a colour and a dash each.
    measures : sequence of str, optional
        Which of `mmc_viz.collapse.MEASURES` to draw. None: NC1 to NC4 and the distance to the
        simplex, or in the plane that to the regular polygon.
    highlight : collection of str, optional
        Names that stand out; the others become grey. None: all are alike.
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
        If there is no history, a measure or a name is unknown, or the theme is.
    """
    colours = style.resolve(theme)
    named = history if isinstance(history, dict) else {history.head: history}
    if not named:
        raise ValueError("`history` must hold at least one history; got none.")
    chosen = _default_measures(named) if measures is None else list(measures)
    for name in chosen:
        if name not in MEASURES:
            raise ValueError(f"`measures` must be of {', '.join(MEASURES)}; got {name!r}.")
    if not chosen:
        raise ValueError(f"`measures` must hold one at least of {', '.join(MEASURES)}; got none.")
    runs.check_highlight(highlight, list(named))

    columns = min(2, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    figure = make_subplots(
        figure=Figure(),
        rows=rows,
        cols=columns,
        vertical_spacing=_BETWEEN / (rows * _PANEL),
        horizontal_spacing=0.13,
        subplot_titles=[f"<b>{_heading(name, named)}</b>" for name in chosen],
    )
    figure.update_annotations(font={"size": style.TEXT_SIZE, "color": colours.text})
    looks = runs.looks_of(list(named), highlight, colours)
    shown: set[str] = set()  # of the lines for comparison, in the legend once each
    for place, measure in enumerate(chosen):
        cell: dict[str, Any] = {"row": place // columns + 1, "col": place % columns + 1}
        for trace in _references(measure, named, colours):
            trace.showlegend = trace.name not in shown
            shown.add(trace.name)
            figure.add_trace(trace, **cell)
        # What stands out is drawn last, on top.
        for name in sorted(named, key=lambda one: looks[one]["showlegend"]):
            figure.add_trace(_line(name, named[name], measure, looks[name], place == 0), **cell)
        figure.update_xaxes(style.axis(colours, nticks=6), **cell)
        figure.update_yaxes(_measure_axis(measure, named, colours), **cell)
        if not _standing(measure, named):
            _say_why(figure, measure, named, cell)
    if highlight is not None and len(named) > len(set(highlight)):
        figure.add_trace(runs.others(colours), row=1, col=1)
    for place in range(max(0, len(chosen) - columns), len(chosen)):
        figure.update_xaxes(title_text="epoch", row=place // columns + 1, col=place % columns + 1)
    figure.update_layout(
        style.layout(
            colours,
            title=title or "Do the classes collapse as training goes on?",
            subtitle=". ".join([_outcome(named, chosen, highlight), *_gaps(named, chosen)]),
            height=rows * _PANEL,
        )
    )
    runs.leave_room(figure, top=26)
    return style.describe(figure, _sentence(named, chosen))


# --- lines and axes -------------------------------------------------------------------------------


def _default_measures(named: dict[str, CollapseHistory]) -> list[str]:
    plane = all(one.dim == 2 and one.num_classes > 3 for one in named.values())
    distance = "distance_to_best" if plane else "distance_to_simplex"
    return ["nc1", "nc2_norm", "nc2_simplex", "nc3", "nc4", distance]


def _heading(measure: str, named: dict[str, CollapseHistory]) -> str:
    plane = all(one.dim == 2 for one in named.values())
    if measure == "distance_to_best" and not plane:
        return "distance to the best"
    return _HEADINGS[measure]


def _line(
    name: str, one: CollapseHistory, measure: str, look: dict[str, Any], first: bool
) -> go.Scatter:
    epochs, values = one.epochs.tolist(), getattr(one, measure).tolist()
    look = look | {"showlegend": first and look["showlegend"]}
    if len(epochs) <= 12 and look["mode"] == "lines":
        look |= {"mode": "lines+markers", "marker": {"size": 6}}  # each snapshot can be seen
    return go.Scatter(
        x=epochs,
        y=[value if _can_stand(measure, value) else None for value in values],
        text=[
            f"{style.quote(name)}, {_when(epoch)}<br>{_heading(measure, {name: one})}: "
            f"{_number(measure, value)}"
            for epoch, value in zip(epochs, values, strict=True)
        ],
        name=style.quote(name),
        legendgroup=name,
        hovertemplate="%{text}<extra></extra>",
        **look,
    )


def _references(
    measure: str, named: dict[str, CollapseHistory], colours: style.Theme
) -> list[go.Scatter]:
    """Draw what chance gives and what can be reached, where that is known and not 0."""
    epochs = [epoch for one in named.values() for epoch in one.epochs.tolist()]
    ends = [min(epochs), max(epochs)]
    traces = []
    for dash, pick in (("dot", "chance"), ("dash", "reachable")):
        values = {(one.num_classes, one.dim): getattr(one, pick) for one in named.values()}
        for (num_classes, dim), known in values.items():
            value = known.get(measure, 0.0)
            if value <= 1e-6:  # also where rounding leaves a trace of nothing
                continue
            if pick == "chance":
                name = "class means at random"
            else:
                name = "regular polygon" if dim == 2 else f"least in {dim} dimensions"
            words = f"{name}: {value:.3g}<br>{num_classes} classes in {dim} dimensions"
            traces.append(
                go.Scatter(
                    x=ends,
                    y=[value, value],
                    text=[words, words],
                    name=name,
                    mode="lines",
                    line={"color": colours.text, "width": 1.6, "dash": dash},
                    legendgroup=name,
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    return traces


def _measure_axis(
    measure: str, named: dict[str, CollapseHistory], colours: style.Theme
) -> dict[str, Any]:
    if measure in _LOGARITHMIC:
        return style.axis(colours, type="log", **runs.log_ticks(_standing(measure, named)))
    share = {"tickformat": ".0%"} if measure == "nc4" else {}
    return style.axis(colours, rangemode="tozero", nticks=5, **share)


def _standing(measure: str, named: dict[str, CollapseHistory]) -> list[float]:
    """All values of a measure that its axis can show."""
    values = [value for one in named.values() for value in getattr(one, measure).tolist()]
    return [value for value in values if _can_stand(measure, value)]


def _can_stand(measure: str, value: float) -> bool:
    return math.isfinite(value) and (value > 0 or measure not in _LOGARITHMIC)


def _say_why(
    figure: go.Figure, measure: str, named: dict[str, CollapseHistory], cell: dict[str, Any]
) -> None:
    """Put the reason into a panel in which nothing stands."""
    figure.update_yaxes(showticklabels=False, range=[0, 1], type="linear", **cell)
    reasons = dict.fromkeys(one.gaps.get(measure, "0 throughout") for one in named.values())
    lines = style.wrap("no value: " + "; ".join(reasons), 30)
    figure.add_annotation(
        text="<br>".join(lines),
        x=0.5,
        y=0.5,
        xref="x domain",
        yref="y domain",
        showarrow=False,
        font={"size": style.TEXT_SIZE - 1, "color": figure.layout.annotations[0].font.color},
        **cell,
    )


# --- words ----------------------------------------------------------------------------------------


def _when(epoch: int) -> str:
    return f"after epoch {epoch}" if epoch else "before training"


def _number(measure: str, value: float, digits: int = 3) -> str:
    if math.isnan(value):
        return "no value"
    return style.percent(value) if measure == "nc4" else f"{value:.{digits}g}"


def _outcome(
    named: dict[str, CollapseHistory], chosen: list[str], highlight: Collection[str] | None
) -> str:
    """Say where the runs that stand out end: each of a few, else the two extremes."""
    measure = _told(named, chosen)
    shown = [name for name in named if highlight is None or name in highlight]
    ends = {name: _ends(named[name], measure) for name in shown}
    ends = {name: pair for name, pair in ends.items() if pair is not None}
    several = len(ends) > 3
    if several:
        names = sorted(ends, key=lambda name: ends[name][1])
        ends = {name: ends[name] for name in (names[0], names[-1])}
    told = [
        f"{style.quote(name)} {_number(measure, first, 2)} to {_number(measure, last, 2)}"
        for name, (first, last) in ends.items()
    ]
    chance = {one.chance.get(measure) for one in named.values()} - {None}
    if len(chance) == 1:
        told.append(f"class means at random {_number(measure, chance.pop(), 2)}")
    extremes = ", least and most" if several else ""
    return f"{_images(named)}. {_spoken(measure, named)} through training{extremes}: " + "; ".join(
        told or ["no value at the ends"]
    )


def _told(named: dict[str, CollapseHistory], chosen: list[str]) -> str:
    """Choose the measure that the words are about: a distance, if one is drawn and has values."""
    drawn = [name for name in chosen if _standing(name, named)] or chosen
    return next((name for name in drawn if name.startswith("distance")), drawn[0])


def _spoken(measure: str, named: dict[str, CollapseHistory]) -> str:
    heading = _heading(measure, named)
    return heading[0].upper() + heading[1:]


def _ends(one: CollapseHistory, measure: str) -> tuple[float, float] | None:
    values = getattr(one, measure).tolist()
    first, last = values[0], values[-1]
    return None if math.isnan(first) or math.isnan(last) else (first, last)


def _gaps(named: dict[str, CollapseHistory], chosen: list[str]) -> list[str]:
    """Say of each measure that has gaps where they are and why."""
    found = []
    for measure in chosen:
        for name, one in named.items():
            values = getattr(one, measure).tolist()
            missing = [e for e, v in zip(one.epochs.tolist(), values, strict=True) if math.isnan(v)]
            zero = [v for v in values if not math.isnan(v) and not _can_stand(measure, v)]
            where = "" if len(missing) == len(values) else f" at {runs.count(len(missing))}"
            if missing:
                why = one.gaps.get(measure, "it is not known")
                found.append((f"{_heading(measure, named)}{where}: {why}", name))
            if zero:
                why = f"0 at {runs.count(len(zero))}, which a logarithmic axis cannot show"
                found.append((f"{_heading(measure, named)}: {why}", name))
    grouped: dict[str, list[str]] = {}
    for words, name in found:
        grouped.setdefault(words, []).append(style.quote(name))
    return [f"No {words} ({', '.join(names)})" for words, names in grouped.items()]


def _sentence(named: dict[str, CollapseHistory], chosen: list[str]) -> str:
    measure = _told(named, chosen)
    parts = []
    for name, one in named.items():
        pair = _ends(one, measure)
        if pair is None:
            parts.append(f"has no value at an end for {style.quote(name)}")
        else:
            first, last = (_number(measure, value) for value in pair)
            by = f"by epoch {int(one.epochs[-1])} for {style.quote(name)}"
            parts.append(f"goes from {first} to {last} {by}")
    chance = {one.chance.get(measure) for one in named.values()} - {None}
    tail = f"; for class means at random it is {chance.pop():.3g}" if len(chance) == 1 else ""
    meaning = MEASURES[measure].split(": ")[-1]
    return f"On {_images(named)}, the {meaning} {', '.join(parts)}{tail}."


def _images(named: dict[str, CollapseHistory]) -> str:
    counts = sorted({one.images for one in named.values()})
    return " or ".join(map(str, counts)) + " images"
