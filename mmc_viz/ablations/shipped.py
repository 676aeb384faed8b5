"""What the ablations found, as it lies in `data/ablations`."""

from pathlib import Path
from typing import Any

from mmc_viz.ablations.definitions import ABLATIONS
from mmc_viz.ablations.results import AblationResult, load_result
from mmc_viz.files import read_json
from mmc_viz.locations import ABLATIONS_DIR
from mmc_viz.texts import check_json, first_line

#: How the comparison of two runs that take turns is called, beside the names of `ABLATIONS`.
CONVERGENCE = "convergence"
_NUMBERS = {"epoch": int, "seconds": float, "accuracy": float, "loss": float}


def path_of(name: str) -> Path:
    """Say where the outcome of an ablation lies, or would."""
    return ABLATIONS_DIR / f"{name}.json"


def shipped_results() -> dict[str, AblationResult]:
    """Give the ablations whose outcome is there, by name."""
    return {name: load_result(path_of(name)) for name in ABLATIONS if path_of(name).is_file()}


def load_race(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the histories that `mmc-viz ablate convergence` wrote: what `race` gave.

    Raises
    ------
    ValueError
        If the file cannot be read or holds something else.
    """
    try:
        values = read_json(path)
        check_json(values)
        histories = values["histories"]
        for name, history in histories.items():
            for epoch in history:
                if any(type(epoch[key]) is not kind for key, kind in _NUMBERS.items()):
                    raise ValueError(f"the history of {name!r} holds no numbers")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no histories of runs ({first_line(error)}).") from None
    return histories


def shipped_race() -> dict[str, list[dict[str, Any]]] | None:
    """Give the histories of the runs that took turns, if they are there."""
    path = path_of(CONVERGENCE)
    return load_race(path) if path.is_file() else None
