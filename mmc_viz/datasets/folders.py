"""`folder:PATH`: a data set made of your own pictures.

    PATH/train/cat/*.png    PATH/train/dog/*.jpg    ...
    PATH/test/cat/*.png     PATH/test/dog/*.jpg     ...

One folder per class, the same classes in `train` and `test`; a class is named like its folder, and
the classes are numbered in alphabetical order. Every picture becomes an RGB square: the short side
is resized to `size` and the centre is cut out. Pictures are stored class by class in turn (the
first picture of each class, then the second of each, ...), so that the first n are balanced.

A file is taken for a picture by its ending (`SUFFIXES`); what begins with a dot and other files are
left alone. One broken picture stops the reading: a data set with silent gaps is worse than none.

A folder of a stranger is only looked at. Files of other kinds, whatever their ending, are refused
(Pillow would hand some to other programs); so are pipes and devices, files and pictures beyond all
measure, and names that cannot be printed on one line. A link counts as what it leads to as long as
that lies within PATH; a link that leads out of it is refused, for the folder may not choose what is
read from the rest of the disk. PATH itself may be a link.
"""

import io
import warnings
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm.auto import tqdm

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.files import read_whole
from mmc_viz.texts import is_plain, shorten

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".pbm",
    ".tif",
    ".tiff",
)
#: What such files may hold, whatever their ending says. Of these, Pillow decodes all by itself.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
LARGEST_FILE = 256 << 20  # bytes of a picture; those of large cameras have 100 MB
LARGEST_PICTURE = 100_000_000  # pixels; those of large cameras have as many


def load_folder(name: str, path: str, split: str, *, size: int, limit: int | None) -> Dataset:
    """Load one split of a folder of pictures.

    Parameters
    ----------
    name : str
        Name of the result.
    path : str
        Folder that holds `train` and `test`. `~` is expanded.
    split : {"train", "test"}
        Which of the two.
    size : int
        Height and width of the images, in pixels.
    limit : int, optional
        Read only the first `limit` pictures.

    Returns
    -------
    data : Dataset
        Images `[N, 3, size, size]`; the first `limit` pictures or all.

    Raises
    ------
    ValueError
        If folders are missing, empty or differ between train and test, or a picture cannot be
        read. The message names the folder or file.
    """
    everything, class_names = list_pictures(path, split)
    in_turn = everything[:limit]
    images = np.empty((len(in_turn), 3, size, size), dtype=np.uint8)
    progress = tqdm(in_turn, desc=f"reading {split} pictures", unit="picture", delay=2, leave=False)
    for image, (picture, _) in zip(images, progress, strict=True):
        image[:] = read_picture(picture, size)
    few = len(in_turn) < len(everything)
    words = words_of(split, len(everything), len(class_names), size)
    return Dataset(
        name=name,
        split=split,
        images=torch.from_numpy(images),
        labels=torch.tensor([label for _, label in in_turn], dtype=torch.int64),
        class_names=class_names,
        source=f"the first {len(in_turn):,} images of {words}" if few else words,
    )


def list_pictures(path: str | Path, split: str) -> tuple[list[tuple[Path, int]], list[str]]:
    """List the pictures of a split with their labels, class by class in turn, and the classes.

    Raises
    ------
    ValueError
        As `load_folder`; no picture is opened.
    """
    folder = Path(path).expanduser()
    if not is_plain(str(folder)):
        raise ValueError(f"folder:PATH must have a name of one line; got {str(folder)!r}.")
    class_names = _class_names(folder)
    pictures = [_pictures(folder / split / class_name, folder) for class_name in class_names]
    in_turn = [
        (picture, label)
        for row in zip_longest(*pictures)
        for label, picture in enumerate(row)
        if picture is not None
    ]
    return in_turn, class_names


def words_of(split: str, pictures: int, classes: int, size: int) -> str:
    """Say what was read, for `Dataset.source`."""
    return (
        f"the {split} pictures of a folder, {pictures:,} in {classes} classes, as {size}x{size} RGB"
    )


def _class_names(folder: Path) -> list[str]:
    """Return the sorted names of the class folders, the same in train and in test."""
    layout = "folder:PATH needs PATH/train and PATH/test with one folder of pictures per class"
    found = {}
    for split in ("train", "test"):
        if not (folder / split).is_dir():
            raise ValueError(f"There is no folder {folder / split}: {layout}.")
        found[split] = sorted(
            entry.name
            for entry in (folder / split).iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
    for split, other in (("train", "test"), ("test", "train")):
        alone = sorted(set(found[split]) - set(found[other]))
        if alone:
            names = ", ".join(name if is_plain(name) else repr(name) for name in alone)
            raise ValueError(
                f"The classes of train and test in {folder} differ: {shorten(names)} "
                f"only in {split}/. Both need the same class folders."
            )
    for name in found["train"]:
        if not is_plain(name):
            raise ValueError(f"A class folder in {folder} needs a name of one line; got {name!r}.")
    if len(found["train"]) < 2:
        raise ValueError(
            f"{folder} has {len(found['train'])} class folder(s), at least 2 are needed: {layout}."
        )
    return found["train"]


def _pictures(folder: Path, root: Path) -> list[Path]:
    """Return the pictures of a class folder, sorted by name; all lie within `root`."""
    pictures = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not pictures:
        raise ValueError(
            f"The class folder {folder} holds no picture ({', '.join(SUFFIXES)}). "
            "Put pictures into it, or remove this class from train and test."
        )
    inside = root.resolve()
    for path in pictures:
        if not is_plain(path.name):
            raise ValueError(f"A picture in {folder} needs a name of one line; got {path.name!r}.")
        if not path.resolve().is_relative_to(inside):
            raise ValueError(
                f"The picture {path} is a link that leads out of {root}; put the picture itself "
                "there, or remove the link."
            )
    return pictures


def read_picture(path: Path, size: int) -> UInt8[np.ndarray, "3 {size} {size}"]:
    """Read a picture as RGB, upright, its short side resized to `size`, the centre cut out.

    Raises
    ------
    ValueError
        If it cannot be read, is of another kind than `FORMATS`, or too large.
    """
    try:
        content = io.BytesIO(read_whole(path, LARGEST_FILE))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # untidy metadata is no fault of the picture
            # A few bytes can claim billions of pixels; Pillow only warns at first.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(content, formats=FORMATS) as picture:
                if picture.width * picture.height > LARGEST_PICTURE:
                    raise ValueError(f"more than {LARGEST_PICTURE:,} pixels")
                if picture.mode.startswith(("I", "F")):
                    raise ValueError("more than 8 bits a channel; convert it to 8 bits")
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        # `fit` cuts the square out first: of a very long picture, only the centre is resized.
        square = ImageOps.fit(upright, (size, size), method=Image.Resampling.BILINEAR)
    except Exception as error:  # whatever a decoder of some format raises on broken bytes
        raise ValueError(
            f"The picture {path} cannot be read ({_reason(error)}). Repair or remove it."
        ) from None
    return np.asarray(square).transpose(2, 0, 1)


def _reason(error: Exception) -> str:
    """Say on one line why a picture could not be read."""
    if isinstance(error, UnidentifiedImageError):  # it would name an object in memory
        return f"it is none of {', '.join(FORMATS)}"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shorten(" ".join(words.split()) or type(error).__name__)
