"""Epsilon paths as one block of bytes, so that a browser can replay them without a kernel.

A lesson compares models under several attacks. Each pair gives an `EpsilonPath`: at step k the
budget is epsilon_k and image n looks like x_k. All paths of a lesson go to the browser together,
once, and the slider then only looks things up. The block is

    deflate( uint32 length of header | header, JSON in UTF-8 | zeros to a multiple of 4 | payload )

with a little-endian length and the header

    format        1
    class_names   [L] strings
    labels        [N] true classes
    shape         count N, channels C, height H, width W
    runs          list of
        name      what the menu shows, such as the attacker's objective
        epsilons  [K], in the unit of images in [0, 1]
        panels    list of
            title        which model, such as "MMC"
            offset       where its K * N * C * H * W bytes begin in the payload
            predictions  [K][N] class that the model sees in the image of this step
            right        [K]    number of images not yet fooled
            success      [K][N] 0 or 1: fooled at this epsilon or at a smaller one

The payload of a panel holds, for one image after the other, x_0 and then x_1 - x_0, x_2 - x_1, ...
modulo 256. An image that stays as it was when first fooled becomes zeros, and most pixels of the
others move by a few amounts only, so deflate finds much more: 0.46 MB where the same six paths of
30 Fashion-MNIST images and 31 steps take 0.80 MB without the differences and 4.4 MB plain.

Every number that is shown is made here; the browser divides `right` by N and no more.
"""

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from mmc_viz.paths import EpsilonPath

FORMAT = 1
MAX_BYTES = 1 << 28  # unpacked, 256 MiB: what a browser tab can hold beside the notebook
MAX_RATIO = 1032  # deflate cannot do better: at most 258 bytes for 2 bits


@dataclass(frozen=True)
class Panel:
    """One model under one attack: all that is shown of it.

    Parameters
    ----------
    images : UInt8[Tensor, "steps count channels height width"]
        The image of each step as it is drawn.
    predictions : Int64[Tensor, "steps count"]
        The class that the model sees in it.
    success : Bool[Tensor, "steps count"]
        Whether the model was fooled at this epsilon or at a smaller one.
    right : Int64[Tensor, " steps"]
        Number of images for which it was not.
    """

    images: UInt8[Tensor, "steps count channels height width"]
    predictions: Int64[Tensor, "steps count"]
    success: Bool[Tensor, "steps count"]
    right: Int64[Tensor, " steps"]


@dataclass(frozen=True)
class Run:
    """One attack against each of the models, at the same budgets.

    Parameters
    ----------
    epsilons : list[float]
        The budget of each step, in the unit of images in [0, 1].
    panels : dict[str, Panel]
        The models by title.
    """

    epsilons: list[float]
    panels: dict[str, Panel]


@dataclass(frozen=True)
class Bundle:
    """What `unpack` finds in a block of bytes.

    Parameters
    ----------
    class_names : list[str]
        One name per class.
    labels : list[int]
        The true class of each image.
    runs : dict[str, Run]
        The attacks by name, in the order of the menu.
    """

    class_names: list[str]
    labels: list[int]
    runs: dict[str, Run]


def pack(runs: dict[str, dict[str, EpsilonPath]], class_names: list[str]) -> bytes:
    """Put the epsilon paths of a lesson into one deflated block of bytes.

    Parameters
    ----------
    runs : dict[str, dict[str, EpsilonPath]]
        Run name (such as the attacker's objective) to panel title (such as the name of the model)
        to path. The panels of a run have the same epsilons; all paths show the same images.
    class_names : list[str]
        One name per class, in the order of the logits.

    Returns
    -------
    data : bytes
        See the module's docstring. The same paths give the same bytes.

    Raises
    ------
    ValueError
        If there is nothing to pack, if paths do not belong together, if a class has no name, or if
        the block would be larger than a browser can hold.
    """
    paths = [path for panels in runs.values() for path in panels.values()]
    if not paths or not all(runs.values()):
        raise ValueError("`runs` must hold at least one run, and each run at least one path.")
    labels, shape = paths[0].labels, paths[0].images.shape[1:]
    for path in paths:
        _check_path(path, labels, shape, class_names)
    total = sum(path.images.numel() for path in paths)
    if total > MAX_BYTES:
        raise ValueError(
            f"`runs` must hold at most {MAX_BYTES} pixel values for a browser; got {total}. "
            "Use fewer images or fewer epsilons."
        )
    count, channels, height, width = shape
    header: dict[str, Any] = {
        "format": FORMAT,
        "class_names": list(class_names),
        "labels": labels.tolist(),
        "shape": {"count": count, "channels": channels, "height": height, "width": width},
        "runs": [],
    }
    payload, offset = [], 0
    for name, panels in runs.items():
        entries = []
        epsilons = _epsilons(next(iter(panels.values())))
        for title, path in panels.items():
            if _epsilons(path) != epsilons:
                raise ValueError(
                    f"the panels of a run must share their epsilons; {title!r} of run {name!r} "
                    "has others than the first."
                )
            entries.append(
                {
                    "title": title,
                    "offset": offset,
                    "predictions": path.logits.argmax(dim=-1).tolist(),
                    "right": (~path.success).sum(dim=1).tolist(),
                    "success": path.success.int().tolist(),
                }
            )
            payload.append(_differences(path.images.cpu()))
            offset += path.images.numel()
        header["runs"].append({"name": name, "epsilons": epsilons, "panels": entries})
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    deflate = zlib.compressobj()
    parts = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4), *payload]
    return b"".join([deflate.compress(part) for part in parts]) + deflate.flush()


def unpack(data: bytes) -> Bundle:
    """Read a block of bytes made by `pack`, trusting none of it.

    Parameters
    ----------
    data : bytes
        The deflated block.

    Returns
    -------
    bundle : Bundle
        The images, what the models see in them, and the counts.

    Raises
    ------
    ValueError
        If the bytes are cut off, damaged, followed by others, of another format, or contradict
        themselves. Sizes are compared before memory is taken for them.
    """
    stream = _Stream(data)
    length = int.from_bytes(stream.read(4), "little")
    block = stream.read(length + -length % 4)
    _demand(not any(block[length:]), "the padding after the header is not zero")
    try:
        header = json.loads(block[:length].decode())
    except (ValueError, RecursionError):
        raise ValueError("the bundle is damaged: its header is not JSON in UTF-8.") from None
    _demand(type(header) is dict, "its header is not an object")
    if header.get("format") != FORMAT:
        raise ValueError(
            f"`format` of a bundle must be {FORMAT}; got {header.get('format')!r:.40}."
        )
    _, names, labels, sizes, runs = _fields(
        header, "the header", "format", "class_names", "labels", "shape", "runs"
    )
    _demand(
        type(names) is list and names != [] and all(type(name) is str for name in names),
        "`class_names` must be strings",
    )
    shape = _fields(sizes, "`shape`", "count", "channels", "height", "width")
    _demand(
        all(type(size) is int and 0 < size <= MAX_BYTES for size in shape),
        "`shape` must hold positive integers",
    )
    _table(labels, [shape[0]], len(names), "`labels`")
    bundle = Bundle(names, labels, {})
    offset = 0
    for run in _entries(runs, "`runs`"):
        name, epsilons, panels = _fields(run, "a run", "name", "epsilons", "panels")
        _demand(type(name) is str and name not in bundle.runs, "names of runs must differ")
        _demand(
            all(type(e) in (int, float) and 0 <= e < 1e9 for e in _entries(epsilons, "`epsilons`")),
            "`epsilons` must be finite and not negative",
        )
        bundle.runs[name] = Run([float(e) for e in epsilons], {})
        for entry in _entries(panels, "`panels`"):
            title, start, *tables = _fields(
                entry, "a panel", "title", "offset", "predictions", "success", "right"
            )
            others = bundle.runs[name].panels
            _demand(type(title) is str and title not in others, "titles of panels must differ")
            _demand(start == offset, "panels must follow each other without gaps")
            others[title] = _read_panel(stream, tables, len(epsilons), shape, len(names))
            offset += others[title].images.numel()
    stream.close()
    return bundle


def _epsilons(path: EpsilonPath) -> list[float]:
    """Epsilons as Python floats: the shortest decimals that name them (0.1, not 0.10000000149)."""
    return [float(str(epsilon)) for epsilon in path.epsilons.cpu().numpy()]


def _differences(images: UInt8[Tensor, "steps count channels height width"]) -> bytes:
    """Image by image: step 0 as it is, later ones as differences to the step before."""
    changed = images.clone()
    changed[1:] -= images[:-1]  # uint8 arithmetic wraps around, here and in the browser
    return changed.transpose(0, 1).contiguous().numpy().tobytes()


def _check_path(
    path: EpsilonPath, labels: Int64[Tensor, " count"], shape: torch.Size, class_names: list[str]
) -> None:
    """Refuse a path that does not belong to the others or whose classes have no name."""
    if path.images.shape[1:] != shape or not torch.equal(path.labels, labels):
        raise ValueError("all paths of a bundle must show the same images with the same labels.")
    if 0 in path.images.shape:
        raise ValueError(
            f"paths must not be empty; got images of shape {tuple(path.images.shape)}."
        )
    if path.logits.shape[-1] != len(class_names):
        raise ValueError(
            f"`class_names` must name the {path.logits.shape[-1]} classes of the logits; "
            f"got {len(class_names)} names."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        raise ValueError(f"labels must be below the number of classes, {len(class_names)}.")
    if not (path.epsilons.isfinite() & (path.epsilons >= 0)).all():
        raise ValueError("epsilons must be finite and not negative.")


class _Stream:
    """Inflates a block piece by piece, and never more than was asked for."""

    def __init__(self, data: bytes):
        self._inflate = zlib.decompressobj()
        self._rest = data
        self._left = min(MAX_RATIO * len(data), MAX_BYTES)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        _demand(size <= self._left, f"{size} bytes cannot be in it")
        self._left -= size
        piece = self._next(size) if size else b""  # for zlib a limit of 0 means none
        if len(piece) < size:
            raise ValueError(f"the bundle is cut off: {len(piece)} of {size} bytes are there.")
        return piece

    def close(self) -> None:
        """Demand that nothing is left and that the checksum holds."""
        more = self._next(1)
        ended = self._inflate.eof and not self._inflate.unused_data
        _demand(ended and not more, "it does not end where its images end")

    def _next(self, most: int) -> bytes:
        try:
            piece = self._inflate.decompress(self._rest, most)
        except zlib.error as error:
            raise ValueError(f"the bundle is damaged: {error}.") from None
        self._rest = self._inflate.unconsumed_tail
        return piece


def _read_panel(
    stream: _Stream, tables: list[Any], steps: int, shape: list[int], classes: int
) -> Panel:
    """Check what the header says of a panel and take its images from the stream."""
    count, *pixels = shape
    predictions, success, right = tables
    predictions = _table(predictions, [steps, count], classes, "`predictions`")
    success = _table(success, [steps, count], 2, "`success`").bool()
    right = _table(right, [steps], count + 1, "`right`")
    _demand(
        torch.equal(right, (~success).sum(dim=1)), "`right` must count the images not yet fooled"
    )
    # a bytearray, because torch warns of memory that it may not write to
    plain = torch.frombuffer(bytearray(stream.read(steps * math.prod(shape))), dtype=torch.uint8)
    changes = plain.reshape(count, steps, *pixels).transpose(0, 1)
    return Panel(changes.cumsum(dim=0, dtype=torch.uint8), predictions, success, right)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"the bundle is damaged: {what}.")


def _fields(value: Any, what: str, *names: str) -> list[Any]:
    """Return the values of a JSON object with exactly these names."""
    exact = type(value) is dict and value.keys() == set(names)
    _demand(exact, f"{what} must hold {', '.join(names)}")
    return [value[name] for name in names]


def _entries(value: Any, what: str) -> list[Any]:
    """Return a JSON array that is not empty."""
    _demand(type(value) is list and value != [], f"{what} must be a list that is not empty")
    return value


def _table(value: Any, shape: list[int], below: int, what: str) -> Int64[Tensor, "..."]:
    """Return nested lists of this shape, holding integers in [0, below), as a tensor."""
    try:
        table = torch.tensor(value)
    except (TypeError, ValueError, RuntimeError):  # ragged, text, or too large for int64
        table = torch.empty(0)
    fits = table.dtype == torch.int64 and list(table.shape) == shape
    fits = fits and bool(((table >= 0) & (table < below)).all())
    _demand(fits, f"{what} must hold integers below {below} in lists of lengths {shape}")
    return table
