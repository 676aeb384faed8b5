"""Random numbers without a state: a hash of where a number belongs takes the place of a generator.

What a generator gives depends on all that was drawn before: on the batch an image was in, on the
order of the work, on where a run was interrupted. A hash depends on its keys alone. With the keys
(seed, epoch, index of the image) an image meets the same noise in any batch and on any device.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = 0xFFFFFFFF  # numbers of 32 bits, kept in int64


def bits(*keys: int | Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Mix keys into numbers of 32 bits that look random, the same on every device.

    Parameters
    ----------
    *keys : int or Int[Tensor, "..."]
        At least two numbers, or tensors that can be broadcast together; of each the lowest 32 bits
        count. At least one is a tensor. The first two are merely xor-ed before they are mixed, so
        keys (0, 1) and (1, 0) give the same numbers.
    """
    mixed, *rest = keys
    for key in rest:
        mixed = _mix((mixed ^ key) & _MASK)
    return mixed


def uniform(*keys: int | Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Mix keys into numbers from [0, 1), float32 with 24 random bits; see `bits`."""
    return (bits(*keys) >> 8).float() / 2**24


def places(shape: Sequence[int], device: torch.device | str = "cpu") -> Int[Tensor, "..."]:
    """Count the elements of one image of `shape`; an axis for the batch stands in front."""
    count = torch.Size(shape).numel()
    return torch.arange(count, device=device).reshape(1, *shape)


def _mix(x: int | Int[Tensor, "..."]) -> int | Int[Tensor, "..."]:
    # The 32-bit finaliser "lowbias32" (https://nullprogram.com/blog/2018/07/31/). Products wrap
    # around in int64, which leaves their lowest 32 bits right.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)
