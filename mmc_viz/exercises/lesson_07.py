"""Exercises on the parts of an attack: the step, the projection, the loop, and honest settings."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mmc_viz.attacks import pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.exercises.exercise import Exercise, Wrong, returned
from mmc_viz.microscope import climbs
from mmc_viz.objectives import margin

_EPS, _COUNT, _MOST = 0.03, 40, 100


def _images() -> Tensor:
    """Images with pixels at both ends of the scale and between."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(6, 1, 8, 8, generator=generator)
    return torch.where(torch.rand(6, 1, 8, 8, generator=generator) < 0.2, images.round(), images)


def _tensor(value: Any, shape: torch.Size) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != shape:
        got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise Wrong(f"A tensor of the shape of the image, {list(shape)}, is wanted; got {got}.")
    return value.detach()


def _check_step(answer: Any) -> str:
    images = _images()
    gradient = torch.randn(images.shape, generator=torch.Generator().manual_seed(4))
    gradient[0, :, 0] = 0
    for eps in (0.06, 0.3):
        got = _tensor(returned(answer, images.clone(), gradient.clone(), eps), images.shape)
        if got.min() < 0 or got.max() > 1:
            raise Wrong("Some pixels leave [0, 1]: no screen can show them. Clamp the result.")
        change = (got - images).abs()
        if change.max() > eps + 1e-6:
            raise Wrong(f"A pixel has changed by {change.max():.3f}, more than ε = {eps}.")
        if torch.allclose(got, (images - eps * gradient.sign()).clamp(0, 1), atol=1e-6):
            raise Wrong("This goes downhill. The attacker wants the objective to grow.")
        if not torch.allclose(got, (images + eps * gradient.sign()).clamp(0, 1), atol=1e-6):
            raise Wrong(
                "Not every pixel goes the whole way. Only the sign of the gradient counts, however "
                "small its size; where the gradient is 0, the pixel stays."
            )
    return "One step of the whole budget: this is FGSM, the first attack of its kind (2014)."


def _check_projection(answer: Any) -> str:
    images = _images()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(5))
    for eps in (0.05, 0.2):
        points = images + 0.3 * noise
        got = _tensor(returned(answer, points.clone(), images.clone(), eps), images.shape)
        if (got - images).abs().max() > eps + 1e-6:
            raise Wrong("Some pixels are farther than ε from the clean image.")
        if got.min() < 0 or got.max() > 1:
            raise Wrong("The budget is kept, but some pixels leave [0, 1].")
        inside = (points - images).abs().le(eps) & points.ge(0) & points.le(1)
        if not torch.allclose(got[inside], points[inside], atol=1e-6):
            raise Wrong("A pixel that was inside already has moved. It should stay where it is.")
        low, high = (images - eps).clamp_min(0), (images + eps).clamp_max(1)
        if not torch.allclose(got, points.clamp(low, high), atol=1e-6):
            raise Wrong("Each pixel should go to the nearest value that is allowed, not farther.")
    return "This is Π: pixel by pixel the nearest allowed value, and inside nothing moves."


def _check_loop(answer: Any) -> str:
    data = load_dataset("digits", limit=3)
    model = load_model("digits-mmc").requires_grad_(False)
    for i, (eps, steps) in enumerate(((0.1, 1), (0.05, 5), (0.2, 8))):
        image, label = data.inputs()[i], data.labels[i : i + 1]
        (ours,) = climbs(model, image, int(label), eps=eps, steps=steps)
        asked = []

        def gradient_of(x: Tensor, label: Tensor = label, asked: list = asked) -> Tensor:
            asked.append(x.detach().clone())
            point = x.detach().clone().requires_grad_()
            return torch.autograd.grad(margin(model(point[None]), label).sum(), point)[0]

        start = ours.points[0].clone()
        value = returned(answer, start, image.clone(), gradient_of, eps, ours.step_size, steps)
        got = _tensor(value, image.shape)
        if len(asked) != steps:
            raise Wrong(f"For {steps} steps the gradient is asked {steps} times, not {len(asked)}.")
        if len(asked) > 1 and torch.equal(asked[0], asked[1]):
            raise Wrong("The gradient is asked at the same point again: ask it at the new iterate.")
        if not torch.allclose(got, ours.points[-1], atol=1e-5):
            far = (got - image).abs().max()
            hint = (
                "Project after each step." if far > eps + 1e-6 else "Compare it with the formula."
            )
            raise Wrong(f"After {steps} steps your point is another than ours. {hint}")
    return "Your loop goes where ours goes, step for step, from the same starts."


@cache
def _survivors(steps: int, step_size: float) -> int:
    """How many of a few pictures MMC gets right after PGD on the margin with these settings."""
    data = load_dataset("fashion_mnist", limit=_COUNT)
    model = load_model("fashion-mmc")
    found = pgd(model, data.inputs(), data.labels, eps=_EPS, steps=steps, step_size=step_size)
    with torch.no_grad():
        return int((model(found).argmax(dim=1) == data.labels).sum())


def _check_settings(answer: Any) -> str:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("Two numbers are wanted: steps and step size, such as (20, 0.01).")
    steps, size = answer
    if type(steps) is not int or not 1 <= steps <= _MOST:
        raise Wrong(f"The number of steps is a whole number from 1 to {_MOST}.")
    if isinstance(size, bool) or not isinstance(size, float | int) or not 0 < size <= 1:
        raise Wrong("The step size is a number above 0, in the unit of the pixels.")
    own = _survivors(steps, float(size))
    for what, others in (
        (f"{2 * steps} steps", (2 * steps, float(size))),
        ("half the step size and twice the steps", (2 * steps, size / 2)),
        ("twice the step size", (steps, min(2.0 * size, 1.0))),
    ):
        better = _survivors(*others)
        if own - better > 1:
            raise Wrong(
                f"With {what} the same attack leaves {better} of {_COUNT} instead of {own}: your "
                "settings have more to give."
            )
    return f"{own} of {_COUNT} are left, and neither patience nor other steps take more than one."


EXERCISES = [
    Exercise(
        name="07.1",
        title="One step of the whole budget",
        minutes=4,
        difficulty=1,
        task="Write FGSM: go from <code>image</code> by ε along the sign of <code>gradient</code>, "
        "uphill, and stay within [0, 1].",
        stub="def fgsm_step(image, gradient, eps): ...  # your code",
        answer="fgsm_step",
        solution="def fgsm_step(image, gradient, eps):\n"
        "    return (image + eps * gradient.sign()).clamp(0, 1)",
        hints=(
            "Every pixel moves by the same amount; only the direction differs.",
            "A tensor has a method that gives −1, 0 or +1 for each entry.",
            "The last thing to do is .clamp(0, 1).",
        ),
        check=_check_step,
    ),
    Exercise(
        name="07.2",
        title="The projection Π",
        minutes=5,
        difficulty=2,
        task="Write Π: bring <code>point</code> back to where every pixel is within ε of "
        "<code>image</code> and within [0, 1]. What is inside already stays where it is.",
        stub="def project(point, image, eps): ...  # your code",
        answer="project",
        solution="def project(point, image, eps):\n"
        "    low, high = (image - eps).clamp(min=0), (image + eps).clamp(max=1)\n"
        "    return point.clamp(low, high)",
        hints=(
            "In this norm the pixels do not know of each other: think of a single one.",
            "Between which two numbers may a pixel with the clean value 0.98 lie, if ε is 0.06?",
            "clamp takes tensors as limits too: point.clamp(low, high).",
        ),
        check=_check_projection,
    ),
    Exercise(
        name="07.3",
        title="The whole loop",
        minutes=8,
        difficulty=2,
        task="Write PGD from a given start: <code>steps</code> times, take the sign of "
        "<code>gradient_of(x)</code>, go α along it, and project. Return the last point. It is "
        "held against the microscope’s own climbs on digits.",
        stub="def my_pgd(start, image, gradient_of, eps, alpha, steps): ...  # your code",
        answer="my_pgd",
        solution="def my_pgd(start, image, gradient_of, eps, alpha, steps):\n"
        "    low, high = (image - eps).clamp(min=0), (image + eps).clamp(max=1)\n"
        "    x = start\n"
        "    for _ in range(steps):\n"
        "        x = (x + alpha * gradient_of(x).sign()).clamp(low, high)\n"
        "    return x",
        hints=(
            "The formula of the lesson is the body of a loop.",
            "The gradient is asked at the new point each time, not at the image.",
            "The projection of exercise 07.2 belongs inside the loop: the next gradient is taken "
            "at the projected point.",
        ),
        check=_check_loop,
    ),
    Exercise(
        name="07.4",
        title="Settings that have nothing more to give",
        minutes=8,
        difficulty=3,
        task=f"PGD climbs the margin of <b>fashion-mmc</b> on {_COUNT} pictures at ε = {_EPS}. "
        f"Choose the number of steps, at most {_MOST}, and the step size α so that twice the "
        "steps, or a step twice or half as long, would leave at most one picture fewer.",
        stub="settings = None  # (steps, step size)",
        answer="settings",
        solution="settings = (40, 0.0075)",
        hints=(
            "Look at the figure of the sweep: which line is flat at its end, and lowest?",
            "A step much shorter than ε needs many steps; a step longer than ε jumps from side to "
            "side.",
            "A quarter of ε is a good length. How many steps until that line is flat?",
        ),
        check=_check_settings,
    ),
]
