"""Shifted and flipped training images, made on whole batches on the device.

What happens to an image depends on (seed, epoch, index of the image) and on nothing else: not on
the batch it is in, not on the process that handles it, not on a random state that a resumed run
would have to restore. See `mmc_viz.noise`.
"""

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmc_viz.noise import bits


def augment(
    images: UInt8[Tensor, "batch channels height width"],
    indices: Int[Tensor, " batch"],
    *,
    kind: str,
    seed: int,
    epoch: int,
) -> UInt8[Tensor, "batch channels height width"]:
    """Shift each image by up to a tenth of its size (rounded), and mirror half of them.

    Parameters
    ----------
    images : UInt8[Tensor, "batch channels height width"]
    indices : Int[Tensor, "batch"]
        Place of each image in the training set.
    kind : {"none", "shift", "shift_flip"}
        Whole pixels, both ways, the border repeated; with a left-right flip or without.
    seed, epoch : int
        With the index they decide what happens to an image.
    """
    if kind == "none":
        return images
    _, _, height, width = images.shape
    rows = _shifted(height, indices, seed, epoch, stream=0)
    columns = _shifted(width, indices, seed, epoch, stream=1)
    if kind == "shift_flip":
        flipped = bits(seed, epoch, 2, indices) % 2 == 1
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    batch = torch.arange(len(images), device=images.device)
    # Indexing batch, rows and columns together puts the channels last; move them back.
    moved = images[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _shifted(
    size: int, indices: Int[Tensor, " batch"], seed: int, epoch: int, *, stream: int
) -> Int[Tensor, "batch size"]:
    """For each image, which row (or column) of the original each row of the result shows."""
    reach = round(size / 10)
    shift = bits(seed, epoch, stream, indices) % (2 * reach + 1) - reach
    place = torch.arange(size, device=indices.device) + shift[:, None]
    return place.clamp(0, size - 1)
