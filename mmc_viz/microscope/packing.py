"""Slides as one block of bytes, for a browser to draw without a kernel.

    deflate( uint32 length of header | header, JSON in UTF-8 | zeros to a multiple of 4 | payload )

with a little-endian length and the header

    format        1
    class_names   [L] strings
    shape         channels, height, width
    label         true class
    eps, step_size, steps
    clean         offset of the clean image: bytes
    slides        list of
        model, objective, restart
        extent     coordinates reach from minus to plus this, along both axes
        side       points along each axis
        outline    [corners][2] where the plane leaves the budget
        values     offset of the objective on the grid: float32 [b, a]
        margin     offset of the margin on it: float32 [b, a]
        flat       offset: 1 where cross-entropy has no slope, bytes [b, a]
        reached    [T] the objective at each iterate
        margins    [T] the margin there
        predicted  [T] the class that the model sees
        cut        [T] share of pixels that the projection moves back on the way on
        slopes     [T] largest entry of the gradient
        places     [T][2] where the foot of each iterate stands
        heights    [T] how far it lies from its foot, in l2
        ahead      [T][2] the foot of the point to which the step leads before it is projected
        towards    [2] what lies along the axes, in words
        change     offset: change since the clean image, eps = 127, signed bytes [T, pixels]
        gradient   offset: gradient, its largest entry = 127, signed bytes [T, pixels]
        direction  offset: signs of the step that leads on, signed bytes [T, pixels]

Offsets count bytes of the payload. What is drawn of an image is rounded; every number in the header
is that of the iterate itself.
"""

import json
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmc_viz.microscope.slides import Slide

FORMAT = 1


def pack_slides(models: dict[str, dict[str, list[Slide]]]) -> bytes:
    """Put the slides of several models, about the same image, into one block of bytes.

    Parameters
    ----------
    models : dict[str, dict[str, list[Slide]]]
        Title to objective to slides, one for each start.

    Returns
    -------
    data : bytes
        See the module's docstring.

    Raises
    ------
    ValueError
        If there is nothing to pack.
    """
    flat = [
        ({"model": title, "objective": name, "restart": restart}, slide)
        for title, objectives in models.items()
        for name, several in objectives.items()
        for restart, slide in enumerate(several)
    ]
    if not flat:
        raise ValueError("`models` must hold at least one slide; got none.")
    payload = _Payload()
    climb, surface = flat[0][1].climb, flat[0][1].surface
    header = {
        "format": FORMAT,
        "class_names": list(surface.class_names),
        "shape": list(climb.image.shape),
        "label": climb.label,
        "eps": climb.eps,
        "step_size": climb.step_size,
        "steps": len(climb.points) - 1,
        "clean": payload.add((climb.image * 255).round(), np.uint8),
        "slides": [name | _slide(slide, payload) for name, slide in flat],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4)]
    return zlib.compress(b"".join(head + payload.parts))


def read_header(data: bytes) -> dict[str, Any]:
    """Read the header of a block back.

    Raises
    ------
    ValueError
        If the bytes are no such block.
    """
    try:
        block = zlib.decompress(data)
        header = json.loads(block[4 : 4 + int.from_bytes(block[:4], "little")])
        known = header["format"] == FORMAT
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the slides are damaged: {error}") from None
    if not known:
        raise ValueError(f"format {header['format']} of slides is not known here.")
    return header


class _Payload:
    """Bytes one after the other; each piece begins at a multiple of 4."""

    def __init__(self):
        self.parts: list[bytes] = []
        self.length = 0

    def add(self, values: Tensor, kind: type) -> int:
        """Append values as numbers of this kind; give their offset."""
        data = np.ascontiguousarray(values.cpu().numpy().astype(kind)).tobytes()
        data += bytes(-len(data) % 4)
        offset = self.length
        self.parts.append(data)
        self.length += len(data)
        return offset


def _slide(slide: Slide, payload: _Payload) -> dict[str, Any]:
    climb, surface = slide.climb, slide.surface
    slopes = climb.gradients.abs().amax(dim=(1, 2, 3))
    largest = slopes.clamp_min(torch.finfo(torch.float32).tiny)[:, None, None, None]
    return {
        "extent": float(surface.a[-1]),
        "side": len(surface.a),
        "outline": _rounded(slide.outline),
        "values": payload.add(surface.values[slide.objective], np.float32),
        "margin": payload.add(surface.margin, np.float32),
        "flat": payload.add(surface.flat, np.uint8),
        "reached": _rounded(climb.objective),
        "margins": _rounded(climb.margin),
        "predicted": climb.predicted.tolist(),
        "cut": _rounded(climb.cut),
        "slopes": _rounded(slopes),
        "places": _rounded(slide.places),
        "heights": _rounded(slide.heights),
        "ahead": _rounded(slide.ahead),
        "towards": list(slide.towards),
        "change": payload.add(
            (climb.changes * (127 / climb.eps)).round().clamp(-127, 127), np.int8
        ),
        "gradient": payload.add((climb.gradients / largest * 127).round(), np.int8),
        "direction": payload.add(climb.directions, np.int8),
    }


def _rounded(values: Tensor) -> list:
    """Give numbers as lists, with six significant digits: they are read, not computed with."""
    flat = [float(f"{value:.6g}") for value in values.double().flatten().tolist()]
    return np.array(flat).reshape(values.shape).tolist()
