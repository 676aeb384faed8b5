"""Attacks against their floor: one forward pass and one gradient of the input for each step.

The floor runs on the model as given, its parameters frozen, and does nothing else: no projection,
no decision. An attack can beat it only by working on a cheaper form of the same function. Other
libraries run beside ours where they are installed, on the same model and the same objective. They
get it with frozen parameters, which is the best case for them, and once as a user would hand it
over.

The ball is so small that no image is fooled. So no image leaves the batch early, and every step of
every image is paid for; the passes through the network are counted before anything is timed.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import apgd, pgd
from mmc_viz.bench.libraries import INSTALL, apgd_of_others, missing, pgd_of_others
from mmc_viz.bench.timing import Measurement, one_thread, take_turns
from mmc_viz.networks import make_classifier
from mmc_viz.objectives import margin

BATCH = 64
EPS = 1e-4
OBJECTIVE = "cross_entropy"  # torchattacks has no other


def measure() -> list[Measurement]:
    """Ratios of PGD and Auto-PGD to the floor, on three networks of random weights."""
    for library in missing():
        print(f"  {library} is left out, it is not installed: {INSTALL[library]}", flush=True)
    small, v1, v2 = (
        _scene("small_cnn", 1, 28),
        _scene("resnet20", 3, 32),
        _scene("resnet20v2", 3, 32),
    )
    with one_thread():
        return [
            *compare_pgd(small, steps=20, rounds=9),
            *compare_apgd(small, steps=20, rounds=9),
            *compare_pgd(v1, steps=10, rounds=5, aim="aim 0.75", as_given=True),
            *compare_pgd(v1, steps=50, rounds=3, aim="aim 0.75"),
            *compare_apgd(v1, steps=20, rounds=3, aim="aim 1.15"),
            *compare_pgd(v2, steps=10, rounds=3),
            *compare_apgd(v2, steps=20, rounds=3),
        ]


@dataclass(frozen=True)
class Scene:
    """A network and images that none of the attacks can fool.

    Attributes
    ----------
    network : str
        Its name.
    model : nn.Module
        In evaluation mode, parameters frozen.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        What the model takes them for.
    """

    network: str
    model: nn.Module
    images: Float[Tensor, "batch channels height width"]
    labels: Int[Tensor, " batch"]


def _scene(network: str, in_channels: int, size: int, batch: int = BATCH) -> Scene:
    # The head of SCE: its logits are small at first, so that cross-entropy has a gradient.
    model = make_classifier(network, "sce", in_channels=in_channels, num_classes=10)
    model.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2 * batch, in_channels, size, size, generator=generator) / 2 + 0.25
    logits = model(images)
    lead = -margin(logits, logits.argmax(dim=1))
    images = images[lead.topk(batch).indices]  # none of them near a tie
    return Scene(network, model, images, model(images).argmax(dim=1))


def compare_pgd(
    scene: Scene, *, steps: int, rounds: int, aim: str = "", as_given: bool = False
) -> list[Measurement]:
    """Measure PGD of ours and of others; with `as_given` also with parameters not frozen."""
    # Steps too short to reach the rim of the ball: an image at rest would leave the batch.
    size = EPS / (4 * steps)
    attack = partial(pgd, eps=EPS, steps=steps, step_size=size, objective=OBJECTIVE)
    others = pgd_of_others(eps=EPS, steps=steps, step_size=size)
    return _compare(scene, f"PGD-{steps}", steps, attack, others, rounds, aim, as_given)


def compare_apgd(scene: Scene, *, steps: int, rounds: int, aim: str = "") -> list[Measurement]:
    """Measure Auto-PGD of ours and of others."""
    attack = partial(apgd, eps=EPS, steps=steps, objective=OBJECTIVE)
    others = apgd_of_others(eps=EPS, steps=steps)
    return _compare(scene, f"APGD-{steps}", steps, attack, others, rounds, aim)


def _compare(
    scene: Scene,
    title: str,
    steps: int,
    ours: Callable,
    others: dict[str, Callable],
    rounds: int,
    aim: str,
    as_given: bool = False,
) -> list[Measurement]:
    model, images, labels = scene.model, scene.images, scene.labels
    attacks = {"mmc_viz": ours, **others}
    paid = {
        name: paid_passes(model, images, partial(attack, model, images, labels), steps, name)
        for name, attack in attacks.items()
    }

    def floor() -> None:
        for _ in range(steps):
            point = images.clone().requires_grad_()
            torch.autograd.grad(model(point).sum(), point)

    contestants = {name: partial(attack, model, images, labels) for name, attack in attacks.items()}
    if as_given:
        given = copy.deepcopy(model).requires_grad_(True)
        for name, attack in attacks.items():
            contestants[f"{name}, parameters not frozen"] = partial(attack, given, images, labels)
            paid[f"{name}, parameters not frozen"] = paid[name]
    seconds = take_turns({"floor": floor, **contestants}, rounds=rounds)
    shape = "x".join(str(size) for size in images.shape)
    return [
        Measurement(
            f"{title} / floor, {scene.network}, {name}",
            seconds[name] / seconds["floor"],
            "ratio",
            f"{shape}; {seconds[name]:.2f} s CPU, floor {seconds['floor']:.2f} s; an image pays "
            f"{paid[name]}" + (f"; {aim}" if aim and name == "mmc_viz" else ""),
        )
        for name in contestants
    ]


def paid_passes(
    model: nn.Module, images: Tensor, run: Callable[[], object], steps: int, name: str
) -> str:
    """Say what each image pays for in a run: gradients, and forward passes without.

    Raises
    ------
    RuntimeError
        If some image was spared a gradient; a ratio to the floor would flatter.
    """
    gradients, forwards = count_passes(model, run)
    if gradients < steps * len(images):
        raise RuntimeError(
            f"An image left the batch of {name} early: {gradients} gradients were taken of "
            f"{len(images)} images in {steps} steps; the ratio would flatter."
        )
    return (
        f"{gradients / len(images):g} gradients and {forwards / len(images):g} more forward passes"
    )


def count_passes(model: nn.Module, run: Callable[[], object]) -> tuple[int, int]:
    """Count images that go through the model, or a copy, in a run: with gradient, and without.

    They are counted at the first convolution, in front of which nothing is ever folded.
    """
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    counts = {True: 0, False: 0}

    # A function and not an object: copies of the model then share it, and so do its folded forms.
    def count(module: nn.Module, inputs: tuple[Tensor]) -> None:
        counts[inputs[0].requires_grad] += len(inputs[0])

    handle = first.register_forward_pre_hook(count)
    try:
        run()
    finally:
        handle.remove()
    return counts[True], counts[False]
