"""Our worst case against the published AutoAttack, image by image.

What counts is what one finds and the other does not: an image that AutoAttack alone breaks is one
that `worst_case` would have called robust. The models that were trained adversarially are compared
in l2 too, where the gradient does not see what they have learned to overlook. Needs the extra
`autoattack`.
"""

import time

from jaxtyping import Bool
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.attacks.published import autoattack, load_published
from mmc_viz.bench import SUBJECTS
from mmc_viz.bench.timing import Measurement, one_thread
from mmc_viz.checkpoints import load_card, load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import correct, worst_case

IMAGES = 200


def budgets_of(name: str) -> dict[str, float]:
    """Choose, norm by norm, a budget at which some images of a shipped model hold and some fall."""
    if name.endswith("-at"):
        return {"linf": 0.1, "l2": 1.0}
    return {"linf": 0.1 if name.startswith("digits") else 0.015}


def measure() -> list[Measurement]:
    """For each shipped model, the images that one of the two breaks alone, and the seconds.

    Raises
    ------
    ValueError
        If the extra is not installed.
    """
    load_published()
    with one_thread():
        return [
            row
            for name in tqdm(SUBJECTS, unit="model")
            for norm, eps in budgets_of(name).items()
            for row in _compare(name, norm, eps)
        ]


def _compare(name: str, norm: str, eps: float) -> list[Measurement]:
    model = load_model(name)
    data = load_dataset(load_card(name).dataset["name"], "test", limit=IMAGES)
    images, labels = data.inputs(), data.labels
    start = time.process_time()
    ours = worst_case(model, images, labels, eps=eps, norm=norm).robust
    middle = time.process_time()
    theirs = correct(model, autoattack(model, images, labels, eps=eps, norm=norm), labels)
    end = time.process_time()
    within = f"{norm} {eps}"
    return [
        _alone("AutoAttack", name, ours & ~theirs, within, int(theirs.sum()), end - middle),
        _alone("worst_case", name, theirs & ~ours, within, int(ours.sum()), middle - start),
    ]


def _alone(
    who: str, name: str, broken: Bool[Tensor, " batch"], within: str, left: int, seconds: float
) -> Measurement:
    rows = broken.nonzero()[:, 0].tolist()
    which = f": {', '.join(map(str, rows))}" if rows else ""
    return Measurement(
        f"broken by {who} alone, {name}, {within}",
        float(len(rows)),
        "images",
        f"of {len(broken)}{which}; it leaves {left}, in {seconds:.0f} s CPU",
    )
