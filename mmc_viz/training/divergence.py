"""When the numbers of a run stop being finite: at which step, and what is likely to blame.

Looking at a loss costs a GPU its head start, so each loss is noted on the device and looked at
later. What is noted is the step at which things went wrong, however late somebody asks.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.training.config import TrainConfig

_REMEMBERED = 16  # losses before the one that was no number
_GROWTH = 4.0  # times the smallest of these, from which on a loss was rising


class Diverged(FloatingPointError):
    """Loss, weights or features are finite numbers no more.

    Attributes
    ----------
    epoch, step : int
        Counted from 1; the step over the whole run.
    """

    def __init__(self, message: str, epoch: int, step: int):
        super().__init__(message)
        self.epoch, self.step = epoch, step


class Watch:
    """Notes the losses of a run, and says when one was no finite number.

    Parameters
    ----------
    config : TrainConfig
        Of the run.
    steps_per_epoch, steps : int
        Of an epoch and of the whole run.
    device : torch.device
        Where the losses are.
    """

    def __init__(self, config: TrainConfig, steps_per_epoch: int, steps: int, device: torch.device):
        self._config, self._steps_per_epoch, self._steps = config, steps_per_epoch, steps
        self._first_bad = torch.tensor(-1, device=device)
        self._recent = torch.full((_REMEMBERED,), torch.nan, dtype=torch.float64, device=device)

    def note(self, loss: Float[Tensor, ""], step: int) -> None:
        """Take down the loss of a step, counted from 0; nothing waits for it."""
        fresh = (self._first_bad < 0) & ~loss.isfinite()
        self._first_bad = torch.where(fresh, step, self._first_bad)
        good = self._first_bad < 0
        place = self._recent[step % _REMEMBERED]
        place.copy_(torch.where(good, loss.double(), place))

    def look(self) -> None:
        """Raise if a loss noted so far was no finite number.

        Raises
        ------
        Diverged
            With the step at which it happened first, and the likely cause.
        """
        step = int(self._first_bad)
        if step >= 0:
            raise self._diverged("The loss", step, self._cause(step))

    def spoiled(self, what: str, step: int) -> Diverged:
        """Give the error for `what` that was found to be no number after a step, from 0."""
        return self._diverged(what, step, self._cause(step + 1))

    def _diverged(self, what: str, step: int, cause: str) -> Diverged:
        epoch = step // self._steps_per_epoch + 1
        where = f"in epoch {epoch}, at step {step + 1:,} of {self._steps:,}"
        message = f"{what} stopped being finite {where}: {cause}"
        return Diverged(message, epoch, step + 1)

    def _cause(self, taken: int) -> str:
        """Say what is likely to blame for what came after so many steps."""
        config, before = self._config, self._before(taken)
        if taken == 0:
            return (
                f"the very first, so no step is to blame. Look at `radius` ({config.radius:g}), "
                "the options of the head and the precision (`--float64` has the widest range)."
            )
        rate = config.learning_rate(taken - 1, self._steps_per_epoch)
        if before and before[-1] > _GROWTH * min(before):
            return (
                f"before, the loss had risen from {min(before):.3g} to {before[-1]:.3g} within "
                f"{len(before)} steps, so the learning rate ({rate:.3g} then) is probably too "
                f"high; a smaller `lr` than {config.lr:g} usually helps."
            )
        narrow = " or `--no-bfloat16`" if config.bfloat16 else ""
        last = f"the loss before was {before[-1]:.3g}; " if before else ""
        return (
            f"{last}a single step with the learning rate {rate:.3g} went too far. "
            f"A smaller `lr` than {config.lr:g}{narrow} usually helps."
        )

    def _before(self, taken: int) -> list[float]:
        """Losses of the last of so many steps, the oldest first."""
        recent = self._recent.tolist()
        steps = range(max(0, taken - _REMEMBERED + 1), taken)
        losses = [recent[number % _REMEMBERED] for number in steps]
        return [loss for loss in losses if math.isfinite(loss)]
