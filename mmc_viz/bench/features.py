"""What the pictures of feature space cost: densities, contours, maps, centers, and their memory.

Nothing here has a rival to take turns with, so the numbers are seconds of this machine; only their
proportions carry over. Each is taken in a fresh process, whose peak of memory is its own: it
computes once at a small size, to load and compile what it needs, and then as often as asked.
"""

import json
import time
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.bench.processes import answer_of, forget_peak, peak
from mmc_viz.bench.timing import Measurement, measured
from mmc_viz.centers import spread_centers
from mmc_viz.checkpoints import load_model
from mmc_viz.contours import loss_on_plane, loss_surface, plane_of
from mmc_viz.datasets import load_dataset
from mmc_viz.density import neighbour_density
from mmc_viz.embeddings import fit
from mmc_viz.networks import outputs
from mmc_viz.training.augmentation import augment

THREADS = 2
RESOLUTION = 101
MODEL = "fashion-mmc"

#: Name of a task to the sizes it is measured at, how often, and the aim if there is one.
TASKS: dict[str, tuple[tuple[int, ...], int, str]] = {
    "loss surface about an image": ((RESOLUTION,), 3, "aim 1 s"),
    "loss on a plane of features": ((RESOLUTION,), 3, ""),
    "density": ((2_000, 10_000), 3, ""),
    "pca": ((2_000, 10_000), 3, ""),
    "umap": ((2_000, 10_000), 1, ""),
    "tsne": ((2_000, 10_000), 1, ""),
    "centers in 3 dimensions": ((24, 100), 1, ""),
}


def measure() -> list[Measurement]:
    """Seconds and peak memory of each task at each size."""
    return [
        row
        for task, (sizes, rounds, aim) in TASKS.items()
        for size in sizes
        for row in in_a_fresh_process(task, size, rounds, aim)
    ]


def prepare(task: str, size: int) -> Callable[[], object]:
    """Give what is to be timed: a task at a size, without loading data or model.

    Parameters
    ----------
    task : str
        A key of `TASKS`.
    size : int
        Points on a side of the grid, features, or centers.
    """
    if task == "centers in 3 dimensions":
        return partial(spread_centers, size, 3)
    model, data = load_model(MODEL), load_dataset("fashion_mnist")
    if task == "loss surface about an image":
        image, label = data.inputs()[0], int(data.labels[0])
        return partial(loss_surface, model, image, label, eps=0.06, resolution=size)
    if task == "loss on a plane of features":
        plane = plane_of(model.head, classes=(0, 1, 2))
        return partial(loss_on_plane, model.head, 0, plane, resolution=size)
    features, labels = features_of(size)
    if task == "density":
        return partial(neighbour_density, features, labels=labels)
    return partial(fit, task, features, cache=False)


def features_of(count: int) -> tuple[Float[Tensor, "batch dim"], Int[Tensor, " batch"]]:
    """Give features of as many images, and their labels: the shipped ones, shifted and mirrored."""
    data = load_dataset("fashion_mnist")
    images = []
    for epoch in range(-(-count // len(data))):
        indices = torch.arange(len(data))
        images.append(augment(data.images, indices, kind="shift_flip", seed=0, epoch=epoch))
    shown = torch.cat(images)[:count]
    labels = data.labels.repeat(len(images))[:count]
    return outputs(load_model(MODEL), shown / 255)[1], labels


def report(task: str, size: int, rounds: int) -> None:
    """Print the seconds of a task in each round and this process's peak of memory, as JSON."""
    torch.set_num_threads(THREADS)
    prepare(task, 21 if task.startswith("loss") else 200 if "centers" not in task else 8)()
    run, seconds = prepare(task, size), []
    forget_peak()
    before = peak()
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak()}))


def in_a_fresh_process(task: str, size: int, rounds: int, aim: str) -> list[Measurement]:
    """Run `report` in a new interpreter, and give its seconds and its peak of memory."""
    code = f"from mmc_viz.bench.features import report; report({task!r}, {size}, {rounds})"
    values = answer_of(code, threads=THREADS)
    what = f"{size} x {size}" if task.startswith("loss") else f"{size:,}"
    note = f"{THREADS} threads, {'median of ' + str(rounds) if rounds > 1 else 'one run'}"
    return [
        measured(f"{task}, {what}", values["seconds"], "s", f"{note}; {aim}" if aim else note),
        Measurement(
            f"{task}, {what}, peak memory",
            values["peak"],
            "MB",
            f"of the whole process; {values['before']:.0f} MB of it when the task began",
        ),
    ]
