"""Spread class centers over spheres, and compare their smallest angles with the best known.

Without options: the packing table, with a few numbers of classes in the plane, 4 to 24 in three
dimensions, and some in 4, 5 and 8. A pair is tight if its angle is the smallest, to 1e-6 degrees.
"""

import argparse
import re
from pathlib import Path

from mmc_viz.commands.arguments import check_output, parse_seed, print_table, write_json

_LARGER = 1e-4  # degrees by which a find beats a value that is known to 4 decimals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dim", type=int, help="dimension of the feature space (3)")
    parser.add_argument(
        "--classes",
        type=_parse_classes,
        metavar="RANGE",
        help="numbers of classes, such as 10, 4-24 (default) or 4-8,12",
    )
    parser.add_argument("--seed", type=parse_seed, default=0, help="of the search (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _parse_classes(text: str) -> list[int]:
    """Read numbers and ranges of numbers, parted by commas."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise argparse.ArgumentTypeError(
                f"must be numbers or ranges such as 4-8,12; got {text!r}"
            )
        numbers += range(first, last + 1)
    return numbers


def run(arguments: argparse.Namespace) -> None:
    """Print one line for each number of classes; write the table as JSON on request."""
    from mmc_viz.centers import packing_table
    from mmc_viz.centers.packings import CASES

    check_output(arguments.json)
    if arguments.dim is None and arguments.classes is None:
        cases = CASES
    else:
        classes = range(4, 25) if arguments.classes is None else arguments.classes
        cases = [(count, 3 if arguments.dim is None else arguments.dim) for count in classes]
    table = packing_table(cases, seed=arguments.seed, progress=not arguments.quiet)
    rows = [
        [
            str(row.dim),
            str(row.num_classes),
            f"{row.angle:.4f}",
            "-" if row.known is None else f"{row.known:.4f}",
            "-" if row.difference is None else _signed(row.difference),
            str(row.tight),
            row.basis or "not known to us",
        ]
        for row in table.rows
    ]
    print_table(["dim", "classes", "ours", "known", "difference", "tight pairs", "basis"], rows)
    compared = [row for row in table.rows if row.difference is not None]
    if compared:
        print(
            f"\nsmallest angles in degrees; {len(compared)} compared, at most "
            f"{table.shortfall:.5f} below the best known,\n"
            "of which a value known to 4 decimals may itself be off by 0.00005"
        )
    for row in compared:
        if row.difference > _LARGER:
            print(f"larger than known: {row.num_classes} classes in {row.dim} dimensions")
    if arguments.json is not None:
        write_json(arguments.json, {"seed": table.seed, "rows": table.values()})


def _signed(difference: float) -> str:
    """Write a difference to 5 decimals; what rounding leaves of an exact 0 has no sign."""
    text = f"{difference:+.5f}"
    return "0.00000" if float(text) == 0 else text
