"""What an ablation found, model by model."""

from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz import tables
from mmc_viz.attacks import pgd
from mmc_viz.evaluation import accuracy, robustness_curve, worst_case
from mmc_viz.files import read_json
from mmc_viz.texts import check_json, first_line

_SHARES = ("test_accuracy", "clean", "usual", "worst", "low", "high")


@dataclass(frozen=True)
class Outcome:
    """What is known of one model.

    Attributes
    ----------
    group, x : str
        Its place in the figure.
    test_accuracy : float
        Clean, on the whole test split, 0..1.
    clean : float
        On the images that were attacked, 0..1.
    usual : float
        What PGD on cross-entropy with 50 steps leaves of these, 0..1.
    worst, low, high : float
        What the ensemble leaves, 0..1, and the ends of its 95 % interval.
    eps : float
        Budget in linf, in the unit of the images.
    images : int
        How many were attacked.
    budget : str
        Name of the ensemble.
    epochs : int
        Of the training.
    seconds : float
        Of the training, without testing, on whatever else the machine did.
    weights_sha256 : str
        Which weights these are.
    """

    group: str
    x: str
    test_accuracy: float
    clean: float
    usual: float
    worst: float
    low: float
    high: float
    eps: float
    images: int
    budget: str
    epochs: int
    seconds: float
    weights_sha256: str


@dataclass(frozen=True)
class AblationResult:
    """An ablation with its outcomes.

    Attributes
    ----------
    name, question, axis : str
        As in its definition.
    source : str
        Which images were attacked.
    outcomes : list[Outcome]
        In the order of the definition; fewer while it is not finished.
    """

    name: str
    question: str
    axis: str
    source: str
    outcomes: list[Outcome]

    @property
    def groups(self) -> list[str]:
        """Names of the lines."""
        return list(dict.fromkeys(outcome.group for outcome in self.outcomes))

    def of(self, group: str) -> list[Outcome]:
        """Outcomes of one line."""
        return [outcome for outcome in self.outcomes if outcome.group == group]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all as JSON; write it too if `path` is given."""
        return tables.to_json(self.values(), path)

    def values(self) -> dict[str, Any]:
        """Give all as plain values."""
        return asdict(self)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each model as CSV; write it too if `path` is given."""
        return tables.to_csv([asdict(outcome) for outcome in self.outcomes], path)


def load_result(path: str | Path) -> AblationResult:
    """Read what `AblationResult.to_json` wrote.

    Raises
    ------
    ValueError
        If the file cannot be read or holds something else.
    """
    try:
        values = read_json(path)
        check_json(values)
        outcomes = [Outcome(**outcome) for outcome in values["outcomes"]]
        result = AblationResult(**(values | {"outcomes": outcomes}))
        _check(result)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no result of an ablation ({first_line(error)}).") from None
    return result


def _check(result: AblationResult) -> None:
    """Refuse a result whose values are of other types than their fields, or out of range."""
    for one in (result, *result.outcomes):
        for field in fields(one):
            value = getattr(one, field.name)
            # A whole number may stand where a fraction is meant; True may not.
            allowed = {float: (float, int), int: (int,), str: (str,)}.get(field.type, (list,))
            if type(value) not in allowed:
                raise ValueError(f"`{field.name}` is of type {type(value).__name__}")
            if field.name in _SHARES and not 0 <= value <= 1:
                raise ValueError(f"`{field.name}` is {value}, and should be in 0 .. 1")


def measure(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    budget: str = "quick",
    seed: int = 0,
) -> dict[str, Any]:
    """Measure what an `Outcome` says of a model under attack.

    Returns
    -------
    values : dict
        `clean`, `usual`, `worst`, `low`, `high`, `eps`, `images` and `budget`.
    """
    attack = partial(pgd, objective="cross_entropy", steps=50)
    curve = robustness_curve(model, images, labels, [eps], {"usual": attack})
    worst = worst_case(model, images, labels, eps=eps, budget=budget, seed=seed)
    return {
        "clean": accuracy(model, images, labels),
        "usual": curve.accuracy.item(),
        "worst": worst.accuracy,
        "low": worst.low,
        "high": worst.high,
        "eps": eps,
        "images": len(images),
        "budget": budget,
    }
