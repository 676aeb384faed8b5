"""A small network that imitates another, to attack in its place."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.networks import make_classifier
from mmc_viz.unbroken import unbroken

_STEPS, _BATCH = 150, 64


def imitate(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    num_classes: int,
    reach: float,
    seed: int = 0,
) -> nn.Module:
    """Train a `small_cnn` on the model's answers to noisy copies of the images.

    It needs nothing of the model but its decisions, so nothing that hides the model's gradient
    hides the gradient of the imitation. What fools it often fools the model too.

    Parameters
    ----------
    model : nn.Module
        From images to logits, in evaluation mode.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    num_classes : int
        How many classes the model tells apart.
    reach : float
        How far pixels move in the copies, uniformly both ways, in the unit of the images.
    seed : int
        Of the first weights, the copies and their order.

    References
    ----------
    Papernot et al., "Practical black-box attacks against machine learning", 2017,
    https://arxiv.org/abs/1602.02697.
    """
    student = make_classifier(
        "small_cnn", "sce", in_channels=images.shape[1], num_classes=num_classes, seed=seed
    ).to(images.device, torch.float32)
    with unbroken():  # see `mmc_viz.training.course`
        optimizer = torch.optim.Adam(student.train().parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(_STEPS):
        rows = torch.randint(len(images), (_BATCH,), generator=generator).to(images.device)
        noise = torch.rand((_BATCH, *images.shape[1:]), generator=generator) * 2 - 1
        copies = (images[rows] + reach * noise.to(images)).clamp_(0, 1)
        with torch.no_grad():
            answers = model(copies.clone()).argmax(dim=1)
        loss = functional.cross_entropy(student(copies.float()), answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return student.eval().requires_grad_(False)
