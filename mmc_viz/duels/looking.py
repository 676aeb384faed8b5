"""What is seen of a model while it trains: a few numbers, and its features in the plane.

Features of two dimensions are shown as they are. Of more, the plane of largest variance is shown,
found anew at each moment and turned (or mirrored) so that the points lie as near as can be to where
they lay at the epoch before: without that a map would flip from one moment to the next.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.collapse import neural_collapse
from mmc_viz.datasets import Dataset
from mmc_viz.embeddings.linear import pca_axes, project
from mmc_viz.networks import Classifier, outputs


@dataclass(frozen=True)
class Side:
    """One model at one moment, measured on the test images.

    Attributes
    ----------
    accuracy : float
        Share of the images that are right, 0..1.
    loss : float
        Mean loss of the head, in its own unit: nats for a cross-entropy, squared feature units for
        a distance.
    train_loss : float
        Mean over the training images of the epoch so far, each as it was met; NaN before the first.
    nc1_ratio, distance_to_best : float
        As in `mmc_viz.collapse.Collapse`: scatter within classes against scatter between them, and
        the distance of the class means to the best known arrangement; NaN where there is none.
    reach : float
        Distance of the farthest feature from the origin, in feature units.
    points : Float[Tensor, "images 2"]
        The features in the plane.
    predictions : Int[Tensor, "images"]
        Class that wins.
    means : Float[Tensor, "num_classes 2"]
        Mean feature of each class, in the plane.
    centers : Float[Tensor, "num_classes 2"] or None
        The head's centers in the plane, where it has any.
    regions : Float[Tensor, "num_classes 4"] or None
        For features of two dimensions: the logit of each class is, up to a term equal for all,
        $-s ||z - m||^2 + b$, with a row $(m_1, m_2, s, b)$. None where it has no such form.
    """

    accuracy: float
    loss: float
    train_loss: float
    nc1_ratio: float
    distance_to_best: float
    reach: float
    points: Float[Tensor, "images 2"]
    predictions: Int[Tensor, " images"]
    means: Float[Tensor, "num_classes 2"]
    centers: Float[Tensor, "num_classes 2"] | None
    regions: Float[Tensor, "num_classes 4"] | None


#: The numbers of a `Side`.
MEASURES = tuple(field.name for field in fields(Side) if field.type is float)


@dataclass(frozen=True)
class Moment:
    """All models of a duel after the same number of steps.

    Attributes
    ----------
    taken : int
        Steps so far.
    sides : tuple[Side, ...]
        One for each model.
    """

    taken: int
    sides: tuple[Side, ...]


def look(
    model: Classifier, test_set: Dataset, *, train_loss: float, before: Side | None = None
) -> Side:
    """Measure a model and map its features; it stays as it is.

    Parameters
    ----------
    model : Classifier
        On the CPU.
    test_set : Dataset
        Images to look at, at least two of each class.
    train_loss : float
        Noted beside what is measured.
    before : Side, optional
        An earlier look, whose map the new one is turned towards.

    Raises
    ------
    FloatingPointError
        If a feature is no finite number.
    """
    labels = test_set.labels
    logits, features = outputs(model, test_set.inputs("cpu"))
    if not features.isfinite().all():
        raise FloatingPointError("the features stopped being finite numbers")
    head = model.head
    measured = neural_collapse(features, labels, head)
    centers = getattr(head, "centers", None)
    origin, axes = _plane(features, before)
    points = project(features, origin, axes)
    count = logits.shape[1]
    means = torch.stack([points[labels == one].mean(dim=0) for one in range(count)])
    with torch.no_grad():
        loss = head(features, labels).double().mean().item()
    return Side(
        accuracy=(logits.argmax(dim=1) == labels).double().mean().item(),
        loss=loss,
        train_loss=train_loss,
        nc1_ratio=measured.nc1_ratio,
        distance_to_best=measured.distance_to_best,
        reach=features.norm(dim=1).max().item(),
        points=points.float(),
        predictions=logits.argmax(dim=1),
        means=means.float(),
        centers=None if centers is None else project(centers.detach(), origin, axes).float(),
        regions=_regions(model) if features.shape[1] == 2 else None,
    )


def _plane(
    features: Float[Tensor, "batch dim"], before: Side | None
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "2 dim"]]:
    """Give origin and axes of the plane that is shown."""
    if features.shape[1] == 2:
        return torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    origin, axes = pca_axes(features)
    if before is not None:
        points = project(features, origin, axes)
        left, _, right = torch.linalg.svd(before.points.double().T @ points)
        axes = left @ right @ axes
    return origin, axes


def _regions(model: Classifier) -> Float[Tensor, "num_classes 4"] | None:
    form = model.head.generalized_sce()
    if form is None:
        return None
    columns = [form.means, form.scales[:, None], form.offsets[:, None]]
    return torch.cat(columns, dim=1).detach().float()
