"""Rotation, and rotation with a shift."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.attacks.checks import check_count, check_images
from mmc_viz.attacks.transforms.forms import (
    Forms,
    Images,
    TransformResult,
    all_forms,
    check_size,
    draw_seeds,
    worst_form,
)
from mmc_viz.noise import uniform

INTERPOLATIONS = ("bilinear", "nearest")


def rotation(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    degrees: float | int,
    translation: float | int = 0,
    angles: int = 31,
    shifts: int = 5,
    samples: int | None = None,
    interpolation: str = "bilinear",
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Rotate, and shift if asked to, until the model errs.

    Parameters
    ----------
    degrees : float
        Rotations reach from minus to plus this angle, 0 to 180; plus is counter-clockwise.
    translation : float
        Shifts reach from minus to plus so many pixels, down and across.
    angles, shifts : int
        Points of the grid along the angle and along each of the two shifts, evenly spaced, both
        ends included; so an odd number has 0 among them. Not looked at where the range is 0.
    samples : int, optional
        So many uniform draws of angle and shifts for each image take the place of the grid.
    interpolation : {"bilinear", "nearest"}
        How values between pixels are found. Beyond the image its border is repeated.
    generator : torch.Generator, optional
        Source of one seed for each image of the call, for `samples`. None: a private one, seeded 0.

    Notes
    -----
    The other arguments and what comes back are those of `gaussian_noise`. Rotation by 0 without
    a shift gives the image itself, bit for bit. The authors of the MMC paper drew one angle of
    +-30 degrees for each image, with the border repeated: `degrees=30, samples=1`. The defaults of
    `angles` and `shifts` are the grid of Engstrom et al., who shifted by up to 3 pixels of 32.

    References
    ----------
    Engstrom, Tran, Tsipras, Schmidt, Madry, "Exploring the landscape of spatial robustness", ICML
    2019, https://arxiv.org/abs/1712.02779.
    """
    check_images(images)
    forms = _turns(images, degrees, translation, angles, shifts, samples, interpolation, generator)
    return worst_form(model, images, labels, forms, batch_size, progress)


def rotation_accuracy(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    degrees: float | int,
    translation: float | int = 0,
    angles: int = 31,
    shifts: int = 5,
    samples: int | None = None,
    interpolation: str = "bilinear",
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> TransformResult:
    """Measure accuracy under rotation, on average and at worst; the arguments of `rotation`."""
    check_images(images)
    forms = _turns(images, degrees, translation, angles, shifts, samples, interpolation, generator)
    return all_forms(model, images, labels, forms, batch_size, progress)


def rotated(
    images: Float[Tensor, "batch channels height width"],
    degrees: Float[Tensor, " batch"],
    down: Float[Tensor, " batch"],
    across: Float[Tensor, " batch"],
    *,
    interpolation: str = "bilinear",
) -> Float[Tensor, "batch channels height width"]:
    """Rotate each image about its middle, counter-clockwise, then shift it; repeat its border.

    Parameters
    ----------
    images : Float[Tensor, "batch channels height width"]
    degrees, down, across : Float[Tensor, "batch"]
        Angle, and shifts in pixels, of each image.
    interpolation : {"bilinear", "nearest"}
        How values between pixels are found.
    """
    height, width = images.shape[2:]
    angle = degrees.to(images).deg2rad()
    cos, sin = angle.cos(), angle.sin()
    # `affine_grid` asks where each pixel comes from, in units of half the height and half the
    # width: undo the shift, then the rotation. Rows point down.
    y, x = 2 * down.to(images) / height, 2 * across.to(images) / width
    ratio = height / width
    back = torch.stack(
        [
            torch.stack([cos, -sin * ratio, sin * ratio * y - cos * x], dim=1),
            torch.stack([sin / ratio, cos, -sin / ratio * x - cos * y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(back, list(images.shape), align_corners=False)
    turned = functional.grid_sample(
        images, grid, mode=interpolation, padding_mode="border", align_corners=False
    )
    # What is not moved stays as it is to the last bit.
    moved = (degrees != 0) | (down != 0) | (across != 0)
    return torch.where(moved[:, None, None, None], turned, images)


def _turns(
    images: Images,
    degrees: float | int,
    translation: float | int,
    angles: int,
    shifts: int,
    samples: int | None,
    interpolation: str,
    generator: torch.Generator | None,
) -> Forms:
    check_size("degrees", degrees, 180)
    check_size("translation", translation, math.inf)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"`interpolation` must be one of {', '.join(INTERPOLATIONS)}; got {interpolation!r}."
        )
    reach = (degrees, translation, translation)
    if samples is not None:
        check_count("samples", samples, 1)
        seeds = draw_seeds(images, generator)

        def draw(k: int, rows: Tensor, images: Tensor) -> Tensor:
            moves = [
                (2 * uniform(seeds[rows], k, stream) - 1) * limit
                for stream, limit in enumerate(reach)
            ]
            return rotated(images, *moves, interpolation=interpolation)

        return Forms(samples, draw)
    counts = {"angles": angles, "shifts": shifts}
    for name, limit in {"angles": degrees, "shifts": translation}.items():
        if limit > 0:
            check_count(name, counts[name], 2)
    axes = [
        torch.linspace(-limit, limit, count) if limit > 0 else torch.zeros(1)
        for limit, count in zip(reach, (angles, shifts, shifts), strict=True)
    ]
    grid = torch.cartesian_prod(*axes)

    def make(k: int, rows: Tensor, images: Tensor) -> Tensor:
        moves = grid[k].to(images.device)[:, None].expand(3, len(images))
        return rotated(images, *moves, interpolation=interpolation)

    return Forms(len(grid), make)
