"""Sample density at each image against its distance to the nearest adversarial image."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.density import DensityDistance
from mmc_viz.figures import style
from mmc_viz.figures.densities.words import DECADE, class_name, power, power_ticks
from mmc_viz.figures.shown import Figure

#: What is drawn sideways of each measure: the axis, and the measure in a sentence.
_SIDEWAYS = {
    "density": "density at the feature (share of features per unit volume)",
    "closeness": "minus distance to the center of the class (feature units)",
    "margin": "margin of the true class (logits)",
}


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
        figure=Figure(),
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
            title=title or _question(measure),
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
        f"{style.quote(name) or 'The model'}: Spearman's rho of {measure} and {one.norm} distance "
        f"is {_rho(one, measure, 'overall')} over {one.counts['measured']} images and "
        f"{_rho(one, measure, 'pooled')} within classes."
        for name, one in named.items()
    )
    return style.describe(figure, sentence)


def _question(measure: str) -> str:
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
    scale = DECADE if measure == "density" else 1.0
    who = class_name(label, names)
    own = one.correlations[measure].classes.get(label)
    within = (
        ""
        if own is None or own.rho is None
        else f"<br>rho within the class {own.rho:+.2f} ({own.low:+.2f} to {own.high:+.2f})"
    )
    say = {
        "density": lambda v: f"density {power(v)}",
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
        marks, texts = power_ticks(min(values), max(values))
        figure.update_xaxes(tickvals=marks, ticktext=texts, **where)
