"""What a run needs to go on from where it was, and when it is put aside.

Nothing random has a state here: the order of the images, their augmentation and the adversary's
starts depend on (seed, epoch, index of the image) alone. So weights, what batch norms have seen,
momentum, the sum of the epoch's losses and the number of steps taken are all there is, in the
middle of an epoch too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class State:
    """A run between two steps.

    Attributes
    ----------
    tensors : dict[str, Tensor]
        Weights, buffers, momentum and the sum of the epoch's losses, on the CPU.
    values : dict
        Plain values: steps taken, the history so far, and the seconds that the epoch has cost.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


@dataclass(frozen=True)
class Keeping:
    """How a run is kept while it trains.

    Attributes
    ----------
    write : callable
        Takes a `State`; called on rank 0 alone, and only with weights that are finite numbers.
    every : float
        Seconds between two of them, at least; 0 writes after every step. A step is never cut in
        two, and time is taken from a clock that nobody can set.
    state : State, optional
        Where to go on from; None begins at the beginning.
    stop : callable
        Asked after each step whether the run shall be kept and left; on CUDA only every fifty
        steps and at the end of an epoch, see `Course.looks`.
    """

    write: Callable[[State], None]
    every: float | int = 30.0
    state: State | None = None
    stop: Callable[[], bool] = lambda: False


class Stopped(KeyboardInterrupt):
    """The run was left as `Keeping.stop` asked; its state has been written.

    Attributes
    ----------
    taken, steps : int
        Steps taken, and of the whole run.
    """

    def __init__(self, taken: int, steps: int):
        super().__init__(f"stopped after step {taken:,} of {steps:,}")
        self.taken, self.steps = taken, steps
