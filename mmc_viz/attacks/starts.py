"""Where attacks with a gradient and a budget start, and how each start becomes a try."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.ascent import Rule, ascend
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Attempt, Part, within_budget
from mmc_viz.attacks.checks import check_count, check_step_size

#: From images and budgets to the points at which to start, one set for each restart.
Starts = Callable[[Tensor, Tensor], Iterator[Tensor]]


def at_the_image(images: Tensor, budgets: Tensor) -> Iterator[Tensor]:
    """Start once, at the clean images."""
    yield images


def at_random(restarts: int, norm: str, generator: torch.Generator | None) -> Starts:
    """Start at uniform points of the ball, drawn for all images of the call."""
    check_count("restarts", restarts, 1)

    def starts(images: Tensor, budgets: Tensor) -> Iterator[Tensor]:
        source = generator if generator is not None else torch.Generator().manual_seed(0)
        for _ in range(restarts):
            offset = BALLS[norm].sample(images.shape, source).to(images)
            yield (images + budgets[:, None, None, None] * offset).clamp_(0, 1)

    return starts


def step_sizes(
    step_size: float | int | Tensor | None, steps: int, images: Tensor
) -> Callable[[Part], Tensor]:
    """Give the step of each image of a part; where none is asked for, `2.5 * eps / steps`."""
    if step_size is None:
        return lambda part: 2.5 * part.eps / steps
    sizes = check_step_size(step_size, images)
    return lambda part: sizes[part.rows]


def ascents(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    starts: Starts,
    steps: int,
    rule: Callable[[Part], Rule],
    norm: str,
    approach: Callable[..., Tensor] | None = None,
    **frame: Any,
) -> Float[Tensor, "batch channels height width"]:
    """Ascend from each start, with the images that are not yet fooled.

    `approach(view, part, start, ball=)` may lead from a start to a better one.
    """
    check_count("steps", steps, 1)

    def attempts(images: Tensor, budgets: Tensor) -> Iterator[Attempt]:
        for start in starts(images, budgets):

            def attempt(view, part, record, start=start):
                ball, begin = BALLS[norm], start[part.rows]
                if approach is not None and len(begin):
                    begin = approach(view, part, begin, ball=ball)
                return ascend(
                    view,
                    part,
                    begin,
                    steps=steps,
                    ball=ball,
                    rule=rule(part),
                    record=record,
                )

            yield attempt

    return within_budget(model, images, labels, norm=norm, attempts=attempts, **frame)
