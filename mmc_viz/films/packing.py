"""A film as one block of bytes for a browser.

zlib around: the length of a header as 4 bytes, little-endian; the header as JSON; the images; then,
reel by reel, features, places and losses as float32, predictions as bytes, and the logarithms of
the loss. Each part is padded with zeros to a multiple of 4.

The logarithms are whole numbers, `SCALE` a power of ten, as 16-bit integers. Each row of the grid
is stored as differences from column to column, twice, in numbers that wrap around, the low bytes of
a reel first and then its high bytes: smooth functions shrink to a tenth by that.
"""

import json
import zlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.films.film import Film

SCALE = 250  # whole numbers a power of ten
#: Powers of ten that colours tell apart, as in the figures of contours. What is sent goes farther
#: down: between the points of the grid the logarithm is nearly linear, but not if it is cut off.
LOWEST, HIGHEST = -3.0, 2.5
FLOOR, CEILING = -40.0, 20.0


def pack_film(film: Film) -> bytes:
    """Put a film into bytes; the same film gives the same bytes."""
    header = {
        "epochs": list(film.epochs),
        "class_names": list(film.class_names),
        "labels": film.labels.tolist(),
        "shape": dict(zip(("channels", "height", "width"), film.images.shape[1:], strict=True)),
        "scale": SCALE,
        "lowest": LOWEST,
        "highest": HIGHEST,
        "resolution": film.reels[0].log10.shape[-1],
        "rows": film.rows(),
        "reels": [
            {"title": reel.title, "places_are": reel.places_are, "extent": reel.extent}
            for reel in film.reels
        ],
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    parts = [len(text).to_bytes(4, "little"), text, film.images.numpy().tobytes()]
    for reel in film.reels:
        for values in (reel.features, reel.places, reel.losses):
            parts.append(values.numpy().astype("<f4").tobytes())
        parts += [reel.predicted.numpy().astype("u1").tobytes(), _packed(reel.log10)]
    return zlib.compress(b"".join(part + bytes(-len(part) % 4) for part in parts))


def levels(log10: Float[Tensor, "*grid"]) -> np.ndarray:
    """Round powers of ten to the whole numbers that are sent; losses below 0 are the lowest."""
    inside = torch.nan_to_num(log10, nan=LOWEST - 1).clamp(FLOOR, CEILING)
    return np.rint(SCALE * inside.numpy()).astype("<i2")


def _packed(log10: Float[Tensor, "*grid"]) -> bytes:
    whole = levels(log10)
    for _ in range(2):
        whole[..., 1:] -= whole[..., :-1].copy()
    pairs = np.ascontiguousarray(whole).view("u1").reshape(-1, 2)
    return pairs[:, 0].tobytes() + pairs[:, 1].tobytes()
