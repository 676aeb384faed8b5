"""List the shipped models with the numbers their cards hold.

Without names one line a model: what cross-entropy PGD leaves and what the worst case leaves, at the
budget it was trained for, else at the middle one of its data set, and whether the audit found the
first to be a mask. With names, shipped or of folders, all that was measured of these.
"""

import argparse
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import check_output, print_table, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="shipped names or model folders, in full"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cards there")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw clean accuracy against the worst case: .html, .png or .svg",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print one line a model, or one table a model; write cards and figure on request."""
    from mmc_viz.checkpoints import load_card, shipped_models

    check_output(arguments.json)
    check_output(arguments.figure)
    names = list(dict.fromkeys(arguments.models)) or shipped_models()
    cards = {name: load_card(name) for name in names}
    if arguments.models:
        for name, card in cards.items():
            _print_card(name, card)
    else:
        _print_list(cards)
    if arguments.json is not None:
        write_json(arguments.json, {name: card.to_json() for name, card in cards.items()})
    if arguments.figure is not None:
        _draw(cards, arguments.figure)


def _print_list(cards: dict[str, Any]) -> None:
    from mmc_viz.results import PROTOCOL, budget, summary

    rows = []
    for name, card in cards.items():
        row = [
            name,
            _head(card.head, card.config.get("head_options", {})),
            card.network,
            str(card.dim),
            _clean(card),
            str(len(card.history)),
        ]
        if card.dataset["name"] in PROTOCOL:
            one = summary(name, card)
            at = one.at_budget(one.eps)
            row += [budget(one.eps), _share(at.usual), _worst(at), _verdict(one.masked)]
        else:
            row += [""] * 4
        rows.append(row)
    header = ["model", "head", "network", "dim", "clean accuracy", "epochs"]
    print_table([*header, "eps", "cross-entropy", "worst case", "audit"], rows)
    print("cross-entropy: left by PGD with 50 steps on cross-entropy; worst case: by an ensemble")
    print("audit: whether cross-entropy PGD overstates the robustness; blank: not measured")


def _print_card(name: str, card: Any) -> None:
    words = _head(card.head, card.config.get("head_options", {}))
    print(f"{name}: {words} on {card.network}, {card.dataset['name']}, seed {card.seed}")
    print(f"made by: {card.command or 'unknown'}")
    rows = [
        [
            str(entry.get("attack", "?")),
            *(_cell(entry, key) for key in ("objective", "norm", "steps")),
            next((f"{entry[key]:.4g}" for key in ("eps", "sigma", "degrees") if key in entry), ""),
            str(entry.get("images", "?")),
            _left(entry),
            _outcome(entry),
        ]
        for entry in card.measured
    ]
    header = ["attack", "objective", "norm", "steps", "size", "images", "robust", ""]
    print_table(header, rows)
    print()


def _draw(cards: dict[str, Any], path: Path) -> None:
    from mmc_viz import figures
    from mmc_viz.results import PROTOCOL, summary

    known = [summary(n, c) for n, c in cards.items() if c.dataset["name"] in PROTOCOL]
    figures.save(figures.standings(known), path)


def _head(name: str, options: dict) -> str:
    """Name the head and its settings, as `train --head-option` takes them."""
    given = [(key, value) for key, value in options.items() if value is not None]
    words = (f"{key}={_short(value)}" for key, value in given)
    return " ".join([name, *words])


def _short(value: Any) -> str:
    """Write a setting as it is given; of a hundred superclasses the first few."""
    if isinstance(value, list) and len(value) > 20:
        return f"{','.join(map(str, value[:5]))},... ({len(value)})"
    return str(value).strip("[]").replace(" ", "")


def _clean(card: Any) -> str:
    clean = next((m for m in card.measured if m["attack"] == "none"), None)
    return f"{clean['accuracy']:.2%} of {clean['images']:,}" if clean else "not measured"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _worst(at: Any) -> str:
    return "" if at.worst is None else f"{at.worst:.1%} [{at.low:.1%}, {at.high:.1%}]"


def _verdict(masked: bool | None) -> str:
    return {None: "", True: "masked", False: "no sign"}[masked]


def _cell(entry: dict, key: str) -> str:
    return str(entry.get(key, ""))


def _left(entry: dict) -> str:
    """Write accuracy and interval; a card from elsewhere may hold less than ours."""
    accuracy = f"{entry.get('accuracy', float('nan')):.1%}"
    if "low" not in entry:
        return accuracy
    return f"{accuracy} [{entry['low']:.1%}, {entry['high']:.1%}]"


def _outcome(entry: dict) -> str:
    """Write what else there is to say of a measurement."""
    words = []
    if entry.get("median_distance") is not None:
        words.append(f"median distance {entry['median_distance']:.3g}")
    if "mean_accuracy" in entry:
        words.append(f"mean {entry['mean_accuracy']:.1%}")
    if entry.get("zero_gradient"):
        words.append(f"zero gradient on {entry['zero_gradient']}")
    if "masked" in entry:
        words.append(f"{entry['claim']:.1%} claimed: {_verdict(entry['masked'])}")
    return ", ".join(words)
