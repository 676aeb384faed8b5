"""Moments of a duel as numbers and bytes that a page can draw."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from mmc_viz.duels.looking import Moment, Side

#: What is said of each side in `numbers`, in this order.
NUMBERS = ("accuracy", "loss", "train_loss", "nc1_ratio", "distance_to_best", "reach")


def pack(moments: Sequence[Moment]) -> tuple[list[dict[str, Any]], bytes]:
    """Give moments as plain numbers and as float32 maps.

    Parameters
    ----------
    moments : sequence of Moment
        Of one duel.

    Returns
    -------
    numbers : list[dict]
        For each moment `taken`, and `sides`: the values of `NUMBERS` for each side, None for NaN.
    maps : bytes
        Little-endian float32: moment by moment, side by side, the points `[N, 2]`, what they are
        taken for `[N]`, the class means `[L, 2]`, the centers `[L, 2]` and the regions `[L, 4]`;
        NaN for what a head has not.
    """
    numbers = [
        {
            "taken": moment.taken,
            "sides": [
                {name: _or_none(getattr(side, name)) for name in NUMBERS} for side in moment.sides
            ],
        }
        for moment in moments
    ]
    parts = [_floats(side) for moment in moments for side in moment.sides]
    return numbers, torch.cat(parts).numpy().astype("<f4").tobytes()


def _floats(side: Side) -> torch.Tensor:
    num_classes = len(side.means)
    centers = torch.full((num_classes, 2), math.nan) if side.centers is None else side.centers
    regions = torch.full((num_classes, 4), math.nan) if side.regions is None else side.regions
    parts = (side.points, side.predictions.float(), side.means, centers, regions)
    return torch.cat([part.flatten() for part in parts])


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
