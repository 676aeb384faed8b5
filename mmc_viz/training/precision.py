"""How the features are computed while a network trains: in which precision, compiled or not."""

from collections.abc import Callable

import torch
from torch import Tensor

from mmc_viz.networks import Classifier
from mmc_viz.training.config import TrainConfig


def forward(model: Classifier, config: TrainConfig) -> Callable[[Tensor], Tensor]:
    """Give a function that computes what `model.features` does, the way `config` asks for.

    In bfloat16 the network's convolutions and matrix products run at up to twice the speed on a CPU
    with AVX512-BF16; it is meant for processors that know the format (GPUs too), and for no others.
    The weights stay in float32. What comes back is float32, so the loss and its sums are too.

    Parameters
    ----------
    model : Classifier
        On the device where it trains.
    config : TrainConfig
        Its `compiled` and `bfloat16` decide.
    """
    # Compiled beside the model, not inside: copies, files and attacks see it as it is. And
    # `model.backbone.compile()` would pass over the `nn.Sequential` and compile its blocks at most.
    features = torch.compile(model.features) if config.compiled else model.features
    device = next(model.parameters()).device.type
    if not (device == "cuda" if config.bfloat16 is None else config.bfloat16):
        return features

    def in_bfloat16(images: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return features(images).float()

    return in_bfloat16
