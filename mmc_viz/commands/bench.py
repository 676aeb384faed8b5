"""Measure speed against the floor that the hardware sets.

Without a topic, all are measured. The machine should have nothing else to do.
"""

import argparse
import importlib
from pathlib import Path

from mmc_viz.bench import TOPICS
from mmc_viz.commands.arguments import check_output, print_table, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(TOPICS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")


def run(arguments: argparse.Namespace) -> None:
    """Run the topics one after the other; print a table, and write JSON on request."""
    unknown = sorted(set(arguments.topics) - set(TOPICS))
    if unknown:
        raise ValueError(f"`TOPIC` must be one of {', '.join(TOPICS)}; got {unknown[0]!r}.")
    check_output(arguments.json)
    from mmc_viz.checkpoints import software_versions

    results = []
    for topic in arguments.topics or TOPICS:
        print(f"{topic} ...", flush=True)
        try:
            results += importlib.import_module(f"mmc_viz.bench.{topic}").measure()
        except ValueError as error:  # an extra is not installed
            if arguments.topics:
                raise
            print(f"{topic} skipped: {error}", flush=True)
    print_table(
        ["measured", "value", "unit", "note"],
        [[r.name, f"{r.value:.3g}", r.unit, r.note] for r in results],
    )
    if arguments.json is not None:
        figures = [result.to_json() for result in results]
        write_json(arguments.json, {"versions": software_versions(), "figures": figures})
