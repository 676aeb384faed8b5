"""What the first lesson sends to the browser, and what it costs to compute.

An epsilon path asks at each budget only for the images that no smaller budget has fooled. What that
spares is measured against as many separate runs of the attack, each on all clean images, in two
ways: as the attack runs, where an image leaves at the first iterate that fools the model; and as
if every image paid for all steps, as in libraries that know no early end.
"""

import time
from functools import partial
from statistics import median

import torch

from mmc_viz.attacks import pgd
from mmc_viz.bench import SUBJECTS
from mmc_viz.bench.passes import paid_in_full
from mmc_viz.bench.timing import Measurement, measured, one_thread, ratio, take_turns
from mmc_viz.bundles import pack
from mmc_viz.checkpoints import load_card, load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.networks import outputs
from mmc_viz.paths import compare, epsilon_path

IMAGES = 30
BUDGETS = 21
LARGEST = 0.3
STEPS = 20
ROUNDS = 3


def measure() -> list[Measurement]:
    """Size of the first notebook's paths, time to compute and to pack them; paths against runs."""
    models = {title: load_model(f"fashion-{title.lower()}") for title in ("SCE", "MMC")}
    data = load_dataset("fashion_mnist", limit=IMAGES)
    epsilons = [k / 100 for k in range(31)]
    inputs, computing, packing = data.inputs(), [], []
    for _ in range(1 + ROUNDS):  # the first warms up
        start = time.perf_counter()
        runs = compare(models, inputs, data.labels, epsilons, device="cpu", progress=False)
        computed = time.perf_counter()
        bundle = pack(runs, data.class_names)
        computing.append(computed - start)
        packing.append(time.perf_counter() - computed)
    plain = sum(path.images.numel() for paths in runs.values() for path in paths.values())
    threads = torch.get_num_threads()
    note = f"6 paths of 30 images and 31 budgets, {threads} threads, median of {ROUNDS}"
    sizes = [
        Measurement("path, bytes on the way", len(bundle) / 1e6, "MB", f"plain {plain / 1e6:.2f}"),
        measured("path, computing", computing[1:], "s", note),
        measured("path, packing", packing[1:], "s", note),
    ]
    with one_thread():
        return sizes + [row for name in SUBJECTS for row in path_against_runs(name)]


def path_against_runs(
    name: str, *, images: int = IMAGES, budgets: int = BUDGETS, rounds: int = 5
) -> list[Measurement]:
    """Ratio of a path under the margin to separate runs of PGD, for a shipped model.

    Parameters
    ----------
    name : str
        Of the model; its own data set is used.
    images : int
        How many test images.
    budgets : int
        How many budgets, evenly from 0 to 0.3.
    rounds : int
        How often each contestant runs.
    """
    model = load_model(name)
    data = load_dataset(load_card(name).dataset["name"], "test", limit=images)
    clean, labels = data.inputs(), data.labels
    epsilons = torch.linspace(0, LARGEST, budgets).tolist()
    taken_for = outputs(model, clean)[0].argmax(dim=1)

    attack = partial(pgd, steps=STEPS)

    def separate() -> None:
        for eps in epsilons:
            attack(model, clean, labels, eps=eps)

    # Steps of no length worth the name fool nobody, and nobody comes to rest: all steps are paid.
    in_full = partial(attack, model, clean, taken_for, eps=1e-4, step_size=1e-6)
    paid_in_full(f"pgd on {name}", model, in_full, images=len(clean), steps=STEPS)
    contestants = {
        "path": partial(epsilon_path, model, clean, labels, epsilons, attack=attack),
        "runs": separate,
        "full": in_full,
    }
    seconds = take_turns(contestants, rounds=rounds)
    seconds["full"] = [budgets * second for second in seconds["full"]]
    path, runs, full = (f"{median(seconds[each]):.2f} s" for each in contestants)
    note = (
        f"PGD-{STEPS}, margin, {len(clean)} images; path {path} CPU, runs {runs}, "
        f"paid in full {full}"
    )
    aim = "; aim 0.5" if name == "fashion-sce" else ""
    title = f"path of {budgets} budgets / {budgets} runs of PGD"
    return [
        ratio(f"{title}, {name}", seconds["path"], seconds["runs"], note + aim),
        ratio(
            f"{title}, every image paying for all steps, {name}",
            seconds["path"],
            seconds["full"],
            f"{note}; the last is {budgets} times one such run",
        ),
    ]
