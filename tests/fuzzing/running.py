"""How cases are judged, and thousands of them run, each format in a process of its own.

    python -m fuzzing [--cases N] [--first N] [FORMAT ...]

A format's process may take 2 GB of memory beyond what it has at its beginning, and 20 seconds a
case. Where it dies nevertheless, the case that it was at is the finding.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random

from fuzzing.formats import FORMATS, Format

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
SECONDS = 20  # a case may take
MEMORY = 2 << 30  # bytes that a run of cases may take beside what was taken before
LONGEST = 1_000  # characters of a refusal


class Finding(Exception):
    """A file that was neither read rightly nor refused in one line."""


def case(kind: Format, number: int) -> bytes:
    """Make the file of a case; the same number gives the same file."""
    draw = Random(f"{kind.name} {number}")
    data = draw.choice(kind.seeds())
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        data = draw.choice(kind.mutators)(data, draw)
    return data


def judge(kind: Format, data: bytes) -> str:
    """Read a file; give `loaded` or `refused`.

    Raises
    ------
    Finding
        For whatever else happens.
    """
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_memory_disk()))
    try:
        with warnings.catch_warnings(), _deadline(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            kind.read(data, folder)
        return "loaded"
    except ValueError as refusal:
        words = str(refusal)
        if not words or len(words.splitlines()) != 1 or len(words) > LONGEST:
            raise Finding(f"refused in {len(words)} characters: {words[:200]!r}") from refusal
        return "refused"
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:200]}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory_disk() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


@contextlib.contextmanager
def _deadline():
    def stop(*_):
        raise Finding(f"it took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def keep(kind: Format, number: int, data: bytes) -> Path:
    """Put a finding into the corpus."""
    path = CORPUS / kind.name / f"{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fuzz(kind: Format, cases: int, first: int) -> Counter:
    """Run the cases of a format in a process of its own; keep and tell its findings."""
    told, tell = os.pipe()
    current = Path(tempfile.mkstemp(prefix="fuzz-", dir=_memory_disk())[1])
    child = os.fork()
    if not child:
        try:
            os.close(told)
            _run(kind, range(first, first + cases), tell, current)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # `_run` ends the process; whatever is raised, nobody goes on in here
    os.close(tell)
    counts: Counter = Counter()
    number = first
    with open(told, encoding="utf-8") as lines:
        for line in lines:
            number, verdict, words = json.loads(line)
            counts[verdict] += 1
            if words:
                print(f"  {kind.name} {number}: {words}", flush=True)
    status = os.waitpid(child, 0)[1]
    if status:
        counts["findings"] += 1
        path = keep(kind, number + 1, current.read_bytes())
        print(f"  {kind.name}: its process ended with status {status} at {path}", flush=True)
    current.unlink()
    return counts


def _run(kind: Format, numbers: range, tell: int, current: Path) -> None:
    # What C libraries say of damaged files is of no use; faults are told where they were before.
    seen = open(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    faulthandler.enable(seen)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    kind.seeds()
    judge(kind, kind.seeds()[0])  # all is imported, all caches are filled
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    with open(tell, "w", encoding="utf-8") as lines:
        for number in numbers:
            data = case(kind, number)
            current.write_bytes(data)
            faulthandler.dump_traceback_later(
                3 * SECONDS, exit=True, file=seen
            )  # a hang outside of Python
            words = ""
            try:
                verdict = judge(kind, data)
            except Finding as finding:
                verdict, words = "findings", f"{finding} ({keep(kind, number, data).name})"
            print(json.dumps([number, verdict, words]), file=lines, flush=True)
        faulthandler.cancel_dump_traceback_later()
    os._exit(0)


def main() -> int:
    """Fuzz the formats that are named, or all; the exit status says whether there are findings."""
    parser = argparse.ArgumentParser(prog="fuzzing", description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--cases", type=int, default=5_000, help="how many a format (5000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (0)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.formats if name not in FORMATS]
    if unknown:
        parser.error(f"`FORMAT` must be one of {', '.join(FORMATS)}; got {unknown[0]!r}")
    found = 0
    print(f"{'format':16} {'loaded':>8} {'refused':>8} {'findings':>8} {'seconds':>8}", flush=True)
    for name in arguments.formats or FORMATS:
        start = time.perf_counter()
        counts = fuzz(FORMATS[name], arguments.cases, arguments.first)
        found += counts["findings"]
        numbers = "".join(f"{counts[word]:9}" for word in ("loaded", "refused", "findings"))
        print(f"{name:16}{numbers}{time.perf_counter() - start:9.0f}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
