"""What a training step costs with MMC, against one with SCE."""

import torch

from mmc_viz.bench.timing import Measurement, one_thread, take_turns
from mmc_viz.networks import make_classifier
from mmc_viz.training import TrainConfig
from mmc_viz.training.loop import decay_groups, train_step

BATCH = 128
NETWORK = "resnet32"


def measure() -> list[Measurement]:
    """Ratio of the two steps on ResNet-32 with 128 images of CIFAR's size."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 3, 32, 32, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,), generator=generator)

    def step(head: str):
        model = make_classifier(NETWORK, head, in_channels=3, num_classes=10)
        model = model.train().to(memory_format=torch.channels_last)
        groups = decay_groups(model, TrainConfig(network=NETWORK, head=head))
        optimizer = torch.optim.SGD(groups, lr=1e-6, momentum=0.9, nesterov=True)
        return lambda: train_step(model, optimizer, images, labels)

    with one_thread():
        seconds = take_turns({head: step(head) for head in ("sce", "mmc")}, rounds=7)
    return [
        Measurement(
            "training step, MMC / SCE",
            seconds["mmc"] / seconds["sce"],
            "ratio",
            f"{NETWORK}, batch {BATCH}; SCE {seconds['sce'] * 1e3:.0f} ms CPU, "
            f"MMC {seconds['mmc'] * 1e3:.0f} ms",
        )
    ]
