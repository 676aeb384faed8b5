r"""From outside: ascend in a large ball, and let it shrink to the budget.

From within a small ball an attack sees the slopes within it. A model that overlooks small changes
of a pixel has none there, though a larger change of fewer pixels, no longer in l2, would fool it.
In a ball of radius $r_0 = w \epsilon$ such pixels have slopes. So the objective is raised in balls

$$r_k = w^{1 - k / K} \, \epsilon, \qquad k = 0, \dots, K - 1,$$

each search beginning at the best point of the one before, brought into the smaller ball: little by
little what helps least is given up. What is left at last is a start within the budget.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.attacks.ascent import Adaptive
from mmc_viz.attacks.balls import Ball
from mmc_viz.attacks.budget import Part
from mmc_viz.attacks.checks import check_value
from mmc_viz.attacks.view import View

Images = Float[Tensor, "batch channels height width"]

_BALLS = 20


def from_outside(
    view: View, part: Part, start: Images, *, widest: float | int, steps: int, ball: Ball
) -> Images:
    """Give the point to which the shrinking balls lead, within the budget.

    Parameters
    ----------
    view : View
        Of the model.
    part : Part
        The images, their budgets and goals.
    start : Float[Tensor, "batch channels height width"]
        Within the budget; the search begins `widest` times as far out.
    widest : float
        How many times as large as the budget the first ball is, above 1.
    steps : int
        Of Auto-PGD in each ball.
    ball : Ball
        Of the norm.
    """
    point = part.images + widest * (start - part.images)
    for k in range(_BALLS):
        wider = replace(part, eps=part.eps * widest ** (1 - k / _BALLS))
        point = _highest(view, wider, ball.project(point, wider.images, wider.eps), steps, ball)
    return ball.project(point, part.images, part.eps)


def _highest(view: View, part: Part, start: Images, steps: int, ball: Ball) -> Images:
    """Ascend whether or not the model is fooled; give the best point of each image."""
    rule = Adaptive(part, ball, steps)
    rows = torch.arange(len(start), device=start.device)
    moved = start
    for step in range(steps):
        with torch.enable_grad():
            point = moved.detach().requires_grad_()
            logits = view.fast(point.clone())  # a copy: some models write into what they are given
            value = part.goal.value(logits)
            check_value(value, logits)
            gradient = torch.autograd.grad(value.sum(), point)[0].nan_to_num()
        point, direction = point.detach(), ball.steepest(gradient)
        moved, stuck = rule(step, rows, point, value.detach(), gradient, direction)
        if stuck.all():
            break
    return rule.best
