"""Figures of what was measured before: the shipped models side by side, and the ablations."""

from collections.abc import Callable

from mmc_viz import figures
from mmc_viz.ablations import AblationResult, shipped_race, shipped_results
from mmc_viz.checkpoints import load_card, shipped_models
from mmc_viz.collapse import convergence
from mmc_viz.figures import Exhibit
from mmc_viz.gallery.scene import Scene
from mmc_viz.results import PUBLISHED, as_published, summary


def standings(scene: Scene, name: str) -> Exhibit:
    """Show all shipped models on one plane."""
    found = [summary(model, load_card(model)) for model in shipped_models()]
    note = "from the cards of the shipped models; mmc-viz results measures them"
    return Exhibit(name, lambda theme: figures.standings(found, theme=theme), note)


def claimed(scene: Scene, name: str) -> Exhibit:
    """Show what is claimed of MMC on CIFAR-10, what others found, and what we did."""
    names = ("cifar10-mmc", "cifar10-mmc-at")
    ours = [row for model in names for row in as_published(summary(model, load_card(model)))]
    note = "the paper's claims, evaluations by others with their sources, and our own models' cards"
    return Exhibit(name, lambda theme: figures.claims([*PUBLISHED, *ours], theme=theme), note)


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
    "claims": claimed,
    **{f"ablation-{name}": ablated(found) for name, found in shipped_results().items()},
    **({"ablation-convergence": raced} if shipped_race() else {}),
}
