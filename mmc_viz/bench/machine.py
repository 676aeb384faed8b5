"""On which machine it was measured, and what else that had to do."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

#: Settings from outside that change how fast torch is, or how it gets its memory.
SETTINGS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"),
    *("MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD", "THP_MEM_ALLOC_ENABLE"),
)


def describe() -> dict[str, str]:
    """Say which processor it is, how many of its cores we have, and what was set from outside."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    found = {"processor": _processor(), "cores": str(cores)}
    return found | {name: os.environ.get(name, "not set") for name in SETTINGS}


def _processor() -> str:
    with suppress(OSError):
        named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        if named:
            return named[1].strip()
    return platform.processor() or platform.machine()


def load() -> list[float]:
    """Give how many processes ran or waited to: means over 1, 5 and 15 minutes, if known."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return []
