"""What the cards say of one model, in the forms in which it is set beside others."""

from dataclasses import dataclass

import torch

from mmc_viz.checkpoints import load_card
from mmc_viz.evaluation import wilson_interval
from mmc_viz.results.published import Published
from mmc_viz.results.summaries import USUAL, Summary, find, summary

#: As the reliability of a figure of ours, beside those of `Published`.
MEASURED = "measured here"


@dataclass(frozen=True)
class WorstCurve:
    """What the worst case leaves of one model as the budget grows, from its card.

    Attributes
    ----------
    name : str
        Of the model.
    epsilons : list[float]
        Budgets in linf, in the unit of the images; the first is 0, without an attack.
    accuracy, low, high : list[float]
        Share that is right, 0..1, and the ends of its 95 % interval.
    images : int
        How many were attacked.
    """

    name: str
    epsilons: list[float]
    accuracy: list[float]
    low: list[float]
    high: list[float]
    images: int


def worst_curve(name: str) -> WorstCurve:
    """Read the worst case at every budget from the card of a shipped model.

    Raises
    ------
    ValueError
        If there is no such model, or its worst case was not measured.
    """
    card = load_card(name)
    usual, row = find(card, USUAL), summary(name, card)
    measured = [at for at in row.at if at.worst is not None]
    if usual is None or not measured:
        raise ValueError(f"`name` must be a model whose worst case was measured; got {name!r}.")
    images = usual["images"]
    right = torch.tensor(round(usual["clean_accuracy"] * images))
    low, high = wilson_interval(right, images)
    return WorstCurve(
        name,
        [0.0, *(at.eps for at in measured)],
        [usual["clean_accuracy"], *(at.worst for at in measured)],
        [low.item(), *(at.low for at in measured)],
        [high.item(), *(at.high for at in measured)],
        images,
    )


def as_published(one: Summary) -> list[Published]:
    """Give our own figures of a model in the form of those that others have published.

    Only the budget that adversarial training is for is taken, see `Summary.eps`.
    """
    at = one.at_budget(one.eps)
    trained = "adversarially trained" if one.adversarial else "not adversarially trained"
    attacks = {
        "PGD-50, cross-entropy": at and at.usual,
        "PGD-50, minus the true logit": at and at.adaptive,
        "worst case of an ensemble": at and at.worst,
    }
    budget = f"linf {255 * one.eps:.3g}/255" if "cifar" in one.dataset else f"linf {one.eps:.3g}"
    return [
        Published(
            f"{one.name}, {trained}", one.clean, attack, budget, left, "mmc-viz results", MEASURED
        )
        for attack, left in attacks.items()
        if left is not None and one.clean is not None
    ]
