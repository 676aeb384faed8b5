r"""SPSA: ascent along a gradient that is estimated from the model's answers alone.

For a direction $v$ of random signs, two answers give the slope along it, and the average of slope
times direction is the gradient,

$$g = \mathbb{E}_v \left[ \frac{f(x + \delta v) - f(x - \delta v)}{2 \delta}\, v \right].$$

All pixels are tried at once, so the number of answers need not grow with the size of the image. The
step $\delta$ is finite: a gradient that is zero or lost nearly everywhere, as behind a rounded
input, is estimated all the same. What is random depends on the image's place in the call and on the
step, not on the batch.

Uesato, O'Donoghue, van den Oord, Kohli, "Adversarial risk and the dangers of evaluating against
weak attacks", ICML 2018, https://arxiv.org/abs/1802.05666.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.balls import BALLS, Ball
from mmc_viz.attacks.budget import Attempt, Part, Trace, confirmed, within_budget
from mmc_viz.attacks.checks import check_count, check_norm, check_value
from mmc_viz.attacks.goals import Goal
from mmc_viz.attacks.view import View
from mmc_viz.noise import bits
from mmc_viz.objectives import Objective

Images = Float[Tensor, "batch channels height width"]


def spsa(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int = 20,
    samples: int = 128,
    delta: float | int = 0.01,
    lr: float | int = 0.01,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    restarts: int = 1,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Ascend by Adam along gradients estimated from answers, from uniform points of the ball.

    Parameters
    ----------
    steps : int
        Gradients estimated of each image, at most.
    samples : int
        Answers asked for each of them, an even number: half as many directions, each looked at both
        ways. The whole attack asks at most `restarts * (steps * (samples + 1) + 1)` of an image.
    delta : float
        How far from the iterate they are asked for, for every pixel, in the unit of the images. The
        points asked about may lie outside of ball and box; none of them is returned.
    lr : float
        Learning rate of Adam: about how far a pixel moves in a step. `steps * lr` should exceed
        `eps` in linf.
    generator : torch.Generator, optional
        Source of the starts, and of one seed for each image of the call and restart. None: a
        private one, seeded 0.
    batch_size : int
        How many images are worked on at once, and how many go through the model at once.

    Notes
    -----
    The other arguments are those of `pgd`. The authors of the MMC paper ran 10 steps of 128 samples
    with `delta` and `lr` 0.01.

    References
    ----------
    Uesato, O'Donoghue, van den Oord, Kohli, "Adversarial risk and the dangers of evaluating against
    weak attacks", ICML 2018, https://arxiv.org/abs/1802.05666.
    """
    check_count("steps", steps, 1)
    check_count("restarts", restarts, 1)
    check_norm(norm, BALLS)
    if samples < 2 or samples % 2:
        raise ValueError(
            f"`samples` must be even and at least 2, as each direction is looked at both ways; got "
            f"{samples}."
        )
    for name, value in {"delta": delta, "lr": lr}.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"`{name}` must be positive and finite; got {value}.")

    def attempts(images: Tensor, budgets: Tensor) -> Iterator[Attempt]:
        source = generator if generator is not None else torch.Generator().manual_seed(0)
        for _ in range(restarts):
            offset = BALLS[norm].sample(images.shape, source).to(images)
            start = (images + budgets[:, None, None, None] * offset).clamp_(0, 1)
            drawn = torch.randint(2**32, (len(images),), generator=source, device=source.device)
            seeds = drawn.to(images.device)

            def attempt(view, part, record, start=start, seeds=seeds):
                slopes = Slopes(view, seeds[part.rows], samples, delta, batch_size)
                return climb(
                    view,
                    part,
                    start[part.rows],
                    slopes,
                    steps=steps,
                    lr=lr,
                    ball=BALLS[norm],
                    record=record,
                )

            yield attempt

    return within_budget(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        attempts=attempts,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


class Slopes:
    """Estimates gradients of an objective from answers of the model.

    Parameters
    ----------
    view : View
    seeds : Int[Tensor, "batch"]
        Of each row of a part; with the step they decide the directions.
    samples : int
        Answers for each estimate, even.
    delta : float
        How far from the point they are asked for.
    batch_size : int
        How many images go through the model at once, which bounds the memory.
    """

    def __init__(
        self,
        view: View,
        seeds: Int[Tensor, " batch"],
        samples: int,
        delta: float | int,
        batch_size: int,
    ):
        self.view, self.seeds, self.samples, self.delta = view, seeds, samples, delta
        self.batch_size = batch_size

    def estimate(self, step: int, rows: Int[Tensor, " some"], points: Images, goal: Goal) -> Images:
        """Estimate the gradient at the points of these rows."""
        total = torch.zeros_like(points)
        pairs = self.samples // 2
        at_once = max(self.batch_size // (2 * len(points)), 1)
        for first in range(0, pairs, at_once):
            count = min(at_once, pairs - first)
            signs = self._signs(step, rows, first, count, points)
            around = torch.stack([points + self.delta * signs, points - self.delta * signs])
            ahead, behind = self._values(around.flatten(0, 2), goal, 2 * count).unflatten(
                0, (2, count, len(points))
            )
            # An answer that is no number says nothing.
            rises = (ahead - behind).nan_to_num_(0, 0, 0).to(points)
            total += (signs * rises[..., None, None, None]).sum(dim=0)
        return total / (2 * self.delta * pairs)

    def _signs(
        self, step: int, rows: Int[Tensor, " some"], first: int, count: int, points: Images
    ) -> Float[Tensor, "count some channels height width"]:
        """Draw the directions `first` to `first + count` of each row."""
        pixels, device = points[0].numel(), points.device
        pair = torch.arange(first, first + count, device=device)[:, None, None]
        word = torch.arange(-(-pixels // 32), device=device)
        # Each number of the hash has 32 random bits; one of them is enough for a sign.
        drawn = bits(bits(self.seeds[rows], step)[:, None], pair, word)
        coins = (drawn[..., None] >> torch.arange(32, device=device)) & 1
        signs = coins.flatten(2)[..., :pixels].to(points) * 2 - 1
        return signs.reshape(count, *points.shape)

    def _values(self, points: Images, goal: Goal, times: int) -> Float[Tensor, " several"]:
        """Rate `times` points of each image of the goal."""
        logits = torch.cat([self.view.fast(part.clone()) for part in points.split(self.batch_size)])
        rows = torch.arange(len(goal.classes), device=points.device).repeat(times)
        return goal.at(rows).value(logits)


def climb(
    view: View,
    part: Part,
    start: Images,
    slopes: Slopes,
    *,
    steps: int,
    lr: float | int,
    ball: Ball,
    record: Callable | None,
) -> tuple[Images, Bool[Tensor, " batch"]]:
    """Ascend from `start`; return the last iterate of each image and whether it fools the model."""
    result, fooled = start.clone(), torch.zeros_like(part.eps, dtype=torch.bool)
    first, second = torch.zeros_like(start), torch.zeros_like(start)  # moments of the gradients
    active = torch.arange(len(start), device=start.device)  # rows still in the batch
    for step in range(steps + 1):
        if len(active) == 0:
            if record is None:
                break
            record(step, active)
            continue
        goal, points = part.goal.at(active), result[active]
        with torch.no_grad():
            logits = view.fast(points.clone())  # a copy: some models write into what they are given
            values = goal.value(logits)
            check_value(values, logits)
            done = confirmed(view, goal, points, logits)
        fooled[active] = done
        if record is not None:
            record(step, active, points, logits, values)
        # Where the budget is 0 there is nowhere to go.
        goes_on = ~done & (part.eps[active] > 0)
        active, points = active[goes_on], points[goes_on]
        if step == steps or len(active) == 0:
            continue
        with torch.no_grad():
            gradients = slopes.estimate(step, active, points, part.goal.at(active))
        first[active] = mean = _BETAS[0] * first[active] + (1 - _BETAS[0]) * gradients
        second[active] = square = _BETAS[1] * second[active] + (1 - _BETAS[1]) * gradients.square()
        mean = mean / (1 - _BETAS[0] ** (step + 1))
        size = (square / (1 - _BETAS[1] ** (step + 1))).sqrt()
        moved = points + lr * mean / (size + _TINY)
        result[active] = part.within(ball, moved, active)
    return result, fooled


_BETAS = (0.9, 0.999)  # of Adam
_TINY = 1e-16  # far below any slope in float32: the scale of the logits must not matter
