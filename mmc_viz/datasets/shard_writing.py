"""Write a data set as shards: image by image, complete or not at all.

Pictures and other shards are read one by one, so they need little memory; the standard data sets
are small and are loaded as a whole.

The images are written to drafts, which get their names when all is on the disk; the index comes
last. Without an index nothing is loaded, so a process that is killed leaves drafts and no more. The
next one that writes there removes them.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.datasets import FOLDER_PREFIX, SHARDS_PREFIX, load_dataset
from mmc_viz.datasets.dataset import fingerprint
from mmc_viz.datasets.folders import list_pictures, read_picture, words_of
from mmc_viz.datasets.shard_index import (
    INDEX,
    MOST_IMAGES,
    SPLITS,
    Index,
    Shards,
    Split,
    read_index,
)
from mmc_viz.datasets.shards import SHARD_BYTES
from mmc_viz.files import locked, write_through, write_whole
from mmc_viz.texts import is_plain

#: What a process that was killed may have left.
_DRAFT = re.compile(rf"({'|'.join(SPLITS)})\.(images|labels)\.part|{INDEX}\.\d+\.part")


@dataclass(frozen=True)
class _Source:
    """One split that is to be written; its images are read as they are asked for."""

    shape: tuple[int, int, int]
    labels: Int64[Tensor, " batch"]
    class_names: list[str]
    words: str
    images: Iterator[UInt8[np.ndarray, "channels height width"]]


def write_shards(
    dataset: str,
    folder: str | Path,
    *,
    splits: Sequence[str] = SPLITS,
    size: int = 224,
    root: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Shards:
    """Write a data set as shards, for `load_dataset("shards:PATH")`.

    Parameters
    ----------
    dataset : str
        A name that `load_dataset` knows. The pictures of `folder:PATH` are read one by one.
    folder : str or Path
        Where to: a folder that is new or empty. `~` is expanded.
    splits : sequence of str
        Which of `train` and `test`.
    size : int
        Height and width of the images of `folder:PATH`; other data sets keep their own.
    root : path, optional
        As for `load_dataset`.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    shards : Shards
        What was written.

    Raises
    ------
    ValueError
        If the data set cannot be read, or the folder cannot be written or is not empty. Nothing
        is left behind.
    """
    if not is_plain(dataset):
        raise ValueError(f"`dataset` must have a name of one line; got {dataset!r}.")
    splits = list(dict.fromkeys(splits))
    if not splits or not set(splits) <= set(SPLITS):
        raise ValueError(f"`splits` must be some of {', '.join(SPLITS)}; got {splits}.")
    sources = {split: _source(dataset, split, size, root) for split in splits}
    _check_sources(sources)
    if dataset.startswith(SHARDS_PREFIX):  # what is only copied keeps its name
        dataset = read_index(dataset.removeprefix(SHARDS_PREFIX)).index.name
    folder = Path(folder).expanduser()
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(folder / INDEX):
                return _write(folder, dataset, sources, progress)
        finally:
            if made:
                with suppress(OSError):  # it stays where something is in it
                    folder.rmdir()
    except OSError as error:
        raise ValueError(
            f"The folder {folder} cannot be written ({error.strerror}); choose another place."
        ) from None


def _source(name: str, split: str, size: int, root: str | os.PathLike[str] | None) -> _Source:
    """Open one split; of a folder of pictures, none is read yet."""
    if not name.startswith(FOLDER_PREFIX):
        data = load_dataset(name, split, root=root)
        images = (image.numpy() for image in data.images)
        return _Source(
            tuple(data.images.shape[1:]), data.labels, data.class_names, data.source, images
        )
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"`size` must be a whole number of at least 1; got {size!r}.")
    pictures, class_names = list_pictures(name.removeprefix(FOLDER_PREFIX), split)
    labels = torch.tensor([label for _, label in pictures], dtype=torch.int64)
    images = (read_picture(picture, size) for picture, _ in pictures)
    words = words_of(split, len(pictures), len(class_names), size)
    return _Source((3, size, size), labels, class_names, words, images)


def _check_sources(sources: dict[str, _Source]) -> None:
    """Refuse, before anything is written, what could not be read again."""
    first = next(iter(sources.values()))
    for split, source in sources.items():
        if (source.shape, source.class_names) != (first.shape, first.class_names):
            raise ValueError("Train and test images must have one size and the same classes.")
        count = len(source.labels)
        if not 1 <= count <= MOST_IMAGES:
            raise ValueError(
                f"A split must have 1 to {MOST_IMAGES:,} images; {split} has {count:,}."
            )


def _write(folder: Path, name: str, sources: dict[str, _Source], progress: bool) -> Shards:
    """Write all files of a folder; remove them again where one cannot be written."""
    if (folder / INDEX).exists():
        raise ValueError(f"There are shards in {folder} already; choose a new or empty folder.")
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name):
            path.unlink()
        elif path.name != f".{INDEX}.lock":
            raise ValueError(
                f"The folder {folder} is not empty ({path.name}); choose a new or empty one."
            )
    size = prod(next(iter(sources.values())).shape)
    needed = sum((size + 8) * len(source.labels) for source in sources.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"The shards need {needed:,} bytes, and the disk of {folder} has {free:,} left; "
            "choose another place."
        )
    names = [f"{split}.{part}" for split in sources for part in ("images", "labels")]
    try:
        per_shard = max(1, SHARD_BYTES // size)
        splits = {
            split: _write_split(folder, split, source, per_shard, progress)
            for split, source in sources.items()
        }
        for file in names:
            os.replace(folder / f"{file}.part", folder / file)
        first = next(iter(sources.values()))
        index = Index(name, first.class_names, *first.shape, per_shard, splits)
        write_whole(folder / INDEX, index.text())
    except BaseException:
        for file in names:
            (folder / f"{file}.part").unlink(missing_ok=True)
            (folder / file).unlink(missing_ok=True)
        raise
    return Shards(folder, index)


def _write_split(
    folder: Path, split: str, source: _Source, per_shard: int, progress: bool
) -> Split:
    """Write the drafts of one split; take all checksums on the way."""
    count = len(source.labels)
    labels = source.labels.numpy().astype("<i8").tobytes()
    write_through(folder / f"{split}.labels.part", labels)
    digests: list = []
    bar = tqdm(source.images, f"writing {split}", count, unit="image", disable=not progress)
    written = _written(folder / f"{split}.images.part", iter(bar), per_shard, digests)
    return Split(
        count=count,
        source=source.words,
        sha256=fingerprint((count, *source.shape), written, source.labels),
        labels_sha256=hashlib.sha256(labels).hexdigest(),
        shards=[digest.hexdigest() for digest in digests],
    )


def _written(
    path: Path, images: Iterator[UInt8[np.ndarray, "..."]], per_shard: int, digests: list
) -> Iterator[bytes]:
    """Give each image on when it is written, and is part of the checksum of its shard."""
    with open(path, "wb") as file:
        for number, image in enumerate(images):
            if number % per_shard == 0:
                digests.append(hashlib.sha256())
            content = image.tobytes()
            digests[-1].update(content)
            file.write(content)
            yield content
        file.flush()
        os.fsync(file.fileno())
