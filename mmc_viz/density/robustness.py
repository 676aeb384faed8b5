r"""Does density go with robustness? Each image's density against its distance to the boundary.

Pang et al. argue that where features are dense, a model learns what it needs to be robust there.
Taken at its word this can be asked of each image: is an image whose feature lies in a dense place
farther from its nearest adversarial image than one whose feature lies alone?

Three numbers of the clean image are held against the distance, by rank (see
`mmc_viz.density.correlation`):

`density`
    log density of reference features at the image's feature, by nearest neighbours.
`closeness`
    minus the distance to the center of the image's class, or to the class mean where the head has
    no centers: what MMC's loss makes large.
`margin`
    lead of the true logit over the best wrong one. It is the yardstick: a number that every model
    has and that measures no density. What density tells beyond it is what `beyond_margin` asks: the
    correlation of the ranks that remain when those of the margin are taken out.

The distance is that of the closest adversarial image an attack found, so it is an upper bound. An
image that the model gets wrong has none, and so has one for which nothing was found; both are
counted and left out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz import tables
from mmc_viz.attacks import fmn
from mmc_viz.attacks.checks import check_images, check_labels
from mmc_viz.density.boundaries import (
    MEASURED,
    MISCLASSIFIED,
    NOT_FOUND,
    NearestAdversarial,
    nearest_adversarial,
)
from mmc_viz.density.correlation import (
    Correlation,
    Correlations,
    check_samples,
    correlate,
    partial_correlation,
)
from mmc_viz.density.neighbours import neighbour_density
from mmc_viz.networks import outputs

MEASURES = ("density", "closeness", "margin")


@dataclass(frozen=True)
class DensityDistance:
    """Density and minimal adversarial distance of each image, and how they go together.

    All tensors are float64 on the CPU.

    Attributes
    ----------
    distance : Float[Tensor, "batch"]
        To the closest adversarial image found, in the unit of the images.
    status : list[str]
        `measured`, `misclassified` or `not found`; the correlations are over the measured ones.
    labels : Int[Tensor, "batch"]
        True classes.
    measures : dict[str, Float[Tensor, "batch"]]
        `density`, `closeness` and `margin` of each clean image.
    correlations : dict[str, Correlations]
        Of each measure with the distance.
    beyond_margin : Correlation
        Within classes, of what remains of density and distance when the margin is taken out.
    adversarial_density : Float[Tensor, "batch"]
        Log density at the feature of the closest adversarial image; NaN where there is none.
    norm : str
        Of the distance.
    k, dim : int
        Neighbour of the density; dimension of the features.
    reference : str
        Whose density it is, in words.
    ties : int
        Images whose density is infinite because of copies.
    """

    distance: Float[Tensor, " batch"]
    status: list[str]
    labels: Int[Tensor, " batch"]
    measures: dict[str, Float[Tensor, " batch"]]
    correlations: dict[str, Correlations]
    beyond_margin: Correlation
    adversarial_density: Float[Tensor, " batch"]
    norm: str
    k: int
    dim: int
    reference: str
    ties: int

    @property
    def measured(self) -> Tensor:
        """Which images the correlations are over, bool [batch]."""
        return torch.tensor([status == MEASURED for status in self.status], dtype=torch.bool)

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each status."""
        return {one: self.status.count(one) for one in (MEASURED, MISCLASSIFIED, NOT_FOUND)}

    @property
    def median_distance(self) -> float:
        """Median distance of the measured images."""
        return float(self.distance[self.measured].median())

    @property
    def density_drop(self) -> float:
        """Median of how much log density falls from an image to its adversarial neighbour."""
        drop = (self.measures["density"] - self.adversarial_density)[self.measured]
        return float(drop.nanmedian())

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each image."""
        labels, distances = self.labels.tolist(), self.distance.tolist()
        columns = {name: values.tolist() for name, values in self.measures.items()}
        columns["adversarial_density"] = self.adversarial_density.tolist()
        return [
            {
                "image": i,
                "label": labels[i],
                "status": status,
                "distance": distances[i] if status == MEASURED else None,
                **{name: _plain(values[i]) for name, values in columns.items()},
            }
            for i, status in enumerate(self.status)
        ]

    def summary(self) -> dict[str, Any]:
        """Give counts and correlations as plain values."""
        return {
            "norm": self.norm,
            "k": self.k,
            "dim": self.dim,
            "reference": self.reference,
            "counts": self.counts,
            "ties": self.ties,
            "median_distance": self.median_distance,
            "density_drop": _plain(self.density_drop),
            "correlations": {name: one.values() for name, one in self.correlations.items()},
            "beyond_margin": self.beyond_margin.values(),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all as JSON; write it too if `path` is given."""
        return tables.to_json(self.summary() | {"images": self.rows()}, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each image as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def density_against_distance(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    reference: Float[Tensor, "references dim"] | None = None,
    reference_labels: Int[Tensor, " references"] | None = None,
    within: str = "all",
    k: int = 10,
    norm: str = "linf",
    attack: Callable[..., Tensor] = fmn,
    nearest: NearestAdversarial | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> DensityDistance:
    """Hold the feature density of each image against its minimal adversarial distance.

    Parameters
    ----------
    model : nn.Module
        With a method `features`. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    reference : Float[Tensor, "references dim"], optional
        Features whose density is asked for, those of the training images at best. None: those of
        `images`, each without itself.
    reference_labels : Int[Tensor, "references"], optional
        Their classes; needed for `within` `class`, and for the class means of a head without
        centers.
    within : {"all", "class"}
        Whether neighbours are sought among all reference features or in the image's own class.
    k : int
        Which neighbour.
    norm : str
        In which the distance is measured: `linf` or `l2`.
    attack : callable
        Called as `attack(model, images, labels, norm=, generator=)`; `fmn` climbs the margin.
        Settings are fixed beforehand, for instance `functools.partial(fmn, steps=200)`.
    nearest : NearestAdversarial, optional
        Of the same images, if it is known already; then `norm`, `attack` are not used.
    samples : int
        Of the bootstrap.
    seed : int
        Of the attack's starts and of the bootstrap.

    Returns
    -------
    result : DensityDistance

    Raises
    ------
    ValueError
        If the model has no features, fewer than 3 images have a distance, there are too few
        reference features for `k`, or an argument is out of range.
    """
    if within not in ("all", "class"):
        raise ValueError(f"`within` must be all or class; got {within!r}.")
    check_samples(samples)
    check_images(images)
    check_labels(labels, images)
    logits, features = outputs(model, images)
    if features.shape[1] == 0:
        raise ValueError(
            "`model` must have a method `features` from images to [batch, dim]; it has none."
        )
    if reference is not None and reference_labels is None:
        if within == "class" or _centers(model) is None:
            raise ValueError(
                "`reference_labels` must be given along with `reference`, for densities or means "
                "of classes; got None."
            )
    # What is wrong with the reference is said before the attack, which takes minutes.
    group = {}
    if within == "class":
        group = {"labels": labels, "reference_labels": reference_labels}
    around = neighbour_density(features, reference, k=k, **group)
    if nearest is None:
        nearest = nearest_adversarial(model, images, labels, norm=norm, attack=attack, seed=seed)
    elif len(nearest.status) != len(images):
        raise ValueError(
            f"`nearest` must be of the same {len(images)} images; got {len(nearest.status)}."
        )
    kept = nearest.measured
    if int(kept.sum()) < 3:
        raise ValueError(
            f"`images` must have at least 3 that the model gets right and an attack fools; got "
            f"{int(kept.sum())} of {len(images)}. Take more images, or another attack."
        )
    truth = labels.cpu()
    measures = {
        "density": around.log_density,
        "closeness": -_own_center_distance(model, features, labels, reference, reference_labels),
        "margin": _lead(logits, labels),
    }
    correlations = {
        name: correlate(
            values[kept], nearest.distance[kept], truth[kept], samples=samples, seed=seed
        )
        for name, values in measures.items()
    }
    beyond = partial_correlation(
        measures["density"][kept],
        nearest.distance[kept],
        measures["margin"][kept],
        truth[kept],
        samples=samples,
        seed=seed,
    )
    there = torch.full_like(around.log_density, torch.nan)
    there[kept] = neighbour_density(
        outputs(model, nearest.images[kept.to(images.device)])[1],
        features if reference is None else reference,
        k=k,
        left_out=kept.nonzero()[:, 0] if reference is None else None,
        labels=labels[kept.to(labels.device)] if within == "class" else None,
        reference_labels=None
        if within == "all"
        else labels
        if reference is None
        else reference_labels,
    ).log_density
    about = "these images, each without itself" if reference is None else "the reference"
    what = "of its own class " if within == "class" else ""
    number = len(features if reference is None else reference)
    return DensityDistance(
        distance=nearest.distance,
        status=nearest.status,
        labels=truth,
        measures=measures,
        correlations=correlations,
        beyond_margin=beyond,
        adversarial_density=there,
        norm=nearest.norm,
        k=k,
        dim=features.shape[1],
        reference=f"{number} features {what}of {about}",
        ties=around.ties,
    )


def _centers(model: nn.Module) -> Tensor | None:
    """Class centers of a model's head, if it has any."""
    return getattr(getattr(model, "head", None), "centers", None)


def _own_center_distance(
    model: nn.Module,
    features: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    reference: Float[Tensor, "references dim"] | None,
    reference_labels: Int[Tensor, " references"] | None,
) -> Float[Tensor, " batch"]:
    """Distance of each feature to the center of its class, or to the mean of the class."""
    centers = _centers(model)
    if centers is None:
        known = features if reference is None else reference.to(features)
        classes = labels if reference is None else reference_labels.to(labels)
        centers = torch.stack(
            [known[classes == c].mean(dim=0) for c in range(int(labels.max()) + 1)]
        )
        empty = centers.isnan().any(dim=1)[labels]
        if empty.any():
            raise ValueError(
                f"`reference_labels` must hold every class of `labels`; got none of class "
                f"{int(labels[empty][0])}."
            )
    return (features - centers.detach()[labels]).norm(dim=1).double().cpu()


def _lead(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Lead of the true logit over the best wrong one."""
    wrong = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return (logits.gather(1, labels[:, None])[:, 0] - wrong).double().cpu()
