"""Controls joined to finished results: widgets hold state and compute nothing."""

from mmc_viz.widgets.epsilon_explorer import EpsilonExplorer as EpsilonExplorer
from mmc_viz.widgets.epsilon_lab import EpsilonLab as EpsilonLab

__all__ = ["EpsilonExplorer", "EpsilonLab"]
