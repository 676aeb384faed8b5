"""The standard data sets, fetched and partly read by torchvision; nothing else imports it.

torchvision's wheels are built for CUDA, and beside a CPU-only torch `import torchvision` dies with
"operator torchvision::nms does not exist". Only its Python parts are needed here, so where the
compiled operators are missing, the two whose shapes the import describes are declared, without any
code behind them.

CIFAR's files are pickles. torchvision compares every file with the official MD5 before it opens
it, those of the class names too, and refuses what differs, so nothing else is ever unpickled. idx
files (MNIST, Fashion-MNIST) hold numbers only and are read by `idx`, within the official sizes;
torchvision would read any size, and take a converted copy (`processed/*.pt`) for the data where one
lies there. It is imported only where something has to be fetched or unpickled, for that takes
seconds.
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
from mmc_viz.datasets.fashion_sample import CLASS_NAMES
from mmc_viz.datasets.fetching import download, unpack
from mmc_viz.datasets.idx import read_idx

READERS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}

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
    if name in layout.IDX_FOLDERS:
        images, labels, class_names = _read_idx(name, split, root)
        official = layout.IDX_COUNTS[split]
    else:
        images, labels, class_names = _read_cifar(name, split, root)
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


def _reader(name: str) -> type:
    """Return torchvision's class for a data set."""
    return getattr(import_torchvision().datasets, READERS[name])


def _read_idx(
    name: str, split: str, root: Path
) -> tuple[UInt8[Tensor, "batch 1 28 28"], Int64[Tensor, " batch"], list[str]]:
    """Read images and labels of MNIST or Fashion-MNIST."""
    paths, shapes = layout.idx_files(name, split, root), layout.idx_shapes(split)
    missing = [path for path in paths if not path.is_file()]
    if layout.is_there(name, split, root):
        for path, largest in zip(paths, shapes, strict=True):
            if path in missing:
                unpack(name, path, largest)
    elif missing:
        download(name, split, _reader(name), root)

    read_files = []
    for path, largest in zip(paths, shapes, strict=True):
        try:
            read_files.append(read_idx(path, largest))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ValueError(
                f"`{name}`: {path} is damaged or cannot be read as an idx file ({reason}). "
                "Delete it, and it will be unpacked or downloaded again."
            ) from None
    images, labels = read_files
    if images.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
        raise ValueError(
            f"`{name}`: the files in {paths[0].parent} do not belong together: {split} images of "
            f"shape {list(images.shape)}, labels of shape {list(labels.shape)}. "
            "Delete them, and they will be downloaded again."
        )
    class_names = [str(i) for i in range(10)] if name == "mnist" else list(CLASS_NAMES)
    return images.unsqueeze(1), labels.long(), class_names


def _read_cifar(
    name: str, split: str, root: Path
) -> tuple[UInt8[Tensor, "batch 3 32 32"], Int64[Tensor, " batch"], list[str]]:
    """Read images and labels of CIFAR-10 or CIFAR-100, after all MD5 sums are found right."""
    reader = _reader(name)
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
