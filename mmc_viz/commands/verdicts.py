"""How each kind of attack is judged: from a chunk of images to a verdict on each."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mmc_viz.commands.chunks import Verdicts


def seeded(attack: Callable, seed: int) -> Callable:
    """Give an attack its source of random numbers, if it takes one."""
    import torch

    if "generator" not in inspect.signature(attack).parameters:
        return attack
    return partial(attack, generator=torch.Generator().manual_seed(seed))


def within(
    attack: Callable, eps: float | int, model: Any, images: Any, labels: Any, seed: int
) -> Verdicts:
    """Attack within a budget."""
    from mmc_viz.evaluation import robustness_curve

    curve = robustness_curve(model, images, labels, [eps], {"attack": seeded(attack, seed)})
    return {
        "correct": _plain(curve.correct[0, 0]),
        "zero_gradient": _plain(curve.zero_gradient[0]),
    }


def nearest(
    attack: Callable,
    norm: str,
    eps: float | int,
    budget_norm: str,
    model: Any,
    images: Any,
    labels: Any,
    seed: int,
) -> Verdicts:
    """Look for the nearest adversarial image; within the budget it counts as any other."""
    from mmc_viz.attacks import frozen
    from mmc_viz.attacks.balls import BALLS
    from mmc_viz.evaluation import correct, zero_gradient

    with frozen(model, images) as view:
        clean = correct(view.exact, images, labels)
        found = seeded(attack, seed)(view, images, labels).clamp(0, 1)
        fooled = clean & ~correct(view.exact, found, labels)
        # Such an attack climbs the margin.
        flat = zero_gradient(view, images, labels, objective="margin")
    change = found - images
    distances = BALLS[norm].length(change)
    within = BALLS[budget_norm].length(change) <= eps
    return {
        "correct": _plain(clean & ~(fooled & within)),
        "zero_gradient": _plain(flat),
        "clean": _plain(clean),
        "distance": [
            float(f"{distance:.6g}") if hit else None
            for distance, hit in zip(distances.tolist(), fooled.tolist(), strict=True)
        ],
    }


def by_ensemble(
    settings: dict[str, Any], model: Any, images: Any, labels: Any, seed: int
) -> Verdicts:
    """Run the ensemble of `worst_case`."""
    from mmc_viz.evaluation import worst_case

    return _of_ensemble(worst_case(model, images, labels, **settings, seed=seed))


def by_ensembles(
    epsilons: Sequence[float], model: Any, images: Any, labels: Any, seed: int
) -> Verdicts:
    """Run the ensemble at several budgets; each verdict has the number of its budget."""
    from mmc_viz.evaluation import worst_cases

    results = worst_cases(model, images, labels, epsilons, seed=seed)
    return {
        f"{name} {number}": value
        for number, result in enumerate(results)
        for name, value in _of_ensemble(result).items()
    }


def at_budget(verdicts: Verdicts, number: int) -> Verdicts:
    """Take the verdicts at one budget out of those of `by_ensembles`."""
    ending = f" {number}"
    seconds = sum(verdicts[f"seconds_of{ending}"].values())
    own = {k.removesuffix(ending): v for k, v in verdicts.items() if k.endswith(ending)}
    return own | {"seconds": seconds}


def _of_ensemble(result: Any) -> Verdicts:
    return {
        "correct": _plain(result.robust),
        "zero_gradient": _plain(result.zero_gradient),
        "broken_by": result.broken_by,
        "seconds_of": result.seconds,
        "left_out": result.left_out,
    }


def transformed(attack: partial, model: Any, images: Any, labels: Any, seed: int) -> Verdicts:
    """Judge every form of every image."""
    from mmc_viz.attacks.transforms import (
        gaussian_noise,
        noise_accuracy,
        rotation,
        rotation_accuracy,
    )
    from mmc_viz.evaluation import zero_gradient

    measure = {gaussian_noise: noise_accuracy, rotation: rotation_accuracy}[attack.func]
    result = seeded(partial(measure, **attack.keywords), seed)(model, images, labels)
    return {
        "correct": _plain(result.robust),
        "zero_gradient": _plain(zero_gradient(model, images, labels, objective="margin")),
        "share": result.correct.double().mean(dim=0).tolist(),
    }


def _plain(mask: Any) -> list[int]:
    return mask.int().tolist()
