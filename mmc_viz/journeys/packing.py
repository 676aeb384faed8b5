"""Journeys and their maps as one block of bytes for a browser; the images travel in a bundle.

zlib around: the length of a header as 4 bytes, little-endian; the header as JSON, padded with zeros
to a multiple of 4; then float32 numbers, in which the header's offsets count from 0:

    labels    [M] classes of the background
    plane     three classes that span the plane
    models    title, anchors_are, class_distance, medians moved [K] and way [K], and offsets of
        own, other   [K, N] distances to the anchor of the own class and to the nearest other one
    maps      name, note, and for each model
        quality      of `mmc_viz.embeddings.MapQuality`: neighbours and what is kept of them
        background   offset of [M, 2]
        anchors      offset of [L, 2]
        positions    offset of [K, N, 2]
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmc_viz.journeys.drawing import JourneyMap
from mmc_viz.journeys.journey import Journey

_QUALITY = (
    *("neighbours", "class_share", "true_class_share"),
    *("distance_correlation", "trustworthiness"),
)


def pack_maps(
    journeys: dict[str, Journey],
    maps: dict[str, dict[str, JourneyMap]],
    *,
    plane: Sequence[int] = (0, 1, 2),
) -> bytes:
    """Put journeys and maps into bytes; the same ones give the same bytes.

    Parameters
    ----------
    journeys : dict[str, Journey]
        Title of each model to its journey, of the same images.
    maps : dict[str, dict[str, JourneyMap]]
        Method to title to map.
    plane : sequence of int
        The classes that span the plane.
    """
    parts: list[bytes] = []
    offset = 0

    def put(values: Tensor) -> int:
        nonlocal offset
        parts.append(values.detach().cpu().float().numpy().astype("<f4").tobytes())
        offset += values.numel()
        return offset - values.numel()

    header: dict[str, Any] = {
        "labels": next(iter(journeys.values())).labels.tolist(),
        "plane": list(plane),
        "models": [
            {
                "title": title,
                "anchors_are": one.anchors_are,
                "class_distance": one.class_distance,
                "moved": one.median_moved.tolist(),
                "way": one.median_way.tolist(),
                "own": put(one.own),
                "other": put(one.other),
            }
            for title, one in journeys.items()
        ],
        "maps": [
            {
                "name": name,
                "note": next(iter(drawn.values())).map.note,
                "panels": [
                    {
                        "quality": {key: getattr(drawn[title].quality, key) for key in _QUALITY},
                        "background": put(drawn[title].map.positions),
                        "anchors": put(drawn[title].anchors),
                        "positions": put(drawn[title].positions),
                    }
                    for title in journeys
                ],
            }
            for name, drawn in maps.items()
        ],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4)]
    return zlib.compress(b"".join([*head, *parts]))
