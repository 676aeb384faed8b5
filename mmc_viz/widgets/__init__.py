"""Controls joined to finished results: widgets hold state and compute nothing.

Each widget is opened with `of(...)`, or with the constructor for results of one's own; under it
stands a replay code, and `replay(code)` opens the same situation again.
"""

from typing import Any

from torch import nn

from mmc_viz.replay import split
from mmc_viz.widgets.about import about as about
from mmc_viz.widgets.attack_microscope import AttackMicroscope as AttackMicroscope
from mmc_viz.widgets.base import LabWidget as LabWidget
from mmc_viz.widgets.base import offline_states as offline_states
from mmc_viz.widgets.epsilon_explorer import EpsilonExplorer as EpsilonExplorer
from mmc_viz.widgets.live_trainer import LiveTrainer as LiveTrainer
from mmc_viz.widgets.noise_bench import NoiseBench as NoiseBench
from mmc_viz.widgets.feature_view import FeatureView as FeatureView
from mmc_viz.widgets.prediction import Prediction as Prediction
from mmc_viz.widgets.prediction_curve import PredictionCurve as PredictionCurve


def replay(
    code: str, *, controls: bool = True, models: dict[str, nn.Module] | None = None
) -> LabWidget:
    """Open the widget of a replay code in the situation that it names.

    Parameters
    ----------
    code : str
        As it stands under a widget.
    controls : bool
        Whether inputs are shown; a teacher may hide them.
    models : dict from name to model, optional
        Models in the code that are not shipped.

    Raises
    ------
    ValueError
        If the code is damaged, or fits no widget.
    """
    kind, _ = split(code)
    kinds: dict[str, Any] = {
        widget.kind: widget
        for widget in globals().values()
        if isinstance(widget, type) and issubclass(widget, LabWidget) and widget.kind
    }
    if kind not in kinds:
        raise ValueError(f"`code` must be of one of {', '.join(kinds)}; got {kind!r}.")
    return kinds[kind].replay(code, controls=controls, models=models)
