"""An evaluation in chunks of images: what was judged is kept, and an interrupted one can go on.

What is random in a chunk depends on the seed and on the place of the chunk. So the result is the
same whether the evaluation ran through or stopped and went on. After each chunk all verdicts are
written to a file beside the one that the results will go to.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import check_output, write_json
from mmc_viz.files import read_json
from mmc_viz.texts import check_json, shorten

CHUNK = 100  # images; never changed by an option, so that no result depends on one

#: What is known of some images: lists with an entry for each (or of attacks that were left out),
#: numbers that add up (seconds), and dicts of such numbers.
Verdicts = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """Something to be found out about each of some images.

    Attributes
    ----------
    name : str
        No other job has it.
    images : int
        How many.
    judge : callable
        From a slice of the images and a seed to verdicts.
    """

    name: str
    images: int
    judge: Callable[[slice, int], Verdicts]

    @property
    def chunks(self) -> list[slice]:
        """Where the chunks lie."""
        starts = range(0, self.images, CHUNK)
        return [slice(start, min(start + CHUNK, self.images)) for start in starts]


def chunk_seed(seed: int, chunk: int) -> int:
    """Give each chunk a seed; the first has the seed itself, as one call of the library would."""
    import torch

    from mmc_viz.noise import bits

    # The 0 lets the seed be mixed alone first; else (7, 1) would be (6, 0).
    return int(bits(torch.tensor(seed), 0, chunk)) if chunk else seed


class Ledger:
    """The verdicts so far, chunk by chunk, for each job; in a file if there is a `path`.

    Attributes
    ----------
    path : Path or None
        Of the file.
    settings : dict
        All that the verdicts depend on.
    judged : dict[str, list[dict]]
        For each job its chunks in order.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]):
        self.path = path
        self.settings = json.loads(json.dumps(settings))  # as it will be read again
        self.judged: dict[str, list[Verdicts]] = {}

    def add(self, job: Job, verdicts: Verdicts) -> None:
        """Add the next chunk of a job, and write all down."""
        self.judged.setdefault(job.name, []).append(verdicts)
        if self.path is not None:
            write_json(self.path, self._values() | {"sha256": self._checksum()})

    def read(self) -> None:
        """Read what an interrupted evaluation has kept.

        Raises
        ------
        ValueError
            If the file is damaged, or its settings are others.
        """
        try:
            values = read_json(self.path)
            kept, self.judged = values["settings"], values["judged"]
            here, self.settings = self.settings, kept
            check_json(values)
            intact = values["format"] == 1 and values["sha256"] == self._checksum()
            chunks = [chunk for chunks in self.judged.values() for chunk in chunks]
            intact = intact and type(kept) is dict and {type(chunk) for chunk in chunks} <= {dict}
            intact = intact and {type(one) for one in self.judged.values()} <= {list}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            raise ValueError(
                f"The file {self.path} is damaged, so nothing can be taken from it; delete it and "
                "start anew."
            )
        for name in sorted(here.keys() | kept.keys()):
            if here.get(name) != kept.get(name):
                raise ValueError(
                    f"The evaluation kept in {self.path} is another one: {shorten(name)} was "
                    f"{_said(kept.get(name))} there and is {_said(here.get(name))} here. Go on "
                    "with the settings it had, or delete the file to start anew."
                )

    def of(self, job: Job) -> Verdicts:
        """Join the verdicts of a job.

        Raises
        ------
        ValueError
            If those that were read are of another form than this job's.
        """
        kept = self.judged[job.name]
        try:
            for part, chunk in zip(job.chunks, kept, strict=True):
                marks = [value for name, value in chunk.items() if name.startswith("correct")]
                if {len(value) for value in marks} - {part.stop - part.start}:
                    raise ValueError("not one verdict for each image")
                if chunk.keys() != kept[0].keys():
                    raise ValueError("other verdicts than in the chunk before")
            return merge(kept)
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                f"The verdicts on {job.name} kept in {self.path} are not those of this evaluation; "
                "delete the file and start anew."
            ) from None

    def done(self, job: Job) -> int:
        """How many images of a job are judged."""
        return sum(part.stop - part.start for part in self._parts(job))

    def _parts(self, job: Job) -> list[slice]:
        return job.chunks[: len(self.judged.get(job.name, []))]

    def remove(self) -> None:
        """Remove the file: the results are written, or there is nothing in it."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _values(self) -> dict[str, Any]:
        return {"format": 1, "settings": self.settings, "judged": self.judged}

    def _checksum(self) -> str:
        return hashlib.sha256(json.dumps(self._values()).encode()).hexdigest()


def _said(setting: Any) -> str:
    return "not there" if setting is None else shorten(str(setting))


def partial_path(output: Path) -> Path:
    """Where the verdicts of an interrupted evaluation lie: beside the file for its results."""
    return output.with_name(output.name + ".partial")


def open_ledger(output: Path | None, settings: dict[str, Any], *, resume: bool) -> Ledger:
    """Begin a ledger, or go on with one.

    Parameters
    ----------
    output : Path or None
        Where the results will be written. None: nothing is kept.
    settings : dict
        All that the verdicts depend on, plain values.
    resume : bool
        Whether to go on where an interrupted evaluation stopped.

    Raises
    ------
    ValueError
        If there is nowhere to resume from, the file is damaged or of another evaluation, or there
        is one and nobody asked to resume it.
    """
    if output is None:
        if resume:
            raise ValueError(
                "`--resume` needs `--json FILE`: what was judged is kept beside that file."
            )
        return Ledger(None, settings)
    ledger = Ledger(partial_path(output), settings)
    if not ledger.path.exists():
        check_output(ledger.path)
    elif resume:
        ledger.read()
    else:
        raise ValueError(
            f"The file {ledger.path} keeps what an interrupted evaluation has judged; add "
            "`--resume` to go on with it, or delete it to start anew."
        )
    return ledger


def judge_all(
    jobs: list[Job],
    ledger: Ledger,
    *,
    seed: int,
    progress: bool,
    on_job: Callable[[Job, Verdicts], object] | None = None,
    ranks: Any = None,
) -> dict[str, Verdicts]:
    """Judge chunk by chunk what is not judged yet; give the verdicts of each job on all images.

    `on_job` is called with each job as it is done, and with its verdicts. With several `ranks` each
    takes the next chunk in turn, and all get to know all verdicts; the chunks are the same for any
    number of them, and so is what comes out.
    """
    from tqdm.auto import tqdm

    from mmc_viz.distributed import ALONE

    ranks = ranks or ALONE
    total = sum(job.images for job in jobs)
    done = sum(ledger.done(job) for job in jobs)
    found: dict[str, Verdicts] = {}
    with tqdm(total=total, initial=done, unit="image", disable=not progress) as bar:
        for job in jobs:
            bar.set_description(job.name)
            for first in range(len(ledger.judged.get(job.name, [])), len(job.chunks), ranks.size):
                for verdicts in ranks.gather(_judge(job, first + ranks.rank, seed)):
                    if verdicts is not None:
                        ledger.add(job, verdicts)
                bar.update(ledger.done(job) - job.chunks[first].start)
            found[job.name] = ledger.of(job)
            if on_job is not None:
                on_job(job, found[job.name])
    return found


def _judge(job: Job, chunk: int, seed: int) -> Verdicts | None:
    """Judge a chunk; None where the job has no chunk of this number."""
    if chunk >= len(job.chunks):
        return None
    start = time.perf_counter()
    verdicts = job.judge(job.chunks[chunk], chunk_seed(seed, chunk))
    return verdicts | {"seconds": time.perf_counter() - start}


def merge(chunks: list[Verdicts]) -> Verdicts:
    """Join the verdicts of chunks: lists one after the other, numbers added."""
    merged: Verdicts = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if isinstance(value, dict):
                merged[name] = merge([merged.get(name, {}), value])
            else:
                merged[name] = merged[name] + value if name in merged else value
    return merged
