"""Attacks against their floor: one forward pass and one gradient of the input for each step.

The floor runs on the model as given, its parameters frozen, and does nothing else: no projection,
no decision. An attack can beat it only by working on a cheaper form of the same function. Other
libraries run beside ours where they are installed, on the same model and the same objective. They
get it with frozen parameters, which is the best case for them, and once as a user would hand it
over.

The ball is so small that no image is fooled. So no image leaves the batch early, and every step of
every image is paid for; the passes through the network are counted before anything is timed.

Each comparison has a process of its own. A floor that gets its memory from the system anew at every
step pays for it, by a tenth or more; whether it does depends on what ran before in the process. In
a fresh one it is what somebody meets who has just begun.
"""

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import apgd, pgd
from mmc_viz.bench.libraries import INSTALL, Attack, apgd_of_others, missing, pgd_of_others
from mmc_viz.bench.passes import paid_in_full
from mmc_viz.bench.timing import Measurement, one_thread, ratio, take_turns
from mmc_viz.networks import make_classifier
from mmc_viz.objectives import margin

BATCH = 64
EPS = 1e-4
OURS = "mmc_viz"
OBJECTIVE = "cross_entropy"  # torchattacks has no other


@dataclass(frozen=True)
class Comparison:
    """An attack to be set against the floor, and on what.

    Attributes
    ----------
    attack : {"pgd", "apgd"}
        Which attack.
    network : tuple[str, int, int]
        Name of the network, channels of its images and their size.
    settings : dict
        As `compare_pgd` and `compare_apgd` take them.
    handed_over : bool
        Whether parameters are not frozen.
    """

    attack: str
    network: tuple[str, int, int]
    settings: dict[str, Any]
    handed_over: bool = False

    def run(self) -> list[Measurement]:
        """Measure it here."""
        compare = {"pgd": compare_pgd, "apgd": compare_apgd}[self.attack]
        with one_thread():
            scene = make_scene(*self.network)
            return compare(as_handed_over(scene) if self.handed_over else scene, **self.settings)


_SMALL, _V1, _V2 = ("small_cnn", 1, 28), ("resnet20", 3, 32), ("resnet20v2", 3, 32)
COMPARISONS = (
    Comparison("pgd", _SMALL, {"steps": 20, "rounds": 5}),
    Comparison("apgd", _SMALL, {"steps": 20, "rounds": 5}),
    Comparison("pgd", _V1, {"steps": 10, "rounds": 5, "aim": "0.75"}),
    Comparison("pgd", _V1, {"steps": 10, "rounds": 5}, handed_over=True),
    Comparison("pgd", _V1, {"steps": 50, "rounds": 5, "aim": "0.75"}),
    Comparison("apgd", _V1, {"steps": 20, "rounds": 5, "aim": "1.15"}),
    Comparison("pgd", _V2, {"steps": 10, "rounds": 5, "rivals": False}),
    Comparison("apgd", _V2, {"steps": 20, "rounds": 5, "rivals": False}),
)


def measure() -> list[Measurement]:
    """Ratios of PGD and Auto-PGD to the floor, on three networks of random weights."""
    for library in missing():
        print(f"  {library} is left out, it is not installed: {INSTALL[library]}", flush=True)
    rows = []
    for comparison in COMPARISONS:
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as process:
            rows += process.submit(comparison.run).result()
    return rows


@dataclass(frozen=True)
class Scene:
    """A network and images that none of the attacks can fool.

    Attributes
    ----------
    network : str
        Its name.
    model : nn.Module
        In evaluation mode.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        What the model takes them for.
    """

    network: str
    model: nn.Module
    images: Float[Tensor, "batch channels height width"]
    labels: Int[Tensor, " batch"]


def make_scene(network: str, in_channels: int, size: int, *, batch: int = BATCH) -> Scene:
    """Build a network of random weights, and images that lie far from its boundaries."""
    # The head of SCE: its logits are small at first, so that cross-entropy has a gradient.
    model = make_classifier(network, "sce", in_channels=in_channels, num_classes=10)
    model.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2 * batch, in_channels, size, size, generator=generator) / 2 + 0.25
    logits = model(images)
    lead = -margin(logits, logits.argmax(dim=1))
    images = images[lead.topk(batch).indices]  # none of them near a tie
    return Scene(network, model, images, model(images).argmax(dim=1))


def as_handed_over(scene: Scene) -> Scene:
    """Give the same scene with parameters not frozen, as a user would hand the model over."""
    model = copy.deepcopy(scene.model).requires_grad_(True)
    return replace(scene, network=f"{scene.network}, parameters not frozen", model=model)


def compare_pgd(
    scene: Scene, *, steps: int, rounds: int, rivals: bool = True, aim: str = ""
) -> list[Measurement]:
    """Measure PGD, ours and with `rivals` also that of others."""
    # Steps too short to reach the rim of the ball: an image at rest would leave the batch.
    size = EPS / (4 * steps)
    ours = partial(pgd, eps=EPS, steps=steps, step_size=size, objective=OBJECTIVE)
    others = pgd_of_others(eps=EPS, steps=steps, step_size=size) if rivals else {}
    return _compare(scene, f"PGD-{steps}", {OURS: ours, **others}, steps, rounds, aim)


def compare_apgd(
    scene: Scene, *, steps: int, rounds: int, rivals: bool = True, aim: str = ""
) -> list[Measurement]:
    """Measure Auto-PGD, ours and with `rivals` also that of others."""
    ours = partial(apgd, eps=EPS, steps=steps, objective=OBJECTIVE)
    others = apgd_of_others(eps=EPS, steps=steps) if rivals else {}
    return _compare(scene, f"APGD-{steps}", {OURS: ours, **others}, steps, rounds, aim)


def _compare(
    scene: Scene, title: str, attacks: dict[str, Attack], steps: int, rounds: int, aim: str
) -> list[Measurement]:
    model, images, labels = scene.model, scene.images, scene.labels
    runs = {name: partial(attack, model, images, labels) for name, attack in attacks.items()}
    paid = {
        name: paid_in_full(name, model, run, images=len(images), steps=steps)
        for name, run in runs.items()
    }
    plain = copy.deepcopy(model).requires_grad_(False)

    def floor() -> None:
        for _ in range(steps):
            point = images.clone().requires_grad_()
            torch.autograd.grad(plain(point).sum(), point)

    seconds = take_turns({"floor": floor, **runs}, rounds=rounds)
    floored = f"floor {median(seconds['floor']):.2f} s"
    shape = "x".join(str(size) for size in images.shape)
    return [
        ratio(
            f"{title} / floor, {scene.network}{'' if name == OURS else ', ' + name}",
            seconds[name],
            seconds["floor"],
            f"{shape}; {median(seconds[name]):.2f} s CPU, {floored}; each image pays "
            f"{passes.gradients / len(images):g} gradients and "
            f"{passes.forwards / len(images):g} passes without"
            + (f"; aim {aim}" if aim and name == OURS else ""),
        )
        for name, passes in paid.items()
    ]
