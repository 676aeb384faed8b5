"""PGD against its floor: one forward pass and one gradient of the input for each step.

The floor runs on the model as given, its parameters frozen, and does nothing else: no projection,
no decision. An attack can beat it only by working on a cheaper form of the same function.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from mmc_viz.attacks import pgd
from mmc_viz.bench.timing import Measurement, one_thread, take_turns
from mmc_viz.networks import make_classifier
from mmc_viz.objectives import margin

STEPS = 20
BATCH = 64
EPS = 1e-4


def measure() -> list[Measurement]:
    """Ratio of PGD-20 to the floor, on three networks of random weights."""
    return [
        _ratio("small_cnn", in_channels=1, size=28, rounds=9),
        _ratio("resnet20", in_channels=3, size=32, rounds=3),
        _ratio("resnet20v2", in_channels=3, size=32, rounds=3),
    ]


def _ratio(network: str, *, in_channels: int, size: int, rounds: int) -> Measurement:
    model = make_classifier(network, "mmc", in_channels=in_channels, num_classes=10)
    model.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2 * BATCH, in_channels, size, size, generator=generator) / 2 + 0.25
    logits = model(images)
    lead = -margin(logits, logits.argmax(dim=1))
    images = images[lead.topk(BATCH).indices]  # none of them near a tie
    labels = model(images).argmax(dim=1)

    def floor() -> None:
        for _ in range(STEPS):
            point = images.clone().requires_grad_()
            torch.autograd.grad(model(point).sum(), point)

    # Steps too short to reach the rim of a ball too small to hold a rival: no image is fooled and
    # none comes to rest, so none leaves early, and every step is paid for.
    attack = partial(pgd, model, images, labels, eps=EPS, steps=STEPS, step_size=EPS / (4 * STEPS))
    points: list[Tensor] = []
    attack(trace=lambda step, at, *_: points.append(at))
    moved = [(a != b).flatten(1).any(dim=1).all() for a, b in pairwise(points)]
    if not all(moved):
        raise RuntimeError(f"An image left the batch of {network} early; the ratio would flatter.")

    with one_thread():
        seconds = take_turns({"floor": floor, "pgd": attack}, rounds=rounds)
    return Measurement(
        f"PGD-{STEPS} / floor, {network}",
        seconds["pgd"] / seconds["floor"],
        "ratio",
        f"batch {BATCH}, {size}x{size}; floor {seconds['floor']:.2f} s CPU, "
        f"PGD {seconds['pgd']:.2f} s",
    )
