"""A drawn digit as the data set `digits` would hold it, and what models make of it.

The pictures of `digits` began as bitmaps of 32 x 32 dots, black or white, that somebody had drawn
on a tablet. Each was then cut into 4 x 4 blocks, and what the data set keeps is the number of dots
in each block, 0..16: an 8 x 8 picture. The very same is done here with a student's drawing, after
it has been made as tall as the field, for so were theirs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.networks import outputs
from mmc_viz.paths import epsilon_path

SIDE = 32  # dots of a drawing, in each direction
_MARGIN = 1  # dots that stay empty above and below
_PEN = 1.9  # dots from the middle of a line to its edge


@dataclass(frozen=True)
class Opinion:
    """What a model makes of one picture, and how little changes its mind.

    Attributes
    ----------
    sees : int
        The class that wins.
    eps : float or None
        The smallest of the budgets at which an attack was met that changes it; None where none did.
    then : int or None
        The class that wins then.
    changed : UInt8[Tensor, "1 1 8 8"] or None
        The picture then.
    """

    sees: int
    eps: float | None
    then: int | None
    changed: UInt8[Tensor, "1 1 8 8"] | None


def draw(*lines: Sequence[tuple[float | int, float | int]]) -> Bool[Tensor, "32 32"]:
    """Draw lines from point to point, (x, y) from the upper left corner, with a thick pen."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    bitmap = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    for line in lines:
        for (x, y), (u, v) in zip(line, line[1:], strict=False):
            for k in range(1 + 2 * math.ceil(math.dist((x, y), (u, v)))):
                share = k / max(1, 2 * math.ceil(math.dist((x, y), (u, v))))
                dx, dy = columns - x - share * (u - x), rows - y - share * (v - y)
                bitmap |= dx.square() + dy.square() <= _PEN**2
    return bitmap


def to_digit(bitmap: Bool[Tensor, "32 32"]) -> UInt8[Tensor, "1 1 8 8"]:
    """Turn a drawing into a picture like those of `digits`.

    Parameters
    ----------
    bitmap : Bool[Tensor, "32 32"]
        True where there is ink.

    Returns
    -------
    picture : UInt8[Tensor, "1 1 8 8"]
        As the data set holds them: round(255 / 16 * dots).

    Raises
    ------
    ValueError
        If nothing is drawn.
    """
    if not bitmap.any():
        raise ValueError("the drawing is empty: draw a digit first.")
    counts = functional.avg_pool2d(_fitted(bitmap)[None, None].float(), 4) * 16
    return (counts * (255 / 16)).round().to(torch.uint8)


def _fitted(bitmap: Bool[Tensor, "32 32"]) -> Bool[Tensor, "32 32"]:
    """Scale the ink to the height of the field (or its width, if it is wider) and centre it."""
    rows, columns = (bitmap.any(dim=d).nonzero()[:, 0] for d in (1, 0))
    ink = bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    room = SIDE - 2 * _MARGIN
    factor = min(room / ink.shape[0], room / ink.shape[1])
    height, width = (max(1, round(factor * size)) for size in ink.shape)
    scaled = functional.interpolate(ink[None, None].float(), (height, width), mode="bilinear")
    field = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    field[top : top + height, left : left + width] = scaled[0, 0] >= 0.5
    return field


def opinion(
    model: nn.Module,
    picture: UInt8[Tensor, "1 1 8 8"],
    *,
    epsilons: Sequence[float | int],
    seed: int = 0,
) -> Opinion:
    """Ask a model what it sees, and attack it with growing budgets until it sees something else.

    Parameters
    ----------
    model : nn.Module
        From pictures in [0, 1] to logits.
    picture : UInt8[Tensor, "1 1 8 8"]
        One.
    epsilons : sequence of float
        Budgets in the unit of pictures in [0, 1], rising. PGD on the margin tries each.
    seed : int
        Of its random starts.
    """
    inputs: Float[Tensor, "1 1 8 8"] = picture / 255
    logits, _ = outputs(model, inputs)
    sees = logits.argmax(dim=1)
    path = epsilon_path(model, inputs, sees, epsilons, seed=seed)
    met = path.success[:, 0].nonzero()[:, 0].tolist()
    if not met:
        return Opinion(int(sees), None, None, None)
    k = met[0]
    return Opinion(
        int(sees), float(path.epsilons[k]), int(path.logits[k, 0].argmax()), path.images[k]
    )
