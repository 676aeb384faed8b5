"""Accuracy against the attacker's budget."""

import plotly.graph_objects as go

from mmc_viz.evaluation import RobustnessCurve
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure


def robustness_curves(
    curves: RobustnessCurve | dict[str, RobustnessCurve],
    *,
    title: str | None = None,
    norm: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw accuracy against budget, one line for each model and attack.

    The shaded band of a line is its 95 % Wilson interval.

    Parameters
    ----------
    curves : RobustnessCurve or dict[str, RobustnessCurve]
        One curve, whose attacks get a colour each; or model name to curve, where models get a
        colour each and attacks a kind of dash.
    title : str, optional
        None: a plain one.
    norm : str, optional
        In which the budgets are measured, for the axis; a curve does not know it.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there is no curve, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = curves if isinstance(curves, dict) else {"": curves}
    if not named:
        raise ValueError("`curves` must hold at least one curve; got none.")
    attacks = list(dict.fromkeys(name for curve in named.values() for name in curve.attacks))

    bands, lines = [], []
    for m, (model, curve) in enumerate(named.items()):
        epsilons = _short(curve)
        accuracy, low, high = curve.accuracy.tolist(), curve.low.tolist(), curve.high.tolist()
        for a, attack in enumerate(curve.attacks):
            place = attacks.index(attack)
            colour = style.at(colours.series, m if model else place)
            key = f"{model}/{attack}"
            bands.append(
                go.Scatter(
                    x=epsilons + epsilons[::-1],
                    y=high[a] + low[a][::-1],
                    name=key,
                    fill="toself",
                    fillcolor=style.faint(colour, 0.16),
                    line={"width": 0},
                    mode="lines",
                    legendgroup=key,
                    showlegend=False,
                    hoverinfo="skip",
                )
            )
            lines.append(
                go.Scatter(
                    x=epsilons,
                    y=accuracy[a],
                    name=style.quote(f"{model}, {attack}" if model else attack),
                    mode="lines+markers",
                    line={"color": colour, "width": 3, "dash": style.at(style.DASHES, place)},
                    marker={"size": 8, "symbol": style.at(style.SYMBOLS, m if model else place)},
                    legendgroup=key,
                    text=_sentences(model, curve, a),
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    figure = Figure([*bands, *lines])
    figure.update_layout(
        style.layout(
            colours,
            title=title or "Accuracy under attack, as the attacker's budget grows",
            subtitle=f"{_images(named)}; shaded: 95 % confidence interval (Wilson)",
            height=440,
        )
    )
    unit = "pixel range 0..1" if norm is None else f"{norm}, pixel range 0..1"
    figure.update_xaxes(style.axis(colours, f"budget epsilon ({unit})"))
    marks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    figure.update_yaxes(
        style.axis(
            colours,
            "accuracy (%)",
            range=[-0.025, 1.025],  # room for the markers at both ends
            tickvals=marks,
            ticktext=[f"{100 * mark:.0f}" for mark in marks],
        )
    )
    figure.layout.margin.b = 100
    figure.update_layout(legend=style.legend_below())
    return style.describe(figure, _summary(named))


def _summary(named: dict[str, RobustnessCurve]) -> str:
    """Say how far each line falls, in one sentence."""
    ways = []
    for model, curve in named.items():
        for a, attack in enumerate(curve.attacks):
            shares = [style.percent(curve.accuracy[a, k].item()) for k in (0, -1)]
            who = (
                f"{style.quote(model)} under {style.quote(attack)}"
                if model
                else style.quote(attack)
            )
            ways.append(f"{who} from {shares[0]} to {shares[1]}")
    budgets = [_short(curve) for curve in named.values()]
    low, high = min(b[0] for b in budgets), max(b[-1] for b in budgets)
    return f"Accuracy as epsilon grows from {low:.4g} to {high:.4g}: {'; '.join(ways)}."


def _short(curve: RobustnessCurve) -> list[float]:
    return [float(f"{eps:.6g}") for eps in curve.epsilons.tolist()]  # 0.06, not 0.059999998658


def _images(named: dict[str, RobustnessCurve]) -> str:
    counts = {model: curve.correct.shape[2] for model, curve in named.items()}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} images"
    return ", ".join(f"{style.quote(model)}: {count} images" for model, count in counts.items())


def _sentences(model: str, curve: RobustnessCurve, a: int) -> list[str]:
    """Say each point of one attack's line in words."""
    who, attack = style.quote(model or "the model"), style.quote(curve.attacks[a])
    rows = zip(_short(curve), curve.accuracy[a], curve.low[a], curve.high[a], strict=True)
    return [
        f"Under {attack} with epsilon {eps:.4g}<br>{who} gets {style.percent(share.item())} right"
        f"<br>(95 % sure: {style.percent(low.item())} to {style.percent(high.item())})"
        for eps, share, low, high in rows
    ]
