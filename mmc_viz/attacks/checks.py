"""What a caller can get wrong in a call to an attack, said in one line each."""

import math
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor


def check_images(images: Tensor) -> None:
    """Refuse anything but images in [0, 1].

    Raises
    ------
    ValueError
        For a wrong shape or type, and for values outside [0, 1].
    """
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(
            "`images` must be floating point [batch, channels, height, width]; got "
            f"{images.dtype} {list(images.shape)}. `Dataset.inputs` gives them so."
        )
    if len(images) and not (images.amin() >= 0 and images.amax() <= 1):
        raise ValueError(
            f"`images` must lie in [0, 1]; got values from {images.amin():.4g} to "
            f"{images.amax():.4g}. Divide bytes by 255, and leave normalisation to the model."
        )


def check_labels(labels: Tensor, images: Tensor) -> None:
    """Refuse anything but one label for each image.

    Raises
    ------
    ValueError
        For a wrong shape, type or device.
    """
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"`labels` must be int64 [{len(images)}], one for each image; got {labels.dtype} "
            f"{list(labels.shape)}."
        )
    if labels.device != images.device:
        raise ValueError(
            f"`labels` must be where `images` are, on {images.device}; got {labels.device}."
        )


def check_classes(name: str, values: Tensor, num_classes: int) -> None:
    """Refuse labels or targets for which the model has no logit.

    Raises
    ------
    ValueError
        If a value lies outside 0 .. `num_classes` - 1.
    """
    if len(values) and not (values.amin() >= 0 and values.amax() < num_classes):
        raise ValueError(
            f"`{name}` must be in 0 .. {num_classes - 1}, the model's classes; got values from "
            f"{values.amin()} to {values.amax()}."
        )


def check_targets(targets: Tensor, labels: Tensor) -> None:
    """Refuse targets that are no targets.

    Raises
    ------
    ValueError
        For a wrong shape or type, or a target that is the label itself.
    """
    if targets.shape != labels.shape or targets.dtype != torch.int64:
        raise ValueError(
            f"`targets` must be int64 [{len(labels)}], one for each image; got {targets.dtype} "
            f"{list(targets.shape)}."
        )
    if targets.device != labels.device:
        raise ValueError(
            f"`targets` must be where `labels` are, on {labels.device}; got {targets.device}."
        )
    equal = int((targets == labels).sum())
    if equal:
        raise ValueError(f"`targets` must differ from `labels`; {equal} of them are equal.")


def check_norm(norm: str, norms: Iterable[str]) -> None:
    """Refuse a norm that the attack does not know.

    Raises
    ------
    ValueError
        The message lists the known ones.
    """
    if norm not in norms:
        raise ValueError(f"`norm` must be one of {', '.join(norms)}; got {norm!r}.")


def check_eps(eps: float | int | Tensor, images: Tensor, norm: str) -> Tensor:
    """Give the budget of each image as a tensor `[N]` of the type and place of the images.

    Raises
    ------
    ValueError
        If a budget is negative or not finite, or above 1 in the norm `linf`, where 1 already allows
        every image.
    """
    budgets = torch.as_tensor(eps, dtype=images.dtype, device=images.device)
    if budgets.dim() == 0:
        budgets = budgets.expand(len(images))
    if budgets.shape != images.shape[:1]:
        raise ValueError(
            f"`eps` must be a number or a tensor [{len(images)}], one for each image; got shape "
            f"{list(budgets.shape)}."
        )
    if len(budgets) and not (budgets.amin() >= 0 and budgets.isfinite().all()):
        raise ValueError(f"`eps` must be finite and at least 0; got {budgets.amin():.4g}.")
    if norm == "linf" and len(budgets) and budgets.amax() > 1:
        largest = budgets.amax().item()
        raise ValueError(
            f"`eps` must be at most 1, in the unit of the images; got {largest:.4g}. "
            f"Did you mean {largest:.4g}/255?"
        )
    return budgets


def check_epsilons(epsilons: Tensor) -> None:
    """Refuse budgets that do not rise.

    Raises
    ------
    ValueError
        If `epsilons` is no list of finite, rising numbers from 0 on.
    """
    if epsilons.dim() != 1 or len(epsilons) == 0:
        raise ValueError(
            f"`epsilons` must be a list of at least one number; got shape {list(epsilons.shape)}."
        )
    if not math.isfinite(epsilons.sum()) or epsilons[0] < 0:
        raise ValueError("`epsilons` must be finite and at least 0.")
    if (epsilons.diff() <= 0).any():
        raise ValueError(f"`epsilons` must rise; got {epsilons.tolist()}.")


def check_step_size(step_size: float | int | Tensor, images: Tensor) -> Tensor:
    """Give the step of each image as a tensor `[N]` of the type and place of the images.

    Raises
    ------
    ValueError
        If a step is negative or not finite: it would flatter the model.
    """
    sizes = torch.as_tensor(step_size, dtype=images.dtype, device=images.device)
    if sizes.dim() > 0 and sizes.shape != images.shape[:1]:
        raise ValueError(
            f"`step_size` must be a number or a tensor [{len(images)}], one for each image; got "
            f"shape {list(sizes.shape)}."
        )
    # A step of 0 comes with a budget of 0.
    if sizes.numel() and not (sizes.amin() >= 0 and sizes.isfinite().all()):
        raise ValueError(f"`step_size` must be finite and at least 0; got {sizes.amin():.4g}.")
    return sizes.expand(len(images))


def check_value(value: Tensor, logits: Tensor) -> None:
    """Refuse an objective that does not give one number for each image, with a gradient.

    Raises
    ------
    ValueError
        With the shape, or where the gradient is lost.
    """
    if value.shape != logits.shape[:1]:
        raise ValueError(
            f"`objective` must give one number for each of {len(logits)} images; got shape "
            f"{list(value.shape)}."
        )
    if torch.is_grad_enabled() and not value.requires_grad:
        raise ValueError(
            "The objective has no gradient with respect to the images: the model or the objective "
            "cuts it off. Use an attack that needs none."
        )


def check_count(name: str, value: int, least: int) -> None:
    """Refuse a count below `least`.

    Raises
    ------
    ValueError
        With the name, the rule and the value.
    """
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}; got {value}.")


def check_logits(logits: Tensor, images: Tensor) -> None:
    """Refuse a model whose answer is no finite `[batch, classes]`.

    Raises
    ------
    ValueError
        With the shape, or with the number of images whose logits are not finite.
    """
    if logits.dim() != 2 or len(logits) != len(images):
        raise ValueError(
            f"The model must give logits [batch, classes]; got {list(logits.shape)} for "
            f"{len(images)} images."
        )
    broken = int((~logits.isfinite()).any(dim=1).sum())
    if broken:
        raise ValueError(f"The model gives logits that are not finite on {broken} of the images.")


def warn_of_probabilities(logits: Tensor) -> None:
    """Warn of a model that gives probabilities: softmax twice hides gradients from attacks."""
    sums = logits.sum(dim=1)
    if len(logits) and logits.shape[1] > 1 and logits.amin() >= 0 and (sums - 1).abs().max() < 1e-4:
        warnings.warn(
            "The model gives what look like probabilities; attacks want logits. Leave the softmax "
            "out, or the attacks may fail where the model is not robust.",
            stacklevel=2,
        )
