"""What the cards of models hold, one row a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from mmc_viz.checkpoints import Card
from mmc_viz.collapse import convergence
from mmc_viz.results.protocol import PROTOCOL

#: What everybody runs, what the paper proposes against MMC, and what is left in the end.
USUAL = {"attack": "pgd", "objective": "cross_entropy", "steps": 50, "norm": "linf"}
ADAPTIVE = {"attack": "pgd", "objective": "distance", "steps": 50, "norm": "linf"}
WORST = {"attack": "worst_case", "norm": "linf"}


@dataclass(frozen=True)
class AtBudget:
    """What attacks within one budget leave of the accuracy, 0..1; None where it was not measured.

    Attributes
    ----------
    eps : float
        Budget in linf.
    usual : float or None
        PGD with 50 steps on cross-entropy.
    adaptive : float or None
        PGD with 50 steps on the distance to the true center, for SCE on minus the true logit.
    worst, low, high : float or None
        The worst case over the ensemble, and the ends of its 95 % interval.
    """

    eps: float
    usual: float | None
    adaptive: float | None
    worst: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """One model in a row; None where something was not measured.

    Attributes
    ----------
    name, dataset, network, head : str
        Names.
    dim, seed : int
        Of the features; of the training.
    adversarial : float or None
        Budget in linf that it was trained for.
    test_accuracy : float
        On the whole test split, clean, 0..1.
    clean : float or None
        On the images that were attacked, 0..1.
    at : list[AtBudget]
        For each budget of the data set.
    cw : float or None
        Median l2 distance of what C&W finds; None also where most images were never fooled.
    spsa, square : float or None
        What is left by queries alone at the middle budget, 0..1.
    noise, rotation : float or None
        Mean accuracy over noise of sigma 0.05, and over rotations by up to 30 degrees.
    masked : bool or None
        Whether the audit of the usual claim failed.
    audit : dict or None
        The card's entry: budget, claim, what was left, the verdict of each check.
    epochs, epochs_to_share : int
        Of the training; until 90 % of its final accuracy.
    seconds : float
        Of the training, without testing.
    """

    name: str
    dataset: str
    network: str
    head: str
    dim: int
    seed: int
    adversarial: float | None
    test_accuracy: float
    clean: float | None
    at: list[AtBudget]
    cw: float | None
    spsa: float | None
    square: float | None
    noise: float | None
    rotation: float | None
    masked: bool | None
    audit: dict[str, Any] | None
    epochs: int
    epochs_to_share: int
    seconds: float

    @property
    def eps(self) -> float:
        """Budget that it was trained for, else the middle one of its data set, in linf."""
        return self.adversarial or PROTOCOL[self.dataset].middle

    @property
    def worst(self) -> float | None:
        """What the worst case at `eps` leaves, 0..1."""
        at = self.at_budget(self.eps)
        return at and at.worst

    @property
    def kept(self) -> float | None:
        """What the worst case at `eps` leaves of the clean accuracy, as a share of it."""
        return self.worst / self.clean if self.clean and self.worst is not None else None

    def at_budget(self, eps: float) -> AtBudget | None:
        """Give what is known at a budget."""
        return next((entry for entry in self.at if _same(entry.eps, eps)), None)


@dataclass(frozen=True)
class Spread:
    """Models that differ in their seed alone.

    Attributes
    ----------
    names : list[str]
        Of the models.
    quantity : str
        What is averaged: `test_accuracy`, or of `AtBudget` `usual` or `worst`.
    eps : float or None
        At which budget.
    mean, deviation : float
        Over the models, 0..1; the deviation is that of a sample.
    """

    names: list[str]
    quantity: str
    eps: float | None
    mean: float
    deviation: float


def find(card: Card, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Give the measurement in a card that has all these settings.

    Of several it is the one on most images, so that a quick look at a few, recorded later, does not
    take the place of a number; among equals the last.
    """
    found = [
        entry
        for entry in card.measured
        if all(key in entry and _same(entry[key], value) for key, value in wanted.items())
    ]
    return max(reversed(found), key=lambda entry: entry.get("images", 0), default=None)


def summary(name: str, card: Card) -> Summary:
    """Read one model's row from its card."""
    dataset = card.dataset["name"]
    protocol = PROTOCOL[dataset]
    middle = {"eps": protocol.middle, "norm": "linf"}
    adversarial = card.config.get("adversarial", "none") != "none"
    audit = find(card, {"attack": "audit"})
    usual = find(card, USUAL)
    course = convergence(card.history)
    return Summary(
        name=name,
        dataset=dataset,
        network=card.network,
        head=card.head,
        dim=card.dim,
        seed=card.seed,
        adversarial=card.config["eps"] if adversarial else None,
        test_accuracy=card.history[-1]["accuracy"],
        clean=usual and usual["clean_accuracy"],
        at=[_at(card, eps) for eps in protocol.epsilons],
        cw=_value(card, {"attack": "cw"}, "median_distance"),
        spsa=_value(card, {"attack": "spsa", **middle}, "accuracy"),
        square=_value(card, {"attack": "square", **middle}, "accuracy"),
        noise=_value(card, {"attack": "gaussian_noise", "sigma": 0.05}, "mean_accuracy"),
        rotation=_value(card, {"attack": "rotation", "degrees": 30.0}, "mean_accuracy"),
        masked=audit and audit["masked"],
        audit=audit,
        epochs=len(card.history),
        epochs_to_share=course.epochs_to_share[0],
        seconds=sum(entry["seconds"] for entry in card.history),
    )


def spreads(summaries: Sequence[Summary]) -> list[Spread]:
    """Give mean and deviation over models of which there are several seeds."""
    groups: dict[tuple, list[Summary]] = {}
    for one in summaries:
        key = (one.dataset, one.network, one.head, one.dim, one.adversarial)
        groups.setdefault(key, []).append(one)
    return [
        Spread([one.name for one in group], quantity, eps, mean(values), stdev(values))
        for group in groups.values()
        if len(group) > 1
        for quantity, eps, values in _quantities(group)
        if None not in values
    ]


def _quantities(group: list[Summary]) -> list[tuple[str, float | None, list[float | None]]]:
    columns = [("test_accuracy", None, [one.test_accuracy for one in group])]
    for place, entry in enumerate(group[0].at):
        for kind in ("usual", "worst"):
            columns.append((kind, entry.eps, [getattr(one.at[place], kind) for one in group]))
    return columns


def _at(card: Card, eps: float) -> AtBudget:
    worst = find(card, WORST | {"eps": eps}) or {}
    return AtBudget(
        eps=eps,
        usual=_value(card, USUAL | {"eps": eps}, "accuracy"),
        adaptive=_value(card, ADAPTIVE | {"eps": eps}, "accuracy"),
        worst=worst.get("accuracy"),
        low=worst.get("low"),
        high=worst.get("high"),
    )


def _value(card: Card, wanted: dict[str, Any], key: str) -> Any:
    entry = find(card, wanted)
    return None if entry is None else entry.get(key)


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are equal; budgets such as 8/255 may differ by a rounding."""
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) < 1e-9
    return one == other
