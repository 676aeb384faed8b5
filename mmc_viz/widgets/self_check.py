"""Does everything work here? One line each for what the lessons need, green or red, in words.

Most is checked in the kernel. Two lines only a page can fill in: that it draws, and that a message
goes from the page to the kernel and back.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import torch
import traitlets

from mmc_viz.checkpoints import load_model, shipped_models
from mmc_viz.datasets import load_dataset
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, first_line

_PACKAGES = ("torch", "numpy", "jupyterlab", "ipywidgets", "anywidget", "plotly")


class SelfCheck(LabWidget):
    """A list of what the lessons need, each with a verdict.

    Attributes
    ----------
    rows : list of dict
        `name`, `ok` and `words` of what was checked in the kernel.
    echo : str
        What the page said last; it says something new each time and waits to see it here.
    """

    _esm = assemble("selfcheck.js")
    _css = style("selfcheck.css")

    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    echo = traitlets.Unicode().tag(sync=True)

    def __init__(self, **kwargs: Any):
        super().__init__(rows=[_row(name, check) for name, check in CHECKS.items()], **kwargs)

    @property
    def passed(self) -> bool:
        """Whether all is well in the kernel."""
        return all(row["ok"] for row in self.rows)

    def do_hello(self, word: str) -> None:
        """Say back what the page said."""
        self.echo = str(word)[:40]


def selfcheck() -> SelfCheck:
    """Check what the lessons need; the page shows it line by line."""
    return SelfCheck()


def _row(name: str, check: Callable[[], str]) -> dict[str, Any]:
    """Run one check; whatever it raises becomes its line."""
    try:
        return {"name": name, "ok": True, "words": check()}
    except Exception as error:
        return {"name": name, "ok": False, "words": f"{type(error).__name__}: {first_line(error)}"}


def _packages() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)


def _models() -> str:
    names = shipped_models()
    if not names:
        raise FileNotFoundError("no shipped model was found; the folder data/models is missing")
    for name in names:
        load_model(name)
    return f"{len(names)} shipped models, all can be read"


def _data() -> str:
    found = [load_dataset("digits", "train"), load_dataset("digits"), load_dataset("fashion_mnist")]
    counts = [f"{len(one):,} {one.name} ({one.split})" for one in found]
    return f"{', '.join(counts)} pictures, all without a network"


def _sense() -> str:
    """Count what two models get right: one that was read wrong would still load."""
    data = load_dataset("digits")
    right = {}
    for name in ("digits-sce", "digits-mmc"):
        with torch.no_grad():
            right[name] = (load_model(name)(data.inputs()).argmax(dim=1) == data.labels).float()
    lowest = min(float(one.mean()) for one in right.values())
    if lowest < 0.95:
        raise ValueError(f"a model gets only {lowest:.0%} of the digits right; it should be 95 %")
    return ", ".join(f"{name} {one.mean():.1%} of digits right" for name, one in right.items())


#: What is checked in the kernel: name to a function that says what it found, or raises.
CHECKS: dict[str, Callable[[], str]] = {
    "Packages": _packages,
    "Models": _models,
    "Pictures": _data,
    "Sense": _sense,
}
