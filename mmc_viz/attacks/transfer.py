"""Transfer: images made against one model, judged by another.

An attack usually stops at the first image that fools the model it climbs on. For another model that
may be too little: just over the boundary of the source is often still on the right side of the
target's. So an attack is handed a model of two parts. The source gives it all logits and gradients
on its way; the verdict that would end the way is the target's. An image goes on until it has fooled
both, or to the end of its budget, as with the fixed number of iterations of the literature. There
the target is asked about the last iterate alone; here about each that fools the source, so that an
image which passes through an error of the target and out again is found too.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.checks import check_classes, check_images, check_labels, check_logits
from mmc_viz.attacks.view import View, frozen


class Steered(View):
    """One model to climb on, another to say what is fooled.

    Parameters
    ----------
    source : View
        What an attack gets answers and gradients from. An attack of somebody else's, which calls
        the whole as a model, meets the source alone.
    target : View
        What decides whether an image is fooled.
    """

    def __init__(self, source: View, target: View):
        super().__init__(exact=target.exact, fast=source.fast)
        self.source = source

    def __getattr__(self, name: str) -> Any:
        # Features and head are those of the model that is climbed on.
        try:
            return nn.Module.__getattr__(self, name)
        except AttributeError:
            return getattr(nn.Module.__getattr__(self, "source"), name)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Logits of the source."""
        return self.source(images)


def transfer(
    source: nn.Module,
    target: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    attack: Callable[[nn.Module, Tensor, Tensor], Tensor],
) -> Float[Tensor, "batch channels height width"]:
    """Make images with one model's gradients, to be judged by another.

    Parameters
    ----------
    source : nn.Module
        The substitute that the attacker has, from images in [0, 1] to logits.
    target : nn.Module
        The model that is attacked. It is asked for verdicts only, never for a gradient, and may be
        `source` itself.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    attack : callable
        Called as `attack(model, images, labels)`; settings are fixed beforehand, for instance
        `functools.partial(pgd, eps=0.1)`.

    Returns
    -------
    adversarial : Float[Tensor, "batch channels height width"]
        For an attack with a budget: the first image on the way that fools both models, else the
        last iterate; the target alone decides what it is worth. The clean image where the target
        errs already.

    Raises
    ------
    ValueError
        If a model cannot take these images, or the two differ in their number of classes.

    Notes
    -----
    An attack that decides by itself when to stop, as those of other libraries do, meets the source
    alone and comes back from where that is fooled.

    References
    ----------
    Papernot, McDaniel, Goodfellow, "Transferability in machine learning", 2016,
    https://arxiv.org/abs/1605.07277.
    """
    check_images(images)
    check_labels(labels, images)
    if len(images) == 0:
        return images.clone()
    with frozen(source, images) as climbed, frozen(target, images) as judge:
        here = _count_classes("source", climbed, images)
        there = _count_classes("target", judge, images)
        if here != there:
            raise ValueError(
                f"`source` and `target` must have the same classes; got {here} and {there} of them."
            )
        check_classes("labels", labels, there)
        found = attack(Steered(climbed, judge), images, labels)
        if found.shape != images.shape:
            raise ValueError(
                f"`attack` must give back images {list(images.shape)}; got {list(found.shape)}."
            )
        with torch.no_grad():
            erred = _verdicts(judge, images) != labels
            # By chance an attack may mend an error. A clean error counts as one all the same.
            mended = erred & (_verdicts(judge, found) == labels)
    return torch.where(mended[:, None, None, None], images, found).detach()


def _verdicts(
    judge: View, images: Float[Tensor, "batch channels height width"]
) -> Int[Tensor, " batch"]:
    """Class that the judge takes each image for."""
    # Copies, because some models write into what they are given.
    return torch.cat([judge.exact(part.clone()).argmax(dim=1) for part in images.split(256)])


def _count_classes(
    name: str, view: View, images: Float[Tensor, "batch channels height width"]
) -> int:
    """Try a model on one of the images, and count its logits."""
    try:
        with torch.no_grad():
            logits = view.exact(images[:1].clone())
    except Exception as error:  # what a model raises for a wrong size is its own choice
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"`{name}` must take images {list(images.shape[1:])}; it does not: {reason}"
        ) from error
    check_logits(logits, images[:1])
    return logits.shape[1]
