"""Layers whose weights are still to be drawn."""

from typing import Any, TypeVar

import torch
from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


def unfilled(layer: type[Layer], *sizes: int, **settings: Any) -> Layer:
    """Make a layer without drawing its weights, which torch would take from its global generator.

    `torch.nn.utils.skip_init` does the same. But it empties tensors in a way that loads sympy, and
    the first model of each process would wait most of a second for that.

    Parameters
    ----------
    layer : type
        One without parts, such as `torch.nn.Conv2d`.
    *sizes, **settings
        What it is called with.

    Returns
    -------
    made : nn.Module
        On the CPU. Its parameters hold whatever was in the memory.
    """
    made = layer(*sizes, **settings, device="meta")
    for name, value in list(made.named_parameters()):
        setattr(made, name, nn.Parameter(torch.empty(value.shape, dtype=value.dtype)))
    return made
