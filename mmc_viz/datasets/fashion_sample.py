"""The sample of Fashion-MNIST that is shipped, so that every lesson works without a network.

It holds 1,000 of the 10,000 test images: the first 100 of each class in the order of the test
split, stored class by class in turn (0, 1, ..., 9, 0, 1, ..., 9, ...), so that the first 10k images
have k of each class. `data/README.md` says how it was made; its licence (MIT, Zalando SE) lies
beside it.
"""

import io
import zipfile

import numpy as np
import torch
from jaxtyping import UInt8

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.files import read_whole
from mmc_viz.locations import SAMPLES_DIR
from mmc_viz.texts import first_line

# As its authors spell them, https://github.com/zalandoresearch/fashion-mnist.
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_MOST_BYTES = 1_000_000  # of the file, which has less than half
_HEADER = 1_000  # bytes that an array may have before its numbers


def load_fashion_sample() -> Dataset:
    """Load the shipped sample of the Fashion-MNIST test split.

    Returns
    -------
    data : Dataset
        Images `[1000, 1, 28, 28]`, 100 of each of the ten classes.

    Raises
    ------
    ValueError
        If the shipped file is missing or damaged.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017, https://arxiv.org/abs/1708.07747.
    """
    path = SAMPLES_DIR / "fashion_mnist_test.npz"
    try:
        with zipfile.ZipFile(io.BytesIO(read_whole(path, _MOST_BYTES))) as stored:
            images = _bytes_of(stored, "images", (1000, 28, 28))
            labels = _bytes_of(stored, "labels", (1000,))
            if labels.max() >= len(CLASS_NAMES):
                raise ValueError(f"it has a label {labels.max()}")
    except Exception as error:  # a damaged archive makes `zipfile` raise what it likes
        raise ValueError(
            f"The shipped sample of `fashion_mnist` cannot be read from {path} "
            f"({first_line(error)}): fetch this file from the repository again."
        ) from None
    return Dataset(
        name="fashion_mnist",
        split="test",
        images=torch.from_numpy(images).unsqueeze(1),
        labels=torch.from_numpy(labels.astype(np.int64)),
        class_names=list(CLASS_NAMES),
        source="the shipped sample of the test split, 1,000 of 10,000 images, 100 a class "
        f"(data/samples/{path.name})",
    )


def _bytes_of(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]
) -> UInt8[np.ndarray, "..."]:
    """Read one array of bytes; its size and shape are asked before memory is taken for it."""
    entry, count = archive.getinfo(f"{name}.npy"), int(np.prod(shape))
    if not count < entry.file_size <= count + _HEADER:
        raise ValueError(f"`{name}` has {entry.file_size:,} bytes for a shape of {list(shape)}")
    with archive.open(entry) as stored:
        content = io.BytesIO(stored.read(entry.file_size))
    # The header alone is left to numpy, which would take memory for whatever it says.
    np.lib.format.read_magic(content)
    found, by_columns, dtype = np.lib.format.read_array_header_1_0(content, max_header_size=_HEADER)
    numbers = content.read()
    if (found, by_columns, dtype, len(numbers)) != (shape, False, np.uint8, count):
        raise ValueError(
            f"`{name}` holds {dtype} of shape {list(found)}, not bytes of {list(shape)}"
        )
    return np.frombuffer(numbers, np.uint8).reshape(shape).copy()
