r"""A trajectory: what an attack reaches on each image, step by step.

Two numbers are noted at each iterate $x_s$. The first is what the attack maximises, its loss. The
second is the margin $\max_{j \ne y} h_j(x_s) - h_y(x_s)$, the decision itself: positive where the
model errs. An attack that works lifts both. One that follows a dead gradient stays where it began,
in both, and its failure says nothing about the model.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz import tables
from mmc_viz.attacks import frozen, pgd
from mmc_viz.attacks.checks import check_classes, check_images, check_labels
from mmc_viz.attacks.flatness import flat_under
from mmc_viz.networks import outputs
from mmc_viz.objectives import margin


@dataclass(frozen=True)
class Trajectory:
    """Loss and margin of each image at each iterate of an attack, on the CPU.

    Several restarts follow one another. An image fooled in an earlier one, which the attack leaves
    alone from then on, keeps its values.

    Attributes
    ----------
    steps : Int[Tensor, "steps"]
        Number of each iterate, as the attack counts: from 0, the start, anew for each restart.
    restarts : Int[Tensor, "steps"]
        Restart to which each iterate belongs, from 0 on.
    loss : Float[Tensor, "steps batch"]
        What the attack maximises, float64, as the attack computes it.
    margin : Float[Tensor, "steps batch"]
        Lead of the best wrong class over the true one, in logits; of the model itself.
    fooled : Bool[Tensor, "steps batch"]
        Whether the model errs at this iterate or erred at an earlier one; a clean error counts.
    success : Bool[Tensor, "batch"]
        Whether the model errs on what the attack gave back. Some attacks look at one more point
        after their last iterate, so this may be true where `fooled` is false.
    labels : Int[Tensor, "batch"]
        True classes.
    zero_gradient : Bool[Tensor, "batch"], optional
        Whether what the attack climbs has an exactly zero gradient at the clean image.
    """

    steps: Int[Tensor, " steps"]
    restarts: Int[Tensor, " steps"]
    loss: Float[Tensor, "steps batch"]
    margin: Float[Tensor, "steps batch"]
    fooled: Bool[Tensor, "steps batch"]
    success: Bool[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    zero_gradient: Bool[Tensor, " batch"] | None = None

    @property
    def median_loss(self) -> Float[Tensor, " steps"]:
        """Median of the loss over the images, at each iterate."""
        return self.loss.double().quantile(0.5, dim=1)

    @property
    def median_margin(self) -> Float[Tensor, " steps"]:
        """Median of the margin over the images, at each iterate."""
        return self.margin.double().quantile(0.5, dim=1)

    @property
    def right(self) -> Int[Tensor, " steps"]:
        """How many images neither this iterate nor an earlier one has fooled."""
        return (~self.fooled).sum(dim=1)

    @property
    def first_fooled(self) -> list[int | None]:
        """Place in `steps` of the first iterate that fools each image; None where none does."""
        places = self.fooled.int().argmax(dim=0).tolist()
        ever = self.fooled.any(dim=0).tolist()
        return [place if met else None for place, met in zip(places, ever, strict=True)]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the trajectory as JSON; write it too if `path` is given."""
        values = {
            "steps": self.steps.tolist(),
            "restarts": self.restarts.tolist(),
            "labels": self.labels.tolist(),
            "loss": self.loss.tolist(),
            "margin": self.margin.tolist(),
            "fooled": self.fooled.tolist(),
            "success": self.success.tolist(),
            "zero_gradient": None if self.zero_gradient is None else self.zero_gradient.tolist(),
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each iterate and image as CSV; write it too if `path` is given."""
        steps, restarts, labels = self.steps.tolist(), self.restarts.tolist(), self.labels.tolist()
        loss, margins, fooled = self.loss.tolist(), self.margin.tolist(), self.fooled.int().tolist()
        rows = [
            {
                "restart": restarts[s],
                "step": step,
                "image": i,
                "label": label,
                "loss": loss[s][i],
                "margin": margins[s][i],
                "fooled": fooled[s][i],
            }
            for s, step in enumerate(steps)
            for i, label in enumerate(labels)
        ]
        return tables.to_csv(rows, path)


def attack_trajectory(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor | None = None,
    attack: Callable[..., Tensor] = pgd,
) -> Trajectory:
    """Run an attack and note what it reaches at each step.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and it decides what is fooled.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float or Float[Tensor, "batch"], optional
        Budget in the unit of the images. None, where the attack needs none or has its own.
    attack : callable
        Called as `attack(model, images, labels, eps=, trace=)`. Settings are fixed beforehand, for
        instance `functools.partial(pgd, steps=50, objective="cross_entropy")`.

    Returns
    -------
    trajectory : Trajectory

    Raises
    ------
    ValueError
        If there is no image, the attack needs a budget and has none, or it reports no steps.
    """
    check_images(images)
    check_labels(labels, images)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    budget: dict[str, Any] = {} if eps is None else {"eps": eps}
    _check_call(attack, budget)

    notes = []
    # Copies made in inference mode could not be attacked.
    with torch.inference_mode(False), frozen(model, images) as view:
        images, labels = images.detach().clone(), labels.clone()
        logits, _ = outputs(view.exact, images)
        check_classes("labels", labels, logits.shape[1])
        truth = labels.cpu()
        fooled = logits.argmax(dim=1).cpu() != truth
        restart = -1

        def trace(step: int, points: Tensor, logits: Tensor, loss: Tensor) -> None:
            nonlocal restart
            restart += not notes or step <= notes[-1][0]
            # The attack's own logits are those of a faster form of the model.
            logits = outputs(view.exact, points.to(images))[0].cpu()
            # 0 is added because cross-entropy in float32 may be -0.0.
            loss, lead = loss.detach().cpu().double() + 0.0, margin(logits, truth).double()
            fooled.logical_or_(logits.argmax(dim=1) != truth)
            clean = (points == images).flatten(1).all(dim=1).cpu()
            notes.append((step, restart, loss, lead, fooled.clone(), clean))

        flat = flat_under(attack, view, images, labels)
        found = attack(view, images, labels, trace=trace, **budget)
        success = outputs(view.exact, found.detach())[0].argmax(dim=1).cpu() != truth
    if not notes:
        raise ValueError(
            "`attack` must call `trace(step, images, logits, loss)` at each step; it never did."
        )
    steps, restarts = (torch.tensor([note[place] for note in notes]) for place in (0, 1))
    loss, lead, so_far, clean = (
        torch.stack([note[place] for note in notes]) for place in (2, 3, 4, 5)
    )
    for restart in range(1, len(restarts.unique())):
        rows = (restarts == restart).nonzero()[:, 0]
        before = rows[0] - 1
        # What an earlier restart has fooled is shown to the trace as the image that it was.
        left = so_far[before] & clean[rows].all(dim=0)
        for values in (loss, lead):
            values[rows] = torch.where(left, values[before], values[rows])
    return Trajectory(steps, restarts, loss, lead, so_far, success, truth, flat)


def _check_call(attack: Callable[..., Tensor], budget: dict[str, Any]) -> None:
    """Refuse an attack that reports no steps, or whose budget is missing or not wanted."""
    try:
        signature = inspect.signature(attack)
    except ValueError:  # some callables have none
        return
    known = signature.parameters
    any_name = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    if "trace" not in known and not any_name:
        raise ValueError(
            "`attack` must take `trace`; this one reports no steps. Use one that does, such as pgd."
        )
    if "eps" in known and known["eps"].default is inspect.Parameter.empty and not budget:
        raise ValueError("`eps` must be given for an attack with a budget; got None.")
    if "eps" not in known and not any_name and budget:
        raise ValueError("`eps` must be None for an attack without a budget; leave it out.")
