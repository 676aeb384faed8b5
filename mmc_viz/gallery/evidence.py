"""Figures of what was measured before: the shipped models side by side, and the ablations."""

from collections.abc import Callable

from mmc_viz import figures
from mmc_viz.ablations import AblationResult, shipped_race, shipped_results
from mmc_viz.checkpoints import load_card, shipped_models
from mmc_viz.collapse import convergence
from mmc_viz.figures import Exhibit
from mmc_viz.gallery.scene import Scene
from mmc_viz.results import summary


def standings(scene: Scene, name: str) -> Exhibit:
    """Show all shipped models on one plane."""
    found = [summary(model, load_card(model)) for model in shipped_models()]
    note = "from the cards of the shipped models; mmc-viz results measures them"
    return Exhibit(name, lambda theme: figures.standings(found, theme=theme), note)


def ablated(found: AblationResult) -> Callable[[Scene, str], Exhibit]:
    """Show what an ablation found."""

    def make(scene: Scene, name: str) -> Exhibit:
        note = f"mmc-viz ablate {found.name}"
        return Exhibit(name, lambda theme: figures.ablation(found, theme=theme), note)

    return make


def raced(scene: Scene, name: str) -> Exhibit:
    """Show SCE and MMC trained in turns."""
    found = convergence(shipped_race())
    note = "Fashion-MNIST, one epoch of each in turn; mmc-viz ablate convergence"
    return Exhibit(name, lambda theme: figures.convergence(found, theme=theme), note)


#: What there are results of.
MAKERS: dict[str, Callable[[Scene, str], Exhibit]] = {
    "standings": standings,
    **{f"ablation-{name}": ablated(found) for name, found in shipped_results().items()},
    **({"ablation-convergence": raced} if shipped_race() else {}),
}
