"""All results together: from the cards of the shipped models to one file and one text."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from mmc_viz.ablations import shipped_race, shipped_results
from mmc_viz.checkpoints import Card, load_card, shipped_models
from mmc_viz.collapse import convergence
from mmc_viz.results.ablated import ablated
from mmc_viz.results.markdown import markdown
from mmc_viz.results.protocol import indices
from mmc_viz.results.published import PUBLISHED
from mmc_viz.results.summaries import find, spreads, summary
from mmc_viz.results.transfers import rows_of


def collect(transfer: dict[str, Any]) -> dict[str, Any]:
    """Put together what the cards hold, what others report, and the transfer matrices.

    Parameters
    ----------
    transfer : dict
        By data set; it belongs to no model alone, so no card holds it.

    Returns
    -------
    values : dict
        Plain values, for `data/results.json`.
    """
    cards = {name: load_card(name) for name in shipped_models()}
    summaries = [summary(name, card) for name, card in cards.items()]
    return {
        "format": 1,
        "images": _images(cards.values()),
        "models": {
            one.name: asdict(one)
            | {"weights_sha256": cards[one.name].weights_sha256, "command": cards[one.name].command}
            | {"measured": cards[one.name].measured}
            for one in summaries
        },
        "seeds": [asdict(one) for one in spreads(summaries)],
        "transfer": transfer,
        "published": [one.to_json() for one in PUBLISHED],
    }


def text_of(values: dict[str, Any]) -> str:
    """Write the README's tables from what `collect` gave, and those of the shipped ablations."""
    summaries = [summary(name, load_card(name)) for name in values["models"]]
    images = {
        dataset: f"{one['count']:,} images: {one['indices']}."
        for dataset, one in values["images"].items()
    }
    transfers = {dataset: rows_of(matrix) for dataset, matrix in values["transfer"].items()}
    parts = [markdown(summaries, spreads(summaries), PUBLISHED, images, transfers)]
    results, histories = shipped_results(), shipped_race()
    if results or histories:
        course = convergence(histories) if histories else None
        parts.append(ablated(results.values(), course))
    return "\n\n".join(parts)


def _images(cards: Iterable[Card]) -> dict[str, Any]:
    """Say for each data set how many images were attacked by PGD, and which."""
    found = {}
    for card in cards:
        entry = find(card, {"attack": "pgd_targeted"})
        if entry is not None:
            which = indices(entry["dataset"], entry["images"])
            found[entry["dataset"]] = {"count": entry["images"], "indices": which}
    return found
