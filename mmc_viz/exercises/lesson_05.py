"""Exercises on the room between two losses, the unit of a density, and counting neighbours."""

import math
from typing import Any

import torch
from torch import Tensor

from mmc_viz.density import neighbour_density
from mmc_viz.exercises.exercise import Exercise, Wrong, number, returned


def _check_ring(answer: Any) -> str:
    for low, high in ((0.0, 0.5), (0.25, 0.5), (2.0, 4.0), (3.0, 3.5)):
        value = number(returned(answer, low, high))
        truth = 2 * math.pi * (high - low)
        if abs(value - truth) < 1e-6 * max(1, truth):
            continue
        if abs(value - math.pi * (high**2 - low**2)) < 1e-6:
            raise Wrong("The losses are not the radii: a loss c = r²/2 has the radius √(2c).")
        if abs(value - math.pi * (math.sqrt(2 * high) - math.sqrt(2 * low)) ** 2) < 1e-6:
            raise Wrong("Subtract the areas of the two discs, not their radii.")
        raise Wrong(
            f"Between the losses {low} and {high} it says {value:.3f}; {truth:.3f} is true."
        )
    return (
        "It depends on the difference alone: in two dimensions every unit of loss buys the same "
        "room, near the center and far from it."
    )


def _check_doubling(answer: Any) -> str:
    value, truth = number(answer), -64 * math.log(2)
    if abs(value - truth) < 0.05:
        return "So a density by itself says nothing of a model: it needs a unit of length."
    if abs(value + truth) < 0.05:
        raise Wrong("The size is right. But the same features now fill more room: which sign?")
    if abs(value + math.log(2)) < 0.05:
        raise Wrong("That would be one dimension. A cube in 64 dimensions has 64 edges.")
    if abs(value + 64 * math.log10(2)) < 0.05:
        raise Wrong("That is the logarithm to base 10; the natural one is wanted.")
    raise Wrong(f"{value:g} is not it. By which factor does the room grow? Then take its log.")


def _check_neighbours(answer: Any) -> str:
    for seed, (count, dim, k) in enumerate([(30, 2, 3), (50, 5, 10), (40, 64, 10)]):
        generator = torch.Generator().manual_seed(seed)
        features = torch.randn(count, dim, generator=generator)
        value = returned(answer, features, k)
        if not isinstance(value, Tensor) or value.shape != (count,):
            raise Wrong(f"One distance for each of the {count} features is wanted.")
        truth = neighbour_density(features, k=k).radius
        if torch.allclose(value.double(), truth, atol=1e-4, rtol=1e-4):
            continue
        nearer = neighbour_density(features, k=k - 1).radius
        if torch.allclose(value.double(), nearer, atol=1e-4, rtol=1e-4):
            raise Wrong("One neighbour too few: each feature counts itself, at distance 0.")
        raise Wrong(f"With k = {k} in {dim} dimensions the distances are not those.")
    return (
        "That distance is all there is to it: log density = a constant − d·log r. So the order of "
        "densities is the order of these distances, whatever d is."
    )


EXERCISES = [
    Exercise(
        name="05.1",
        title="The room of a ring",
        minutes=5,
        difficulty=1,
        task="In two dimensions MMC's loss c = r²/2 lies between <i>low</i> and <i>high</i> in a "
        "ring about the center. Write <code>room(low, high)</code>: the area of that ring.",
        stub="def room(low, high): ...  # your code",
        answer="room",
        solution=(
            "import math\n\n\n"
            "def room(low, high):\n"
            "    return math.pi * (2 * high) - math.pi * (2 * low)"
        ),
        hints=(
            "The area of a disc is πr². Which r² belongs to the loss c?",
            "From c = r²/2 follows r² = 2c. Subtract the small disc from the large one.",
        ),
        check=_check_ring,
    ),
    Exercise(
        name="05.2",
        title="The unit of a density",
        minutes=5,
        difficulty=2,
        task="Somebody multiplies all features of a model by 2, and its centers or weights so that "
        "every answer stays the same. By how much does the natural logarithm of the density "
        "change, in 64 dimensions?",
        stub="change = None  # a number",
        answer="change",
        solution="import math\n\nchange = -64 * math.log(2)",
        hints=(
            "The number of features stays. What becomes of the volume that they fill?",
            "A cube with edges twice as long has 2^d times the volume in d dimensions.",
            "log(N / (2^64 V)) − log(N / V), with the natural logarithm.",
        ),
        check=_check_doubling,
    ),
    Exercise(
        name="05.3",
        title="The k-th neighbour",
        minutes=10,
        difficulty=2,
        task="Write <code>radius(features, k)</code>: for each feature the distance to its k-th "
        "nearest <i>other</i> feature. It is what our densities are made from.",
        stub="def radius(features, k): ...  # your code",
        answer="radius",
        solution=(
            "import torch\n\n\n"
            "def radius(features, k):\n"
            "    lengths = torch.cdist(features, features)\n"
            "    return lengths.sort(dim=1).values[:, k]"
        ),
        hints=(
            "torch.cdist(features, features) gives all distances, each feature to each.",
            "Sort every row. The first entry is the feature itself, at distance 0.",
        ),
        check=_check_neighbours,
    ),
]
