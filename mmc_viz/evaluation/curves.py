"""Accuracy under attack as the budget grows."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz import tables
from mmc_viz.attacks import View, frozen
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.checks import check_epsilons
from mmc_viz.attacks.flatness import flat_under
from mmc_viz.evaluation.intervals import wilson_interval
from mmc_viz.evaluation.judging import correct


@dataclass(frozen=True)
class RobustnessCurve:
    """Which images survive which attack at which budget.

    Attributes
    ----------
    attacks : list[str]
        Names.
    epsilons : Float[Tensor, "steps"]
        Budgets in the unit of the images, rising.
    correct : Bool[Tensor, "attacks steps batch"]
        Whether the model is right on the image and no budget up to this one fooled it.
    zero_gradient : Bool[Tensor, "attacks batch"], optional
        Whether what the attack climbs has an exactly zero gradient at the clean image; False for
        attacks that climb nothing.
    """

    attacks: list[str]
    epsilons: Float[Tensor, " steps"]
    correct: Bool[Tensor, "attacks steps batch"]
    zero_gradient: Bool[Tensor, "attacks batch"] | None = None

    @property
    def accuracy(self) -> Float[Tensor, "attacks steps"]:
        """Share of images on which the model is right, 0..1."""
        return self.correct.double().mean(dim=2)

    @property
    def low(self) -> Float[Tensor, "attacks steps"]:
        """Lower end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.correct.sum(dim=2), self.correct.shape[2])[0]

    @property
    def high(self) -> Float[Tensor, "attacks steps"]:
        """Upper end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.correct.sum(dim=2), self.correct.shape[2])[1]

    def rows(self) -> list[dict[str, str | float | int]]:
        """Give the curve as a table, one row for each attack and budget."""
        count = self.correct.sum(dim=2).tolist()
        accuracy, low, high = self.accuracy.tolist(), self.low.tolist(), self.high.tolist()
        flat = None if self.zero_gradient is None else self.zero_gradient.sum(dim=1).tolist()
        return [
            {
                "attack": attack,
                "epsilon": float(f"{epsilon:.6g}"),  # 0.06, not float32's 0.059999998658
                "images": self.correct.shape[2],
                "correct": count[a][k],
                "accuracy": accuracy[a][k],
                "low": low[a][k],
                "high": high[a][k],
                "zero_gradient": None if flat is None else flat[a],
            }
            for a, attack in enumerate(self.attacks)
            for k, epsilon in enumerate(self.epsilons.tolist())
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def robustness_curve(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Tensor | np.ndarray | Sequence[float | int],
    attacks: dict[str, Callable[..., Tensor]],
    *,
    progress: bool = False,
) -> RobustnessCurve:
    """Measure accuracy under several attacks as their budget grows.

    At each budget an attack is run on the images that no smaller budget has fooled: what fools the
    model within a small ball lies within every larger one. An attack without a budget, which looks
    for the nearest adversarial image, is run once, and its distances give the whole curve.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and it decides what is right.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    epsilons : tensor, array or sequence of float
        Budgets in the unit of the images, rising.
    attacks : dict[str, callable]
        Each is called as `attack(model, images, labels, eps=)` and returns images; settings are
        fixed beforehand, for instance `functools.partial(pgd, steps=50)`. One that takes no `eps`
        is called without, and distances are measured in its `norm`.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    curve : RobustnessCurve

    Raises
    ------
    ValueError
        If the budgets do not rise, there is no attack, one of them takes neither `eps` nor `norm`,
        or an argument is out of range.
    """
    budgets = torch.as_tensor(epsilons, dtype=torch.float64).cpu()
    check_epsilons(budgets)
    if not attacks:
        raise ValueError("`attacks` must name at least one attack; got none.")
    for name, attack in attacks.items():
        if not {"eps", "norm", ""} & _settings(attack).keys():
            raise ValueError(
                f"The attack {name!r} takes neither `eps` nor `norm`: it has no place on a curve."
            )
    clean = correct(model, images, labels)
    table = torch.zeros(len(attacks), len(budgets), len(images), dtype=torch.bool)
    flat = torch.zeros(len(attacks), len(images), dtype=torch.bool)
    bar = tqdm(total=len(attacks), unit="attack", disable=not progress)
    with bar, frozen(model, images) as view:
        for a, (name, attack) in enumerate(attacks.items()):
            bar.set_description(name)
            settings = _settings(attack)
            flat[a] = flat_under(attack, view, images, labels)
            measure = _survival if {"eps", ""} & settings.keys() else _survival_by_distance
            table[a] = measure(view, images, labels, budgets, attack, clean)
            bar.update()
    return RobustnessCurve(list(attacks), budgets.float(), table, flat)


def _settings(attack: Callable[..., Tensor]) -> dict[str, Any]:
    """Keywords that an attack takes, with their values; under "" if it takes any."""
    parameters = inspect.signature(attack).parameters.values()
    return {
        "" if parameter.kind is parameter.VAR_KEYWORD else parameter.name: parameter.default
        for parameter in parameters
    }


def _survival(
    view: View,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    budgets: Float[Tensor, " steps"],
    attack: Callable[..., Tensor],
    clean: Bool[Tensor, " batch"],
) -> Bool[Tensor, "steps batch"]:
    """Attack with one budget after the other."""
    alive, held, rows = clean.clone(), images.detach().clone(), []
    for eps in budgets.tolist():
        # A fooled image goes in as the adversarial image it became, and comes straight back. So
        # each image keeps its place in the call, and its random start.
        found = attack(view, held, labels, eps=eps)
        survives = correct(view.exact, found.clamp(0, 1), labels)
        fooled = alive & ~survives
        held[fooled] = found[fooled]
        alive &= survives
        rows.append(alive.cpu().clone())
    return torch.stack(rows)


def _survival_by_distance(
    view: View,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    budgets: Float[Tensor, " steps"],
    attack: Callable[..., Tensor],
    clean: Bool[Tensor, " batch"],
) -> Bool[Tensor, "steps batch"]:
    """Attack once; what was found farther away than a budget is no success within it."""
    found = attack(view, images, labels)
    fooled = ~correct(view.exact, found.clamp(0, 1), labels)
    distance = BALLS[_settings(attack)["norm"]].length(found - images.detach())
    within = distance[None] <= budgets[:, None].to(distance)
    return (clean & ~(fooled & within)).cpu()
