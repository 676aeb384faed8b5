"""What a model makes of images: where it is right."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.checks import check_classes, check_images, check_labels
from mmc_viz.networks import outputs


def accuracy(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    batch_size: int = 512,
) -> float:
    """Share of images that the model gets right, 0..1.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits; used in evaluation mode, left as it was.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    batch_size : int
        How many images go through the model at once.

    Raises
    ------
    ValueError
        If there is no image, or images or labels are out of range.
    """
    return correct(model, images, labels, batch_size=batch_size).double().mean().item()


def correct(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    batch_size: int = 512,
) -> Bool[Tensor, " batch"]:
    """Which images the model gets right; arguments and errors are those of `accuracy`."""
    check_images(images)
    check_labels(labels, images)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    logits, _ = outputs(model, images, batch_size=batch_size)
    check_classes("labels", labels, logits.shape[1])
    return logits.argmax(dim=1) == labels
