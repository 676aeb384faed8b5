"""Our worst case against the published AutoAttack, image by image.

What counts is what one finds and the other does not: an image that AutoAttack alone breaks is one
that `worst_case` would have called robust. Needs the extra `autoattack`.
"""

import time

from jaxtyping import Bool
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.attacks.published import autoattack, load_published
from mmc_viz.bench.timing import Measurement, one_thread
from mmc_viz.checkpoints import load_card, load_model, shipped_models
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import correct, worst_case

IMAGES = 200


def budget_of(name: str) -> float:
    """Choose a budget at which some images of a shipped model hold and some fall."""
    hard = name.startswith("digits") or name.endswith("-at")
    return 0.1 if hard else 0.015


def measure() -> list[Measurement]:
    """For each shipped model, the images that one of the two breaks alone, and the seconds.

    Raises
    ------
    ValueError
        If the extra is not installed.
    """
    load_published()
    with one_thread():
        return [row for name in tqdm(shipped_models(), unit="model") for row in _compare(name)]


def _compare(name: str) -> list[Measurement]:
    model, eps = load_model(name), budget_of(name)
    data = load_dataset(load_card(name).dataset["name"], "test", limit=IMAGES)
    images, labels = data.inputs(), data.labels
    start = time.process_time()
    ours = worst_case(model, images, labels, eps=eps).robust
    middle = time.process_time()
    theirs = correct(model, autoattack(model, images, labels, eps=eps), labels)
    end = time.process_time()
    return [
        _alone("AutoAttack", name, ours & ~theirs, eps, int(theirs.sum()), end - middle),
        _alone("worst_case", name, theirs & ~ours, eps, int(ours.sum()), middle - start),
    ]


def _alone(
    who: str, name: str, broken: Bool[Tensor, " batch"], eps: float, left: int, seconds: float
) -> Measurement:
    rows = broken.nonzero()[:, 0].tolist()
    which = f": {', '.join(map(str, rows))}" if rows else ""
    return Measurement(
        f"broken by {who} alone, {name}",
        float(len(rows)),
        "images",
        f"of {len(broken)}, linf {eps}{which}; it leaves {left}, in {seconds:.0f} s CPU",
    )
