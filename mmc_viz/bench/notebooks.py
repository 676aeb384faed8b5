"""What the course costs: every notebook from top to bottom, each in a fresh kernel.

They run one after the other, with nothing but what is shipped, as they do for their pages.
"""

import time
from pathlib import Path

from mmc_viz.bench.timing import Measurement
from mmc_viz.export import course, execute

AIM = 360  # seconds for all


def measure() -> list[Measurement]:
    """Seconds of each notebook, the start of its kernel included, and of all."""
    rows = [_time(lesson.path) for lesson in course()]
    total = sum(row.value for row in rows)
    note = f"{len(rows)} in turn, once; aim {AIM} s"
    return [*rows, Measurement("all notebooks", total, "s", note)]


def _time(path: Path) -> Measurement:
    start = time.perf_counter()
    execute(path)
    seconds = time.perf_counter() - start
    return Measurement(f"notebook {path.stem}", seconds, "s", "fresh kernel, once")
