r"""How far the features of attacked images move, and between which anchors.

An *anchor* $a_i$ stands for class $i$: its center in the head, or, for a head without centers, the
mean of the class's clean features. Feature spaces of two models have no common unit, so lengths are
also given as multiples of one *class distance*, the median over classes of the distance of an
anchor to the nearest other one:

$$D = \operatorname{median}_i \min_{j \ne i} \lVert a_i - a_j \rVert.$$

With $d_y$ the distance of a feature to the anchor of its class and $d_j$ that to the nearest other
one, $d_y / (d_y + d_j)$ is how far it is on the *way*: 0 at its own anchor, 1/2 where both are
equally far, 1 at another anchor. MMC decides by the nearest center, so it is fooled exactly where
the way is past 1/2; the class means of other heads decide nothing.

At each budget an image is attacked anew, whether or not a smaller budget has fooled it. The attacks
of this library stop at the first image that fools the model; so a feature goes as far as it has to,
not as far as it could.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import pgd
from mmc_viz.networks import outputs
from mmc_viz.paths import EpsilonPath, epsilon_path


@dataclass(frozen=True)
class Journey:
    """The features of attacked images and what lies about them; all on the CPU.

    Attributes
    ----------
    path : EpsilonPath
        The images under attack; it tracks.
    features : Float[Tensor, "fitted dim"]
        Of clean images, for the background.
    labels : Int[Tensor, "fitted"]
        Their classes.
    anchors : Float[Tensor, "num_classes dim"]
        One for each class.
    anchors_are : {"centers", "class means"}
        What they are.
    """

    path: EpsilonPath
    features: Float[Tensor, "fitted dim"]
    labels: Int[Tensor, " fitted"]
    anchors: Float[Tensor, "num_classes dim"]
    anchors_are: str

    @property
    def class_distance(self) -> float:
        """Median over classes of the distance of an anchor to the nearest other one."""
        lengths = torch.cdist(self.anchors.double(), self.anchors.double())
        lengths.fill_diagonal_(torch.inf)
        return float(lengths.amin(dim=1).quantile(0.5))

    @property
    def moved(self) -> Float[Tensor, "steps batch"]:
        """Distance of each feature from where it was at the first budget, float64."""
        features = self.path.features.double()
        return (features - features[0]).norm(dim=2)

    @property
    def median_moved(self) -> Float[Tensor, " steps"]:
        """Median of `moved` at each budget."""
        return self.moved.quantile(0.5, dim=1)

    @property
    def own(self) -> Float[Tensor, "steps batch"]:
        """Distance of each feature to the anchor of its true class, float64."""
        return self._to_anchors[..., 0]

    @property
    def other(self) -> Float[Tensor, "steps batch"]:
        """Distance of each feature to the nearest other anchor, float64."""
        return self._to_anchors[..., 1]

    @property
    def way(self) -> Float[Tensor, "steps batch"]:
        """How far each feature is on the way to another anchor, 0..1, float64."""
        own, other = self.own, self.other
        return own / (own + other)

    @property
    def median_way(self) -> Float[Tensor, " steps"]:
        """Median of `way` at each budget."""
        return self.way.quantile(0.5, dim=1)

    @property
    def _to_anchors(self) -> Float[Tensor, "steps batch 2"]:
        lengths = torch.cdist(self.path.features.double(), self.anchors.double())
        places = self.path.labels.expand(len(lengths), -1)[..., None]
        own = lengths.gather(2, places)
        other = lengths.scatter(2, places, torch.inf).amin(dim=2, keepdim=True)
        return torch.cat([own, other], dim=2)


def travel(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Sequence[float | int],
    *,
    background: Float[Tensor, "fitted channels height width"],
    background_labels: Int[Tensor, " fitted"],
    attack: Callable[..., Tensor] = pgd,
    seed: int = 0,
) -> Journey:
    """Attack images with growing budgets and follow their features.

    Parameters
    ----------
    model : nn.Module
        With features. It stays as it is.
    images, labels
        What is attacked; in [0, 1].
    epsilons : sequence of float
        Budgets in the unit of the images, rising; the first should be 0.
    background, background_labels
        Clean images, at least one of each class where the head has no centers.
    attack : callable
        As for `mmc_viz.paths.epsilon_path`.
    seed : int
        Of the attack.

    Raises
    ------
    ValueError
        If the model has no features, or a class has neither center nor image.
    """
    _, features = outputs(model, background)
    features, places = features.detach().cpu(), background_labels.cpu()
    if not features.shape[1]:
        raise ValueError(
            "`model` must have features. Give it a method `features` from images to [batch, dim]."
        )
    centers = getattr(getattr(model, "head", None), "centers", None)
    if centers is not None:
        anchors, what = centers.detach().cpu(), "centers"
    else:
        logits, _ = outputs(model, images[:1])
        anchors, what = _means(features, places, logits.shape[1]), "class means"
    path = epsilon_path(model, images, labels, epsilons, attack=attack, follow="track", seed=seed)
    return Journey(path, features, places, anchors, what)


def _means(
    features: Float[Tensor, "fitted dim"], labels: Int[Tensor, " fitted"], classes: int
) -> Float[Tensor, "num_classes dim"]:
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise ValueError(
            f"`background` must hold an image of each class; class {missing[0]} has none."
        )
    return torch.stack([features[labels == label].mean(dim=0) for label in range(classes)])
