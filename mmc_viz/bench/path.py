"""What the first lesson sends to the browser, and what it costs to compute."""

import time

import torch

from mmc_viz.bench.timing import Measurement
from mmc_viz.bundles import pack
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.paths import compare


def measure() -> list[Measurement]:
    """Size of the six paths of the first notebook, and the time to compute and to pack them."""
    models = {title: load_model(f"fashion-{title.lower()}") for title in ("SCE", "MMC")}
    data = load_dataset("fashion_mnist", limit=30)
    epsilons = [k / 100 for k in range(31)]
    start = time.perf_counter()
    runs = compare(models, data.inputs(), data.labels, epsilons, device="cpu", progress=False)
    computed = time.perf_counter()
    bundle = pack(runs, data.class_names)
    packed = time.perf_counter()
    plain = sum(path.images.numel() for paths in runs.values() for path in paths.values())
    note = f"6 paths of 30 images and 31 budgets, {torch.get_num_threads()} threads, one run"
    return [
        Measurement("path, bytes on the way", len(bundle) / 1e6, "MB", f"plain {plain / 1e6:.2f}"),
        Measurement("path, computing", computed - start, "s", note),
        Measurement("path, packing", packed - computed, "s", note),
    ]
