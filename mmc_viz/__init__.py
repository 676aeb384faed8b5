"""Does shaping features make a network robust, or only its attacker fail? A laboratory.

`load_model`, `load_dataset` and all modules are found here by name, and imported on first use: the
command line can print its help without waiting for torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_FUNCTIONS = {"load_model": "mmc_viz.checkpoints", "load_dataset": "mmc_viz.datasets"}
_MODULES = (
    "attacks",
    "audit",
    "bundles",
    "centers",
    "checkpoints",
    "collapse",
    "contours",
    "datasets",
    "density",
    "embeddings",
    "evaluation",
    "exercises",
    "figures",
    "heads",
    "networks",
    "objectives",
    "paths",
    "replay",
    "tables",
    "training",
    "trajectories",
    "widgets",
)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"mmc_viz.{name}")
    raise AttributeError(f"module 'mmc_viz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FUNCTIONS, *_MODULES])
