"""Measure speed against the floor that the hardware sets.

Without a topic, all are measured. The machine should have nothing else to do.

With `--compare OLD NEW` nothing is measured: two files that `--json` wrote are set side by side,
and what got slower or larger beyond the measured noise is named. Exit status 3: something did.
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

from mmc_viz.bench import TOPICS
from mmc_viz.commands.arguments import check_output, print_table, write_json

SLOWER = 3  # exit status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(TOPICS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("OLD", "NEW"),
        help="set two files of --json side by side instead",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure or compare; print a table, and write JSON on request."""
    unknown = sorted(set(arguments.topics) - set(TOPICS))
    if unknown:
        raise ValueError(f"`TOPIC` must be one of {', '.join(TOPICS)}; got {unknown[0]!r}.")
    if arguments.compare is None:
        _measure(arguments)
        return 0
    if arguments.topics or arguments.json is not None:
        raise ValueError(
            "`--compare OLD NEW` measures nothing; give neither a topic nor `--json` with it."
        )
    return _compare(*arguments.compare)


def _measure(arguments: argparse.Namespace) -> None:
    """Run the topics one after the other."""
    check_output(arguments.json)
    from mmc_viz.bench.machine import describe, load
    from mmc_viz.checkpoints import software_versions

    results, before = [], load()
    for topic in arguments.topics or TOPICS:
        print(f"{topic} ...", flush=True)
        try:
            results += importlib.import_module(f"mmc_viz.bench.{topic}").measure()
        except ValueError as error:  # an extra is not installed
            if arguments.topics:
                raise
            print(f"{topic} skipped: {error}", flush=True)
        if arguments.json is not None:  # after each topic: all of them take long
            values = {
                "versions": software_versions(),
                "machine": describe(),
                "load": {"before": before, "after": load()},
                "figures": [result.to_json() for result in results],
            }
            write_json(arguments.json, values)
    print_table(
        ["measured", "value", "unit", "noise", "note"],
        [[r.name, f"{r.value:.3g}", r.unit, _share(r.noise), r.note] for r in results],
    )


def _compare(old_path: Path, new_path: Path) -> int:
    """Print what changed; tell by the exit status whether anything got worse."""
    from mmc_viz.bench.comparing import (
        ONCE,
        ONCE_IN_MEMORY,
        WORSE,
        compare,
        differences,
        read_report,
    )

    old, new = read_report(old_path), read_report(new_path)
    rows = compare(old, new)
    print_table(
        ["measured", "unit", "old", "new", "change", "noise", "verdict"], [_cells(r) for r in rows]
    )
    worse = [row for row in rows if row.verdict in WORSE]
    for difference in differences(old, new):
        print(f"not comparable: {difference}")
    print(
        f"noise: what two runs of the same code may differ by; {ONCE:.0%} where there was one "
        f"measurement, {ONCE_IN_MEMORY:.0%} of memory"
    )
    for row in worse:
        print(f"{row.verdict}: {row.name}, {row.old:.3g} -> {row.new:.3g} {row.unit}")
    if not worse:
        print("nothing got slower or larger")
    return SLOWER if worse else 0


def _cells(row: Any) -> list[str]:
    values = ["" if value is None else f"{value:.3g}" for value in (row.old, row.new)]
    change = "" if row.change is None else f"{row.change:+.1%}"
    return [row.name, row.unit, *values, change, _share(row.limit), row.verdict]


def _share(noise: float | None) -> str:
    return "" if noise is None else f"{noise:.1%}"
