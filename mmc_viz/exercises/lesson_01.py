"""Exercises on the budget and on what decides."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.exercises.exercise import Exercise, Wrong, returned
from mmc_viz.objectives import margin
from mmc_viz.paths import compare

_COUNT = 30


@cache
def _smallest_budget() -> float:
    """Find the least of 0, 0.01, ... at which PGD on the margin leaves `fashion-mmc` nothing."""
    data = load_dataset("fashion_mnist", limit=_COUNT)
    models = {"MMC": load_model("fashion-mmc")}
    epsilons = [k / 100 for k in range(11)]
    runs = compare(
        models, data.inputs(), data.labels, epsilons, objectives=["margin"], progress=False
    )
    right = runs["margin"]["MMC"].right.tolist()
    return next(eps for eps, count in zip(epsilons, right, strict=True) if count == 0)


def _check_budget(answer: Any) -> str:
    if isinstance(answer, bool) or not isinstance(answer, float | int):
        raise Wrong("A number is wanted, the ε at the right of the slider, such as 0.05.")
    if not 0 < answer < 1:
        raise Wrong("ε lies between 0 and 1, in the unit of the pixels.")
    eps = _smallest_budget()
    if answer < eps - 0.005:
        raise Wrong("At that budget MMC still gets some of the thirty right. Go on sliding.")
    if answer > eps + 0.005:
        raise Wrong("MMC has none right there, but it had none right at a smaller ε already.")
    return f"At ε = {eps} nothing is left: {255 * eps:.1f} of 255 grey levels, hard to see."


def _cases() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(50, 7, generator=generator), torch.randint(7, (50,), generator=generator)),
        # far apart, as MMC's logits are
        (-222 * torch.rand(50, 10, generator=generator), torch.arange(50) % 10),
    ]


def _check_margin(answer: Any) -> str:
    for logits, labels in _cases():
        value = returned(answer, logits.clone(), labels)
        if not isinstance(value, Tensor) or value.shape != labels.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise Wrong(
                f"One number per picture is wanted, of shape ({len(labels)},); got {shape}."
            )
        truth = margin(logits, labels)
        if torch.allclose(value, -truth, atol=1e-4):
            raise Wrong("That is the lead of the right class. The attacker wants its opposite.")
        if not torch.allclose(value, truth, atol=1e-4):
            raise Wrong(
                "Not on every picture. Is the right class left out when you look for the best of "
                "the wrong ones?"
            )
    return "It is positive exactly where the picture is fooled."


def _check_count(answer: Any) -> str:
    data = load_dataset("digits", limit=40)
    images = data.inputs()
    noisy = (images + 0.5 * torch.randn(images.shape, generator=torch.Generator())).clamp(0, 1)
    model = load_model("digits-sce")
    for inputs in (images, noisy):
        value = returned(answer, model, inputs, data.labels)
        truth = int((model(inputs).argmax(dim=1) == data.labels).sum())
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if value != truth:
            raise Wrong(f"On {len(inputs)} digits it should say {truth}; it says {value}.")
    return "That number, after the strongest attack you know, is what robust accuracy means."


EXERCISES = [
    Exercise(
        "01.1",
        "The budget that is enough",
        4,
        1,
        "In the last picture above, choose <code>margin</code>. What is the smallest ε on the "
        "slider at which MMC has <b>none</b> of the thirty pictures right? Tick <i>show the "
        "perturbation</i> there: could you see a change of that size?",
        "budget = None  # your number",
        "budget",
        "budget = 0.04  # where MMC's sentence first says 0 of 30",
        (
            "Go to the slider with Tab and press the right arrow key: one press is 0.01.",
            "Read the sentence below MMC's pictures. You look for the first step at which it "
            "says 0 of 30.",
        ),
        _check_budget,
    ),
    Exercise(
        "01.2",
        "Count what is still right",
        5,
        1,
        "Write the function behind every sentence on this page: how many pictures does a model "
        "get right? <code>model(images)</code> gives the logits, one row per picture.",
        "def still_right(model, images, labels): ...  # your code",
        "still_right",
        "def still_right(model, images, labels):\n"
        "    return int((model(images).argmax(dim=1) == labels).sum())",
        (
            "The class that a model sees is the place of the largest logit in its row.",
            "`logits.argmax(dim=1)` gives these places; compare them with `labels`.",
            "A comparison gives True or False for each picture; `.sum()` counts the True.",
        ),
        _check_count,
    ),
    Exercise(
        "01.3",
        "What decides",
        8,
        2,
        "Write the margin, max<sub>j ≠ y</sub> h<sub>j</sub> − h<sub>y</sub>: one number per "
        "picture, from logits of shape [N, L] and labels of shape [N].",
        "def my_margin(logits, labels): ...  # your code",
        "my_margin",
        "def my_margin(logits, labels):\n"
        "    right = logits.gather(1, labels[:, None])\n"
        '    others = logits.scatter(1, labels[:, None], float("-inf"))\n'
        "    return others.amax(dim=1) - right[:, 0]",
        (
            "You need two numbers of each row: the logit of the right class, and the largest of "
            "the others.",
            "`logits.gather(1, labels[:, None])` picks the right class's logit out of each row.",
            "`logits.scatter(1, labels[:, None], float('-inf'))` puts minus infinity in its place; "
            "then the largest of the row is the best wrong class.",
        ),
        _check_margin,
    ),
]
