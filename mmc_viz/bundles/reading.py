"""From a block of bytes, which may be a stranger's, to what it holds."""

import json
import math
import zlib
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from mmc_viz.bundles.content import FORMAT, MAX_BYTES, MAX_RATIO, Bundle, Panel, Run


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
    if type(header.get("format")) is not int or header["format"] != FORMAT:
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
            in_turn = type(start) is int and start == offset
            _demand(in_turn, "panels must follow each other without gaps")
            others[title] = _read_panel(stream, tables, len(epsilons), shape, len(names))
            offset += others[title].images.numel()
    stream.close()
    return bundle


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
