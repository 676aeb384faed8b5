"""Taking turns: the fair way to compare times on a noisy machine; and how noisy it was."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

FEWEST = 3  # rounds that can say how much they scatter


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
        `ratio`, `share`, `ms`, `s`, `images/s`, `MB` or `images`, which is a count.
    note : str
        How it was obtained, and the aim if there is one.
    rounds : tuple[float, ...]
        What each round gave, in the same unit. Empty: it was measured once.
    """

    name: str
    value: float
    unit: str
    note: str = ""
    rounds: tuple[float, ...] = ()

    @property
    def noise(self) -> float | None:
        """How far the median may lie off, see `noise_of`; None if that was not measured."""
        return noise_of(self.value, self.rounds)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"noise": self.noise}


def measured(name: str, rounds: Sequence[float], unit: str, note: str = "") -> Measurement:
    """Give the median of what each round gave."""
    return Measurement(name, statistics.median(rounds), unit, note, tuple(rounds))


def ratio(name: str, above: Sequence[float], below: Sequence[float], note: str = "") -> Measurement:
    """Give the ratio of the medians of two contestants that took turns."""
    value = statistics.median(above) / statistics.median(below)
    # A slow minute falls on both, so that their ratio in a round scatters less than either.
    rounds = tuple(a / b for a, b in zip(above, below, strict=True))
    return Measurement(name, value, "ratio", note, rounds)


def noise_of(value: float, rounds: Sequence[float]) -> float | None:
    r"""Half the width of an interval about a median of few rounds, relative to the `value`.

    It is $(3 + 8/n)\, q / \sqrt{n}$, with $q$ the distance of the quartiles of the $n$ rounds
    divided by 1.349, which is the standard deviation if they scatter normally. So one slow round in
    five changes nothing. Two medians of the same thing differ by more than both widths, squared and
    added, in about three cases of a hundred; the term $8/n$ is for what few rounds say of
    themselves, and was found by simulation.

    Returns
    -------
    noise : float or None
        None where there are fewer than three rounds, or the value is 0.
    """
    count = len(rounds)
    if count < FEWEST or value == 0:
        return None
    low, _, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return (3 + 8 / count) * (high - low) / (1.349 * math.sqrt(count) * abs(value))


def take_turns(
    contestants: dict[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, of CPU time unless another clock is given.

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
    return seconds


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
