"""What the ablations found, as it lies in `data/ablations`."""

import json
from pathlib import Path
from typing import Any

from mmc_viz.ablations.definitions import ABLATIONS
from mmc_viz.ablations.results import AblationResult, load_result
from mmc_viz.locations import ABLATIONS_DIR

#: How the comparison of two runs that take turns is called, beside the names of `ABLATIONS`.
CONVERGENCE = "convergence"


def path_of(name: str) -> Path:
    """Say where the outcome of an ablation lies, or would."""
    return ABLATIONS_DIR / f"{name}.json"


def shipped_results() -> dict[str, AblationResult]:
    """Give the ablations whose outcome is there, by name."""
    return {name: load_result(path_of(name)) for name in ABLATIONS if path_of(name).is_file()}


def load_race(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the histories that `mmc-viz ablate convergence` wrote: what `race` gave."""
    return json.loads(path.read_text(encoding="utf-8"))["histories"]


def shipped_race() -> dict[str, list[dict[str, Any]]] | None:
    """Give the histories of the runs that took turns, if they are there."""
    path = path_of(CONVERGENCE)
    return load_race(path) if path.is_file() else None
