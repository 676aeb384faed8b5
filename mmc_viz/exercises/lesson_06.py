"""Exercises on lengths in feature space, who crosses the border, and an attack that goes on."""

from typing import Any

import torch
from torch import Tensor, nn

from mmc_viz.checkpoints import load_model
from mmc_viz.exercises.exercise import Exercise, Wrong, returned

_EPS = 0.06
_IMAGES = 20


def _points(seed: int, count: int = 40, dim: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = 3 * torch.randn(5, dim, generator=generator)
    labels = torch.randint(5, (count,), generator=generator)
    features = centers[labels] + 2 * torch.randn(count, dim, generator=generator)
    return features, centers, labels


def _check_distance(answer: Any) -> str:
    for seed in range(4):
        centers = _points(seed)[1]
        value = returned(answer, centers)
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, float | int):
            raise Wrong(f"One number is wanted; got {type(value).__name__}.")
        lengths = torch.cdist(centers, centers)
        nearest = lengths.clone().fill_diagonal_(torch.inf).amin(dim=1)
        truth = float(nearest.quantile(0.5))
        if abs(value - truth) < 1e-4:
            continue
        if abs(value) < 1e-6:
            raise Wrong("It says 0: every center is at distance 0 from itself; leave that out.")
        if abs(value - float(nearest.mean())) < 1e-4:
            raise Wrong("That is the mean over the classes; the median is wanted.")
        if abs(value - float(nearest.min())) < 1e-4:
            raise Wrong("That is the closest pair of all; the median over the classes is wanted.")
        raise Wrong(f"For five random centers it says {value:.3f}; {truth:.3f} is true.")
    centers = load_model("fashion-mmc").head.centers
    return f"For the ten centers of fashion-mmc yours gives {float(answer(centers)):.2f}."


def _check_crossed(answer: Any) -> str:
    for seed in range(4):
        features, centers, labels = _points(seed)
        value = returned(answer, features, centers, labels)
        if not isinstance(value, Tensor) or value.shape != labels.shape:
            raise Wrong(f"One value for each of the {len(labels)} features is wanted.")
        truth = torch.cdist(features, centers).argmin(dim=1) != labels
        if torch.equal(value.bool(), truth):
            continue
        if torch.equal(value.bool(), ~truth):
            raise Wrong("It is the other way round: True is for a feature that has crossed over.")
        wrong = int((value.bool() != truth).sum())
        raise Wrong(f"{wrong} of {len(labels)} random features are judged wrongly.")
    return (
        "For MMC this is the same as being fooled, image by image: its logits are minus the "
        "squared distances. For SCE it is not: the class means decide nothing."
    )


def _linear() -> tuple[nn.Module, Tensor, Tensor]:
    """Make a linear model, for which the margin's gradient is the same everywhere."""
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(16, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 16, generator=generator))
        layer.bias.zero_()
    model = nn.Sequential(nn.Flatten(), layer).eval()
    images = torch.rand(6, 1, 4, 4, generator=generator)
    return model, images, model(images).argmax(dim=1)


def _check_climb(answer: Any) -> str:
    from mmc_viz.attacks import pgd
    from mmc_viz.datasets import load_dataset
    from mmc_viz.networks import outputs
    from mmc_viz.objectives import margin

    model, images, labels = _linear()
    found = returned(answer, model, images, labels, _EPS)
    _check_ball(found, images)
    with torch.no_grad():
        gain = (margin(model(found), labels) - margin(model(images), labels)).min()
    if gain <= 0:
        raise Wrong("The margin does not grow: step along plus the sign of its gradient.")

    model, data = load_model("fashion-mmc"), load_dataset("fashion_mnist", limit=_IMAGES)
    images, labels = data.inputs(), data.labels
    far = answer(model, images, labels, _EPS)
    _check_ball(far, images)
    near = pgd(model, images, labels, eps=_EPS, objective="margin")
    ways = []
    for some in (near, far):
        lengths = torch.cdist(outputs(model, some.detach())[1], model.head.centers)
        own = lengths.gather(1, labels[:, None])[:, 0]
        other = lengths.scatter(1, labels[:, None], torch.inf).amin(dim=1)
        ways.append(float((own / (own + other)).median()))
    if ways[1] <= ways[0]:
        raise Wrong(
            f"On fashion-mmc features end {ways[1]:.0%} of the way; the attack that stops brings "
            f"them {ways[0]:.0%}. Take 20 steps of {_EPS}/8, and let no image out."
        )
    return (
        f"On {_IMAGES} images of fashion-mmc the attack that stops brings features {ways[0]:.0%} "
        f"of the way to another center, yours {ways[1]:.0%} (medians). The attack that "
        "stops understates how far a feature can be driven."
    )


def _check_ball(found: Any, images: Tensor) -> None:
    if not isinstance(found, Tensor) or found.shape != images.shape:
        raise Wrong("Images of the same shape are wanted.")
    if float((found - images).abs().max()) > _EPS + 1e-5:
        raise Wrong("A pixel has moved by more than eps: clamp the change to -eps .. eps.")
    if float(found.min()) < 0 or float(found.max()) > 1:
        raise Wrong("A pixel has left [0, 1]: clamp the images too.")


EXERCISES = [
    Exercise(
        name="06.1",
        title="One class distance",
        minutes=6,
        difficulty=1,
        task="Feature spaces have no common unit. Write <code>class_distance(centers)</code>: for "
        "each center the distance to the <i>nearest other</i> one, and of these the median.",
        stub="def class_distance(centers): ...  # your code",
        answer="class_distance",
        solution=(
            "import torch\n\n\n"
            "def class_distance(centers):\n"
            "    lengths = torch.cdist(centers, centers)\n"
            "    lengths.fill_diagonal_(torch.inf)\n"
            "    return lengths.amin(dim=1).quantile(0.5).item()"
        ),
        hints=(
            "torch.cdist(a, b) gives all distances of the rows of a to those of b.",
            "The diagonal is 0. Fill it with something that no minimum takes.",
            "amin(dim=1) is the nearest other; quantile(0.5) is the median of these.",
        ),
        check=_check_distance,
    ),
    Exercise(
        name="06.2",
        title="Who has crossed over?",
        minutes=5,
        difficulty=1,
        task="Write <code>crossed(features, centers, labels)</code>: for each feature, whether "
        "some other center is nearer than that of its own class.",
        stub="def crossed(features, centers, labels): ...  # your code",
        answer="crossed",
        solution=(
            "import torch\n\n\n"
            "def crossed(features, centers, labels):\n"
            "    nearest = torch.cdist(features, centers).argmin(dim=1)\n"
            "    return nearest != labels"
        ),
        hints=(
            "Which center is nearest? argmin over the centers says it for each feature.",
            "Compare with the labels: one True or False for each feature.",
        ),
        check=_check_crossed,
    ),
    Exercise(
        name="06.3",
        title="An attack that does not stop",
        minutes=15,
        difficulty=3,
        task="Our attacks stop at the first image that fools the model. Write "
        "<code>climb_on(model, images, labels, eps)</code> that goes on: 20 steps of eps/8 along "
        "the sign of the margin's gradient, kept within eps of the image and within [0, 1]. How "
        "far do features go then?",
        stub="def climb_on(model, images, labels, eps): ...  # your code",
        answer="climb_on",
        solution=(
            "import torch\n\n\n"
            "def climb_on(model, images, labels, eps):\n"
            "    from mmc_viz.objectives import margin\n\n"
            "    found = images.clone()\n"
            "    for _ in range(20):\n"
            "        point = found.clone().requires_grad_()\n"
            "        value = margin(model(point), labels).sum()\n"
            "        slope = torch.autograd.grad(value, point)[0]\n"
            "        change = (found + eps / 8 * slope.sign() - images).clamp(-eps, eps)\n"
            "        found = (images + change).clamp(0, 1)\n"
            "    return found"
        ),
        hints=(
            "from mmc_viz.objectives import margin; margin(model(x), labels) is positive where the "
            "model is fooled. You want it to grow.",
            "x.requires_grad_(), then torch.autograd.grad(value.sum(), x)[0] is the gradient.",
            "After each step: the change clamped to -eps .. eps, then the images to 0 .. 1.",
        ),
        check=_check_climb,
    ),
]
