"""Controls joined to finished results: widgets hold state and compute nothing.

Each widget is opened with `of(...)`, or with the constructor for results of one's own; under it
stands a replay code, and `replay(code)` opens the same situation again.

One widget a file. What they share: `base` has settings, replay codes and locks, `working` long work
in a thread, `threads` lets several threads change a widget, `cells` tells runs of a cell apart;
`commitment` is a question whose answer waits for a guess, `subjects` finds models and images, and
`assembling` makes one text of the JavaScript in `js/` and one of the styles in `css/`.
"""

from torch import nn

from mmc_viz.replay import split
from mmc_viz.widgets.about import about as about
from mmc_viz.widgets.attack_microscope import AttackMicroscope as AttackMicroscope
from mmc_viz.widgets.audit_card import AuditCard as AuditCard
from mmc_viz.widgets.base import LabWidget as LabWidget
from mmc_viz.widgets.base import offline_states as offline_states
from mmc_viz.widgets.center_workbench import CenterWorkbench as CenterWorkbench
from mmc_viz.widgets.contour_film import ContourFilm as ContourFilm
from mmc_viz.widgets.density_shells import DensityShells as DensityShells
from mmc_viz.widgets.draw_digit import DrawDigit as DrawDigit
from mmc_viz.widgets.epsilon_explorer import EpsilonExplorer as EpsilonExplorer
from mmc_viz.widgets.feature_view import FeatureView as FeatureView
from mmc_viz.widgets.live_trainer import LiveTrainer as LiveTrainer
from mmc_viz.widgets.noise_bench import NoiseBench as NoiseBench
from mmc_viz.widgets.prediction import Prediction as Prediction
from mmc_viz.widgets.prediction_curve import PredictionCurve as PredictionCurve
from mmc_viz.widgets.self_check import selfcheck as selfcheck
from mmc_viz.widgets.temperature_slider import TemperatureSlider as TemperatureSlider


def kinds() -> dict[str, type[LabWidget]]:
    """List the widgets that have replay codes, by the first word of their codes."""
    found = [one for one in globals().values() if isinstance(one, type)]
    return {one.kind: one for one in found if issubclass(one, LabWidget) and one.Settings}


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
    if kind not in kinds():
        raise ValueError(f"`code` must be of one of {', '.join(kinds())}; got {kind!r}.")
    return kinds()[kind].replay(code, controls=controls, models=models)
