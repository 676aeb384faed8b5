"""Options that several commands share, and the reading and writing that goes with them."""

import argparse
import errno
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from mmc_viz.files import write_whole


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device", default="auto", help="auto (CUDA, then MPS, then CPU), cpu, cuda or mps"
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add `--data-root`."""
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        help="data sets in torchvision's layout (MMC_VIZ_DATA, else data/)",
    )


def parse_eps(text: str) -> float:
    """Read a budget in units of the image, such as `0.03` or `8/255`.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no finite number from 0 on. How large a budget may be depends on the norm, so the
        attack says that.
    """
    above, slash, below = text.partition("/")
    try:
        eps = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        eps = math.nan
    if not math.isfinite(eps):
        raise argparse.ArgumentTypeError(
            f"must be a number or a fraction such as 8/255; got {text!r}"
        )
    if eps < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0; got {text}")
    return eps


def parse_seed(text: str) -> int:
    """Read a seed.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no whole number of 32 bits.
    """
    if not (text.isdecimal() and len(text) <= 10 and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"must be in 0 .. 2^32 - 1; got {text!r}")
    return int(text)


def check_output(path: Path | None) -> None:
    """Make sure before the work that a file can be written after it.

    Raises
    ------
    ValueError
        If its folder does not exist or cannot be written.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        # Beside it, as it will be written: what is left by a kill in this moment is no result.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(
            f"The file {path} cannot be written ({error.strerror}); choose another place."
        ) from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, complete or not at all."""
    write_whole(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print columns that line up, numbers and names alike."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
