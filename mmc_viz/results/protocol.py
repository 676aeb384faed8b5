"""What is measured of a model, and on which images: the same for all models of a data set."""

import os
from dataclasses import dataclass

from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.datasets.fashion_sample import load_fashion_sample


@dataclass(frozen=True)
class Protocol:
    """Budgets of one data set, in the unit of the images.

    Attributes
    ----------
    epsilons : tuple of float
        In linf, rising: of PGD and of the worst case.
    middle : float
        In linf: of the attacks that ask by queries alone, of transfer, and of the audit of a model
        that was not trained for a budget of its own.
    trained : float
        In linf: what adversarial training is for, and where all models are shown on one plane.
    l2 : float
        Within which what C&W finds counts as fooled; the median distance does not depend on it.
    """

    epsilons: tuple[float, ...]
    middle: float
    trained: float
    l2: float


#: Budgets by data set.
PROTOCOL: dict[str, Protocol] = {
    "digits": Protocol((0.05, 0.1, 0.2), 0.1, 0.1, 0.5),
    "mnist": Protocol((0.1, 0.2, 0.3), 0.2, 0.3, 1.0),
    "fashion_mnist": Protocol((0.03, 0.06, 0.1), 0.06, 0.1, 0.5),
    "cifar10": Protocol((8 / 255, 16 / 255), 8 / 255, 8 / 255, 0.5),
    "cifar100": Protocol((8 / 255, 16 / 255), 8 / 255, 8 / 255, 0.5),
}
#: How data sets are called in tables and figures.
TITLES = {
    "digits": "Digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
}
#: How many test images, unless another number is asked for.
IMAGES = 1000


def test_images(
    name: str, limit: int = IMAGES, root: str | os.PathLike[str] | None = None
) -> Dataset:
    """Give the test images on which all models of a data set are measured.

    They are the first `limit` of the test split in stored order. Of Fashion-MNIST they are those of
    the shipped sample, also where the full split is there, so that anyone can measure the same.

    Parameters
    ----------
    name : str
        A key of `PROTOCOL`.
    limit : int
        How many at most.
    root : path, optional
        Folder with the standard data sets.

    Raises
    ------
    ValueError
        If the data set has no protocol, or is not there and cannot be fetched.
    """
    if name not in PROTOCOL:
        raise ValueError(f"`name` must be one of {', '.join(PROTOCOL)}; got {name!r}.")
    if name == "fashion_mnist" and limit <= IMAGES:
        return load_fashion_sample().first(limit)
    return load_dataset(name, "test", limit, root)


def indices(name: str, count: int) -> str:
    """Say which images of the official test split the first `count` of `test_images` are."""
    if name == "fashion_mnist" and count <= IMAGES:
        return f"the first {count:,} of `test_indices` in data/samples/fashion_mnist_test.npz"
    if name == "digits":
        return f"the first {count:,} of `test` in data/samples/digits_split.json"
    return f"0 to {count - 1:,} of the official test split"
