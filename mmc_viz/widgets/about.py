"""What runs a lesson: versions, device, threads, seed."""

import html
import platform
from dataclasses import dataclass
from importlib import metadata

import torch

from mmc_viz.devices import choose_device


@dataclass(frozen=True)
class About:
    """What runs a lesson.

    Attributes
    ----------
    versions : dict[str, str]
        Package to version.
    device : str
        Where attacks are computed.
    threads : int
        How many torch uses there.
    """

    versions: dict[str, str]
    device: str
    threads: int

    def __repr__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{versions}; {self.device}, {threads}; every random number has seed 0."

    def _repr_html_(self) -> str:
        return f"<small>{html.escape(repr(self))}</small>"


def about() -> About:
    """Say what runs this lesson."""
    named = ("torch", "jupyterlab", "ipywidgets", "anywidget", "plotly")
    versions = {"mmc_viz": metadata.version("mmc-viz"), "Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in named}
    return About(versions, str(choose_device()), torch.get_num_threads())
