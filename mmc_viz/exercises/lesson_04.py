"""Exercises on losses, scatter and learning rates during training."""

from typing import Any

import torch
from torch import Tensor

from mmc_viz.checkpoints import load_model
from mmc_viz.collapse import neural_collapse
from mmc_viz.datasets import load_dataset
from mmc_viz.exercises.exercise import Exercise, Wrong, number, returned
from mmc_viz.networks import outputs
from mmc_viz.training import TrainConfig


def _check_first_loss(answer: Any) -> str:
    for radius in (10.0, 30.0, 4.0):
        value, truth = number(returned(answer, radius)), radius**2 / 2
        if abs(value - 2 * truth) < 1e-3 * truth:
            raise Wrong("That is the squared distance. The loss is half of it.")
        if abs(value - radius) < 1e-3 * radius:
            raise Wrong("That is the distance itself. The loss is half its square.")
        if abs(value - truth) > 1e-3 * truth:
            raise Wrong(f"For a radius of {radius:g} it should be about {truth:g}; got {value:g}.")
    return (
        "Look at MMC's loss curve at epoch 0. Thrice the radius makes it nine times as large, "
        "with nothing gained: two losses in different units cannot be compared."
    )


def _cases() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    centers = 5 * torch.randn(4, 3, generator=generator)
    labels = torch.arange(80) % 4
    data = load_dataset("digits", limit=200)
    _, features = outputs(load_model("digits-mmc"), data.inputs())
    return [
        (centers[labels] + torch.randn(80, 3, generator=generator), labels),
        (features, data.labels),
    ]


def _check_scatter(answer: Any) -> str:
    for features, labels in _cases():
        value = number(returned(answer, features.clone(), labels.clone()))
        truth = neural_collapse(features, labels).nc1_ratio
        if abs(value * truth - 1) < 0.02 and abs(value - truth) > 0.02 * truth:
            raise Wrong("The other way round: within the classes above, between them below.")
        # Classes of slightly different sizes may weigh by their images or alike.
        if abs(value - truth) > 0.05 * truth:
            raise Wrong(
                f"For {len(features)} features of {len(labels.unique())} classes it should be "
                f"{truth:.4g}; got {value:.4g}."
            )
    return "That is the third curve below the maps. At 0 each class would be a single point."


def _check_schedule(answer: Any) -> str:
    for peak, epochs, each in ((0.1, 30, 12), (0.03, 8, 5)):
        config = TrainConfig(lr=peak, epochs=epochs)
        steps = epochs * each
        for step in (0, steps // 8, steps // 4 - 1, steps // 2, steps - 1):
            value = number(returned(answer, step, steps, peak))
            truth = config.learning_rate(step, each)
            # What is asked for starts at 0 or at its first rise; either is one step apart.
            if abs(value - truth) > 1.01 * peak * 4 / steps:
                raise Wrong(
                    f"At step {step} of {steps} with peak {peak:g} it should be about {truth:.4g}; "
                    f"got {value:.4g}."
                )
    return (
        "Now you know why the curves tremble least at the end: there the steps become tiny. It is "
        "the schedule, not the model, that has come to rest."
    )


EXERCISES = [
    Exercise(
        "04.1",
        "Where MMC begins",
        4,
        1,
        "Before the first batch all features lie near the origin, and every center has the norm "
        "<code>radius</code>. How large is MMC's loss then, ½‖z − μ<sub>y</sub>‖²? Compare it "
        "with the loss curve at epoch 0.",
        "def first_loss(radius): ...  # your code",
        "first_loss",
        "def first_loss(radius):\n    return radius**2 / 2",
        (
            "Put z = 0 into the formula.",
            "‖0 − μ‖ is the norm of the center. Square it, and halve it.",
        ),
        _check_first_loss,
    ),
    Exercise(
        "04.2",
        "Scatter within, scatter between",
        10,
        2,
        "Write the measure of the third curve: the mean squared distance of a feature to the mean "
        "of its class, divided by the mean squared distance of a class mean to the mean of all "
        "class means. Every class weighs the same.",
        "def within_between(features, labels): ...  # your code",
        "within_between",
        "def within_between(features, labels):\n"
        "    classes = [features[labels == k] for k in labels.unique()]\n"
        "    means = [one.mean(dim=0) for one in classes]\n"
        "    middle = sum(means) / len(means)\n"
        "    within = sum((x - m).square().sum(dim=1).mean() for x, m in zip(classes, means))\n"
        "    between = sum((m - middle).square().sum() for m in means)\n"
        "    return within / between",
        (
            "Take the classes one by one: features[labels == k] are those of class k.",
            "Distances squared: (points - mean).square().sum(dim=1). Take their mean, class by "
            "class, and then the mean over the classes.",
            "The same with the class means, as if they were the points of one class.",
        ),
        _check_scatter,
    ),
    Exercise(
        "04.3",
        "The learning rate rises and falls",
        8,
        2,
        "In this lesson the learning rate rises linearly from 0 to its peak in the first quarter "
        "of all steps, and falls linearly to 0 in the rest. Write it: the rate at "
        "<code>step</code> (from 0 on) out of <code>steps</code>.",
        "def learning_rate(step, steps, peak): ...  # your code",
        "learning_rate",
        "def learning_rate(step, steps, peak):\n"
        "    top = steps / 4\n"
        "    rising = peak * (step + 1) / top\n"
        "    falling = peak * (steps - step) / (steps - top)\n"
        "    return min(rising, falling)",
        (
            "Two straight lines, and the peak where they meet, at steps / 4.",
            "The first is peak * step / (steps / 4). The second is peak at steps / 4 and 0 at "
            "steps.",
            "Below the peak the smaller of the two lines is the right one: min(rising, falling).",
        ),
        _check_schedule,
    ),
]
