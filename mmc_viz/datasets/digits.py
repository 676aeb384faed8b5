"""`digits`: 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn.

Small enough to train on while a class watches. scikit-learn stores ink as 0..16; here a pixel is
round(ink * 255 / 16). It has no split of its own, so one was drawn once, stratified by class: 360
test images, whose indices are kept in `data/samples/digits_split.json`, and 1,437 for training.
That file is the truth; `data/README.md` says how it was made.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from mmc_viz.datasets.dataset import Dataset
from mmc_viz.files import read_json
from mmc_viz.locations import SAMPLES_DIR

TEST_COUNT = 360  # of the 1,797 images
_MOST_BYTES = 100_000  # of the file with the indices


def load_digits_split(split: str) -> Dataset:
    """Load the train or test split of `digits`, in scikit-learn's order.

    Parameters
    ----------
    split : {"train", "test"}
        1,437 or 360 images.

    Returns
    -------
    data : Dataset
        Images `[N, 1, 8, 8]`, classes "0" to "9".

    Raises
    ------
    ValueError
        If the file with the test indices is missing or damaged.

    References
    ----------
    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, https://doi.org/10.24432/C50P49 (CC BY 4.0).
    """
    ink, labels = _ink_and_labels()
    in_test = np.zeros(len(labels), dtype=bool)
    in_test[_test_indices(len(in_test))] = True
    chosen = in_test if split == "test" else ~in_test
    # 255 v / 16 never ends in one half (255 is odd), so there is only one way to round.
    pixels = np.rint(ink[chosen] * 255 / 16).astype(np.uint8)
    return Dataset(
        name="digits",
        split=split,
        images=torch.from_numpy(pixels).unsqueeze(1),
        labels=torch.from_numpy(labels[chosen].astype(np.int64)),
        class_names=[str(digit) for digit in range(10)],
        source=f"the full {split} split of scikit-learn's digits, {len(pixels):,} images",
    )


def _ink_and_labels() -> tuple[Float64[np.ndarray, "N 8 8"], Float64[np.ndarray, " N"]]:
    """Read scikit-learn's file of digits: ink in 0..16, and classes.

    Importing scikit-learn for it would take longer than reading, training a step and drawing.
    """
    package = importlib.util.find_spec("sklearn").submodule_search_locations[0]
    file = Path(package) / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]


def _test_indices(count: int) -> list[int]:
    """Read the indices of the test images, each below `count` and there once."""
    path = SAMPLES_DIR / "digits_split.json"
    try:
        indices = read_json(path, _MOST_BYTES)["test"]
        # bool is an int to isinstance, and would choose other images.
        if type(indices) is not list or {type(index) for index in indices} != {int}:
            raise ValueError("`test` must be a list of whole numbers")
        if len(indices) != TEST_COUNT:
            raise ValueError(f"it has {len(indices)} indices, not {TEST_COUNT}")
        if sorted(set(indices)) != indices or not 0 <= indices[0] <= indices[-1] < count:
            raise ValueError(f"the indices are not ascending within 0..{count - 1}")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"The split of `digits` cannot be read from {path} ({error}): "
            "fetch this file from the repository again."
        ) from None
    return indices
