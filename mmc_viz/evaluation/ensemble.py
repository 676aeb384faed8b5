"""The worst case: what is left of accuracy when each image meets the attack that it fears most.

Attacks differ in what they miss. An image counts as robust here only if every attack of an ensemble
has failed on it: Auto-PGD on the margin and on the margin to each rival class in turn; FMN and FAB,
which need no budget and so cannot spend it badly, and of which FAB comes from far outside; and
Square, which needs no gradient and so cannot be misled by one. In l2, where a pixel may change by
more than what a model has learned to overlook, Auto-PGD comes from outside too. A larger `budget`
runs all that a smaller one runs, and more; so it never finds less.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz import tables
from mmc_viz.attacks import MINIMAL_NORM, apgd, fab, fmn, frozen, square
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.checks import (
    check_classes,
    check_eps,
    check_images,
    check_labels,
    check_norm,
)
from mmc_viz.attacks.flatness import has_gradient, zero_gradient
from mmc_viz.attacks.published import PARTS, autoattack, load_published, usable_parts
from mmc_viz.evaluation.intervals import wilson_interval
from mmc_viz.networks import outputs

#: What `broken_by` says of an image on which the model errs without any attack.
CLEAN = "clean"

_QUICK = {
    "apgd margin": partial(apgd, objective="margin", steps=40),
    "apgd targeted": partial(apgd, objective="targeted_margin", steps=20),
    "fmn": partial(fmn, steps=40),
    "fab": partial(fab, steps=40, rivals=2),
    "square": partial(square, queries=300),
}
_STANDARD = _QUICK | {
    "apgd margin, long": partial(apgd, objective="margin", steps=100, restarts=2),
    "apgd targeted, long": partial(apgd, objective="targeted_margin", steps=100, restarts=3),
    "fmn, long": partial(fmn, steps=200),
    "fab, long": partial(fab, steps=100, restarts=2),
    "square, long": partial(square, queries=2000),
}
# Of ten starts from 20 times as far, 40 steps in each ball, 6 and 6 broke two images that no other
# attack had (fashion-mmc-at at 1.0, images 1 and 38); from 10 times as far, 20 steps, 3 and 1. In
# linf coming from outside broke nothing more, on the digits and the plain Fashion models.
_IN_L2 = {
    "apgd from outside": partial(
        apgd, objective="targeted_margin", steps=40, widest=20, restarts=2
    ),
}
#: Attacks of our own in each budget, whatever the norm, in the order in which they run.
BUDGETS: dict[str, dict[str, Callable[..., Tensor]]] = {
    "quick": _QUICK,
    "standard": _STANDARD,
    "thorough": _STANDARD,  # and the published AutoAttack
}


@dataclass(frozen=True)
class WorstCase:
    """Which images withstand every attack of an ensemble.

    Attributes
    ----------
    robust : Bool[Tensor, "batch"]
        Whether the model is right on the image and no attack fooled it.
    broken_by : list[str | None]
        For each image the first attack that fooled it, `clean` where the model errs on the image
        itself, None where it is robust.
    seconds : dict[str, float]
        What each attack took; it ran on the images that those before it had left.
    zero_gradient : Bool[Tensor, "batch"]
        Where the usual cross-entropy has an exactly zero gradient.
    eps : float
        Budget in the unit of the images.
    norm, budget : str
        In which `eps` is measured, and the name of the ensemble.
    left_out : list[str]
        Attacks that could not be run: those that are not defined for so few classes, and those
        that need a gradient where the model cuts it off.
    """

    robust: Bool[Tensor, " batch"]
    broken_by: list[str | None]
    seconds: dict[str, float]
    zero_gradient: Bool[Tensor, " batch"]
    eps: float | int
    norm: str
    budget: str
    left_out: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Share of robust images, 0..1."""
        return self.robust.double().mean().item()

    @property
    def low(self) -> float:
        """Lower end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.robust.sum(), len(self.robust))[0].item()

    @property
    def high(self) -> float:
        """Upper end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.robust.sum(), len(self.robust))[1].item()

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each attack: how many images it was the first to fool, in what time."""
        left = len(self.robust)
        rows = []
        for attack in (CLEAN, *self.seconds):
            broken = self.broken_by.count(attack)
            left -= broken
            seconds = self.seconds.get(attack, 0.0)
            rows.append({"attack": attack, "broken": broken, "left": left, "seconds": seconds})
        return rows

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all as JSON; write it too if `path` is given."""
        values = {
            "eps": self.eps,
            "norm": self.norm,
            "budget": self.budget,
            "images": len(self.robust),
            "correct": int(self.robust.sum()),
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "zero_gradient": int(self.zero_gradient.sum()),
            "left_out": self.left_out,
            "attacks": self.rows(),
            "broken_by": self.broken_by,
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give `rows` as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def worst_case(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    norm: str = "linf",
    budget: str = "standard",
    seed: int = 0,
    progress: bool = False,
) -> WorstCase:
    """Run one attack after the other on the images that none has fooled yet.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and it decides what is right.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in the unit of the images.
    norm : {"linf", "l2"}
        In which it is measured.
    budget : {"quick", "standard", "thorough"}
        How much is tried. `quick` is for a look, `standard` for a number to report; `thorough` adds
        the published AutoAttack and needs the extra `autoattack`.
    seed : int
        Of the random starts.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    result : WorstCase

    Raises
    ------
    ValueError
        If an argument is out of range, or `thorough` is asked for and the extra is not installed.
    """
    if budget not in BUDGETS:
        raise ValueError(f"`budget` must be one of {', '.join(BUDGETS)}; got {budget!r}.")
    check_images(images)
    check_labels(labels, images)
    check_norm(norm, BALLS)
    check_eps(eps, images, norm)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    attacks = ensemble(budget, norm)
    if budget == "thorough":
        load_published()
        attacks |= {f"autoattack {part}": partial(autoattack, parts=(part,)) for part in PARTS}
    with frozen(model, images) as view:
        logits, _ = outputs(view.exact, images)
        check_classes("labels", labels, logits.shape[1])
        left_out = _not_usable(attacks, logits.shape[1], has_gradient(view, images))
        for name in left_out:
            del attacks[name]
        alive = logits.argmax(dim=1) == labels
        broken_by: list[str | None] = [None if right else CLEAN for right in alive.tolist()]
        seconds = {}
        bar = tqdm(attacks.items(), unit="attack", disable=not progress)
        for number, (name, attack) in enumerate(bar):
            bar.set_description(name)
            start = time.perf_counter()
            rows = alive.nonzero()[:, 0]
            if len(rows):
                generator = torch.Generator().manual_seed(seed + number)
                fooled = _fooled(view, attack, images[rows], labels[rows], eps, norm, generator)
                for row in rows[fooled].tolist():
                    broken_by[row] = name
                alive[rows[fooled]] = False
            seconds[name] = time.perf_counter() - start
        flat = zero_gradient(view, images, labels)
    return WorstCase(alive.cpu(), broken_by, seconds, flat, eps, norm, budget, left_out)


def ensemble(budget: str, norm: str) -> dict[str, Callable[..., Tensor]]:
    """Attacks of our own that a budget runs in a norm, in their order."""
    return BUDGETS[budget] | (_IN_L2 if norm == "l2" and budget != "quick" else {})


def _not_usable(
    attacks: dict[str, Callable[..., Tensor]], num_classes: int, differentiable: bool
) -> list[str]:
    """Attacks that make no sense for so few classes, or without a gradient."""
    undefined = {f"autoattack {part}" for part in set(PARTS) - set(usable_parts(num_classes))}
    return [
        name for name in attacks if name in undefined or not (differentiable or "square" in name)
    ]


def _fooled(view, attack, images, labels, eps, norm, generator) -> Bool[Tensor, " batch"]:
    """Which of the images an attack fools within the budget."""
    budgets = {} if attack.func in MINIMAL_NORM.values() else {"eps": eps}
    found = attack(view, images, labels, norm=norm, generator=generator, **budgets)
    # Float32 may end a rounding error beyond the ball; what lies farther out is no success.
    within = BALLS[norm].length(found - images) <= eps * (1 + 1e-6) + 1e-7
    logits, _ = outputs(view.exact, found.clamp(0, 1))
    return within & (logits.argmax(dim=1) != labels)
