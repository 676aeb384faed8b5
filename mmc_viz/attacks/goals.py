"""What an attack wants of each image: a number to maximise, and a verdict that is enough."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmc_viz.objectives import Objective, margin, resolve, targeted_margin


@dataclass(frozen=True)
class Goal:
    """What is maximised for each image of a batch, and when it is fooled.

    Attributes
    ----------
    objective : callable
        From logits and classes to one number per image.
    classes : Int[Tensor, "batch"]
        What each image is to be taken for if `targeted`, else what it is not to be taken for.
    targeted : bool
        Whether `classes` are wanted or shunned.
    rivals : Int[Tensor, "batch"], optional
        For the objective `targeted_margin`: the class that is raised against the label.
    """

    objective: Objective
    classes: Int[Tensor, " batch"]
    targeted: bool = False
    rivals: Int[Tensor, " batch"] | None = None

    def at(self, rows: Tensor) -> "Goal":
        """Give the goal of these images alone; `rows` are indices or a mask."""
        rivals = None if self.rivals is None else self.rivals[rows]
        return replace(self, classes=self.classes[rows], rivals=rivals)

    def value(self, logits: Float[Tensor, "batch num_classes"]) -> Tensor:
        """Give what is maximised, for each image."""
        if self.rivals is not None:
            return self.objective(logits, self.classes, self.rivals)
        value = self.objective(logits, self.classes)
        return -value if self.targeted else value

    def lead(self, logits: Float[Tensor, "batch num_classes"]) -> Tensor:
        """Give the margin by which each image is fooled, in logits; negative where it is not."""
        lead = margin(logits, self.classes)
        return -lead if self.targeted else lead

    def reached(self, logits: Float[Tensor, "batch num_classes"]) -> Bool[Tensor, " batch"]:
        """Say which images are fooled."""
        return (logits.argmax(dim=1) == self.classes) == self.targeted


def make_goal(
    objective: str | Objective,
    labels: Int[Tensor, " batch"],
    targets: Int[Tensor, " batch"] | None,
) -> Goal:
    """Turn what a caller asks for into a goal: away from the labels, or towards targets."""
    objective = resolve(objective)
    if targets is None:
        return Goal(objective, labels)
    return Goal(objective, targets, targeted=True)


def in_turn(goal: Goal, logits: Float[Tensor, "batch num_classes"]) -> Iterator[Goal]:
    """Give the goals to try one after the other: one, but for `targeted_margin` each rival class.

    The rival that comes first for an image is the one that its clean `logits` rank highest.
    """
    if goal.objective is not targeted_margin or goal.targeted:
        yield goal
        return
    ranked = logits.scatter(1, goal.classes[:, None], -torch.inf).argsort(dim=1, descending=True)
    for rank in range(logits.shape[1] - 1):
        yield replace(goal, rivals=ranked[:, rank])
