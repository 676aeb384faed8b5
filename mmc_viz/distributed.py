"""One job in several processes: who this one is, and what all of them find out together.

    torchrun --nproc_per_node=2 -m mmc_viz train ...

`torchrun` starts the processes, the ranks, and tells each by environment variables how many there
are and where the others wait. They talk through torch.distributed: gloo between CPUs, NCCL between
GPUs. Every rank runs the same code on its share of the work; rank 0 alone writes and prints. A
process that was not started so is alone, and everything below costs it nothing.

A rank that ends takes the others with it: they see the connection close, and torchrun ends what is
left. How long they wait for one that hangs is torch's own limit: half an hour between CPUs, ten
minutes between GPUs.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch import distributed as dist


@dataclass(frozen=True)
class Ranks:
    """The processes of a job, as one of them sees it; without arguments a process on its own.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        How many there are.
    device : torch.device
        On which tensors are sent: the CPU for gloo, this rank's GPU for NCCL.
    joined : bool
        Whether there is a group at all; torchrun makes one of a single process too.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")
    joined: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def add_(self, tensors: Sequence[Shaped[Tensor, "..."]]) -> None:
        """Replace tensors, on the device of the job, by their sums over all ranks.

        They travel together, one message for all that have the same type and stand side by side.
        """
        if not self.joined:
            return
        for _, group in groupby(tensors, key=lambda tensor: tensor.dtype):
            together = list(group)
            flat = torch.cat([tensor.reshape(-1) for tensor in together])
            with _partners():
                dist.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in together])
            for tensor, part in zip(together, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Say whether `flag` holds on one of them; the answer is the same on all."""
        if self.size == 1:
            return flag
        count = torch.tensor(int(flag), device=self.device)
        self.add_([count])
        return bool(count)

    def gather(self, value: Any) -> list[Any]:
        """Give the values of all ranks, in their order, to all of them.

        They travel as pickles, which torch makes; so the port of a job is for its own processes.
        """
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _partners():
            dist.all_gather_object(values, value)
        return values

    def after_first(self, act: Callable[[], Any]) -> Any:
        """Let the first rank act before the others, which then find what it has fetched."""
        found = act() if self.first else None
        self.any(False)
        return found if self.first else act()

    def from_first(self, act: Callable[[], Any]) -> Any:
        """Let the first rank act alone, and give its result to all."""
        return self.gather(act() if self.first else None)[0]


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other processes of the job, if torchrun started this one.

    Parameters
    ----------
    device : torch.device
        Where this rank computes: on the CPU or a GPU. With several GPUs on a machine each rank
        takes the one of its own number there.

    Raises
    ------
    ValueError
        If the device is of another kind, or the machine has fewer GPUs than ranks.
    ConnectionError
        If another process is gone. What it says itself is the reason.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"`device` of several processes must be cpu or cuda; got {device.type}.")
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"`--nproc_per_node` must be at most {torch.cuda.device_count()}, one process a "
                f"GPU; this one would be number {local + 1}. Use fewer, or `--device cpu`."
            )
        torch.cuda.set_device(local)
    with _partners():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device, joined=True)
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dist.destroy_process_group()


@contextmanager
def _partners() -> Iterator[None]:
    """Say in one line that another process is gone, whatever the library calls it."""
    try:
        yield
    except RuntimeError as error:
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConnectionError(
            f"another process of this job has ended, so this one ends too ({what:.120}). "
            "Its own message says why; what was kept is kept."
        ) from None
