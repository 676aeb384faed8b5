"""An exercise on a head of one's own."""

from typing import Any

import torch
from torch import Tensor

from mmc_viz.exercises.exercise import Exercise, Wrong
from mmc_viz.heads import Head

_SETUP = """\
import torch

from mmc_viz.centers import spread_centers
from mmc_viz.heads import Head"""
_STUB = """\
class Own(Head):
    def __init__(self, dim, num_classes, *, radius=10.0, generator=None):
        super().__init__(dim, num_classes)
        self.register_buffer("centers", spread_centers(num_classes, dim, radius=radius))

    def logits(self, features):
        return -torch.cdist(features, self.centers)

    def forward(self, features, labels): ...  # your loss: one number for each feature"""
_SOLUTION = _STUB.replace(
    " ...  # your loss: one number for each feature",
    "\n        return (features - self.centers[labels]).norm(dim=1)",
)


def _check_head(answer: Any) -> str:
    if not (isinstance(answer, type) and issubclass(answer, Head)):
        raise Wrong("A class is wanted, made with `class Own(Head):`. Leave its first lines as is.")
    head = answer(2, 5)
    labels = torch.arange(20) % 5
    features = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for _ in range(400):
        loss = head(features, labels)
        if loss is None:
            raise Wrong("`forward` returns nothing yet: replace the dots and `return` the loss.")
        if not isinstance(loss, Tensor) or loss.shape != (20,):
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise Wrong(f"One number for each feature is wanted, of shape (20,); got {shape}.")
        if not loss.isfinite().all():
            raise Wrong("The loss of some features is no finite number.")
        if not loss.requires_grad:
            raise Wrong("The loss does not depend on the features, so nothing can be learned.")
        (slope,) = torch.autograd.grad(loss.sum(), features)
        features = (features - 0.1 * slope).detach().requires_grad_()
    right = (head.logits(features).argmax(dim=1) == labels).float().mean()
    if not right == 1:
        raise Wrong(
            f"Features that follow your loss downhill end in the right class in only {right:.0%} "
            "of the cases. Where should a feature of class y go, and does the loss fall on the way?"
        )
    return "Whoever goes downhill on it arrives in the right class. Train it in the next cell."


EXERCISES = [
    Exercise(
        "own.1",
        "A head of your own",
        15,
        2,
        "A head says what a network is asked for. This one has centers, and logits −‖z − μ"
        "<sub>i</sub>‖; only its loss is missing. Give any loss you like, one number for each "
        "feature, that is small where a feature is in the right place.",
        _STUB,
        "Own",
        _SOLUTION,
        (
            "self.centers[labels] are the centers to which the features belong, one a row.",
            "MMC's loss is half the squared distance: "
            "(features - self.centers[labels]).square().sum(dim=1) / 2. Change something about it.",
            "The distance itself pulls with the same strength everywhere: "
            "(features - self.centers[labels]).norm(dim=1).",
        ),
        _check_head,
        setup=_SETUP,
    ),
]
