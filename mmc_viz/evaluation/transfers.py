"""What fools one model, tried on another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz import tables
from mmc_viz.attacks import transfer
from mmc_viz.attacks.checks import check_images, check_labels
from mmc_viz.attacks.flatness import flat_under
from mmc_viz.evaluation.judging import correct


@dataclass(frozen=True)
class TransferMatrix:
    """Which images still are recognised after an attack on the same or on another model.

    Attributes
    ----------
    sources : list[str]
        Models on which the images were made.
    targets : list[str]
        Models by which they are judged.
    correct : Bool[Tensor, "sources targets batch"]
        Whether the target is right on the image and on what was made of it.
    zero_gradient : Bool[Tensor, "sources batch"], optional
        Whether what the attack climbs has an exactly zero gradient of the source at the image: then
        it is no wonder that nothing carries over.
    """

    sources: list[str]
    targets: list[str]
    correct: Bool[Tensor, "sources targets batch"]
    zero_gradient: Bool[Tensor, "sources batch"] | None = None

    @property
    def count(self) -> int:
        """Number of images."""
        return self.correct.shape[2]

    @property
    def accuracy(self) -> Float[Tensor, "sources targets"]:
        """Share of images on which the target is right, 0..1."""
        return self.correct.double().mean(dim=2)

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each pair of source and target."""
        flat = None if self.zero_gradient is None else self.zero_gradient.sum(dim=1).tolist()
        return [
            {
                "source": source,
                "target": target,
                "images": self.correct.shape[2],
                "correct": int(self.correct[s, t].sum()),
                "accuracy": self.accuracy[s, t].item(),
                "zero_gradient": None if flat is None else flat[s],
            }
            for s, source in enumerate(self.sources)
            for t, target in enumerate(self.targets)
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the table as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def transfer_matrix(
    models: dict[str, nn.Module],
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    attack: Callable[..., Tensor],
    progress: bool = False,
) -> TransferMatrix:
    """Attack each model and try what comes out on all of them.

    Parameters
    ----------
    models : dict[str, nn.Module]
        From images in [0, 1] to logits of the same classes. They stay as they are.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    attack : callable
        As `mmc_viz.attacks.transfer` takes it, its budget fixed beforehand: for instance
        `functools.partial(pgd, eps=0.1)`. On the diagonal it is run as it is, as a white-box
        attack.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    matrix : TransferMatrix

    Raises
    ------
    ValueError
        If there is no model or no image, or the models do not fit the images.
    """
    if not models:
        raise ValueError("`models` must name at least one model; got none.")
    check_images(images)
    check_labels(labels, images)
    names = list(models)
    table = torch.zeros(len(names), len(names), len(images), dtype=torch.bool)
    flat = [flat_under(attack, source, images, labels) for source in models.values()]
    with tqdm(total=len(names) ** 2, unit="pair", disable=not progress) as bar:
        for s, source in enumerate(models.values()):
            for t, target in enumerate(models.values()):
                if source is target:
                    found = attack(target, images, labels)
                else:
                    found = transfer(source, target, images, labels, attack=attack)
                right = correct(target, images, labels) & correct(target, found, labels)
                table[s, t] = right.cpu()
                bar.update()
    return TransferMatrix(names, names, table, torch.stack(flat))
