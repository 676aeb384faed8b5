"""The standard data sets, read by torchvision's own readers; nothing else imports torchvision.

torchvision's wheels are built for CUDA, and beside a CPU-only torch `import torchvision` dies with
"operator torchvision::nms does not exist". Only its Python parts are needed here, so where the
compiled operators are missing, the two whose shapes the import describes are declared, without any
code behind them.

CIFAR's files are pickles. torchvision compares every file with the official MD5 before it opens
it and refuses what differs, so nothing else is ever unpickled. idx files (MNIST, Fashion-MNIST)
hold numbers only.
"""

import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mmc_viz.datasets import torchvision_layout as layout
from mmc_viz.datasets.dataset import Dataset
from mmc_viz.datasets.fetching import download, unpack

READERS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}
IDX_COUNTS = {"train": 60_000, "test": 10_000}

# A declared operator lives as long as the library object that declared it.
_declared: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, whether or not its compiled part can be loaded.

    Returns
    -------
    torchvision : module
        The package; of it only `datasets` and `transforms` may be counted on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchvision
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                library.define(
                    f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            _declared.append(library)
            import torchvision
    return torchvision


def read(name: str, split: str, root: Path) -> Dataset:
    """Read one split of a standard data set; unpack or download it first where it is missing.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10", "cifar100"}
        Which data set.
    split : {"train", "test"}
        Which part.
    root : Path
        Folder in torchvision's layout.

    Returns
    -------
    data : Dataset
        The full split in its official order.

    Raises
    ------
    ValueError
        If the files are missing and cannot be downloaded, or are damaged.
    """
    reader = getattr(import_torchvision().datasets, READERS[name])
    if name in layout.IDX_FOLDERS:
        images, labels, class_names = _read_idx(name, split, reader, root)
        official = IDX_COUNTS[split]
    else:
        images, labels, class_names = _read_cifar(name, split, reader, root)
        official = len(images)  # its files have the official MD5
    what = f"the full {split} split, {len(images):,} images"
    if len(images) != official:
        what = f"a {split} split of {len(images):,} images, not the official {official:,}"
    return Dataset(
        name=name,
        split=split,
        images=images,
        labels=labels,
        class_names=class_names,
        source=f"{what} ({layout.FOLDERS[name]} in the data root)",
    )


def _read_idx(
    name: str, split: str, reader: type, root: Path
) -> tuple[UInt8[Tensor, "batch 1 28 28"], Int64[Tensor, " batch"], list[str]]:
    """Read images and labels of MNIST or Fashion-MNIST.

    torchvision's functions for one file are used rather than its class, which would take a
    converted copy of older releases (`processed/*.pt`) for the data where there is one.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file

    paths = layout.idx_files(name, split, root)
    missing = [path for path in paths if not path.is_file()]
    if layout.is_there(name, split, root):
        for path in missing:
            unpack(name, path)
    elif missing:
        download(name, split, reader, root)

    read_files = []
    for path, read_file in zip(paths, (read_image_file, read_label_file), strict=True):
        try:
            read_files.append(read_file(str(path)))
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, AssertionError):
            raise ValueError(
                f"`{name}`: {path} is damaged or cannot be read as an idx file. "
                "Delete it, and it will be unpacked or downloaded again."
            ) from None
    images, labels = read_files
    if images.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
        raise ValueError(
            f"`{name}`: the files in {paths[0].parent} do not belong together: {split} images of "
            f"shape {list(images.shape)}, labels of shape {list(labels.shape)}. "
            "Delete them, and they will be downloaded again."
        )
    class_names = [str(i) for i in range(10)] if name == "mnist" else list(reader.classes)
    return images.unsqueeze(1), labels, class_names


def _read_cifar(
    name: str, split: str, reader: type, root: Path
) -> tuple[UInt8[Tensor, "batch 3 32 32"], Int64[Tensor, " batch"], list[str]]:
    """Read images and labels of CIFAR-10 or CIFAR-100, after all MD5 sums are found right."""
    from torchvision.datasets.utils import check_integrity

    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    paths = [(root / reader.base_folder / file, md5) for file, md5 in files]
    if not all(path.is_file() for path, _ in paths):
        download(name, split, reader, root)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy on how old the pickles are
            stored = reader(root, train=split == "train")
    except OSError as error:
        raise ValueError(f"`{name}` cannot be read: {error}. Check the rights on {root}.") from None
    except RuntimeError:
        damaged = [path for path, md5 in paths if not check_integrity(path, md5)]
        raise ValueError(
            f"`{name}`: {damaged[0] if damaged else root} is damaged: its MD5 is not the official "
            "one, so it was not opened. Delete it, and the data set will be downloaded again."
        ) from None
    images = np.ascontiguousarray(stored.data.transpose(0, 3, 1, 2))
    return torch.from_numpy(images), torch.tensor(stored.targets), list(stored.classes)
