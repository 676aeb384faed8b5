"""Write lessons as HTML files that need neither network nor kernel."""

import argparse
import sys
from pathlib import Path

from mmc_viz.commands.resuming import claimed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "notebook",
        metavar="NOTEBOOK",
        help="a file, a lesson by its name or number, or all for the whole course with an index",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--seconds", type=int, default=180, help="how long a cell may take before it fails (180)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep pages whose notebook has not changed"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Run the notebooks and write their pages."""
    from tqdm.auto import tqdm

    from mmc_viz.export import course, find_lesson, write_site

    if arguments.seconds < 1:
        raise ValueError(f"`--seconds` must be at least 1; got {arguments.seconds}.")
    everything = arguments.notebook == "all"
    lessons = course() if everything else [find_lesson(arguments.notebook)]
    with tqdm(total=len(lessons), unit="lesson", disable=arguments.quiet) as bar:

        def report(lesson, done: int, total: int) -> None:
            bar.set_postfix_str(f"{lesson.path.stem}, cell {done} of {total}")
            bar.update(lessons.index(lesson) + done / total - bar.n)

        try:
            with claimed(arguments.out):
                paths = write_site(
                    lessons,
                    arguments.out,
                    index=everything,
                    seconds=arguments.seconds,
                    resume=arguments.resume,
                    report=report,
                )
        except KeyboardInterrupt:
            print(
                f"mmc-viz export: interrupted; the pages that were done are kept in "
                f"{arguments.out}, and the same command with `--resume` goes on",
                file=sys.stderr,
            )
            return 130
        bar.update(len(lessons) - bar.n)
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0
