"""Counting what an attack pays for: the images that go through the network.

An attack on images that it soon fools is soon done. A ratio of times says something about the code
only if each image paid for every step, so that is counted before anything is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Passes:
    """How many images went through a network; an image counts as often as it went.

    Attributes
    ----------
    gradients : int
        With a gradient of the input.
    forwards : int
        Without.
    """

    gradients: int
    forwards: int


def count_passes(model: nn.Module, run: Callable[[], object]) -> Passes:
    """Count the images that go through the model, or through copies of it, in a run.

    They are counted at the first convolution: no norm stands before it that could be folded into
    it, so there it is in every form of the model.
    """
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    counts = {True: 0, False: 0}

    # A function and not an object: copies of the model then share it, and so do their folded forms.
    def count(module: nn.Module, inputs: tuple[Tensor]) -> None:
        counts[inputs[0].requires_grad] += len(inputs[0])

    handle = first.register_forward_pre_hook(count)
    try:
        run()
    finally:
        handle.remove()
    return Passes(gradients=counts[True], forwards=counts[False])


def paid_in_full(
    name: str, model: nn.Module, run: Callable[[], object], *, images: int, steps: int
) -> Passes:
    """Count the passes of an attack that is to take `steps` gradients of each image.

    Raises
    ------
    RuntimeError
        If an image was spared a gradient, as one that is fooled is.
    """
    passes = count_passes(model, run)
    if passes.gradients < steps * images:
        raise RuntimeError(
            f"{name}: an image left the batch early ({passes.gradients} gradients of {images} "
            f"images in {steps} steps); the ratio would flatter."
        )
    return passes
