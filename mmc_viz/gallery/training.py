"""Figures of training: collapse and convergence."""

from collections.abc import Sequence
from functools import partial

from mmc_viz import figures
from mmc_viz.checkpoints import load_card
from mmc_viz.collapse import CollapseHistory, collapse_over_training, convergence
from mmc_viz.datasets import load_dataset
from mmc_viz.figures import Exhibit
from mmc_viz.gallery.scene import Scene
from mmc_viz.heads import HEADS
from mmc_viz.training import Snapshots, TrainConfig, train

EPOCHS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 40, 50, 60)  # of the snapshots


def collapse(scene: Scene, name: str) -> Exhibit:
    """Show neural collapse of SCE and of MMC, through training on digits."""
    return _collapse(scene, name, ["sce", "mmc"])


def collapse_of_all(scene: Scene, name: str) -> Exhibit:
    """Show the same for every head."""
    return _collapse(scene, name, sorted(HEADS))


def _collapse(scene: Scene, name: str, heads: Sequence[str]) -> Exhibit:
    found = {head: _history(scene, head) for head in heads}
    draw = partial(figures.collapse_over_training, found)
    note = (
        "digits, 60 epochs of the default recipe, seed 0, measured on the 1,437 training images; "
        "mmc-viz train --head HEAD"
    )
    return Exhibit(name, lambda theme: draw(theme=theme), note)


def _history(scene: Scene, head: str) -> CollapseHistory:
    train_set, test_set = (load_dataset("digits", split) for split in ("train", "test"))
    snapshots = Snapshots(train_set.images, train_set.labels, at=EPOCHS)
    config = TrainConfig(dataset="digits", head=head)
    train(config, train_set, test_set, device=scene.device, progress=False, probe=snapshots)
    return collapse_over_training(snapshots)


def converging(scene: Scene, name: str) -> Exhibit:
    """Show accuracy of the shipped models through their training."""
    names = ("digits-sce", "digits-mmc")
    found = convergence({one: load_card(one).history for one in names})
    note = "histories in the cards of the shipped models; their seconds are one run's"
    return Exhibit(name, lambda theme: figures.convergence(found, theme=theme), note)
