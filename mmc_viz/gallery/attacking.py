"""Figures of attacks: the loss about an image, accuracy, transfer, the audit."""

from functools import partial

from mmc_viz import figures
from mmc_viz.attacks import mim, pgd
from mmc_viz.audit import audit
from mmc_viz.contours import surfaces
from mmc_viz.evaluation import robustness_curve, transfer_matrix
from mmc_viz.figures import Exhibit
from mmc_viz.gallery.scene import EPS, Scene
from mmc_viz.trajectories import attack_trajectory

IMAGE = 3  # about which the loss is drawn
EPS_L2 = 1.0
FEW = 20  # images whose climb is drawn


def surface(scene: Scene, name: str) -> Exhibit:
    """Show the loss in a plane of images, with the paths of attacks."""
    return _surface(scene, name, kind="2d")


def surface_3d(scene: Scene, name: str) -> Exhibit:
    """Show the same, raised above the plane."""
    return _surface(scene, name, kind="3d")


def _surface(scene: Scene, name: str, *, kind: str) -> Exhibit:
    found = surfaces(
        scene.models,
        scene.images[IMAGE],
        int(scene.labels[IMAGE]),
        eps=EPS,
        class_names=scene.class_names,
    )
    draw = partial(figures.loss_surface, found, kind=kind)
    note = f"fashion-sce and fashion-mmc, test image {IMAGE}, epsilon {EPS}, seed 0"
    return Exhibit(name, lambda theme: draw(theme=theme), note)


def robustness(scene: Scene, name: str) -> Exhibit:
    """Show accuracy against the budget."""
    attacks = {one: partial(pgd, objective=one) for one in ("cross_entropy", "margin")}
    epsilons = [0.0, 0.01, 0.02, 0.04, 0.06]
    found = {
        title: robustness_curve(model, scene.images, scene.labels, epsilons, attacks)
        for title, model in scene.models.items()
    }
    draw = partial(figures.robustness_curves, found, norm="linf")
    return Exhibit(name, lambda theme: draw(theme=theme), f"PGD-20, {len(scene.data)} test images")


def climb(scene: Scene, name: str) -> Exhibit:
    """Show what an attack climbs, step by step."""
    images, labels = scene.images[:FEW], scene.labels[:FEW]
    model = scene.models["MMC"]
    found = {
        one: attack_trajectory(model, images, labels, eps=EPS, attack=partial(pgd, objective=one))
        for one in ("cross_entropy", "margin")
    }
    draw = partial(figures.attack_trajectory, found)
    note = f"fashion-mmc, the first {FEW} test images, PGD-20, epsilon {EPS}"
    return Exhibit(name, lambda theme: draw(theme=theme), note)


def exhausted(scene: Scene, name: str) -> Exhibit:
    """Show which attacks would find more, given more steps."""
    images, labels = scene.images[:FEW], scene.labels[:FEW]
    found = {
        f"{one}, {norm}": attack_trajectory(
            scene.models["MMC"],
            images,
            labels,
            eps=eps,
            attack=partial(pgd, norm=norm, objective=one),
        )
        for norm, eps in (("linf", EPS), ("l2", EPS_L2))
        for one in ("cross_entropy", "margin")
    }
    draw = partial(figures.effort, found)
    note = (
        f"fashion-mmc, the first {FEW} test images, PGD-20, epsilon {EPS} (linf) and {EPS_L2} (l2)"
    )
    return Exhibit(name, lambda theme: draw(theme=theme), note)


def transfer(scene: Scene, name: str) -> Exhibit:
    """Show which model is fooled by what was crafted on which."""
    found = transfer_matrix(scene.models, scene.images, scene.labels, attack=partial(mim, eps=EPS))
    draw = partial(figures.attack_matrix, found)
    note = f"MIM on the margin, epsilon {EPS}, {len(scene.data)} test images"
    return Exhibit(name, lambda theme: draw(theme=theme), note)


def audited(scene: Scene, name: str) -> Exhibit:
    """Show the audit of what cross-entropy PGD-20 claims of MMC."""
    few = 40
    found = audit(scene.models["MMC"], scene.images[:few], scene.labels[:few], eps=EPS)
    draw = partial(figures.audit_card, found)
    note = f"fashion-mmc, the first {few} test images, epsilon {EPS}"
    return Exhibit(name, lambda theme: draw(theme=theme), note)
