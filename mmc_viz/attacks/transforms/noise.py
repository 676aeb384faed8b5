"""Gaussian noise."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

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
from mmc_viz.noise import bits, places, uniform


def gaussian_noise(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    sigma: float | int,
    samples: int = 10,
    clip: bool = True,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Add Gaussian noise until the model errs.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and is seen in evaluation mode.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    sigma : float
        Standard deviation of the noise at each pixel, in the unit of the images.
    samples : int
        Draws for each image, at most.
    clip : bool
        Whether the noisy image is clipped to [0, 1]. The authors of the MMC paper did not clip
        (with `sigma` 0.05), so their models saw images that no file can hold.
    generator : torch.Generator, optional
        Source of one seed for each image of the call. None: a private one, seeded 0.
    batch_size : int
        How many images are worked on at once. It changes memory and speed, not the noise.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    transformed : Float[Tensor, "batch channels height width"]
        The first form of the image met on which the model errs, which is the image itself where it
        errs already; else the last form.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_images(images)
    forms = _noises(images, sigma, samples, clip, generator)
    return worst_form(model, images, labels, forms, batch_size, progress)


def noise_accuracy(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    sigma: float | int,
    samples: int = 10,
    clip: bool = True,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> TransformResult:
    """Measure accuracy under noise, on average and at worst; the arguments of `gaussian_noise`."""
    check_images(images)
    forms = _noises(images, sigma, samples, clip, generator)
    return all_forms(model, images, labels, forms, batch_size, progress)


def unit_noise(
    images: Float[Tensor, "batch channels height width"],
    *,
    sample: int = 0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Give the noise that `gaussian_noise` adds with `sigma` 1, without images and model.

    Parameters
    ----------
    images : Float[Tensor, "batch channels height width"]
        Tells the shape.
    sample : int
        Number of the draw, from 0 on.
    generator : torch.Generator, optional
        As for `gaussian_noise`.
    """
    return _normal(draw_seeds(images, generator), sample, images)


def _noises(
    images: Images,
    sigma: float | int,
    samples: int,
    clip: bool,
    generator: torch.Generator | None,
) -> Forms:
    check_size("sigma", sigma, math.inf)
    check_count("samples", samples, 1)
    seeds = draw_seeds(images, generator)

    def make(k: int, rows: Tensor, images: Tensor) -> Tensor:
        noisy = images + sigma * _normal(seeds[rows], k, images)
        return noisy.clamp(0, 1) if clip else noisy

    return Forms(samples, make)


def _normal(seeds: Int[Tensor, " batch"], k: int, images: Images) -> Images:
    """Draw standard normal numbers like the images, by the formula of Box and Muller."""
    keys = bits(seeds, k)[:, None, None, None]
    pixels = places(images.shape[1:], images.device)
    radius = (-2 * (1 - uniform(keys, pixels, 0)).log()).sqrt()
    return (radius * (2 * math.pi * uniform(keys, pixels, 1)).cos()).to(images)
