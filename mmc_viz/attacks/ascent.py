r"""Ascent: the loop that all attacks with a gradient and a budget share.

From a point $x_0$ of the ball about the image a rule takes each iterate to the next,

$$x_{s+1} = \mathrm{rule}\bigl( x_s, \nabla_x\, \mathrm{objective}(x_s) \bigr),$$

within the ball and within [0, 1]. An image leaves the batch at the first iterate that fools the
model, and also where it has come to rest for good. Where no iterate fools the model, the point of
the ball that is best for the last gradient is looked at too.

The rules:

`Constant`
    projected gradient ascent: steps of one length along the steepest direction;
`Momentum`
    the same along a sum of all gradients so far, the older the lighter;
`Adaptive`
    Auto-PGD: long steps first, halved where they no longer pay, from the best point so far.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmc_viz.attacks.balls import Ball
from mmc_viz.attacks.budget import Part, confirmed
from mmc_viz.attacks.checks import check_value
from mmc_viz.attacks.view import View

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]


@runtime_checkable
class Rule(Protocol):
    """How an iterate leads to the next; may remember what became of each row."""

    def __call__(
        self,
        step: int,
        rows: Int[Tensor, " batch"],
        points: Images,
        values: Numbers,
        gradients: Images,
        directions: Images,
    ) -> tuple[Images, Bool[Tensor, " batch"]]:
        """Give the next points of these rows, and which of them will not move any more.

        `directions` are the steepest ones of the ball for the `gradients`.
        """


class Constant:
    """Projected gradient ascent with steps of one length."""

    def __init__(self, part: Part, ball: Ball, step_sizes: Numbers):
        self.part, self.ball, self.step_sizes = part, ball, step_sizes

    def __call__(self, step, rows, points, values, gradients, directions):
        """Step along the steepest direction."""
        moved = self.part.within(
            self.ball, points + directions * _column(self.step_sizes[rows]), rows
        )
        # No memory: where an iterate stays once, it stays for good. Where an objective has no
        # slope that spares nearly all of the work.
        return moved, (moved == points).flatten(1).all(dim=1)


class Momentum:
    r"""Steps along the decaying sum $m \leftarrow \mu m + g / \lVert g \rVert_1$ of gradients.

    References
    ----------
    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018,
    https://arxiv.org/abs/1710.06081.
    """

    def __init__(self, part: Part, ball: Ball, step_sizes: Numbers, decay: float | int):
        self.part, self.ball, self.step_sizes, self.decay = part, ball, step_sizes, decay
        self.sums = torch.zeros_like(part.images)

    def __call__(self, step, rows, points, values, gradients, directions):
        """Add the gradients to the sums, and step along these."""
        # Scaling by the largest entry first keeps tiny gradients from vanishing in the sum.
        gradients = gradients / _column(gradients.abs().amax(dim=(1, 2, 3)).clamp_min(_TINY))
        unit = gradients / _column(gradients.abs().sum(dim=(1, 2, 3)).clamp_min(_TINY))
        self.sums[rows] = sums = self.decay * self.sums[rows] + unit
        change = self.ball.steepest(sums) * _column(self.step_sizes[rows])
        # Only what has never had a gradient is stuck: else the sum goes on turning.
        return self.part.within(self.ball, points + change, rows), ~sums.flatten(1).any(dim=1)


class Adaptive:
    r"""Auto-PGD: steps of $2 \epsilon$ at first, halved at checkpoints where they do not pay.

    A step does not pay if fewer than three quarters of the steps since the last checkpoint raised
    the objective, or if neither its size nor its best value has changed since. The search then goes
    on from the best point so far.

    References
    ----------
    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, https://arxiv.org/abs/2003.01690, algorithm 1.
    """

    def __init__(self, part: Part, ball: Ball, steps: int):
        self.part, self.ball = part, ball
        self.step_sizes = 2 * part.eps
        self.before = part.images.clone()  # the iterate before the present one
        self.best, self.best_directions = part.images.clone(), torch.zeros_like(part.images)
        self.best_values = torch.full_like(part.eps, -torch.inf).double()
        self.last_values = self.best_values.clone()
        self.rises = torch.zeros_like(part.eps)  # since the last checkpoint
        # At the last checkpoint: the best value, and whether the step was halved.
        self.marked_values = self.best_values.clone()
        self.halved = torch.ones_like(part.eps, dtype=torch.bool)
        self.checkpoints, self.since = checkpoints(steps), 0

    def __call__(self, step, rows, points, values, gradients, directions):
        """Note the values, halve steps at a checkpoint, and step with a quarter of momentum."""
        values = values.double()
        self.rises[rows] += (values > self.last_values[rows]) & (step > 0)
        self.last_values[rows] = values
        better = values > self.best_values[rows]
        at = rows[better]
        self.best_values[at] = values[better]
        self.best[at], self.best_directions[at] = points[better], directions[better]
        before = self.before[rows] if step else points
        stuck = ~directions.flatten(1).any(dim=1) & (points == before).flatten(1).all(dim=1)
        if step == 0:
            self.marked_values[rows] = self.best_values[rows]
        elif step in self.checkpoints:
            few = self.rises[rows] < 0.75 * (step - self.since)
            still = ~self.halved[rows] & (self.best_values[rows] <= self.marked_values[rows])
            halve = few | still
            at = rows[halve]
            self.step_sizes[at] /= 2
            points, directions = points.clone(), directions.clone()
            points[halve], directions[halve] = self.best[at], self.best_directions[at]
            self.halved[rows] = halve
            self.marked_values[rows] = self.best_values[rows]
            self.rises[rows] = 0
            self.since = step
        self.before[rows] = points
        ahead = points + directions * _column(self.step_sizes[rows])
        ahead = self.part.within(self.ball, ahead, rows)
        if step:
            ahead = points + 0.75 * (ahead - points) + 0.25 * (points - before)
            ahead = self.part.within(self.ball, ahead, rows)
        return ahead, stuck


def checkpoints(steps: int) -> set[int]:
    """List the steps at which Auto-PGD may halve its own: rarely at first, often at the end."""
    percent, gap, found = 22, 22, set()
    while percent < 100:
        found.add(-(-percent * steps // 100))  # rounded up
        gap = max(gap - 3, 6)
        percent += gap
    return found


def ascend(
    view: View,
    part: Part,
    start: Images,
    *,
    steps: int,
    ball: Ball,
    rule: Rule,
    record: Callable | None,
) -> tuple[Images, Bool[Tensor, " batch"]]:
    """Ascend from `start`; return the last iterate of each image and whether it fools the model.

    In a final try the last iterate is not looked at where that is very unlikely to matter.
    """
    result, fooled = start.clone(), torch.zeros_like(part.eps, dtype=torch.bool)
    last_directions = torch.zeros_like(start)
    first_leads, last_leads = torch.zeros_like(part.eps), torch.zeros_like(part.eps)
    active = torch.arange(len(start), device=start.device)  # rows still in the batch
    for step in range(steps + 1):
        last = step == steps
        if len(active) == 0:
            if record is None:
                break
            record(step, active)
            continue
        if last and part.final and record is None:
            active = active[_in_reach(first_leads[active], last_leads[active], steps)]
            if len(active) == 0:
                break
        goal = part.goal.at(active)
        with torch.set_grad_enabled(not last):
            point = result[active].requires_grad_(not last)
            logits = view.fast(point.clone())  # a copy: some models write into what they are given
            value = goal.value(logits)
            check_value(value, logits)
            gradient = None if last else torch.autograd.grad(value.sum(), point)[0].nan_to_num()
        point, logits, value = point.detach(), logits.detach(), value.detach()
        done = confirmed(view, goal, point, logits)
        fooled[active] = done
        last_leads[active] = goal.lead(logits)
        if step == 0:
            first_leads = last_leads.clone()
        if record is not None:
            record(step, active, point, logits, value)
        if last:
            break
        last_directions[active] = direction = ball.steepest(gradient)
        moved, stuck = rule(step, active, point, value, gradient, direction)
        goes_on = ~done & ~stuck
        active = active[goes_on]
        result[active] = moved[goes_on]
    # Steps along the sphere of l2 stop a percent or two short of its best point. That point is
    # known if the model is linear between here and there. It is worth one look wherever twice the
    # way gone so far might be enough; hardly any image is fooled there that was farther off.
    near = -last_leads <= 2 * (last_leads - first_leads)
    rest = (~fooled & near).nonzero()[:, 0]
    if len(rest):
        # The projection of a point far out, so that what the box cuts off goes to other pixels.
        far = part.images[rest] + 8 * last_directions[rest] * _column(part.eps[rest])
        aim = part.within(ball, far, rest)
        with torch.no_grad():
            done = confirmed(view, part.goal.at(rest), aim, view.fast(aim.clone()))
        result[rest[done]] = aim[done]
        fooled[rest[done]] = True
    return result, fooled


def _in_reach(first: Numbers, before_last: Numbers, steps: int) -> Bool[Tensor, " batch"]:
    """Say where the last iterate, or a point near it, may fool the model after all.

    Told from the margins at the first iterate and at the last but one. Where four times the way
    gone so far would not do, one more step will not.
    """
    if steps == 1:
        return torch.ones_like(first, dtype=torch.bool)
    return -before_last <= 4 * (before_last - first)


_TINY = torch.finfo(torch.float32).tiny


def _column(values: Numbers) -> Float[Tensor, "batch 1 1 1"]:
    return values[:, None, None, None]
