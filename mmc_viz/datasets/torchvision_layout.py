"""Where torchvision keeps the files of its data sets under a root folder.

    ROOT/MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte
    ROOT/FashionMNIST/raw/...                                      the same
    ROOT/cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta}
    ROOT/cifar-100-python/{train,test,meta}

An idx file may also lie there packed, as `NAME.gz`. Knowing the layout here means that one can ask
whether a data set is there without the seconds that importing torchvision takes.
"""

from pathlib import Path

IDX_FOLDERS = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}
CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
FOLDERS = IDX_FOLDERS | CIFAR_FOLDERS
#: Images of the official splits of MNIST and Fashion-MNIST.
IDX_COUNTS = {"train": 60_000, "test": 10_000}


def require_folder(root: Path) -> None:
    """Raise a `ValueError` unless the data root is a folder."""
    if not root.is_dir():
        raise ValueError(
            f"`root` must be an existing folder for data sets; got {str(root)!r}. "
            "Make it first, or correct `root` (MMC_VIZ_DATA, --data-root)."
        )


def idx_files(name: str, split: str, root: Path) -> tuple[Path, Path]:
    """Return where the image file and the label file of an idx data set lie when unpacked."""
    folder = root / IDX_FOLDERS[name]
    stem = "train" if split == "train" else "t10k"
    return folder / f"{stem}-images-idx3-ubyte", folder / f"{stem}-labels-idx1-ubyte"


def idx_shapes(split: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of the official image file and label file; no file has more."""
    count = IDX_COUNTS[split]
    return (count, 28, 28), (count,)


def packed(path: Path) -> Path:
    """Return where the packed form of an idx file lies."""
    return path.with_name(path.name + ".gz")


def is_there(name: str, split: str, root: Path) -> bool:
    """Tell whether both idx files of a split are there, packed or not; says nothing of content."""
    files = idx_files(name, split, root)
    return all(path.is_file() or packed(path).is_file() for path in files)
