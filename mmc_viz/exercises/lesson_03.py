"""Exercises on the MMC loss, its gradient, and the shapes of contours."""

from typing import Any

import torch
from torch import Tensor

from mmc_viz.contours import Hyperplane, Hypersphere, contour_of
from mmc_viz.exercises.exercise import Exercise, Wrong, returned
from mmc_viz.heads import HEADS, make_head

_FOUR = ("sce", "mmlda", "lgm", "mmc")


def _case() -> tuple[Tensor, Tensor, Tensor]:
    """Give some features, the centers of MMC in three dimensions, and labels."""
    generator = torch.Generator().manual_seed(0)
    features = 5 * torch.randn(30, 3, generator=generator)
    labels = torch.randint(4, (30,), generator=generator)
    return features, make_head("mmc", 3, 4).centers, labels


def _tensor(value: Any, shape: tuple[int, ...], words: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise Wrong(f"A tensor is wanted, {words}; got {type(value).__name__}.")
    if tuple(value.shape) != shape:
        raise Wrong(f"{words} is wanted, shape {shape}; got {tuple(value.shape)}.")
    return value


def _check_loss(answer: Any) -> str:
    features, centers, labels = _case()
    value = _tensor(returned(answer, features, centers, labels), (30,), "one loss per feature")
    truth = make_head("mmc", 3, 4)(features, labels)
    if torch.allclose(value, 2 * truth, rtol=1e-3):
        raise Wrong("Twice too large: the loss has a factor ½, which makes its gradient simple.")
    if torch.allclose(value, (2 * truth).sqrt(), rtol=1e-3):
        raise Wrong("That is the distance; the loss is half its square.")
    if not torch.allclose(value, truth, rtol=1e-3, atol=1e-3):
        raise Wrong("Not on every feature. Is each compared with the center of its own class?")
    return "No other class has a say in it: only the distance to one's own center."


def _check_gradient(answer: Any) -> str:
    features, centers, labels = _case()
    value = _tensor(returned(answer, features, centers, labels), (30, 3), "one row per feature")
    point = features.clone().requires_grad_()
    (truth,) = torch.autograd.grad(make_head("mmc", 3, 4)(point, labels).sum(), point)
    if torch.allclose(value.detach(), -truth, rtol=1e-3, atol=1e-3):
        raise Wrong("That is the way downhill. The gradient points uphill, away from the center.")
    if torch.allclose(value.detach(), 2 * truth, rtol=1e-3, atol=1e-3):
        raise Wrong("Twice too long: the factor ½ of the loss meets the 2 of the square.")
    if not torch.allclose(value.detach(), truth, rtol=1e-3, atol=1e-3):
        raise Wrong("It differs from what autograd finds. Differentiate ½ Σ (z_k − μ_k)² by z_k.")
    return "The pull is as strong as the feature is far, and it never saturates as softmax does."


def _shape_of(name: str) -> type:
    """Say what the two-class contour of a head is, after its scales have been made unlike."""
    head = make_head(name, 2, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for scale in (one for key, one in head.named_parameters() if "variance" in key):
            scale.copy_(torch.tensor([0.5, -0.5, 0.0]))
    return type(contour_of(head, 0, 0.5, rival=None if head.loss_form == "distance" else 1))


def _check_name(answer: Any) -> str:
    if not isinstance(answer, str) or answer.lower() not in HEADS:
        raise Wrong('The name of a loss is wanted, as text: "sce", "mmlda", "lgm" or "mmc".')
    name = answer.lower()
    if name not in _FOUR:
        raise Wrong("That loss is not one of the four of this lesson.")
    if _shape_of(name) is Hypersphere:
        raise Wrong("Its contour is a circle: in the film its features gather about a point.")
    if name == "sce":
        raise Wrong("Its contour is a line, but its logits are no distances: they are Wz + b.")
    assert _shape_of(name) is Hyperplane
    return (
        "Its ‖z‖² is the same for all classes and cancels in the softmax: what is left is linear."
    )


EXERCISES = [
    Exercise(
        "03.1",
        "The loss of MMC",
        4,
        1,
        "Write ½ ‖z − μ<sub>y</sub>‖² for a batch: <code>features</code> [N, d], "
        "<code>centers</code> [L, d] and <code>labels</code> [N] to one loss each, [N].",
        "def mmc_loss(features, centers, labels): ...  # your code",
        "mmc_loss",
        "def mmc_loss(features, centers, labels):\n"
        "    return (features - centers[labels]).square().sum(dim=1) / 2",
        (
            "`centers[labels]` gives for each feature the center of its class.",
            "Subtract, square, sum over the dimensions (`dim=1`), and take the half.",
        ),
        _check_loss,
    ),
    Exercise(
        "03.2",
        "Where it pulls",
        5,
        2,
        "Write the gradient of that loss with respect to z, for a batch: [N, d]. No autograd: one "
        "line of algebra is enough.",
        "def mmc_gradient(features, centers, labels): ...  # your code",
        "mmc_gradient",
        "def mmc_gradient(features, centers, labels):\n    return features - centers[labels]",
        (
            "½ ‖z − μ‖² = ½ Σ (z_k − μ_k)². What is its derivative by z_k?",
            "z_k − μ_k: the gradient is the vector from the center to the feature.",
        ),
        _check_gradient,
    ),
    Exercise(
        "03.3",
        "A line in disguise",
        5,
        3,
        "For two classes, one of the four losses has <b>straight</b> contours although its logits "
        "are squared distances. Which one? Give its name.",
        'name = None  # "sce", "mmlda", "lgm" or "mmc"',
        "name",
        'name = "mmlda"',
        (
            "Write down h_t − h_y for logits −s_i ‖z − μ_i‖² + B_i. When does ‖z‖² drop out?",
            "It drops out where all classes have the same scale s. L-GM learns a scale for each.",
            "MMC's loss is no softmax at all. So which softmax of distances has equal scales?",
        ),
        _check_name,
    ),
]
