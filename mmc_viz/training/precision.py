"""How the features are computed while a network trains: in which precision, compiled or not.

float32 is the rule. float64 is for comparisons, bfloat16 for processors that know it. Training
magnifies rounding, so runs in different precision part slowly: the first loss agrees to 1e-6
(float32 and float64) and 1e-3 (bfloat16 and float32) of itself, those of the first ten steps to
1e-2 and 5e-2; a test holds these bounds. After that no bound on single numbers can be given.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mmc_viz.networks import Classifier
from mmc_viz.training.config import TrainConfig


def dtype_of(config: TrainConfig) -> torch.dtype:
    """Type of weights and losses of a run."""
    return torch.float64 if config.float64 else torch.float32


def forward(model: Classifier, config: TrainConfig) -> Callable[[Tensor], Tensor]:
    """Give a function that computes what `model.features` does, the way `config` asks for.

    In bfloat16 the network's convolutions and matrix products are faster on processors that know
    the format, such as CPUs with AVX512-BF16 and GPUs; on others it is of no use. The weights stay
    in float32. What comes back is float32, so the loss and its sums are too.

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
    if config.float64 or not (device == "cuda" if config.bfloat16 is None else config.bfloat16):
        return features

    def in_bfloat16(images: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return features(images).float()

    return in_bfloat16


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Let torch use no algorithm in this block whose sums depend on chance, if `on`.

    On the CPU none does. On CUDA some do, and cuBLAS must have been told before its first use by
    the environment variable CUBLAS_WORKSPACE_CONFIG (`:4096:8`), as `mmc-viz train` does; torch
    refuses to run without.
    """
    if not on:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark
