"""Clean accuracy and what attacks leave of it, as one thing changes."""

import plotly.graph_objects as go

from mmc_viz.ablations import AblationResult, Outcome
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure

#: What is drawn of each model: key, words, dash, whether the marker is filled.
_QUANTITIES = (
    ("clean", "clean", "solid", True),
    ("usual", "cross-entropy PGD-50", "dash", False),
    ("worst", "worst case", "dot", True),
)


def ablation(result: AblationResult, *, title: str | None = None, theme: str = "both") -> go.Figure:
    """Draw an ablation: for each group one line for each kind of number.

    The bars of the worst case are its 95 % interval.

    Parameters
    ----------
    result : AblationResult
        With one outcome or more.
    title : str, optional
        None: its question.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there is no outcome, or the theme is unknown.
    """
    colours = style.resolve(theme)
    if not result.outcomes:
        raise ValueError("`result` must hold at least one outcome; got none.")
    figure = Figure()
    for place, group in enumerate(result.groups):
        outcomes = result.of(group)
        for key, words, dash, filled in _QUANTITIES:
            figure.add_trace(_line(outcomes, group, place, key, words, dash, filled, colours))
    figure.update_xaxes(
        style.axis(colours, result.axis, type="category", categoryorder="array")
        | {"categoryarray": list(dict.fromkeys(one.x for one in result.outcomes))}
    )
    figure.update_yaxes(
        style.axis(colours, "accuracy", range=[-0.03, 1.03], tickformat=".0%", nticks=6)
    )
    figure.update_layout(
        style.layout(
            colours, title=title or result.question, subtitle=_subtitle(result), height=420
        )
    )
    figure.update_layout(legend=style.legend_below())
    figure.update_layout(margin_b=70 + 24 * len(result.groups))
    return style.describe(figure, _sentence(result))


def _line(
    outcomes: list[Outcome],
    group: str,
    place: int,
    key: str,
    words: str,
    dash: str,
    filled: bool,
    colours: style.Theme,
) -> go.Scatter:
    colour = style.at(colours.series, place)
    symbol = style.at(style.SYMBOLS, place) + ("" if filled else "-open")
    values = [getattr(one, key) for one in outcomes]
    bars = None
    if key == "worst":
        bars = {
            "type": "data",
            "array": [one.high - one.worst for one in outcomes],
            "arrayminus": [one.worst - one.low for one in outcomes],
            "thickness": 1.5,
            "width": 4,
        }
    return go.Scatter(
        x=[one.x for one in outcomes],
        y=values,
        error_y=bars,
        mode="lines+markers",
        name=f"{style.quote(group)}, {words}",
        line={"color": colour, "dash": dash, "width": 2.5},
        marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 2}},
        customdata=[[one.images, one.eps, one.seconds] for one in outcomes],
        hovertemplate=(
            f"{style.quote(group)}, %{{x}}<br>{words}: %{{y:.1%}} of %{{customdata[0]}} images"
            + ("" if key == "clean" else "<br>within linf %{customdata[1]:.4g}")
            + "<extra></extra>"
        ),
    )


def _subtitle(result: AblationResult) -> str:
    budgets = {group: result.of(group)[0].eps for group in result.groups}
    if len(set(budgets.values())) == 1:
        said = f"linf {next(iter(budgets.values())):.4g}"
    else:
        said = ", ".join(f"linf {eps:.4g} for {group}" for group, eps in budgets.items())
    first = result.outcomes[0]
    return (
        f"Attacked within {said}, {first.images} images; worst case: the ensemble "
        f"“{first.budget}”, bars are 95 % intervals."
    )


def _sentence(result: AblationResult) -> str:
    parts = []
    for group in result.groups:
        said = [
            f"{one.x}: {style.percent(one.clean)} clean, {style.percent(one.usual)} under "
            f"cross-entropy, {style.percent(one.worst)} in the worst case"
            for one in result.of(group)
        ]
        parts.append(f"{style.quote(group)} by {style.quote(result.axis)}: {'; '.join(said)}.")
    return " ".join([result.question, *parts])
