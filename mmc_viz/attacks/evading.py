"""An attack that knows it is watched: it fools the model and looks as sure as a clean image."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import confirmed
from mmc_viz.attacks.checks import check_count, check_eps
from mmc_viz.attacks.goals import Goal
from mmc_viz.attacks.gradient import apgd
from mmc_viz.attacks.view import View, frozen
from mmc_viz.objectives import margin


def evading(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    steps: int = 100,
    norm: str = "linf",
    generator: torch.Generator | None = None,
    batch_size: int = 256,
) -> Float[Tensor, "batch channels height width"]:
    """Fool the model, then raise the wrong logit as far as the ball allows.

    `apgd` finds a first adversarial image. From there the attack climbs the largest wrong logit
    where the model is fooled, and the margin where it is not. For MMC that leads towards a wrong
    center: to a detector that looks at the distance the image becomes one of that class.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in the unit of the images.
    steps : int
        Of each of the two parts.
    norm : {"linf", "l2"}
        In which the budget is measured.
    generator : torch.Generator, optional
        Source of the random start. None: a private one, seeded 0.
    batch_size : int
        How many images are worked on at once.

    Returns
    -------
    adversarial : Float[Tensor, "batch channels height width"]
        The adversarial image with the largest wrong logit that was met; where none was met, what
        `apgd` ended with.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_count("steps", steps, 1)
    with torch.inference_mode(False), frozen(model, images) as view:
        found = apgd(
            view,
            images,
            labels,
            eps=eps,
            steps=steps,
            norm=norm,
            generator=generator,
            batch_size=batch_size,
        )
        images, labels = images.detach().clone(), labels.clone()
        budgets = check_eps(eps, images, norm)
        for rows in torch.arange(len(images), device=images.device).split(batch_size):
            found[rows] = _surest(
                view, images[rows], labels[rows], found[rows], budgets[rows], steps, norm
            )
    return found


def _surest(
    view: View,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    start: Float[Tensor, "batch channels height width"],
    budgets: Float[Tensor, " batch"],
    steps: int,
    norm: str,
) -> Float[Tensor, "batch channels height width"]:
    """Climb from `start` and keep the adversarial point with the largest wrong logit."""
    ball, goal = BALLS[norm], Goal(margin, labels)
    best, point = start.clone(), start
    best_value = torch.full_like(budgets, -torch.inf)
    for step in range(steps + 1):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            logits = view.fast(point.clone())
            lead, wrong = margin(logits, labels), _largest_wrong(logits, labels)
            value = torch.where(lead > 0, wrong, lead)
            (gradient,) = torch.autograd.grad(value.sum(), point)
        point, wrong = point.detach(), wrong.detach()
        better = confirmed(view, goal, point, logits.detach()) & (wrong > best_value)
        best[better], best_value[better] = point[better], wrong[better]
        # Long steps to get there, short ones to settle.
        length = 5 * budgets / steps * (1 - step / (steps + 1))
        direction = ball.steepest(gradient.nan_to_num_())
        point = ball.project(point + direction * length[:, None, None, None], images, budgets)
    return best


def _largest_wrong(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    return logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
