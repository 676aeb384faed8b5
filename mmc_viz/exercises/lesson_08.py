"""Exercises on blind attackers: where the blindness begins, how to see again, how to notice."""

from typing import Any

import torch
from torch import Tensor, nn

from mmc_viz.attacks import pgd
from mmc_viz.audit import Tempered
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import accuracy
from mmc_viz.exercises.exercise import Exercise, Wrong, number, returned

_EPS, _STEPS, _IMAGES = 0.06, 10, 24
_LEFT = 0.15  # share that an objective which works may leave
_TEMPERATURES = (0.001, 1.0, 1000.0)


def _clothes() -> tuple[Tensor, Tensor]:
    data = load_dataset("fashion_mnist", limit=_IMAGES)
    return data.inputs(), data.labels


# ---- 08.1 ----------------------------------------------------------------------------------------


def _is_blind(gap: float, temperature: float) -> bool:
    """Whether float32 gives a wrong class that lies `gap` below no probability at all."""
    logits = torch.tensor([0.0, -gap], dtype=torch.float64) / temperature
    return logits[1].float().exp().item() == 0


def _check_gap(answer: Any) -> str:
    for temperature in (1.0, 2.0, 10.0):
        gap = number(returned(answer, temperature))
        if gap <= 0:
            raise Wrong(f"A lead is positive; at T = {temperature:g} you say {gap:g}.")
        if _is_blind(0.97 * gap, temperature):
            raise Wrong(
                f"At T = {temperature:g} a lead of {0.97 * gap:.1f} is blind already, and you say "
                f"that it begins at {gap:.1f}. What is the smallest number that float32 can hold?"
            )
        if not _is_blind(1.03 * gap, temperature):
            raise Wrong(
                f"At T = {temperature:g} float32 still sees a lead of {1.03 * gap:.1f}; you say "
                f"that blindness begins at {gap:.1f}. Does your answer grow with T?"
            )
    return (
        "So MMC's lead of 222 asks for a temperature of a little more than 2. Look at the slider."
    )


# ---- 08.2 ----------------------------------------------------------------------------------------


def _check_objective(answer: Any) -> str:
    images, labels = _clothes()
    logits = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    values = returned(answer, logits, torch.arange(4))
    if not isinstance(values, Tensor) or values.shape != (4,):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise Wrong(
            f"One number for each image is wanted: for 4 images the shape (4,), got {shape}."
        )
    model = load_model("fashion-mmc")
    for temperature in _TEMPERATURES:
        tempered = Tempered(model, temperature)
        found = pgd(
            tempered, images, labels, eps=_EPS, steps=_STEPS, objective=lambda h, y: answer(h, y)
        )
        left = accuracy(tempered, found, labels)
        if left > _LEFT:
            raise Wrong(
                f"At T = {temperature:g} PGD with your objective leaves {left:.0%} of {_IMAGES} "
                "images. Somewhere its slope vanishes, or it climbs towards no wrong class."
            )
    return "No temperature hides the model from this objective: it follows what decides."


# ---- 08.3 ----------------------------------------------------------------------------------------


def _suspects() -> dict[str, tuple[nn.Module, bool]]:
    """Models by what is said of them, and whether their robustness is masked."""
    sce = load_model("fashion-sce")
    return {
        "a plain SCE model": (sce, False),
        "the MMC model": (load_model("fashion-mmc"), True),
        "a plain SCE model with its logits multiplied by 1000": (Tempered(sce, 0.001), True),
        "an adversarially trained SCE model": (load_model("fashion-sce-at"), False),
    }


def _check_audit(answer: Any) -> str:
    images, labels = _clothes()
    for name, (model, masked) in _suspects().items():
        said = returned(answer, model, images, labels)
        said = said.item() if isinstance(said, Tensor) and said.numel() == 1 else said
        if not isinstance(said, bool):
            raise Wrong(f"True or False is wanted; got {type(said).__name__}.")
        if said and not masked:
            raise Wrong(
                f"You accuse {name}, which is innocent: what cross-entropy leaves of it, other "
                "attacks leave too. Allow for a few images of difference."
            )
        if masked and not said:
            raise Wrong(f"You clear {name}: another objective fools what cross-entropy spares.")
    return "Two attacks and one comparison: the shortest audit there is, and it catches the most."


EXERCISES = [
    Exercise(
        name="08.1",
        title="Where does the blindness begin?",
        minutes=5,
        difficulty=1,
        task="The right class leads the wrong one by a <i>gap</i>, and the logits are divided by "
        "<i>T</i>. From which gap on is e<sup>−gap/T</sup> exactly 0 in float32, whose smallest "
        "number above 0 is 2<sup>−149</sup>? Write a function of <code>temperature</code> that "
        "returns this gap; 3 % off is fine.",
        stub="def blind_from(temperature): ...  # your code",
        answer="blind_from",
        solution="import math\n\n\ndef blind_from(temperature):\n"
        "    return 149 * math.log(2) * temperature",
        hints=(
            "Write e to the power of minus gap over T, set it equal to 2 to the power of −149, and "
            "solve for the gap.",
            "The logarithm of 2^−149 is −149 · log 2.",
            "In code: 149 * math.log(2) * temperature, about 103 times the temperature.",
        ),
        check=_check_gap,
    ),
    Exercise(
        name="08.2",
        title="An objective that no temperature hides from",
        minutes=10,
        difficulty=2,
        task="Write the objective that fools MMC, from <code>logits</code> [N, 10] and "
        "<code>labels</code> [N] to one number an image, to be climbed by PGD. It will be tried on "
        f"MMC as it is, and with its logits divided by 0.001 and by 1000, at ε = {_EPS}.",
        stub="def my_objective(logits, labels): ...  # your code",
        answer="my_objective",
        solution="import torch\n\n\ndef my_objective(logits, labels):\n"
        "    right = logits.gather(1, labels[:, None])[:, 0]\n"
        "    wrong = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)\n"
        "    return wrong - right",
        hints=(
            "Dividing by a fixed number, as in cross_entropy(logits / 10, labels), helps at one "
            "temperature and fails at another. Avoid the exponential altogether.",
            "An image is fooled exactly when the best wrong logit is above the right one.",
            "Take the right logit with gather, the best wrong one after scattering −infinity onto "
            "the right place, and return wrong − right.",
        ),
        check=_check_objective,
    ),
    Exercise(
        name="08.3",
        title="Write the shortest audit",
        minutes=12,
        difficulty=3,
        task="Write a function of <code>model, images, labels</code> that returns True if what "
        f"cross-entropy PGD leaves at ε = {_EPS} is a mask, and False if it is real. It will meet "
        "four models: some masked, some not, one of them hard to fool.",
        stub="def is_masked(model, images, labels): ...  # your code",
        answer="is_masked",
        solution="from mmc_viz.attacks import pgd\nfrom mmc_viz.evaluation import accuracy\n\n\n"
        "def is_masked(model, images, labels):\n"
        "    left = {}\n"
        '    for objective in ("cross_entropy", "margin"):\n'
        "        found = pgd(model, images, labels, eps=0.06, objective=objective)\n"
        "        left[objective] = accuracy(model, found, labels)\n"
        '    return left["cross_entropy"] > left["margin"] + 0.1',
        hints=(
            "Attack twice: pgd(model, images, labels, eps=0.06, objective=…) from mmc_viz.attacks.",
            "accuracy(model, found, labels) from mmc_viz.evaluation gives the share that is still "
            "right, 0 to 1.",
            "A mask: cross-entropy leaves more than the margin does, by more than a few images.",
        ),
        check=_check_audit,
    ),
]
