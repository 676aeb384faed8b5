"""What a training step costs with MMC, against one with SCE, and how much of a GPU it uses."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from mmc_viz.bench.timing import Measurement, measured, one_thread, ratio, take_turns
from mmc_viz.devices import choose_device
from mmc_viz.networks import make_classifier
from mmc_viz.training import TrainConfig
from mmc_viz.training.course import train_step
from mmc_viz.training.precision import forward
from mmc_viz.training.preparing import decay_groups

NETWORK = "resnet32"
BATCH, GPU_BATCH = 128, 512
#: Operations a second in bfloat16, dense, from the makers' data sheets.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def measure() -> list[Measurement]:
    """Ratio of the two steps on ResNet-32 with images of CIFAR's size, and images a second."""
    device = choose_device("auto")
    batch = GPU_BATCH if device.type == "cuda" else BATCH
    steps = {head: _step(head, batch, device) for head in ("sce", "mmc")}
    with one_thread():
        clock = time.perf_counter if device.type == "cuda" else time.process_time
        seconds = take_turns(steps, rounds=7 if device.type == "cpu" else 30, clock=clock)
    where = f"{NETWORK}, batch {batch}, {device.type}"
    said = ", ".join(f"{head.upper()} {1e3 * median(seconds[head]):.0f} ms" for head in steps)
    note = f"{where}; {said}"
    found = [ratio("training step, MMC / SCE", seconds["mmc"], seconds["sce"], note)]
    for head in steps:
        rates = [batch / second for second in seconds[head]]
        found.append(measured(f"training, {head.upper()}", rates, "images/s", where))
        share = _share_of_peak(median(rates), device)
        if share is not None:
            name = f"training, {head.upper()}, of the bfloat16 peak"
            found.append(Measurement(name, share, "share", where))
    return found


def _step(head: str, batch: int, device: torch.device) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, 32, 32, generator=generator).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), generator=generator).to(device)
    model = make_classifier(NETWORK, head, in_channels=3, num_classes=10).train()
    model = model.to(device, memory_format=torch.channels_last)
    config = TrainConfig(network=NETWORK, head=head)
    features, groups = forward(model, config), decay_groups(model, config)
    optimizer = torch.optim.SGD(groups, lr=1e-6, momentum=0.9, nesterov=True)

    def step() -> None:
        train_step(model, optimizer, images, labels, features)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def operations(network: str = NETWORK) -> int:
    """Additions and multiplications of one image's forward and backward pass, each counted."""
    model = make_classifier(network, "sce", in_channels=3, num_classes=10)
    images, labels = torch.rand(1, 3, 32, 32), torch.tensor([0])
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval().head(model.features(images), labels).sum().backward()
    return counter.get_total_flops()


def _share_of_peak(rate: float, device: torch.device) -> float | None:
    """Share of the device's peak in bfloat16, if it is a GPU whose peak we know."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((peak for known, peak in PEAKS.items() if known in name), None)
    return None if peak is None else rate * operations() / peak
