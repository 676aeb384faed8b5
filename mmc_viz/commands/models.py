"""List the shipped models with the numbers their cards hold."""

import argparse
from pathlib import Path

from mmc_viz.commands.arguments import check_output, print_table, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all cards there")


def run(arguments: argparse.Namespace) -> None:
    """Print one line a model; write the cards as JSON on request."""
    from mmc_viz.checkpoints import load_card, shipped_models

    check_output(arguments.json)
    cards = {name: load_card(name) for name in shipped_models()}
    rows = []
    for name, card in cards.items():
        clean = next((m for m in card.measured if m["attack"] == "none"), None)
        robust = [m for m in card.measured if m["attack"] != "none"]
        rows.append(
            [
                name,
                _head(card.head, card.config.get("head_options", {})),
                card.network,
                str(card.dim),
                f"{clean['accuracy']:.2%} of {clean['images']:,}" if clean else "not measured",
                str(len(card.history)),
                ", ".join(_robust(entry) for entry in robust),
            ]
        )
    print_table(
        ["model", "head", "network", "dim", "clean accuracy", "epochs", "robust accuracy"], rows
    )
    if arguments.json is not None:
        write_json(arguments.json, {name: card.to_json() for name, card in cards.items()})


def _head(name: str, options: dict) -> str:
    """Name the head and its settings, as `train --head-option` takes them."""
    given = [(key, value) for key, value in options.items() if value is not None]
    words = (f"{key}={str(value).strip('[]').replace(' ', '')}" for key, value in given)
    return " ".join([name, *words])


def _robust(entry: dict) -> str:
    """Say in a few words what was measured; a card from elsewhere may hold less than ours."""
    words = [str(entry[key]) for key in ("attack", "norm", "objective", "budget") if key in entry]
    size = next((entry[key] for key in ("eps", "sigma", "degrees") if key in entry), "?")
    return f"{' '.join(words)} {size}: {entry.get('accuracy', float('nan')):.1%}"
