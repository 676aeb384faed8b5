"""The frame of all attacks with a budget: check the call, then try what is not yet fooled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz.attacks.balls import BALLS, Ball
from mmc_viz.attacks.checks import (
    check_count,
    check_eps,
    check_images,
    check_labels,
    check_norm,
    check_targets,
)
from mmc_viz.attacks.goals import Goal, in_turn, make_goal
from mmc_viz.attacks.view import View, clean_logits, frozen
from mmc_viz.objectives import Objective

#: Called as `trace(step, images, logits, loss)`.
Trace = Callable[[int, Tensor, Tensor, Tensor], None]


@dataclass(frozen=True)
class Part:
    """A batch of images that are still to be fooled, with all that belongs to each.

    Attributes
    ----------
    images : Float[Tensor, "batch channels height width"]
        Clean.
    eps : Float[Tensor, "batch"]
        Budget of each.
    goal : Goal
        What is wanted of each.
    rows : Int[Tensor, "batch"]
        Place of each in the images of the call.
    final : bool
        Whether there will be no other try: then nobody asks which images this one has fooled.
    """

    images: Float[Tensor, "batch channels height width"]
    eps: Float[Tensor, " batch"]
    goal: Goal
    rows: Int[Tensor, " batch"]
    final: bool = False

    def within(
        self, ball: Ball, points: Float[Tensor, "some channels height width"], rows: Tensor
    ) -> Float[Tensor, "some channels height width"]:
        """Project points of these rows of the part into ball and box."""
        return ball.project(points, self.images[rows], self.eps[rows])


#: One try: called as `attempt(view, part, record)`, it gives a point for each image and whether it
#: fools the model. `record(step, rows, images, logits, values)` is to be called at every step with
#: the rows of the part that have changed, if it is not None. A final try may overlook that a point
#: fools the model.
Attempt = Callable[[View, Part, Callable | None], tuple[Tensor, Tensor]]


def within_budget(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    norm: str,
    objective: str | Objective,
    targets: Int[Tensor, " batch"] | None,
    attempts: Callable[[Tensor, Tensor], Iterator[Attempt]],
    trace: Trace | None,
    batch_size: int,
    progress: bool,
) -> Float[Tensor, "batch channels height width"]:
    """Check the call, then make one attempt after another on the images that are not yet fooled.

    The arguments are those of `pgd`, but for `attempts(images, budgets)`, which gives the tries in
    turn. What is random in a try must depend on an image's place in the call alone, `Part.rows`.
    """
    check_images(images)
    check_labels(labels, images)
    check_count("batch_size", batch_size, 1)
    check_norm(norm, BALLS)
    budgets = check_eps(eps, images, norm)
    if targets is not None:
        check_targets(targets, labels)
    goal = make_goal(objective, labels, targets)
    if len(images) == 0:
        return images.clone()

    # Tensors made in inference mode have no gradient; copies made outside of it do.
    with torch.inference_mode(False):
        images, goal = images.detach().clone(), goal.at(torch.arange(len(images)))
        with frozen(model, images) as view:
            found = images.clone()
            logits = clean_logits(view, images, labels.clone(), targets, batch_size)
            fooled = goal.reached(logits)
            if trace is not None:
                batch_size = len(images)
            tries = (
                (attempt, aim)
                for attempt in attempts(images, budgets)
                for aim in in_turn(goal, logits)
            )
            for (attempt, aim), another in pairwise(chain(tries, [None])):
                recorder = None
                if trace is not None:
                    recorder = Recorder(trace, images, logits, aim.value(logits))
                batches = (~fooled).nonzero()[:, 0].split(batch_size)
                for rows in tqdm(batches, unit="batch", leave=False, disable=not progress):
                    # No batch is ever empty: some models cannot take one.
                    if len(rows) == 0 and recorder is None:
                        continue
                    part = Part(images[rows], budgets[rows], aim.at(rows), rows, another is None)
                    record = None if recorder is None else recorder.of(rows)
                    found[rows], fooled[rows] = attempt(view, part, record)
    return found


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


def confirmed(
    view: View,
    goal: Goal,
    point: Float[Tensor, "batch channels height width"],
    logits: Float[Tensor, "batch num_classes"],
) -> Bool[Tensor, " batch"]:
    """Which points fool the exact model; asked only where the fast one is fooled."""
    done = goal.reached(logits)
    if view.fast is not view.exact and done.any():
        with torch.no_grad():
            done[done.clone()] = goal.at(done).reached(view.exact(point[done]))
    return done
