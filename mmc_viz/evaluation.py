r"""How often a model is right: on clean images, and under attack as the budget grows.

A label that is wrong on the clean image counts as not robust, so robust accuracy never exceeds
clean accuracy. Every share comes with a Wilson interval: of $n$ images of which a share $p$ is
right,

$$\frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n}, \qquad z = 1.96,$$

which stays within [0, 1] and is honest at 0 and at 1, where the usual interval shrinks to a point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz import tables
from mmc_viz.attacks import frozen
from mmc_viz.attacks.checks import check_classes, check_epsilons, check_images, check_labels
from mmc_viz.networks import outputs

_Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclass(frozen=True)
class RobustnessCurve:
    """Which images survive which attack at which budget.

    Attributes
    ----------
    attacks : list[str]
        Names.
    epsilons : Float[Tensor, "steps"]
        Budgets in the unit of the images, rising.
    correct : Bool[Tensor, "attacks steps batch"]
        Whether the model is right on the image and no budget up to this one fooled it.
    """

    attacks: list[str]
    epsilons: Float[Tensor, " steps"]
    correct: Bool[Tensor, "attacks steps batch"]

    @property
    def accuracy(self) -> Float[Tensor, "attacks steps"]:
        """Share of images on which the model is right, 0..1."""
        return self.correct.double().mean(dim=2)

    @property
    def low(self) -> Float[Tensor, "attacks steps"]:
        """Lower end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.correct.sum(dim=2), self.correct.shape[2])[0]

    @property
    def high(self) -> Float[Tensor, "attacks steps"]:
        """Upper end of the 95 % Wilson interval of `accuracy`."""
        return wilson_interval(self.correct.sum(dim=2), self.correct.shape[2])[1]

    def rows(self) -> list[dict[str, str | float | int]]:
        """Give the curve as a table, one row for each attack and budget."""
        count = self.correct.sum(dim=2).tolist()
        accuracy, low, high = self.accuracy.tolist(), self.low.tolist(), self.high.tolist()
        return [
            {
                "attack": attack,
                "epsilon": float(f"{epsilon:.6g}"),  # 0.06, not float32's 0.059999998658
                "images": self.correct.shape[2],
                "correct": count[a][k],
                "accuracy": accuracy[a][k],
                "low": low[a][k],
                "high": high[a][k],
            }
            for a, attack in enumerate(self.attacks)
            for k, epsilon in enumerate(self.epsilons.tolist())
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def accuracy(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    batch_size: int = 512,
) -> float:
    """Share of images that the model gets right, 0..1.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits; used in evaluation mode, left as it was.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    batch_size : int
        How many images go through the model at once.

    Raises
    ------
    ValueError
        If there is no image, or images or labels are out of range.
    """
    return correct(model, images, labels, batch_size=batch_size).double().mean().item()


def correct(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    batch_size: int = 512,
) -> Bool[Tensor, " batch"]:
    """Which images the model gets right; the arguments are those of `accuracy`."""
    check_images(images)
    check_labels(labels, images)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    logits, _ = outputs(model, images, batch_size=batch_size)
    check_classes("labels", labels, logits.shape[1])
    return logits.argmax(dim=1) == labels


def robustness_curve(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Tensor | np.ndarray | Sequence[float | int],
    attacks: dict[str, Callable[..., Tensor]],
    *,
    progress: bool = False,
) -> RobustnessCurve:
    """Measure accuracy under several attacks as their budget grows.

    At each budget an attack is run on the images that no smaller budget has fooled: what fools the
    model within a small ball lies within every larger one.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and it decides what is right.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    epsilons : tensor, array or sequence of float
        Budgets in the unit of the images, rising.
    attacks : dict[str, callable]
        Each is called as `attack(model, images, labels, eps=)` and returns images; settings are
        fixed beforehand, for instance `functools.partial(pgd, steps=50)`.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    curve : RobustnessCurve

    Raises
    ------
    ValueError
        If the budgets do not rise, there is no attack, or an argument is out of range.
    """
    budgets = torch.as_tensor(epsilons, dtype=torch.float64).cpu()
    check_epsilons(budgets)
    if not attacks:
        raise ValueError("`attacks` must name at least one attack; got none.")
    clean = correct(model, images, labels)
    table = torch.zeros(len(attacks), len(budgets), len(images), dtype=torch.bool)
    bar = tqdm(total=len(attacks) * len(budgets), unit="run", disable=not progress)
    with bar, frozen(model, images) as view:
        for a, (name, attack) in enumerate(attacks.items()):
            bar.set_description(name)
            alive, held = clean.clone(), images.detach().clone()
            for k, eps in enumerate(budgets.tolist()):
                # A fooled image goes in as the adversarial image it became, and comes straight
                # back. So each image keeps its place in the call, and its random start.
                found = attack(view, held, labels, eps=eps)
                survives = correct(view.exact, found.clamp(0, 1), labels)
                fooled = alive & ~survives
                held[fooled] = found[fooled]
                alive &= survives
                table[a, k] = alive.cpu()
                bar.update()
    return RobustnessCurve(list(attacks), budgets.float(), table)


def wilson_interval(
    right: Int[Tensor, " *shape"], total: int
) -> tuple[Float[Tensor, " *shape"], Float[Tensor, " *shape"]]:
    """95 % confidence interval of a share, from counts.

    Parameters
    ----------
    right : Int[Tensor, "*shape"]
        How many of `total` are right.
    total : int
        At least 1.

    Returns
    -------
    low, high : Float[Tensor, "*shape"]
        Float64, in [0, 1].

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share = right.double() / total
    middle = share + _Z**2 / (2 * total)
    spread = _Z * (share * (1 - share) / total + _Z**2 / (4 * total**2)).sqrt()
    scale = 1 + _Z**2 / total
    # At 0 and at 1 the interval ends there; rounding alone would leave it a hair beside the share.
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return low.clamp_min(0).minimum(share), high.clamp_max(1).maximum(share)
