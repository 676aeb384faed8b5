"""Fresh processes, and how much memory a process holds: ours, and what it has mapped from files.

What a process takes depends on what it did before, in seconds as in megabytes. So whatever is to
be told of memory, or of a first time, runs in a new interpreter.
"""

import gc
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAUSE = 0.005  # seconds between two looks at a process


@dataclass(frozen=True)
class Memory:
    """What a process holds, in MB.

    Attributes
    ----------
    anonymous : float
        Its own, which nobody else can have until it is given back.
    mapped : float
        Pages of files. The system drops them when it needs the place, and reads them again.
    """

    anonymous: float
    mapped: float


def answer_of(code: str, *, threads: int) -> Any:
    """Run code in a new interpreter, and give what it prints as its last line, which is JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=with_threads(threads),
    )
    return json.loads(done.stdout.splitlines()[-1])


def with_threads(count: int) -> dict[str, str]:
    """Give the environment in which torch computes with so many threads."""
    return os.environ | {"OMP_NUM_THREADS": str(count)}


def peak() -> float:
    """Most memory this process held since `forget_peak`, in MB; elsewhere than on Linux, ever."""
    with suppress(OSError):
        held = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if held:
            return int(held[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS


def forget_peak() -> None:
    """Begin anew to note the most memory held, where the system can: loading took more."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory_of(process: int | str) -> Memory | None:
    """Look at a process, by its number or as `self`; None where it has ended.

    Raises
    ------
    ValueError
        If this system does not tell the two kinds of memory apart; Linux does.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        if Path("/proc/self/status").exists():
            return None
        raise ValueError("This system does not say what memory is a process's own.") from None
    found = dict(re.findall(r"(Rss(?:Anon|File)):\s*(\d+) kB", status))
    # A process that has ended, and whose status nobody has asked for, has no memory.
    return Memory(int(found["RssAnon"]) / 1e3, int(found["RssFile"]) / 1e3) if found else None


def peak_of(command: list[str], *, threads: int) -> tuple[Memory, float]:
    """Run a command; give the most it held of each kind of memory, and its seconds.

    It is looked at two hundred times a second. What comes and goes in between is missed.

    Raises
    ------
    RuntimeError
        If it ends with another status than 0; the message has the last line of what it said.
    ValueError
        If this system does not tell the two kinds of memory apart.
    """
    start, most = time.perf_counter(), Memory(0.0, 0.0)
    environment = with_threads(threads)
    with (
        tempfile.TemporaryFile("w+") as said,  # a pipe could be full, and the process wait for us
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=said, env=environment
        ) as process,
    ):
        while process.poll() is None:
            held = memory_of(process.pid)
            if held is not None:
                most = Memory(max(most.anonymous, held.anonymous), max(most.mapped, held.mapped))
            time.sleep(PAUSE)
        said.seek(0)
        last = said.read().strip().splitlines()[-1:]
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {''.join(last) or process.returncode}")
    return most, time.perf_counter() - start
