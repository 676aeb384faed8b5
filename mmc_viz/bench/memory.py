"""Whether an evaluation takes more memory for more images: it must not, beyond its results.

`mmc-viz evaluate` runs as anybody would run it, in a process of its own, on a model of random
weights and on shards of random images of the size of CIFAR's. Their labels are what the model says,
and the budget is so small that no image is fooled; so every image goes through the attack.

The images are mapped from the disk. Pages of a file are told apart from memory of the process's
own: the system drops them when it needs the place, so they count only where nobody else wants it.
"""

import hashlib
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mmc_viz.bench.processes import Memory, peak_of
from mmc_viz.bench.timing import Measurement
from mmc_viz.checkpoints import Card, save_model
from mmc_viz.datasets.dataset import fingerprint
from mmc_viz.datasets.shard_index import INDEX, Index, Split
from mmc_viz.datasets.shards import SHARD_BYTES
from mmc_viz.files import write_whole
from mmc_viz.networks import Classifier, make_classifier, outputs
from mmc_viz.training import TrainConfig

FEW, MANY = 10_000, 40_000
SHAPE = (3, 32, 32)
NETWORK, HEAD = "small_cnn", "sce"
CLASSES = [str(label) for label in range(10)]
PIECE = 1_000  # images that are made at once
THREADS = 1


def measure() -> list[Measurement]:
    """Peak memory on 10,000 images and on 40,000, and the ratio of the two."""
    with tempfile.TemporaryDirectory(prefix="mmc-viz-bench-") as folder:
        model, images = Path(folder) / "model", Path(folder) / "images"
        make_subject(model, images, MANY)
        held, rows = {}, []
        for count in (FEW, MANY):
            held[count], seconds = evaluate(model, images, count)
            rows += _rows(count, held[count], seconds)
    growth = held[MANY].anonymous / held[FEW].anonymous
    name = f"evaluate, peak memory of its own, {MANY:,} images / {FEW:,}"
    return [*rows, Measurement(name, growth, "ratio", "it must not grow; aim 1.1")]


def _rows(count: int, held: Memory, seconds: float) -> list[Measurement]:
    size = count * SHAPE[0] * SHAPE[1] * SHAPE[2] / 1e6
    what = f"evaluate, {count:,} images"
    note = f"{NETWORK}, FGSM, a fresh process, one thread; the images have {size:.0f} MB"
    return [
        Measurement(f"{what}, peak memory of its own", held.anonymous, "MB", note),
        Measurement(
            f"{what}, peak of pages of files",
            held.mapped,
            "MB",
            "libraries and images; the system can drop them at any time",
        ),
        Measurement(what, seconds, "s", note),
    ]


def evaluate(model: Path, images: Path, count: int) -> tuple[Memory, float]:
    """Evaluate a model on the first `count` images; give its peak of memory, and its seconds."""
    command = [
        *(sys.executable, "-m", "mmc_viz", "evaluate", str(model)),
        *("--dataset", f"shards:{images}", "--limit", str(count)),
        *("--attack", "fgsm", "--eps", "1e-5", "--device", "cpu", "--quiet"),
    ]
    return peak_of(command, threads=THREADS)


def make_subject(model: Path, images: Path, count: int) -> None:
    """Write a model of random weights, and shards of random images with the labels it gives."""
    network = make_classifier(NETWORK, HEAD, in_channels=SHAPE[0], num_classes=len(CLASSES))
    sha256 = write_images(images, network, count)
    card = Card(
        network=NETWORK,
        head=HEAD,
        in_channels=SHAPE[0],
        num_classes=len(CLASSES),
        dim=network.backbone.dim,
        class_names=CLASSES,
        dataset={"name": "noise", "sha256": sha256, "image_size": SHAPE[-1]},
        config=asdict(TrainConfig(network=NETWORK, head=HEAD)),
        seed=0,
    )
    save_model(model, network, card)


def write_images(folder: Path, model: Classifier, count: int) -> str:
    """Write `count` random images as the test split of a folder of shards; give its SHA-256."""
    folder.mkdir()
    generator, labels = np.random.default_rng(0), []
    with open(folder / "test.images", "wb") as file:
        for start in range(0, count, PIECE):
            shape = (min(PIECE, count - start), *SHAPE)
            piece = generator.integers(256, size=shape, dtype=np.uint8)
            file.write(piece)
            labels.append(outputs(model, torch.from_numpy(piece) / 255)[0].argmax(dim=1))
    return _describe(folder, torch.cat(labels))


def _describe(folder: Path, labels: Int64[Tensor, " batch"]) -> str:
    """Write the labels, and the index with all checksums."""
    content = labels.numpy().astype("<i8").tobytes()
    (folder / "test.labels").write_bytes(content)
    images = np.memmap(folder / "test.images", np.uint8, "r").reshape(-1, *SHAPE)
    per_shard = SHARD_BYTES // images[0].size
    pieces = [images[start : start + per_shard] for start in range(0, len(images), per_shard)]
    split = Split(
        count=len(images),
        source="random bytes",
        sha256=fingerprint(images.shape, pieces, labels),
        labels_sha256=hashlib.sha256(content).hexdigest(),
        shards=[hashlib.sha256(piece).hexdigest() for piece in pieces],
    )
    write_whole(folder / INDEX, Index("noise", CLASSES, *SHAPE, per_shard, {"test": split}).text())
    return split.sha256
