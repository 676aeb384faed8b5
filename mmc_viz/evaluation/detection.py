"""Telling attacked images from clean ones by how sure the model is of them.

The authors of MMC score detection by the largest logit: for MMC it is minus the squared distance to
the nearest center, so what was pushed halfway to a rival should stand out. But an attacker who
knows of the detector does not stop halfway. The area under the ROC curve (AUC) is the probability
that a clean image scores above an attacked one: 1 tells all apart, 0.5 is a coin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz import tables
from mmc_viz.attacks import frozen, pgd
from mmc_viz.attacks.checks import check_images, check_labels
from mmc_viz.attacks.evading import evading
from mmc_viz.attacks.flatness import flat_under
from mmc_viz.networks import outputs

#: How sure a model is of an image, from its logits.
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda logits: logits.amax(dim=1),
    "probability": lambda logits: logits.double().softmax(dim=1).amax(dim=1),
}


@dataclass(frozen=True)
class Detection:
    """Scores of clean and of attacked images.

    Attributes
    ----------
    score : str
        What the detector looks at: `logit`, the largest logit, or `probability`, the largest
        softmax probability.
    clean : Float[Tensor, "batch"]
        Scores of the clean images.
    attacked : dict[str, Float[Tensor, "batch"]]
        For each attack the scores of what it made of them.
    fooled : dict[str, Bool[Tensor, "batch"]]
        For each attack where the model errs on that.
    zero_gradient : dict[str, Bool[Tensor, "batch"]], optional
        For each attack where what it climbs has an exactly zero gradient at the clean image.
    """

    score: str
    clean: Float[Tensor, " batch"]
    attacked: dict[str, Float[Tensor, " batch"]]
    fooled: dict[str, Bool[Tensor, " batch"]]
    zero_gradient: dict[str, Bool[Tensor, " batch"]] | None = None

    def auc(self, attack: str, *, fooled_only: bool = False) -> float | None:
        """Area under the ROC curve of clean against attacked images, 0..1.

        Over all images, as the authors' code counts, or over those that fool the model, since the
        others need no detector; None where there are none.
        """
        from sklearn.metrics import roc_auc_score

        scores = self.attacked[attack]
        if fooled_only:
            scores = scores[self.fooled[attack]]
        if len(scores) == 0:
            return None
        truth = [1] * len(self.clean) + [0] * len(scores)
        return float(roc_auc_score(truth, [*self.clean.tolist(), *scores.tolist()]))

    def _flat(self, attack: str) -> int | None:
        return None if self.zero_gradient is None else int(self.zero_gradient[attack].sum())

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each attack."""
        return [
            {
                "attack": attack,
                "score": self.score,
                "images": len(self.clean),
                "fooled": int(self.fooled[attack].sum()),
                "auc": self.auc(attack),
                "auc_fooled": self.auc(attack, fooled_only=True),
                "zero_gradient": self._flat(attack),
            }
            for attack in self.attacked
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def detection(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    norm: str = "linf",
    score: str = "logit",
    attacks: dict[str, Callable[..., Tensor]] | None = None,
    seed: int = 0,
) -> Detection:
    """Score clean images, attacked ones, and ones attacked by somebody who knows the detector.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in the unit of the images.
    norm : {"linf", "l2"}
        In which it is measured.
    score : {"logit", "probability"}
        What the detector looks at.
    attacks : dict[str, callable], optional
        Attacks that do not know of the detector, called as
        `attack(model, images, labels, eps=, norm=, generator=)`. None: `pgd` with 20 steps on the
        cross-entropy, as the authors run it, and on the margin. The adaptive one, `evading`, is
        always added.
    seed : int
        Of the random starts.

    Returns
    -------
    result : Detection

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if score not in SCORES:
        raise ValueError(f"`score` must be one of {', '.join(SCORES)}; got {score!r}.")
    check_images(images)
    check_labels(labels, images)
    if attacks is None:
        attacks = {name: partial(pgd, objective=name) for name in ("cross_entropy", "margin")}
    attacks = attacks | {"evading": evading}
    scores, fooled, flat = {}, {}, {}
    with frozen(model, images) as view:
        clean = SCORES[score](outputs(view.exact, images)[0]).cpu()
        for name, attack in attacks.items():
            flat[name] = flat_under(attack, view, images, labels)
            generator = torch.Generator().manual_seed(seed)
            found = attack(view, images, labels, eps=eps, norm=norm, generator=generator)
            logits, _ = outputs(view.exact, found.clamp(0, 1))
            scores[name] = SCORES[score](logits).cpu()
            fooled[name] = (logits.argmax(dim=1) != labels).cpu()
    return Detection(score, clean, scores, fooled, flat)
