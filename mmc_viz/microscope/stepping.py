r"""An attack on one image, one step at a time.

Projected gradient ascent goes from each iterate to the next by

$$x_{t+1} = \Pi\bigl( x_t + \alpha\, s_t \bigr), \qquad
s_t = \mathrm{sign}\, \nabla_x\, \mathrm{objective}(x_t),$$

where $\Pi$ puts every pixel back into the budget and into [0, 1]. With momentum $s_t$ is the sign
of a sum of all gradients so far, each scaled to length 1. Every part of the formula is kept here
for every step: the iterate, its gradient, the direction taken, and how many pixels $\Pi$ moved
back.

The steps are those of `pgd` and `mim`, bit for bit. But where these stop at the first iterate that
fools the model, a climb goes on to its last step, and every start is tried: to look on is the
purpose here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import frozen
from mmc_viz.attacks.ascent import Constant, Momentum, Rule
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Part
from mmc_viz.attacks.checks import (
    check_classes,
    check_count,
    check_eps,
    check_images,
    check_step_size,
)
from mmc_viz.attacks.goals import make_goal
from mmc_viz.attacks.starts import at_random, at_the_image
from mmc_viz.attacks.view import View
from mmc_viz.networks import outputs
from mmc_viz.objectives import margin

_BALL = BALLS["linf"]


@dataclass(frozen=True)
class Climb:
    """One start of an attack on one image, step by step; on the CPU.

    Attributes
    ----------
    points : Float[Tensor, "iterates channels height width"]
        The iterates x_0, x_1, ...; images in [0, 1].
    gradients : Float[Tensor, "iterates channels height width"]
        Of the objective at each iterate.
    directions : Float[Tensor, "iterates channels height width"]
        The signs s_t that lead on from each; what the last one would be, too.
    cut : Float[Tensor, "iterates"]
        Share, 0..1, of the pixels that the projection moved back on the way to the next iterate.
    logits : Float[Tensor, "iterates num_classes"]
        Of the model itself.
    objective : Float[Tensor, "iterates"]
        What the attack maximises, float64, as it computes it.
    image : Float[Tensor, "channels height width"]
        The clean image.
    label : int
        Its class.
    eps, step_size : float
        Budget, and length of a step, in the unit of the images.
    """

    points: Float[Tensor, "iterates channels height width"]
    gradients: Float[Tensor, "iterates channels height width"]
    directions: Float[Tensor, "iterates channels height width"]
    cut: Float[Tensor, " iterates"]
    logits: Float[Tensor, "iterates num_classes"]
    objective: Float[Tensor, " iterates"]
    image: Float[Tensor, "channels height width"]
    label: int
    eps: float
    step_size: float

    @property
    def changes(self) -> Float[Tensor, "iterates channels height width"]:
        """What each iterate adds to the clean image."""
        return self.points - self.image

    @property
    def margin(self) -> Float[Tensor, " iterates"]:
        """Lead of the best wrong class over the true one, in logits; above 0 the model errs."""
        truth = torch.full((len(self.logits),), self.label)
        return margin(self.logits, truth).double()

    @property
    def predicted(self) -> Int[Tensor, " iterates"]:
        """The class that the model sees in each iterate."""
        return self.logits.argmax(dim=1)

    @property
    def fooled(self) -> Bool[Tensor, " iterates"]:
        """Whether the model errs on each iterate."""
        return self.predicted != self.label

    @property
    def first_fooled(self) -> int | None:
        """The first step at which the model errs, where `pgd` would stop; None if there is none."""
        return int(self.fooled.int().argmax()) if self.fooled.any() else None

    @property
    def moves(self) -> bool:
        """Whether the attack leaves its start."""
        return bool((self.points != self.points[0]).any())


def climbs(
    model: nn.Module,
    image: Float[Tensor, "channels height width"],
    label: int,
    *,
    eps: float | int,
    steps: int = 20,
    step_size: float | int | None = None,
    objective: str = "margin",
    momentum: bool = False,
    restarts: int = 1,
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> list[Climb]:
    """Climb from each start, and keep all that can be seen on the way.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    image : Float[Tensor, "channels height width"]
        In [0, 1], where the model is.
    label : int
        Its class.
    eps : float
        Largest change of a pixel, in the unit of the image.
    steps : int
        Steps of each climb.
    step_size : float, optional
        Change of a pixel in one step. None: `2.5 * eps / steps`.
    objective : str
        What is maximised: a name from `mmc_viz.objectives`.
    momentum : bool
        Climb as `mim` does, along gathered gradients. It starts once, at the image itself.
    restarts : int
        Random starts, those of `pgd`.
    seed : int
        Of the starts.
    watch : callable, optional
        Called as `watch(restart, step)` at every step; it may raise to stop the work.

    Returns
    -------
    climbs : list[Climb]
        One for each start.

    Raises
    ------
    ValueError
        If an argument is out of range or a name unknown.
    """
    if image.dim() != 3:
        raise ValueError(
            f"`image` must be one image [channels, height, width]; got {list(image.shape)}."
        )
    check_images(image[None])
    check_count("steps", steps, 1)
    labels = torch.tensor([label], device=image.device)
    # Copies made in inference mode could not be attacked.
    with torch.inference_mode(False), frozen(model, image[None].clone()) as view:
        images = image.detach().clone()[None]
        check_classes("label", labels, outputs(view.exact, images)[0].shape[1])
        budgets = check_eps(eps, images, "linf")
        sizes = 2.5 * budgets / steps if step_size is None else check_step_size(step_size, images)
        part = Part(images, budgets, make_goal(objective, labels, None), torch.tensor([0]))
        begin = at_the_image
        if not momentum:
            begin = at_random(restarts, "linf", torch.Generator().manual_seed(seed))
        found = []
        for restart, start in enumerate(begin(images, budgets)):
            rule = Momentum(part, _BALL, sizes, 1.0) if momentum else Constant(part, _BALL, sizes)
            notes = []
            for step in range(steps + 1):
                if watch is not None:
                    watch(restart, step)
                notes.append(one_step(view, part, rule, step, start))
                start = notes[-1][-1]
            points, gradients, directions, cut, logits, values, _ = (
                torch.cat(column) for column in zip(*notes, strict=True)
            )
            cut[-1] = 0  # the last step is not taken
            found.append(
                Climb(
                    points.cpu(),
                    gradients.cpu(),
                    directions.cpu(),
                    cut.cpu(),
                    logits.cpu(),
                    values.cpu().double() + 0.0,  # cross-entropy in float32 may be -0.0
                    images[0].cpu(),
                    label,
                    float(eps),
                    float(sizes),
                )
            )
    return found


def one_step(
    view: View,
    part: Part,
    rule: Rule,
    step: int,
    point: Float[Tensor, "1 channels height width"],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Take one step of an ascent from one point, as `mmc_viz.attacks.ascent` takes it.

    Parameters
    ----------
    view : View
        The model as an attack sees it.
    part : Part
        The one image, its budget and goal.
    rule : Constant or Momentum
        How an iterate leads to the next. Momentum remembers the gradients it was given.
    step : int
        Number of the step, from 0 on.
    point : Float[Tensor, "1 channels height width"]
        The iterate.

    Returns
    -------
    point, gradient, direction, cut, logits, value, moved : tensors
        Each with a leading axis of 1; `moved` is the next iterate.
    """
    rows = torch.zeros(1, dtype=torch.long, device=point.device)
    with torch.enable_grad():
        leaf = point.detach().clone().requires_grad_()
        value = part.goal.value(view.fast(leaf.clone()))
        gradient = torch.autograd.grad(value.sum(), leaf)[0].nan_to_num()
    direction = _BALL.steepest(gradient)
    moved, _ = rule(step, rows, point, value.detach(), gradient, direction)
    if isinstance(rule, Momentum):
        direction = _BALL.steepest(rule.sums)
    ahead = point + direction * rule.step_sizes[:, None, None, None]
    cut = (ahead != moved).flatten(1).double().mean(dim=1)
    logits = outputs(view.exact, point)[0]
    return point, gradient, direction, cut, logits, value.detach(), moved
