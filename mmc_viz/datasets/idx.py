"""idx files, in which MNIST and Fashion-MNIST come: numbers behind a header that says their shape.

    2 bytes 0 | type, 8 for unsigned bytes | number of sizes | the sizes, 4 bytes each | the numbers

A file may be a stranger's. So its size is compared with what its header says, and with what the
official data sets have at most, before any memory is taken for what it holds; of a packed one, no
more is unpacked than that.
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmc_viz.files import read_whole

_HEADER = 4  # bytes, before the sizes


def most_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of an idx file of this shape."""
    return _HEADER + 4 * len(shape) + math.prod(shape)


def read_idx(path: Path, largest: tuple[int, ...]) -> UInt8[Tensor, "..."]:
    """Read an idx file of unsigned bytes.

    Parameters
    ----------
    path : Path
        The file.
    largest : tuple of int
        The shape that it may have at most. Its first size may be smaller.

    Returns
    -------
    numbers : UInt8[Tensor, "..."]

    Raises
    ------
    OSError
        If it cannot be read, is no regular file or too large.
    ValueError
        If it is no idx file of unsigned bytes, or its size is not what its header says.
    """
    content = read_whole(path, most_bytes(largest))
    sizes = len(largest)
    begin = _HEADER + 4 * sizes
    if content[:_HEADER] != bytes([0, 0, 8, sizes]) or len(content) < begin:
        raise ValueError(f"its header is not that of bytes in {sizes} dimension(s)")
    shape = struct.unpack(f">{sizes}I", content[_HEADER:begin])
    if math.prod(shape) != len(content) - begin:
        raise ValueError(f"it has {len(content) - begin:,} numbers for a shape of {list(shape)}")
    # Copied, for torch warns of memory that it may not write to.
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=begin).reshape(shape).copy())


def unpack_idx(archive: Path, largest: tuple[int, ...]) -> bytes:
    """Unpack an idx file, but no more than one of this shape has.

    Raises
    ------
    ValueError
        If the archive cannot be read, is no regular file or damaged, or larger than what is not
        packed at all, or if it holds more.
    """
    most = most_bytes(largest)
    try:
        # What cannot be made smaller becomes larger, but by less than a thousandth.
        packed = read_whole(archive, most + most // 1000 + 1000)
    except OSError as error:
        raise ValueError(error.strerror) from None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(most + 1)
            if len(content) > most:
                raise ValueError(f"it holds more than the {most:,} bytes of the official file")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError("it is no whole gzip file") from None
    return content
