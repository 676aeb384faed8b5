"""Losses over feature space by name, in float64."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmc_viz.heads import Head
from mmc_viz.objectives import OBJECTIVES, Objective, cross_entropy_float64

#: From features `[N, d]` and a class to the loss of each.
Loss = Callable[[Tensor, int], Tensor]


def loss_function(head: Head, loss: str | Objective, rival: int | None = None) -> Loss:
    """Give the loss of a name as a function of features and one class; `head` is in float64.

    Raises
    ------
    ValueError
        If there is no loss of this name, or the rival is not a class.
    """
    if rival is not None and not 0 <= rival < head.num_classes:
        raise ValueError(f"`rival` must be in 0 .. {head.num_classes - 1}; got {rival}.")
    if rival is not None and loss != "two_class":
        raise ValueError(f"`rival` belongs to the loss `two_class`; got it with {loss!r}.")

    def constant(features: Tensor, label: int) -> Tensor:
        return torch.full((len(features),), label)

    if loss == "training" and head.loss_form != "softmax":
        return lambda features, label: head(features, constant(features, label))
    if loss == "two_class":
        return lambda features, label: _two_class(head.logits(features), label, rival)
    if callable(loss):
        chosen = loss
    elif loss in ("training", "cross_entropy"):
        # The head's own form, log-softmax, is 0 from 1e-16 on.
        chosen = cross_entropy_float64
    elif loss in OBJECTIVES:
        chosen = OBJECTIVES[loss]
    else:
        names = ", ".join(("training", "two_class", *OBJECTIVES))
        raise ValueError(f"`loss` must be one of {names} or a callable; got {loss!r}.")
    return lambda features, label: chosen(head.logits(features), constant(features, label))


def strongest_rival(
    logits: Float[Tensor, "batch num_classes"], label: int
) -> Int[Tensor, " batch"]:
    """Which wrong class has the largest logit."""
    logits = logits.clone()
    logits[:, label] = -torch.inf
    return logits.argmax(dim=1)


def _two_class(logits: Tensor, label: int, rival: int | None) -> Tensor:
    if rival == label:
        raise ValueError(f"`rival` must be another class than `label`; both are {label}.")
    place = (
        strongest_rival(logits, label) if rival is None else torch.full_like(logits[:, 0], rival)
    )
    lead = logits.gather(1, place.long()[:, None])[:, 0] - logits[:, label]
    return functional.softplus(lead, threshold=700)
