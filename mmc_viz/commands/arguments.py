"""Options that several commands share, and the reading and writing that goes with them."""

import argparse
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any


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
        If it is no number in [0, 1]; the message gives the way out.
    """
    try:
        eps = float(Fraction(text.replace(" ", "")))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"must be a number or a fraction such as 8/255; got {text!r}"
        ) from None
    if eps > 1:
        raise argparse.ArgumentTypeError(
            f"is in units of images in [0, 1]; got {text}. Did you mean {text}/255?"
        )
    if eps < 0 or not math.isfinite(eps):
        raise argparse.ArgumentTypeError(f"must be in [0, 1]; got {text}")
    return eps


def check_output(path: Path | None) -> None:
    """Make sure before the work that a file can be written after it.

    Raises
    ------
    ValueError
        If its folder does not exist or cannot be written.
    """
    if path is None:
        return
    existed = path.exists()
    try:
        with path.open("a"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise ValueError(
            f"The file {path} cannot be written ({error.strerror}); choose another place."
        ) from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, complete or not at all."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
