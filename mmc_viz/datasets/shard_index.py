"""What `shards.json` says of a folder of shards, and the files beside it; each checked when read.

The folder may be a stranger's. The names of its files are ours, so the index cannot lead anywhere
else, and no file is opened that is a link or has another size than the index says.
"""

import hashlib
import json
import math
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mmc_viz.files import read_json
from mmc_viz.texts import is_plain, shorten

INDEX = "shards.json"
FORMAT = 1
SPLITS = ("train", "test")
#: Labels are read as a whole. The largest ImageNet has 14 million images.
MOST_IMAGES = 1 << 26


@dataclass(frozen=True)
class Split:
    """What the index says of one split.

    Attributes
    ----------
    count : int
        How many images.
    source : str
        What they were read from, in words.
    sha256 : str
        As `Dataset.sha256`.
    labels_sha256 : str
        Of the file of labels.
    shards : list[str]
        SHA-256 of each stretch of the file of images.
    """

    count: int
    source: str
    sha256: str
    labels_sha256: str
    shards: list[str]


@dataclass(frozen=True)
class Index:
    """What `shards.json` says.

    Attributes
    ----------
    name : str
        Of the data set that was written.
    class_names : list[str]
        In the order of the labels.
    channels, height, width : int
        Of each image.
    images_per_shard : int
        The last shard of a split may have fewer.
    splits : dict[str, Split]
        Those that are there.
    format : int
        Of the folder.
    """

    name: str
    class_names: list[str]
    channels: int
    height: int
    width: int
    images_per_shard: int
    splits: dict[str, Split]
    format: int = FORMAT

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.channels, self.height, self.width

    @property
    def image_bytes(self) -> int:
        """Bytes of an image."""
        return math.prod(self.shape)

    def text(self) -> str:
        """Content of `shards.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class Shards:
    """A folder and its index.

    Attributes
    ----------
    folder : Path
        Where all lies.
    index : Index
        What is there.
    """

    folder: Path
    index: Index

    def split(self, name: str) -> Split:
        """Find a split.

        Raises
        ------
        ValueError
            If it is not there.
        """
        if name not in self.index.splits:
            raise ValueError(
                f"The folder {self.folder} has no split {name!r}, only "
                f"{', '.join(self.index.splits)}; write both with `mmc-viz shards`."
            )
        return self.index.splits[name]

    def shape(self, split: str) -> tuple[int, int, int, int]:
        """Give [N, C, H, W] of all images of a split; errors as for `split`."""
        return self.split(split).count, *self.index.shape

    def open_images(self, split: str) -> BinaryIO:
        """Open the file of a split's images.

        Raises
        ------
        ValueError
            If it is missing, no regular file, or has another size than the index says.
        """
        return _open(self.folder / f"{split}.images", math.prod(self.shape(split)))

    def read_labels(self, split: str) -> Int64[Tensor, " batch"]:
        """Read the labels of a split.

        Raises
        ------
        ValueError
            If they are not those that were written, or one is no number of a class.
        """
        found, path = self.split(split), self.folder / f"{split}.labels"
        with _open(path, 8 * found.count) as file:
            content = file.read(8 * found.count)
        if hashlib.sha256(content).hexdigest() != found.labels_sha256:
            raise ValueError(f"The file {path} is damaged (its SHA-256 differs); copy it again.")
        labels = np.frombuffer(content, dtype="<i8").astype(np.int64)
        if labels.min() < 0 or labels.max() >= len(self.index.class_names):
            raise ValueError(
                f"The labels in {path} must lie in 0..{len(self.index.class_names) - 1}, one "
                f"number per class name; got {labels.min()}..{labels.max()}."
            )
        return torch.from_numpy(labels)


def read_index(folder: str | Path) -> Shards:
    """Read the index of a folder of shards.

    Parameters
    ----------
    folder : str or Path
        The folder. `~` is expanded.

    Raises
    ------
    ValueError
        If it is missing, or not one of ours.
    """
    folder = Path(folder).expanduser()
    try:
        values = read_json(folder / INDEX)
    except FileNotFoundError:
        raise ValueError(
            f"There are no shards in {folder}: it has no {INDEX}, which is written last. Write "
            f"them with `mmc-viz shards DATASET --out {folder}`."
        ) from None
    except OSError as error:
        raise ValueError(f"The index {folder / INDEX} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ValueError(f"The index {folder / INDEX} is damaged ({error}).") from None
    why = _fault(values)
    if why:
        raise ValueError(f"The index {folder / INDEX} is not one of ours: {shorten(why)}.")
    splits = {name: Split(**split) for name, split in values["splits"].items()}
    return Shards(folder, Index(**values | {"splits": splits}))


def _fault(values: Any) -> str:
    """Say what is wrong with the content of an index; empty where it is right."""
    if type(values) is not dict:
        return "it is no JSON object"
    if values.get("format") != FORMAT:
        return f"its format is not {FORMAT}, which this version reads"
    fields = Index.__dataclass_fields__.keys()
    if values.keys() != fields:
        return f"fields are missing or unknown: {sorted(values.keys() ^ fields)}"
    for name in ("channels", "height", "width", "images_per_shard"):
        if type(values[name]) is not int or values[name] < 1:
            return f"`{name}` must be a whole number of at least 1"
    if not _is_word(values["name"]):
        return "`name` must be text of one line"
    classes = values["class_names"]
    if type(classes) is not list or not classes or not all(map(_is_word, classes)):
        return "`class_names` must be a list of texts of one line"
    splits = values["splits"]
    if type(splits) is not dict or not splits or not splits.keys() <= set(SPLITS):
        return f"`splits` must hold nothing but {' or '.join(SPLITS)}"
    for name, split in splits.items():
        why = _fault_of_split(split, values["images_per_shard"])
        if why:
            return f"in `splits`, {name}: {why}"
    return ""


def _fault_of_split(split: Any, images_per_shard: int) -> str:
    fields = Split.__dataclass_fields__.keys()
    if type(split) is not dict or split.keys() != fields:
        return f"it must hold {', '.join(fields)}"
    if type(split["count"]) is not int or not 1 <= split["count"] <= MOST_IMAGES:
        return f"`count` must be in 1..{MOST_IMAGES:,}"
    if not _is_word(split["source"]):
        return "`source` must be text of one line"
    shards, needed = split["shards"], -(-split["count"] // images_per_shard)
    if type(shards) is not list or len(shards) != needed:
        return f"`shards` must be a list of {needed} checksums, one a shard"
    if not all(map(_is_sha256, [split["sha256"], split["labels_sha256"], *shards])):
        return "each checksum must be a SHA-256 in hexadecimal"
    return ""


def _is_word(value: Any) -> bool:
    return type(value) is str and is_plain(value)


def _is_sha256(value: Any) -> bool:
    return type(value) is str and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _open(path: Path, size: int) -> BinaryIO:
    """Open a regular file of exactly `size` bytes, and no link to one.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    flags = [getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY")]
    why = "it is a link"
    try:
        if not path.is_symlink():
            file = open(os.open(path, os.O_RDONLY | sum(flags)), "rb")
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size == size:
                return file
            file.close()
            why = f"it has {status.st_size:,} bytes, and by {INDEX} it must have {size:,}"
            if not stat.S_ISREG(status.st_mode):
                why = "it is no regular file"
    except OSError as error:
        why = str(error.strerror)
    raise ValueError(f"The file {path} cannot be used ({why}); copy it again.")
