"""The sample of Fashion-MNIST that is shipped, so that every lesson works without a network.

It holds 1,000 of the 10,000 test images: the first 100 of each class in the order of the test
split, stored class by class in turn (0, 1, ..., 9, 0, 1, ..., 9, ...), so that the first 10k images
have k of each class. `data/README.md` says how it was made; its licence (MIT, Zalando SE) lies
beside it.
"""

import zipfile
import zlib

import numpy as np
import torch

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.locations import SAMPLES_DIR

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
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"The shipped sample of `fashion_mnist` cannot be read from {path} ({error}): "
            "fetch this file from the repository again."
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
