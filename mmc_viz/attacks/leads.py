r"""The lead: what an attack without a budget raises, measured in pixels.

At the clean image $x_0$ the boundary to class $j$ lies, if the model were linear, at the distance
$(h_y - h_j) / s_j$ with the slope $s_j = \lVert \nabla (h_j - h_y)(x_0) \rVert_*$ in the dual norm.
So the lead is

$$m(x) = \max_{j \ne y} \frac{h_j(x) - h_y(x) - \kappa}{s_j}$$

with a confidence $\kappa$, usually 0. It is positive exactly where the margin exceeds $\kappa$, and
it follows the rival that is nearest in the image, which need not be the one that comes second in
the logits. Its scale is that of the images, whatever the scale of the logits.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmc_viz.attacks.checks import check_value
from mmc_viz.attacks.goals import Goal
from mmc_viz.attacks.view import View
from mmc_viz.objectives import margin

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]

_LEAST_SLOPE = 0.01  # of the largest slope of an image
_RIVALS = 9  # of which the slope is taken: those that the clean image ranks highest


@dataclass(frozen=True)
class Aim:
    """What is wanted of each image of a batch, and how far it is from that, in pixels.

    Attributes
    ----------
    goal : Goal
        Says what counts as fooled.
    slopes : Float[Tensor, "batch num_classes"]
        Length of the gradient of each class's lead at the clean image, in the dual norm.
    confidence : float
        Margin, in logits, that a point must have to count.
    blur : Float[Tensor, "batch"]
        Lead, in pixels, below which rounding may decide what an image is taken for.
    rivals : Int[Tensor, "batch"], optional
        The only class whose lead is looked at. What counts as fooled does not depend on it.
    """

    goal: Goal
    slopes: Float[Tensor, "batch num_classes"]
    confidence: float | int
    blur: Float[Tensor, " batch"]
    rivals: Int[Tensor, " batch"] | None = None

    def at(self, rows: Tensor) -> "Aim":
        """Give the aim of these images alone; `rows` are indices or a mask."""
        rivals = None if self.rivals is None else self.rivals[rows]
        goal, slopes, blur = self.goal.at(rows), self.slopes[rows], self.blur[rows]
        return replace(self, goal=goal, slopes=slopes, blur=blur, rivals=rivals)

    def leads(
        self, logits: Float[Tensor, "batch num_classes"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Lead of each class over the one at stake, in pixels, less the confidence; its own is 0.

        With targets the class at stake is the target, so what counts is to bring all below 0.
        """
        classes = self.goal.classes[:, None]
        sign = -1 if self.goal.targeted else 1
        gaps = logits - logits.gather(1, classes) - sign * self.confidence
        return (gaps / self.slopes).scatter(1, classes, 0.0)

    def lead(self, logits: Float[Tensor, "batch num_classes"]) -> Numbers:
        """Give what the attack raises, in pixels; positive where it is content."""
        leads, classes = self.leads(logits), self.goal.classes
        if self.rivals is not None:
            chosen = torch.zeros_like(leads, dtype=torch.bool)
            chosen.scatter_(1, self.rivals[:, None], True).scatter_(1, classes[:, None], True)
            leads = leads.masked_fill(~chosen, -torch.inf)
        return -margin(leads, classes) if self.goal.targeted else margin(leads, classes)

    def reached(self, logits: Float[Tensor, "batch num_classes"]) -> Bool[Tensor, " batch"]:
        """Say which images are fooled, with the confidence asked for, and by more than rounding.

        A search for the nearest point ends beside the boundary, and beside it the same model takes
        the same image for one class in one batch and for another class in the next.
        """
        ahead = self.goal.value(logits) >= self.confidence + rounding(logits)
        beyond = replace(self, rivals=None).lead(logits) >= self.blur
        return self.goal.reached(logits) & ahead & beyond


def rounding(logits: Float[Tensor, "batch num_classes"]) -> Numbers:
    """How far two logits of an image may be off, because of their type alone."""
    return 8 * torch.finfo(logits.dtype).eps * logits.abs().amax(dim=1)


def dual_length(gradient: Images, norm: str) -> Numbers:
    """How fast a function of this gradient can rise for a unit of the norm."""
    return gradient.flatten(1).norm(p={"linf": 1, "l2": 2}[norm], dim=1)


def slopes_of(
    view: View,
    images: Images,
    clean: Float[Tensor, "batch num_classes"],
    goal: Goal,
    norm: str,
) -> Float[Tensor, "batch num_classes"]:
    """How fast each class can gain on the one at stake, at the clean image.

    Slopes are taken of the classes that rank highest; the others get the mean of these.
    """
    at_stake = goal.classes[:, None]
    ranked = clean.scatter(1, at_stake, -torch.inf).argsort(dim=1, descending=True)
    ranked = ranked[:, : min(_RIVALS, clean.shape[1] - 1)]
    if len(images) == 0:
        return torch.ones_like(clean)
    with torch.enable_grad():
        point = images.clone().requires_grad_()
        logits = view.fast(point.clone())
        check_value(logits[:, 0], logits)
        gaps = (logits.gather(1, ranked) - logits.gather(1, at_stake)).sum(dim=0)
        gradients = [torch.autograd.grad(gap, point, retain_graph=True)[0] for gap in gaps]
    # In float64, since squares of tiny numbers vanish in float32.
    known = [dual_length(gradient.nan_to_num().double(), norm) for gradient in gradients]
    known = torch.stack(known, dim=1)
    # A class without a slope must not count as out of reach; where none has one, logits decide.
    known = known.maximum(_LEAST_SLOPE * known.amax(dim=1, keepdim=True))
    known[known == 0] = 1
    slopes = known.mean(dim=1, keepdim=True).repeat(1, clean.shape[1])
    return slopes.scatter(1, ranked, known).to(clean)
