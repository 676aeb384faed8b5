"""What importing our modules costs on top of importing torch."""

import os
import resource
import subprocess
import sys
from functools import partial
from statistics import median

from mmc_viz.bench.timing import Measurement, ratio, take_turns

MODULES = ("torch", "mmc_viz.attacks", "mmc_viz.training", "mmc_viz.widgets")


def measure() -> list[Measurement]:
    """Ratio of fresh interpreters that import one of ours to one that imports torch."""

    def fresh(module: str) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, env=environment)

    seconds = take_turns(
        {module: partial(fresh, module) for module in MODULES}, rounds=5, clock=_children_cpu
    )
    return [
        ratio(
            f"import {module} / import torch",
            seconds[module],
            seconds["torch"],
            f"fresh interpreters; torch {median(seconds['torch']):.2f} s, "
            f"{module} {median(seconds[module]):.2f} s",
        )
        for module in MODULES[1:]
    ]


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
