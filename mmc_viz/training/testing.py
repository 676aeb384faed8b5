"""What is measured of a model after each epoch: where it is right, how tight its classes are."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.datasets import Dataset
from mmc_viz.distributed import ALONE, Ranks
from mmc_viz.networks import Classifier, outputs

BATCH = 512  # images; the same for any number of ranks, so that no number depends on it


def examine(model: Classifier, data: Dataset, *, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Give `accuracy` on all images (0..1), and `intra_class_distance` in feature units.

    The images become floats batch by batch, and the ranks take the batches in turn. All of them
    get the numbers of all images.
    """
    weight = next(model.parameters())
    found = []
    for batch in data.images.split(BATCH)[ranks.rank :: ranks.size]:
        inputs = (batch.to(weight.device) / 255).to(weight.dtype)
        logits, features = outputs(model, inputs)
        found.append((logits.argmax(dim=1).cpu(), features.cpu()))
    everyone = ranks.gather(found)
    # Back in stored order: batch 0 of rank 0, batch 0 of rank 1, ..., batch 1 of rank 0, ...
    count = sum(map(len, everyone))
    batches = [everyone[number % ranks.size][number // ranks.size] for number in range(count)]
    predictions, features = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return {
        "accuracy": (predictions == data.labels.cpu()).double().mean().item(),
        "intra_class_distance": intra_class_distance(features, data.labels.cpu()),
    }


def intra_class_distance(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> float:
    """Mean distance of a feature to the mean feature of its class, in feature units."""
    return distances_to_class_means(features, labels).mean().item()


def distances_to_class_means(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Distance of each feature to the mean feature of its class, in feature units."""
    classes, place = labels.unique(return_inverse=True)
    means = features.new_zeros(len(classes), features.shape[1])
    means.index_add_(0, place, features)
    means /= place.bincount()[:, None]
    return (features - means[place]).norm(dim=1)
