"""The command line `mmc-viz`: train, evaluate, audit, list and time models.

Each command is a module of `mmc_viz.commands` with two functions: `add_arguments(parser)`, which
needs no torch, and `run(arguments)`. What the caller got wrong is said in one line on stderr, with
exit status 2. Of several processes that `torchrun` has started, the first speaks for all.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from typing import Any, NoReturn

from mmc_viz import __version__
from mmc_viz.allocation import keep_memory

COMMANDS = {
    "train": "train a classifier and save it as a model folder",
    "shards": "write a data set so that it can be larger than the memory",
    "evaluate": "measure clean and robust accuracy of models",
    "audit": "ask whether the robustness claimed of a model is real",
    "density": "measure how densely features lie, and whether that goes with robustness",
    "centers": "spread class centers and compare with the best packings known",
    "gallery": "draw every figure from the shipped models, on one page",
    "results": "measure the shipped models and rebuild the table of results",
    "ablate": "train and measure models that differ in one thing",
    "models": "list the shipped models with their measured numbers",
    "export": "write lessons as HTML files that need no network",
    "bench": "measure speed against the floor that the hardware sets",
}

#: Commands that several processes can share.
SHARED = ("train", "evaluate")


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line; the usage is what `--help` is for."""

    def __init__(self, *arguments: Any, **more: Any):
        # A shortened `--data-r` would get past those who look for the option by its name.
        super().__init__(*arguments, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status, 2 for a caller's mistake."""
    parser = _Parser(
        prog="mmc-viz",
        description="Does shaping the feature space make a network robust, "
        "or does it only make attacks fail?",
    )
    parser.add_argument("--version", action="version", version=f"mmc-viz {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = importlib.import_module(f"mmc_viz.commands.{name}")
        subparser = subparsers.add_parser(name, help=summary, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    keep_memory()  # not in notebooks: a kernel of one of forty students must give back what it can
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    # torchrun starts several processes and numbers them; the first speaks for all.
    rank = int(os.environ.get("RANK", "0"))
    speaker = f"mmc-viz {arguments.command}" + (f" (rank {rank})" if rank else "")
    try:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and arguments.command not in SHARED:
            raise ValueError(
                f"`torchrun` can share {' and '.join(SHARED)} among processes; start "
                f"{arguments.command} with mmc-viz."
            )
        with redirect_stdout(io.StringIO()) if rank else nullcontext():
            return arguments.run(arguments) or 0
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{speaker}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{speaker}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
