r"""Noise and rotation together, on a grid of strengths, made so that a browser can repeat them.

Nobody aims these at a model. Image $x$ is turned by an angle, and noise of strength $\sigma$ is
added. In bytes, with $r$ the turned image and $n$ a fixed draw of standard normal numbers,

$$b = \mathrm{clamp}\Bigl( r + \bigl\lfloor (s \cdot n + 2^{15}) / 2^{16} \bigr\rfloor
\Bigr), \qquad s = \mathrm{round}(255 \cdot 2^8 \sigma), \quad n = \mathrm{round}(2^8 \xi).$$

All of it is in whole numbers, so the browser needs the turned images and one draw for each image,
and computes every picture of the grid itself, to the last bit the one that the models were shown.
The same draw is used at all strengths: as $\sigma$ grows, the grain stays and comes forward.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int16, UInt8
from torch import Tensor, nn

from mmc_viz.attacks import frozen
from mmc_viz.attacks.checks import check_classes, check_images, check_labels
from mmc_viz.attacks.transforms import rotated, unit_noise
from mmc_viz.networks import outputs

FORMAT = 1
_LARGEST = 4.0  # strengths above it would leave 32 bits


@dataclass(frozen=True)
class Disturbances:
    """What models see in images under noise and rotation; on the CPU.

    Attributes
    ----------
    sigmas : tuple of float
        Standard deviations of the noise, in the unit of images in [0, 1].
    degrees : tuple of float
        Angles, counter-clockwise.
    turned : UInt8[Tensor, "degrees batch channels height width"]
        The images turned, without noise.
    noise : Int16[Tensor, "batch channels height width"]
        One draw for each image, in 1/256 of a standard deviation.
    labels : Int[Tensor, "batch"]
        True classes.
    predictions : dict[str, Int[Tensor, "sigmas degrees batch"]]
        Title of the model to the class that it sees.
    change : Float[Tensor, "sigmas degrees"]
        Mean change of a pixel since the clean image, in the unit of images in [0, 1].
    class_names : tuple of str
    """

    sigmas: tuple[float, ...]
    degrees: tuple[float, ...]
    turned: UInt8[Tensor, "degrees batch channels height width"]
    noise: Int16[Tensor, "batch channels height width"]
    labels: Int[Tensor, " batch"]
    predictions: dict[str, Tensor]
    change: Float[Tensor, "sigmas degrees"]
    class_names: tuple[str, ...]

    def right(self, title: str) -> Int[Tensor, "sigmas degrees"]:
        """How many images the model of this title gets right."""
        return (self.predictions[title] == self.labels).sum(dim=2)

    def images(self, sigma: int, degree: int) -> UInt8[Tensor, "batch channels height width"]:
        """Give the images at these places of `sigmas` and `degrees`, as drawn and as judged."""
        return noisy(self.turned[degree], self.noise, self.sigmas[sigma])


def disturb(
    models: dict[str, nn.Module],
    images: UInt8[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    sigmas: Sequence[float | int],
    degrees: Sequence[float | int],
    class_names: Sequence[str],
    seed: int = 0,
    watch: Callable[[float], None] | None = None,
) -> Disturbances:
    """Turn images, add noise, and ask models what they see, for all pairs of strengths.

    Parameters
    ----------
    models : dict[str, nn.Module]
        Title to model, from images in [0, 1] to logits. They stay as they are.
    images : UInt8[Tensor, "batch channels height width"]
    labels : Int[Tensor, "batch"]
        True classes.
    sigmas : sequence of float
        Rising, from 0 to 4.
    degrees : sequence of float
        Rising, from -180 to 180.
    class_names : sequence of str
        One for each class.
    seed : int
        Of the noise.
    watch : callable, optional
        Called as `watch(share)` with the share done, 0..1; it may raise to stop the work.

    Returns
    -------
    disturbances : Disturbances

    Raises
    ------
    ValueError
        If there is nothing to do, or a strength is out of range or out of order.
    """
    if not models:
        raise ValueError("`models` must hold at least one model; got none.")
    for name, values, low, high in (
        ("sigmas", sigmas, 0, _LARGEST),
        ("degrees", degrees, -180, 180),
    ):
        rising = all(a < b for a, b in zip(values, values[1:], strict=False))
        if not values or not rising or values[0] < low or not values[-1] <= high:
            raise ValueError(f"`{name}` must rise within {low} .. {high}; got {list(values)}.")
    clean = images.float() / 255
    check_images(clean)
    check_labels(labels, clean)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    check_classes("labels", labels, len(class_names))
    still = torch.zeros(len(images))
    turned = torch.stack(
        [
            (rotated(clean, still + angle, still, still) * 255).round().to(torch.uint8)
            for angle in degrees
        ]
    )
    generator = torch.Generator().manual_seed(seed)
    noise = (unit_noise(clean, generator=generator) * 256).round().to(torch.int16)
    shape = (len(sigmas), len(degrees), len(images))
    seen = {title: torch.zeros(shape, dtype=torch.long) for title in models}
    change = torch.zeros(shape[:2], dtype=torch.float64)
    for m, (title, model) in enumerate(models.items()):
        with torch.no_grad(), frozen(model, clean) as view:
            for s, sigma in enumerate(sigmas):
                if watch is not None:
                    watch((m + s / len(sigmas)) / len(models))
                frames = torch.stack([noisy(one, noise, sigma) for one in turned])
                logits = outputs(view.exact, frames.flatten(0, 1).float() / 255, batch_size=256)[0]
                if logits.shape[1] != len(class_names):
                    raise ValueError(
                        f"`class_names` must be {logits.shape[1]}; got {len(class_names)}."
                    )
                seen[title][s] = logits.argmax(dim=1).cpu().reshape(shape[1:])
                moved = (frames.double() - images.double()).abs() / 255
                change[s] = moved.flatten(1).mean(dim=1)
    return Disturbances(
        tuple(float(sigma) for sigma in sigmas),
        tuple(float(angle) for angle in degrees),
        turned,
        noise,
        labels.cpu(),
        seen,
        change,
        tuple(class_names),
    )


def noisy(
    turned: UInt8[Tensor, "batch channels height width"],
    noise: Int16[Tensor, "batch channels height width"],
    sigma: float | int,
) -> UInt8[Tensor, "batch channels height width"]:
    """Add noise to bytes, in whole numbers; see the module's docstring."""
    strength = round(255 * 256 * sigma)
    grain = (strength * noise.long() + 2**15) >> 16
    return (turned.long() + grain).clamp(0, 255).to(torch.uint8)


def pack_disturbances(found: Disturbances) -> bytes:
    """Put disturbances into one deflated block of bytes for the browser.

    It holds, as that of `mmc_viz.microscope.packing`, the length of a header, the header in JSON,
    zeros to a multiple of 4, and the payload: all of `turned`, zeros to a multiple of 4, and all of
    `noise` as int16. `models` of the header holds for each title `predictions`
    [sigmas][degrees][batch] and `right` [sigmas][degrees].
    """
    count, channels, height, width = found.noise.shape
    header = {
        "format": FORMAT,
        "class_names": list(found.class_names),
        "labels": found.labels.tolist(),
        "shape": {"count": count, "channels": channels, "height": height, "width": width},
        "sigmas": list(found.sigmas),
        "degrees": list(found.degrees),
        "change": [[float(f"{value:.4g}") for value in row] for row in found.change.tolist()],
        "models": [
            {
                "title": title,
                "predictions": predictions.tolist(),
                "right": found.right(title).tolist(),
            }
            for title, predictions in found.predictions.items()
        ],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    turned = found.turned.contiguous().numpy().tobytes()
    noise = found.noise.contiguous().numpy().astype("<i2").tobytes()
    head = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4)]
    return zlib.compress(b"".join([*head, turned, bytes(-len(turned) % 4), noise]))
