"""What is settled before the first step: how images are normalised, and which weights decay."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mmc_viz.networks import Classifier
from mmc_viz.training.config import TrainConfig


def channel_statistics(
    images: UInt8[Tensor, "batch channels height width"],
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Mean and standard deviation of each channel, for images scaled to [0, 1]."""
    # A histogram of the 256 grey levels is exact and needs no float copy of the data set.
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for batch in images.split(4096):
        for count, channel in zip(counts, batch.cpu().unbind(1), strict=True):
            count += channel.flatten().bincount(minlength=256)
    levels = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double()
    share /= share.sum(dim=1, keepdim=True)
    mean = share @ levels
    variance = share @ levels.square() - mean.square()
    # An all-grey channel has no spread; dividing by 1 leaves it at 0.
    std = torch.where(variance > 0, variance, 1.0).sqrt()
    return mean.float(), std.float()


def decay_groups(model: Classifier, config: TrainConfig) -> list[dict[str, Any]]:
    """Split the weights into those that decay and those that do not.

    Biases and batch norm never decay, nor do the learned centers of a head. Other matrices decay
    only where `config.decay` is `all`.
    """
    smallest = {"convolutions": 4, "all": 2}[config.decay]  # dimensions of a decaying tensor
    places = {id(getattr(model.head, name)) for name in model.head.undecayed}
    decaying, free = [], []
    for weight in model.parameters():
        decays = weight.dim() >= smallest and id(weight) not in places
        (decaying if decays else free).append(weight)
    return [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
