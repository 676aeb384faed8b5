"""Where an attack would find no slope, and stand still."""

import inspect
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.checks import check_images, check_labels
from mmc_viz.attacks.view import frozen
from mmc_viz.objectives import Objective, resolve


def slopes(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    objective: str | Objective = "cross_entropy",
    batch_size: int = 256,
) -> Float[Tensor, " batch"]:
    """Largest entry of an objective's gradient with respect to each image, without its sign.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits; used in evaluation mode and in its own precision, left as
        it was.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    objective : str or callable
        As attacks take it.
    batch_size : int
        How many images go through the model at once.

    Returns
    -------
    slopes : Float[Tensor, "batch"]
        On the CPU; 0 also where the model cuts every gradient off.
    """
    check_images(images)
    check_labels(labels, images)
    objective = resolve(objective)
    if len(images) == 0:
        return images.new_zeros(0).cpu()
    found = []
    with torch.inference_mode(False), torch.enable_grad(), frozen(model, images) as view:
        for part, true in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            point = part.detach().clone().requires_grad_()
            value = objective(view.exact(point.clone()), true.clone()).sum()
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value, point)
                found.append(gradient.flatten(1).abs().amax(dim=1))
            else:  # the model cuts every gradient off
                found.append(part.new_zeros(len(part)))
    return torch.cat(found).cpu()


def zero_gradient(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    objective: str | Objective = "cross_entropy",
    batch_size: int = 256,
) -> Bool[Tensor, " batch"]:
    """Which images give an attack no direction: the objective's gradient there is exactly zero.

    An attack that starts at such an image and follows this objective stands still, and the image
    counts as robust though nothing has been tried. The arguments are those of `slopes`.
    """
    return slopes(model, images, labels, objective=objective, batch_size=batch_size) == 0


def has_gradient(model: nn.Module, images: Float[Tensor, "batch channels height width"]) -> bool:
    """Whether logits depend on images in a way that autograd can follow, be it with a slope of 0.

    A model that leaves torch on the way, or detaches what it computes, cuts the gradient off.
    """
    with torch.inference_mode(False), torch.enable_grad(), frozen(model, images) as view:
        return view.exact(images[:1].detach().clone().requires_grad_()).requires_grad


def flat_under(
    attack: Callable[..., Tensor],
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
) -> Bool[Tensor, " batch"]:
    """Which images give this attack no direction: `zero_gradient` of what it climbs.

    That is its `objective` or, for an attack without a budget, the margin. Of an attack that names
    neither nothing is known, and nothing is called flat.
    """
    try:
        takes = inspect.signature(attack).parameters
    except ValueError:  # some callables have none
        takes = {}
    if "objective" in takes:
        return zero_gradient(model, images, labels, objective=takes["objective"].default)
    if "norm" in takes and "eps" not in takes:
        return zero_gradient(model, images, labels, objective="margin")
    return torch.zeros(len(images), dtype=torch.bool)
