"""Whether a folder of shards is what was written: shard by shard, side by side."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from tqdm.auto import tqdm

from mmc_viz.datasets.dataset import fingerprint
from mmc_viz.datasets.shard_index import INDEX, Shards, read_index

_PIECE = 1 << 20  # bytes in memory, of each shard that is being checked


def check_shard(shards: Shards, split: str, number: int) -> None:
    """Compare one shard with its checksum.

    Raises
    ------
    ValueError
        If it differs; the message says which bytes of which file have to be copied again.
    """
    found, size = shards.split(split), shards.index.image_bytes
    first = number * shards.index.images_per_shard
    last = min(first + shards.index.images_per_shard, found.count)
    digest = hashlib.sha256()
    with shards.open_images(split) as file:
        for piece in _pieces(file, first * size, last * size):
            digest.update(piece)
    if digest.hexdigest() != found.shards[number]:
        raise ValueError(
            f"Shard {number} of {split} in {shards.folder} is damaged (its SHA-256 differs): copy "
            f"bytes {first * size} to {last * size - 1} of {split}.images again, which are images "
            f"{first} to {last - 1}."
        )


def verify(folder: str | Path, *, progress: bool = True) -> Shards:
    """Compare all that is in a folder of shards with its checksums.

    Parameters
    ----------
    folder : str or Path
        The folder. `~` is expanded.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    shards : Shards
        What is there.

    Raises
    ------
    ValueError
        If anything is damaged; every damaged shard is named.
    """
    shards = read_index(folder)
    splits = shards.index.splits
    for split in splits:
        shards.read_labels(split)
    numbered = [(split, number) for split in splits for number in range(len(splits[split].shards))]

    def fault(shard: tuple[str, int]) -> str:
        try:
            check_shard(shards, *shard)
        except ValueError as error:
            return str(error)
        return ""

    quiet = not progress
    # Threads do: whoever hashes or waits for the disk lets others run.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        checked = tqdm(pool.map(fault, numbered), "shards", len(numbered), disable=quiet)
        faults = [said for said in checked if said]
    if faults:
        raise ValueError(" ".join(faults))
    for split in tqdm(splits, "fingerprints", disable=quiet):
        _check_fingerprint(shards, split)
    return shards


def _check_fingerprint(shards: Shards, split: str) -> None:
    """Compare a split as a whole with what the index says; it need not be wrong by accident."""
    shape, labels = shards.shape(split), shards.read_labels(split)
    with shards.open_images(split) as file:
        size = os.fstat(file.fileno()).st_size
        found = fingerprint(shape, _pieces(file, 0, size), labels)
    if found != shards.split(split).sha256:
        raise ValueError(
            f"In {shards.folder / INDEX}, `sha256` of {split} is not that of its images and labels."
            " Write the folder anew with `mmc-viz shards`."
        )


def _pieces(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop:
        piece = file.read(min(_PIECE, stop - start))
        if not piece:  # cut off meanwhile, which the checksum will tell
            return
        yield piece
        start += len(piece)
