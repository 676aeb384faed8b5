"""A journey drawn on a map that was fitted to the clean features and stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.embeddings import FeatureMap, MapQuality, assess, fit
from mmc_viz.journeys.journey import Journey

NEIGHBOURS = 15


@dataclass(frozen=True)
class JourneyMap:
    """A journey in two dimensions.

    Attributes
    ----------
    map : FeatureMap
        Fitted to the clean features.
    positions : Float[Tensor, "steps batch 2"]
        Of the attacked images, float64.
    anchors : Float[Tensor, "num_classes 2"]
        Of the classes' anchors, float64.
    quality : MapQuality
        What the map keeps of the true space.
    """

    map: FeatureMap
    positions: Float[Tensor, "steps batch 2"]
    anchors: Float[Tensor, "num_classes 2"]
    quality: MapQuality


def draw(
    journey: Journey, method: str, *, plane: Sequence[int] = (0, 1, 2), seed: int = 0
) -> JourneyMap:
    """Draw a journey.

    Parameters
    ----------
    journey : Journey
    method : {"pca", "plane", "umap"}
        See `mmc_viz.embeddings.fit`.
    plane : sequence of int
        For `plane`: three classes whose anchors span it.
    seed : int
        For `umap`.

    Raises
    ------
    ValueError
        If the method is unknown or cannot place new points, or there are no such classes.
    """
    spanning = None
    if method == "plane":
        known = range(len(journey.anchors))
        if len(set(plane)) != 3 or any(label not in known for label in plane):
            raise ValueError(
                f"`plane` must name three classes of 0 .. {len(known) - 1}; got {list(plane)}."
            )
        spanning = journey.anchors[list(plane)]
    drawn = fit(method, journey.features, centers=spanning, seed=seed)
    steps, batch, dim = journey.path.features.shape
    # All at once: what UMAP has to compile and look up is done once.
    placed = drawn.place(
        torch.cat([journey.path.features.reshape(-1, dim), journey.anchors.to(journey.features)])
    )
    neighbours = min(NEIGHBOURS, (len(journey.features) - 1) // 2)
    return JourneyMap(
        drawn,
        placed[: steps * batch].reshape(steps, batch, 2),
        placed[steps * batch :],
        assess(drawn, journey.features, journey.labels, neighbours=neighbours),
    )
