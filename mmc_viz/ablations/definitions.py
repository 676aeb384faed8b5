"""Which models each ablation compares, and what is read off them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mmc_viz.training import TrainConfig, recipe


@dataclass(frozen=True)
class Variant:
    """One model of an ablation.

    Attributes
    ----------
    group : str
        Which line of the figure it belongs to.
    x : str
        Where on the axis, as it is written there.
    config : TrainConfig
        How it is trained.
    """

    group: str
    x: str
    config: TrainConfig

    @property
    def name(self) -> str:
        """Group and place, as the name of a folder."""
        return re.sub("[^a-z0-9]+", "-", f"{self.group} {self.x}".lower()).strip("-")


@dataclass(frozen=True)
class Ablation:
    """A question, and the models that answer it.

    Attributes
    ----------
    name : str
        By which the command knows it.
    question : str
        In one sentence.
    axis : str
        What changes along the axis.
    variants : list[Variant]
        In the order of the axis, group by group.
    eps : dict[str, float]
        For each group the budget in linf, in the unit of the images, at which it is attacked.
    """

    name: str
    question: str
    axis: str
    variants: list[Variant]
    eps: dict[str, float]


_BASE = "fashion-small_cnn-{}-fast"
_EPS, _TRAINED_EPS = 0.03, 0.1
_PAIR = {"SCE": "sce", "MMC": "mmc"}


def _fast(head: str, **changes: Any) -> TrainConfig:
    return replace(recipe(_BASE.format(head)), **changes)


def _radius() -> Ablation:
    # The gradient with respect to a feature is about as large as the radius when training begins.
    rates = {1: 0.1, 10: 0.03, 100: 0.003}
    variants = [
        Variant("MMC", str(radius), _fast("mmc", radius=radius, lr=lr))
        for radius, lr in rates.items()
    ]
    return Ablation(
        "radius",
        "Does it matter how far from the origin the centers stand?",
        "norm of the centers",
        variants,
        {"MMC": _EPS},
    )


def _centers() -> Ablation:
    heads = {"optimal centers": "mmc", "random centers": "mmc_random"}
    variants = [
        Variant(group, f"seed {seed}", _fast(head, seed=seed))
        for group, head in heads.items()
        for seed in range(3)
    ]
    return Ablation(
        "centers",
        "Do optimal centers do better than random ones?",
        "seed of weights, of order, and of random centers",
        variants,
        dict.fromkeys(heads, _EPS),
    )


def _depth() -> Ablation:
    # ResNet-32 costs ten times as much as the small network; a third of the images, a few times.
    little = {"limit": 20_000, "epochs": 6}
    variants = [
        Variant(group, f"ResNet-{depth}", _fast(head, network=f"resnet{depth}", **little))
        for group, head in _PAIR.items()
        for depth in (8, 20, 32)
    ]
    return Ablation(
        "depth",
        "Does MMC make better use of depth than SCE?",
        "network, 6 epochs of 20,000 images",
        variants,
        dict.fromkeys(_PAIR, _EPS),
    )


def _size() -> Ablation:
    # Fewer images are seen more often: few steps would be a second thing that changes.
    epochs = {1: 200, 5: 80, 20: 40, 100: 20}
    variants = [
        Variant(
            group,
            f"{share} %",
            _fast(head, limit=600 * share if share < 100 else None, epochs=count),
        )
        for group, head in _PAIR.items()
        for share, count in epochs.items()
    ]
    return Ablation(
        "size",
        "Does MMC make better use of few images?",
        "share of the 60,000 training images",
        variants,
        dict.fromkeys(_PAIR, _EPS),
    )


def _form() -> Ablation:
    forms: dict[str, dict[str, Any]] = {
        "r": {"head": "mmc_huber", "head_options": {"knee": 0.0}},
        "Huber, knee 5": {"head": "mmc_huber", "head_options": {"knee": 5.0}},
        "r^2 / 2": {"head": "mmc"},
    }
    hardened = {"adversarial": "pgd", "eps": _TRAINED_EPS, "attack_steps": 2, "epochs": 5}
    groups = {"plain training": {}, "adversarial training": hardened}
    variants = [
        Variant(group, x, replace(_fast("mmc"), **(training | form)))
        for group, training in groups.items()
        for x, form in forms.items()
    ]
    return Ablation(
        "form",
        "Does the square matter, or would the distance do?",
        "loss of the distance r to the center",
        variants,
        {"plain training": _EPS, "adversarial training": _TRAINED_EPS},
    )


_MAKERS: list[Callable[[], Ablation]] = [_radius, _centers, _depth, _size, _form]
#: The pair whose training is set side by side, epoch by epoch.
RACE: dict[str, TrainConfig] = {name: _fast(head, epochs=10) for name, head in _PAIR.items()}
#: By name. All are on Fashion-MNIST, since CIFAR-10 costs a CPU too much.
ABLATIONS: dict[str, Ablation] = {one.name: one for one in (make() for make in _MAKERS)}
