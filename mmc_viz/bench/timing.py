"""Taking turns: the fair way to compare times on a noisy machine."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """One measured number.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
        The number.
    unit : str
        `ratio`, `share`, `ms`, `s`, `images/s` or `MB`.
    note : str
        How it was obtained, and the aim if there is one.
    """

    name: str
    value: float
    unit: str
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def take_turns(
    contestants: dict[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Median seconds of each contestant, of CPU time unless another clock is given.

    Each runs once to warm up; then all run once a round, in turn, so that a slow minute of the
    machine falls on all of them.
    """
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin torch to one thread: threads that wait for each other burn CPU time of their own."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
