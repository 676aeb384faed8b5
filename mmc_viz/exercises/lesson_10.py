"""Exercises on evidence: intervals, pairs, and how far a statement is covered by what was found."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mmc_viz.audit import sign_test
from mmc_viz.checkpoints import load_card, shipped_models
from mmc_viz.evaluation import wilson_interval
from mmc_viz.exercises.exercise import Exercise, Wrong, returned
from mmc_viz.results import Summary, summary

_CLOSE = 0.005  # of a share or a probability


# ---- 10.1 ----------------------------------------------------------------------------------------

#: Right of attacked, twice.
_COUNTS = (
    (771, 1000, 774, 1000),
    (375, 1000, 384, 1000),
    (700, 1000, 774, 1000),
    (774, 1000, 700, 1000),
    (15, 30, 20, 30),
    (0, 30, 20, 30),
    (30, 30, 30, 30),
)


def _check_apart(answer: Any) -> str:
    for right_a, total_a, right_b, total_b in _COUNTS:
        said = returned(answer, right_a, total_a, right_b, total_b)
        said = said.item() if isinstance(said, Tensor) and said.numel() == 1 else said
        if not isinstance(said, bool):
            raise Wrong(f"True or False is wanted; got {type(said).__name__}.")
        a, b = (
            [end.item() for end in wilson_interval(torch.tensor(right), total)]
            for right, total in ((right_a, total_a), (right_b, total_b))
        )
        if said != (a[1] < b[0] or b[1] < a[0]):
            raise Wrong(
                f"{right_a} of {total_a} lies in {a[0]:.0%} to {a[1]:.0%}, {right_b} of {total_b} "
                f"in {b[0]:.0%} to {b[1]:.0%}, and you say {said}. Apart means: one ends before "
                "the other begins, in either order."
            )
    return "Thirty pictures tell only large differences apart; a thousand tell about five points."


# ---- 10.2 ----------------------------------------------------------------------------------------

_VERDICTS = ("supported", "refuted", "open")
_STATEMENTS = {
    "A": "MMC without adversarial training withstands attacks at the usual budgets.",
    "B": "Adversarial training makes both SCE and MMC withstand more.",
    "C": "Trained adversarially, MMC withstands more than SCE.",
    "D": "Optimal centers withstand more than random ones.",
}


@cache
def _rows() -> dict[str, Summary]:
    return {name: summary(name, load_card(name)) for name in shipped_models()}


def _percents(names: list[str]) -> str:
    return ", ".join(f"{name} {_rows()[name].worst:.1%}" for name in names)


def _truths() -> dict[str, tuple[str, str]]:
    """Read from the cards what they say of each statement, and why."""
    sets = ("fashion", "mnist", "cifar10")
    plain = [f"{one}-mmc" for one in sets]
    pairs = {f"{one}-{head}": f"{one}-{head}-at" for one in sets for head in ("sce", "mmc")}
    falls = all(_rows()[name].worst < 0.05 for name in plain)
    helps = all(_rows()[at].worst > _rows()[name].worst + 0.1 for name, at in pairs.items())
    duels = [(f"{one}-sce-at", f"{one}-mmc-at") for one in sets]
    clear = [_clearly(sce, mmc) for sce, mmc in duels]
    centers = ["fashion-mmc", "fashion-mmc-random", "mnist-mmc", "mnist-mmc-random"]
    differ = _clearly(centers[1], centers[0]) or _clearly(centers[3], centers[2])
    return {
        "A": (
            "refuted" if falls else "supported",
            f"what the worst case leaves: {_percents(plain)}.",
        ),
        "B": (
            "supported" if helps else "open",
            f"what it leaves after adversarial training: {_percents(list(pairs.values()))}.",
        ),
        "C": (
            "supported" if all(clear) else "open",
            "MMC is ahead by less than the intervals allow to tell, with one training each: "
            f"{_percents([name for duel in duels for name in duel])}.",
        ),
        "D": (
            "supported" if differ else "open",
            "where both kinds fall to the same level nothing can be told apart: "
            f"{_percents(centers)}.",
        ),
    }


def _clearly(less: str, more: str) -> bool:
    """Whether the second model's worst case is above the first's beyond their intervals."""
    low, high = (_rows()[name].at_budget(_rows()[name].eps) for name in (less, more))
    return low.high < high.low


def _check_verdicts(answer: Any) -> str:
    if not isinstance(answer, Mapping):
        raise Wrong('A dictionary is wanted: {"A": "supported", "B": ..., "C": ..., "D": ...}.')
    for name in _STATEMENTS:
        said = answer.get(name)
        if said not in _VERDICTS:
            raise Wrong(f"Statement {name} must be one of {', '.join(_VERDICTS)}; got {said!r}.")
    for name, (truth, why) in _truths().items():
        if answer[name] != truth:
            raise Wrong(f"Statement {name}, {answer[name]}? Look again: {why}")
    return "You have said what the evidence says, and no more."


# ---- 10.3 ----------------------------------------------------------------------------------------


def _check_pairs(answer: Any) -> str:
    generator = torch.Generator().manual_seed(0)
    for total, share_a, share_b in (
        (20, 0.8, 0.5),
        (60, 0.6, 0.55),
        (40, 0.5, 0.9),
        (10, 1.0, 1.0),
    ):
        a = torch.rand(total, generator=generator) < share_a
        b = torch.rand(total, generator=generator) < share_b
        value = returned(answer, a, b)
        value = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
        if isinstance(value, bool) or not isinstance(value, float | int):
            raise Wrong(f"One number is wanted; got {type(value).__name__}.")
        wins, losses = int((a & ~b).sum()), int((b & ~a).sum())
        truth = sign_test(wins, losses)
        if abs(value - truth) > _CLOSE:
            raise Wrong(
                f"Of {total} images the first alone withstands on {wins}, the second alone on "
                f"{losses}: the probability of {wins} heads or more in {wins + losses} throws is "
                f"{truth:.3f}, and you say {value:.3f}. Images on which both agree count for "
                "neither."
            )
    return "Pairs see more than intervals do: images that are easy or hopeless for both drop out."


EXERCISES = [
    Exercise(
        name="10.1",
        title="Can you tell them apart?",
        minutes=8,
        difficulty=1,
        task="Model A is right on <code>right_a</code> of <code>total_a</code> images, model B on "
        "<code>right_b</code> of <code>total_b</code>. Return True if their 95 % Wilson intervals "
        "do not overlap, in either order.",
        stub="def apart(right_a, total_a, right_b, total_b): ...  # your code",
        answer="apart",
        solution="import torch\n\nfrom mmc_viz.evaluation import wilson_interval\n\n\n"
        "def apart(right_a, total_a, right_b, total_b):\n"
        "    low_a, high_a = wilson_interval(torch.tensor(right_a), total_a)\n"
        "    low_b, high_b = wilson_interval(torch.tensor(right_b), total_b)\n"
        "    return bool(high_a < low_b or high_b < low_a)",
        hints=(
            "wilson_interval(torch.tensor(right), total) from mmc_viz.evaluation gives both ends.",
            "Two intervals are apart if the upper end of one is below the lower end of the other.",
            "There are two orders: high_a < low_b, or high_b < low_a. Turn the result into a bool.",
        ),
        check=_check_apart,
    ),
    Exercise(
        name="10.2",
        title="Judge four statements",
        minutes=8,
        difficulty=2,
        task="For the data sets and models of this lesson, is each statement "
        "<i>supported</i>, <i>refuted</i>, or left <i>open</i> by what was measured?<br>"
        + "<br>".join(f"<b>{name}</b> {words}" for name, words in _STATEMENTS.items()),
        stub='verdicts = None  # {"A": "supported", "B": "refuted", "C": "open", "D": ...}',
        answer="verdicts",
        solution='verdicts = {"A": "refuted", "B": "supported", "C": "open", "D": "open"}',
        hints=(
            "Refuted takes a measurement that cannot be if the statement is true.",
            "Supported takes a difference larger than its uncertainty. If neither, it is open.",
            "For C and D look at the intervals, and at how many trainings are behind each number.",
        ),
        check=_check_verdicts,
    ),
    Exercise(
        name="10.3",
        title="Compare on the same images",
        minutes=12,
        difficulty=3,
        task="<code>a</code> and <code>b</code> are Bool tensors: which images models A and B "
        "withstand. Let A alone withstand on <i>w</i> images and B alone on <i>l</i>. If both were "
        "equally good, each of these w + l images would fall to either side like a coin. Return "
        "the probability of w heads or more in w + l throws.",
        stub="def p_value(a, b): ...  # your code",
        answer="p_value",
        solution="from math import comb\n\n\ndef p_value(a, b):\n"
        "    wins, losses = int((a & ~b).sum()), int((b & ~a).sum())\n"
        "    total = wins + losses\n"
        "    return sum(comb(total, k) for k in range(wins, total + 1)) / 2**total",
        hints=(
            "A alone withstands where a & ~b is True.",
            "The probability of exactly k heads in n throws is comb(n, k) / 2**n.",
            "Sum that over k from w to n. With no throw at all the probability is 1.",
        ),
        check=_check_pairs,
    ),
]
