"""Named data sets, folders of pictures and shards, as tensors.

A data set here is a tensor of uint8 images, a tensor of labels and the names of the classes; small
enough to live in memory and on the accelerator as a whole, or mapped from shards on the disk.
`load_dataset` finds it by name:

============== ============================================ ====================================
name           what it is                                   works without a network
============== ============================================ ====================================
digits         1,797 handwritten digits, 8x8 gray           yes, it ships inside scikit-learn
fashion_mnist  70,000 pieces of clothing, 28x28 gray        test split: a shipped sample of 1,000
mnist          70,000 handwritten digits, 28x28 gray        once downloaded
cifar10        60,000 photographs of 10 things, 32x32       once downloaded
cifar100       60,000 photographs of 100 things, 32x32      once downloaded
folder:PATH    your pictures, PATH/train and PATH/test      yes
shards:PATH    any of these, written by `mmc-viz shards`    yes
============== ============================================ ====================================

The modules behind it: `dataset` (the result), `digits`, `fashion_sample`, `folders`, `shards` with
`shard_index`, `shard_writing` and `shard_checking`, and `torchvision_readers`, which alone imports
torchvision, and only when it is needed; `torchvision_layout` knows where its files lie, `fetching`
brings them there, `idx` reads those of MNIST and Fashion-MNIST. `superclasses` says which classes
of CIFAR-100 belong together.
"""

import os

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.locations import data_root

__all__ = ["DATASETS", "Dataset", "load_dataset"]

DATASETS = ("digits", "fashion_mnist", "mnist", "cifar10", "cifar100")
FOLDER_PREFIX = "folder:"
SHARDS_PREFIX = "shards:"


def load_dataset(
    name: str,
    split: str = "test",
    limit: int | None = None,
    root: str | os.PathLike[str] | None = None,
    *,
    size: int = 32,
) -> Dataset:
    """Load one split of a data set by name.

    Files that are there are used as they are. Where they are missing, `mnist`, `fashion_mnist`,
    `cifar10` and `cifar100` are downloaded into `root`, with one exception: the test split of
    `fashion_mnist` never waits for a network but falls back to the sample of 1,000 images that is
    shipped with the project, and `source` says so. Loading its train split fetches the full test
    split as well.

    Parameters
    ----------
    name : str
        One of `DATASETS`, or `folder:PATH`: `PATH/train` and `PATH/test` hold the same class
        folders, and each class folder holds pictures; or `shards:PATH`: what `mmc-viz shards` has
        written there, read from the disk as it is used.
    split : {"test", "train"}
        Which part.
    limit : int, optional
        Take only the first `limit` images in stored order, at least 1. A number above the size of
        the split takes all. `digits`, the Fashion-MNIST sample and image folders are stored so that
        such a prefix has about as many images of every class.
    root : path, optional
        Folder with the standard data sets in torchvision's layout. Default: see
        `mmc_viz.locations.data_root`. Not used by `digits` and the two with a PATH.
    size : int
        Height and width in pixels of the images of `folder:PATH`: the short side is resized to it
        and the centre is cut out. The other data sets keep their own size.

    Returns
    -------
    data : Dataset
        Images as uint8 `[N, C, H, W]`, labels, class names, and in `source` what was read.

    Raises
    ------
    ValueError
        If an argument is out of range, or the files are missing and cannot be downloaded, or are
        damaged. The message says what, where, and what to do.

    Examples
    --------
    >>> data = load_dataset("digits", limit=100)
    >>> tuple(data.images.shape), data.class_names[:3]
    ((100, 1, 8, 8), ['0', '1', '2'])
    """
    if name not in DATASETS and not name.startswith((FOLDER_PREFIX, SHARDS_PREFIX)):
        legal = ", ".join(DATASETS)
        raise ValueError(
            f"`name` must be one of {legal}, folder:PATH or shards:PATH; got {name!r}."
        )
    if split not in ("train", "test"):
        raise ValueError(f"`split` must be 'train' or 'test'; got {split!r}.")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ValueError(f"`limit` must be a whole number of at least 1, or None; got {limit!r}.")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"`size` must be a whole number of at least 1; got {size!r}.")

    # Each source is imported when asked for: scikit-learn, Pillow and torchvision take seconds.
    if name == "digits":
        from mmc_viz.datasets.digits import load_digits_split

        data = load_digits_split(split)
    elif name.startswith(FOLDER_PREFIX):
        from mmc_viz.datasets.folders import load_folder

        data = load_folder(name, name.removeprefix(FOLDER_PREFIX), split, size=size, limit=limit)
    elif name.startswith(SHARDS_PREFIX):
        from mmc_viz.datasets.shards import load_shards

        data = load_shards(name, name.removeprefix(SHARDS_PREFIX), split)
    else:
        data = _load_standard(name, split, data_root(root))

    return data if limit is None else data.first(limit)


def _load_standard(name: str, split: str, root: os.PathLike[str]) -> Dataset:
    """Load one of torchvision's data sets, or the shipped sample where that stands in for it."""
    from mmc_viz.datasets import torchvision_layout as layout

    layout.require_folder(root)
    if name == "fashion_mnist" and split == "test" and not layout.is_there(name, split, root):
        from mmc_viz.datasets.fashion_sample import load_fashion_sample

        return load_fashion_sample()

    from mmc_viz.datasets.torchvision_readers import read

    return read(name, split, root)
