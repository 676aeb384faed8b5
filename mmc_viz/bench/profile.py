"""Where the time goes: the parts of a training step, of an attack step, and of the first picture.

The operations of a step are timed by torch's profiler and grouped by what they are for. Whatever
runs between them is our own Python and torch's. The profiler takes time itself, most of it where
operations are small, so that the parts add up to a little more than a step takes.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from mmc_viz.attacks import apgd, pgd
from mmc_viz.bench import first_picture
from mmc_viz.bench.attacks import EPS, OBJECTIVE, make_scene
from mmc_viz.bench.timing import Measurement, measured, one_thread
from mmc_viz.datasets import Dataset
from mmc_viz.training import TrainConfig
from mmc_viz.training.course import Course

ROUNDS = 5
BATCH = 128  # of training
STEPS = 5  # of an attack
NETWORKS = {"resnet20": (3, 32), "small_cnn": (1, 28)}  # channels and size of the images
ATTACKS = {"PGD": partial(pgd, step_size=EPS / (4 * STEPS)), "APGD": apgd}

BETWEEN = "Python between the operations"
REST = "head, loss, copies and the rest"
#: A part to the words that tell it by an operation, or by one that this is a part of. First wins.
PARTS = {
    "optimizer": ("optimizer.",),
    "convolutions, backward": ("convolution_backward", "convolutionbackward"),
    "convolutions, forward": ("convolution",),
    "batch norms": ("batch_norm", "batchnorm"),
    "rectifiers": ("relu", "clamp_min_", "threshold"),
    REST: ("",),
}


def measure() -> list[Measurement]:
    """Parts of the steps on both networks, and of the first picture."""
    rows = []
    with one_thread():
        for network in NETWORKS:
            for head in ("sce", "mmc"):
                run, title = training_step(network, head), f"training step, {head.upper()}"
                rows += rows_of(f"{title}, {network}, batch {BATCH}", run, steps=1)
            for name in ATTACKS:
                run, images = attack(network, name)
                rows += rows_of(f"{name} step, {network}, batch {images}", run, steps=STEPS)
    return rows + first_picture.measure()


def training_step(network: str, head: str) -> Callable[[], object]:
    """Give the next step of a training run on random images, augmentation and all."""
    channels, size = NETWORKS[network]
    generator = torch.Generator().manual_seed(0)
    count = (ROUNDS + 1) * BATCH
    images = torch.randint(
        256, (count, channels, size, size), generator=generator, dtype=torch.uint8
    )
    labels = torch.randint(10, (count,), generator=generator)
    names = [str(label) for label in range(10)]
    noise = Dataset("noise", "train", images, labels, names, "random bytes")
    config = TrainConfig(
        network=network, head=head, epochs=1, batch_size=BATCH, augmentation="shift_flip"
    )
    return Course(config, noise, device="cpu").advance


def attack(network: str, name: str) -> tuple[Callable[[], object], int]:
    """Give an attack that no image leaves early, and how many images it is on."""
    scene = make_scene(network, *NETWORKS[network])
    settings = {"eps": EPS, "steps": STEPS, "objective": OBJECTIVE}
    run = partial(ATTACKS[name], scene.model, scene.images, scene.labels, **settings)
    return run, len(scene.images)


def rows_of(title: str, run: Callable[[], object], *, steps: int) -> list[Measurement]:
    """Give the milliseconds of each part of a step, of a run that takes some."""
    run()  # warms up
    rounds = [parts_of(run) for _ in range(ROUNDS)]
    parts = {name: [1e3 * parts[name] / steps for parts in rounds] for name in rounds[0]}
    whole = sum(median(times) for times in parts.values())
    return [
        measured(f"{title}: {name}", times, "ms", f"{median(times) / whole:.0%} of {whole:.3g} ms")
        for name, times in parts.items()
    ]


def parts_of(run: Callable[[], object]) -> dict[str, float]:
    """Run under torch's profiler; give the seconds of each part."""
    # Else the profiler says on stderr each time that it starts and stops.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
    parts = dict.fromkeys((*PARTS, BETWEEN), 0.0)
    for event in profiler.events():
        parts[part_of(event)] += event.self_cpu_time_total / 1e6
    parts[BETWEEN] = max(0.0, seconds - sum(parts.values()))
    return parts


def part_of(event: Any) -> str:
    """Tell by its name, and the names of those it is a part of, what an operation is for."""
    names = ""
    while event is not None:
        names += f" {event.name.lower()}"
        event = event.cpu_parent
    return next(part for part, words in PARTS.items() if any(word in names for word in words))
