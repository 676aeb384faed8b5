"""`shards:PATH`: a data set of any size, mapped from the disk into memory.

    PATH/shards.json     what is there, and its checksums; written last
    PATH/train.images    the bytes [N, C, H, W] of all images and nothing else
    PATH/train.labels    their labels, int64, least byte first
    PATH/test.images     PATH/test.labels

`Dataset.images` is a tensor like any other, but its bytes are read when they are touched, and the
system drops them again when it needs the memory; so a split may be larger than the memory. Whoever
writes into the tensor changes a copy of his own, never the file.

There is one file of images a split because only what lies in one piece is one tensor. It is divided
into *shards*: stretches of as many images as fit into 64 MiB, each with a SHA-256 of its own. So
shards can be verified side by side, and a damaged one can be copied again alone.

At each start the index is checked, the sizes of the files, and all labels; of a split of at most 64
MiB also the images. To read hundreds of gigabytes at each start would take minutes, so the shards
of a larger split are compared with their checksums on request, by `verify`. Such a split has the
`sha256` that the index says, taken while it was written: the same as in memory. `verify` checks
that too; of the first n images of a split, and of a small one, it is always computed.

A file must not be cut off while it is mapped: a process that reads where there is nothing more is
ended by the system.
"""

import mmap
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import BinaryIO

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.datasets.shard_checking import check_shard
from mmc_viz.datasets.shard_index import read_index

SHARD_BYTES = 64 << 20
#: Without it, Linux refuses to map more than it has memory for, in case all of it is written to.
#: Python names it only from 3.13 on.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0


@dataclass(frozen=True, eq=False)
class MappedDataset(Dataset):
    """One split of a data set, its images on the disk.

    Parameters
    ----------
    recorded : str
        The fingerprint that was taken while they were written; empty where it must be computed.
    """

    recorded: str = ""

    def first(self, count: int) -> Dataset:
        """Take the first `count` images in stored order, without a copy; all if there are fewer."""
        if count >= len(self):
            return self
        return replace(
            self,
            images=self.images[:count],
            labels=self.labels[:count].clone(),
            source=f"the first {count:,} images of {self.source}",
            recorded="",
        )

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the data, the same as in memory."""
        return self.recorded or super().sha256


def load_shards(name: str, path: str, split: str) -> MappedDataset:
    """Map one split of a folder of shards.

    Parameters
    ----------
    name : str
        Name of the result.
    path : str
        The folder. `~` is expanded.
    split : {"train", "test"}
        Which part.

    Raises
    ------
    ValueError
        If it is not there, or anything of it is not as it must be.
    """
    shards = read_index(path)
    found, labels = shards.split(split), shards.read_labels(split)
    with shards.open_images(split) as file:
        images = _map(file).view(shards.shape(split))
    small = images.numel() <= SHARD_BYTES
    if small:
        for number in range(len(found.shards)):
            check_shard(shards, split, number)
    return MappedDataset(
        name=name,
        split=split,
        images=images,
        labels=labels,
        class_names=shards.index.class_names,
        source=f"{found.source}, as shards",
        recorded="" if small else found.sha256,
    )


def _map(file: BinaryIO) -> UInt8[Tensor, " bytes"]:
    """Map a whole file; a page that is written to becomes a copy."""
    both = {"access": mmap.ACCESS_COPY}
    if _NO_RESERVE:
        flags, rights = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        both = {"flags": flags, "prot": rights}
    try:
        return torch.frombuffer(mmap.mmap(file.fileno(), 0, **both), dtype=torch.uint8)
    except (OSError, OverflowError) as error:
        raise ValueError(f"The file {file.name} cannot be mapped into memory ({error}).") from None
