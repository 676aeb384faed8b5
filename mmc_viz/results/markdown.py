"""The results as tables for the README."""

from collections.abc import Mapping, Sequence

from mmc_viz.results.protocol import PROTOCOL, TITLES
from mmc_viz.results.published import Published
from mmc_viz.results.summaries import AtBudget, Spread, Summary
from mmc_viz.results.transfers import Transferred

_NONE = ""


def markdown(
    summaries: Sequence[Summary],
    spreads: Sequence[Spread],
    published: Sequence[Published],
    images: dict[str, str],
    transfers: Mapping[str, Sequence[Transferred]],
) -> str:
    """Write all tables.

    Parameters
    ----------
    summaries : sequence of Summary
        The models, in the order of the rows.
    spreads : sequence of Spread
        Means over seeds.
    published : sequence of Published
        What others report.
    images : dict[str, str]
        For each data set, how many images were attacked and which.
    transfers : mapping of str to sequence of Transferred
        By data set, who fools whom; one that was not measured is missing.
    """
    crossed = {one.name: one for group in transfers.values() for one in group}
    parts = []
    for dataset, title in TITLES.items():
        rows = [one for one in summaries if one.dataset == dataset]
        if rows:
            parts += [f"#### {title}", images.get(dataset, ""), _attacked(dataset, rows)]
            parts.append(_rest(rows, crossed))
    hardened = [one for one in summaries if one.adversarial is not None]
    if hardened:
        parts += ["#### Trained adversarially, at the budget of the training", _hardened(hardened)]
    if spreads:
        parts += ["#### Several seeds, mean ± standard deviation", _seeds(spreads)]
    parts += ["#### What others report, on CIFAR-10", _others(published)]
    return "\n\n".join(part for part in parts if part)


def _attacked(dataset: str, rows: list[Summary]) -> str:
    header = ["model", "clean", *(f"eps {budget(eps)}" for eps in PROTOCOL[dataset].epsilons)]
    return table(
        [*header, "audit"],
        [[_name(one), share(one.clean), *map(_left, one.at), _verdict(one)] for one in rows],
    )


def _rest(rows: list[Summary], crossed: dict[str, Transferred]) -> str:
    return table(
        [
            "model",
            "whole test split",
            "C&W, median l2",
            "SPSA",
            "Square",
            "transfer",
            "noise",
            "rotation",
            "epochs (to 90 %)",
            "training",
        ],
        [
            [
                _name(one),
                share(one.test_accuracy, digits=2),
                _NONE if one.cw is None else f"{one.cw:.2f}",
                *map(share, (one.spsa, one.square)),
                _crossed(crossed.get(one.name)),
                *map(share, (one.noise, one.rotation)),
                f"{one.epochs} ({one.epochs_to_share})",
                f"{one.seconds:,.0f} s",
            ]
            for one in rows
        ],
    )


def _hardened(rows: list[Summary]) -> str:
    """Say what share of its clean accuracy a model keeps where it was made to keep it."""
    return table(
        ["model", "eps", "clean", "worst case", "share of clean"],
        [
            [_name(one), budget(one.eps), share(one.clean), share(one.worst), share(one.kept)]
            for one in rows
        ],
    )


def _seeds(spreads: Sequence[Spread]) -> str:
    """Give a row to each group of seeds, in a column each quantity that one of them has."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for one in spreads:
        cell = f"{share(one.mean, digits=2)} ± {share(one.deviation, digits=2)}"
        rows.setdefault(tuple(one.names), {})[_quantity(one)] = cell
    header = list(dict.fromkeys(map(_quantity, spreads)))
    return table(
        ["models", *header],
        [
            [", ".join(f"`{name}`" for name in names), *(row.get(key, _NONE) for key in header)]
            for names, row in rows.items()
        ],
    )


def _quantity(one: Spread) -> str:
    if one.eps is None:
        return "whole test split"
    words = {"usual": "cross-entropy", "worst": "worst case"}
    return f"{words[one.quantity]}, eps {budget(one.eps)}"


def _others(published: Sequence[Published]) -> str:
    return table(
        ["model", "clean", "attack", "budget", "left", "source", "standing"],
        [
            [
                one.model,
                share(one.clean, digits=2),
                one.attack,
                one.budget,
                share(one.accuracy, digits=2),
                one.source,
                one.reliability,
            ]
            for one in published
        ],
    )


def _name(one: Summary) -> str:
    return f"`{one.name}`"


def _left(at: AtBudget) -> str:
    if at.worst is None:
        return _NONE if at.usual is None else f"{share(at.usual)} / {share(at.adaptive)} / "
    interval = f"{100 * at.low:.1f} to {100 * at.high:.1f}"
    return f"{share(at.usual)} / {share(at.adaptive)} / **{share(at.worst)}** ({interval})"


def _crossed(one: Transferred | None) -> str:
    if one is None:
        return _NONE
    return f"{share(one.own)} / {share(one.foreign)} (`{one.source}`)"


def _verdict(one: Summary) -> str:
    if one.audit is None:
        return _NONE
    failed = [name for name, verdict in one.audit["checks"].items() if verdict == "fail"]
    what = (
        " and ".join(f"*{name}*" for name in failed)
        if len(failed) <= 2
        else f"{len(failed)} checks"
    )
    words = f"fails {what}" if failed else "passes"
    claim, left = share(one.audit["claim"]), share(one.audit["accuracy"])
    return f"{words} at {budget(one.audit['eps'])}: {claim} claimed, {left} left"


def share(value: float | None, *, digits: int = 1) -> str:
    """Write a share, 0..1, in percent, without the sign; nothing for None."""
    return _NONE if value is None else f"{100 * value:.{digits}f}"


def budget(eps: float) -> str:
    """Write a budget as people do: 0.1, and 8/255 where decimals would not end."""
    text = f"{eps:.4g}"
    if abs(float(text) - eps) < 1e-9 or abs(eps * 255 - round(eps * 255)) > 1e-6:
        return text
    return f"{round(eps * 255)}/255"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
