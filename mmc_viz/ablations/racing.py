"""Training runs that take turns, epoch by epoch: the fair way to set their seconds side by side.

On a machine that has other things to do, a run that has the bad luck of a busy hour looks slow.
Here each epoch of one run stands next to the same epoch of the others, so a busy minute falls on
all.
"""

import threading
from typing import Any

import torch

from mmc_viz.datasets import Dataset
from mmc_viz.training import TrainConfig, train


def race(
    configs: dict[str, TrainConfig],
    train_set: Dataset,
    test_set: Dataset,
    *,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """Train all, one epoch each in turn, and give their histories.

    Parameters
    ----------
    configs : dict[str, TrainConfig]
        Name to run, in the order of the turns. A run with fewer epochs leaves earlier.
    train_set, test_set : Dataset
        For all of them.
    device : str or torch.device
        For all of them.
    progress : bool
        Whether to show a bar for each.

    Returns
    -------
    histories : dict[str, list[dict]]
        As in `TrainingRun`; the runs give the same weights as they would alone.

    Raises
    ------
    Exception
        What the first run to fail raised, when all have ended.
    """
    turns = _Turns(list(configs))
    histories: dict[str, list[dict[str, Any]]] = {}
    failures: list[BaseException] = []

    def run(name: str) -> None:
        try:
            turns.wait(name)
            found = train(
                configs[name],
                train_set,
                test_set,
                device=device,
                progress=progress,
                on_epoch=lambda entry: turns.pass_on(name),
            )
            histories[name] = found.history
        except BaseException as error:
            failures.append(error)
        finally:
            turns.leave(name)

    threads = [threading.Thread(target=run, args=(name,), name=name) for name in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return {name: histories[name] for name in configs}


class _Turns:
    """Lets one runner go at a time, round and round."""

    def __init__(self, names: list[str]):
        self._waiting = names
        self._condition = threading.Condition()

    def wait(self, name: str) -> None:
        """Wait until it is this runner's turn."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting[0] == name)

    def pass_on(self, name: str) -> None:
        """Go to the end of the queue, and wait to be first again."""
        with self._condition:
            self._waiting.append(self._waiting.pop(0))
            self._condition.notify_all()
        self.wait(name)

    def leave(self, name: str) -> None:
        """Leave the queue."""
        with self._condition:
            self._waiting.remove(name)
            self._condition.notify_all()
