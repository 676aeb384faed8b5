r"""Projected ascent: the loop that all attacks with a gradient and a budget share.

From a point $x_0$ of the ball about the image,

$$x_{s+1} = \Pi\bigl( x_s + \alpha\, \mathrm{steepest}(\nabla_x\, \mathrm{objective}(x_s)) \bigr),$$

with $\Pi$ the projection into the ball and into [0, 1]. An image leaves the batch at the first
iterate that fools the model, and also where it has come to rest. Where no iterate fools the model,
the point of the ball that is best for the last gradient is looked at too.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmc_viz.attacks.balls import Ball
from mmc_viz.attacks.checks import check_value
from mmc_viz.attacks.view import View
from mmc_viz.objectives import Objective

#: Called as `trace(step, images, logits, loss)`.
Trace = Callable[[int, Tensor, Tensor, Tensor], None]


class Goal:
    """What is maximised, and when it is enough; with targets or without."""

    def __init__(self, objective: Objective, targeted: bool):
        self.objective = objective
        self.targeted = targeted

    def value(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Give what is maximised, for each image."""
        value = self.objective(logits, classes)
        return -value if self.targeted else value

    def reached(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Say which images are fooled."""
        return (logits.argmax(dim=1) == classes) == self.targeted


class Recorder:
    """Keeps the values of all images, so that a trace sees whole batches."""

    def __init__(self, trace: Trace, images: Tensor, logits: Tensor, value: Tensor):
        self.trace = trace
        self.values = [images.clone(), logits.clone(), value.clone()]

    def of(self, rows: Tensor) -> Callable:
        """Give the function that records what becomes of these rows."""

        def record(step: int, active: Tensor, *values: Tensor) -> None:
            # Without values nothing has changed, and the trace sees the last ones again.
            for kept, new in zip(self.values, values, strict=False):
                kept[rows[active]] = new
            self.trace(step, *[kept.clone() for kept in self.values])

        return record


def ascend(
    view: View,
    images: Float[Tensor, "batch channels height width"],
    classes: Int[Tensor, " batch"],
    start: Float[Tensor, "batch channels height width"],
    *,
    eps: Float[Tensor, " batch"],
    steps: int,
    step_size: Float[Tensor, " batch"],
    ball: Ball,
    goal: Goal,
    record: Callable | None,
) -> tuple[Float[Tensor, "batch channels height width"], Bool[Tensor, " batch"]]:
    """Ascend from `start`; return the last iterate of each image and whether it fools the model."""
    result, fooled = start.clone(), torch.zeros_like(classes, dtype=torch.bool)
    directions = torch.zeros_like(start)  # the last one taken from each image
    active = torch.arange(len(images), device=images.device)  # rows still in the batch
    for step in range(steps + 1):
        last = step == steps
        if len(active) == 0:
            if record is None:
                break
            record(step, active)
            continue
        with torch.set_grad_enabled(not last):
            point = result[active].requires_grad_(not last)
            logits = view.fast(point.clone())  # a copy: some models write into what they are given
            value = goal.value(logits, classes[active])
            check_value(value, logits)
            gradient = None if last else torch.autograd.grad(value.sum(), point)[0].nan_to_num_()
        point, logits = point.detach(), logits.detach()
        done = _confirmed(view, goal, point, logits, classes[active])
        fooled[active] = done
        if record is not None:
            record(step, active, point, logits, value.detach())
        if last:
            break
        direction = ball.steepest(gradient)
        directions[active] = direction
        moved = ball.project(
            point + direction * _column(step_size[active]), images[active], eps[active]
        )
        # An iterate that stays where it is will stay for good: nothing is lost if it leaves. Where
        # an objective has no slope that spares nearly all of the work.
        goes_on = ~done & (moved != point).flatten(1).any(dim=1)
        active = active[goes_on]
        result[active] = moved[goes_on]
    rest = (~fooled).nonzero()[:, 0]
    if len(rest):
        # Steps along the sphere of l2 stop a percent or two short of its best point. That point is
        # known if the model is linear between here and there; it is worth one look. It is the
        # projection of a point far out, so that what the box cuts off is spent on other pixels.
        far = images[rest] + 8 * directions[rest] * _column(eps[rest])
        aim = ball.project(far, images[rest], eps[rest])
        with torch.no_grad():
            done = _confirmed(view, goal, aim, view.fast(aim.clone()), classes[rest])
        result[rest[done]] = aim[done]
        fooled[rest[done]] = True
    return result, fooled


def _confirmed(
    view: View,
    goal: Goal,
    point: Float[Tensor, "batch channels height width"],
    logits: Float[Tensor, "batch num_classes"],
    classes: Int[Tensor, " batch"],
) -> Bool[Tensor, " batch"]:
    """Which points fool the exact model; asked only where the fast one is fooled."""
    done = goal.reached(logits, classes)
    if view.fast is not view.exact and done.any():
        with torch.no_grad():
            done[done.clone()] = goal.reached(view.exact(point[done]), classes[done])
    return done


def _column(values: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
    return values[:, None, None, None]
