r"""An epsilon path: what happens to each image as the attacker's budget grows.

At each budget $\epsilon_k$ the full attack is run on every image that no smaller budget has fooled;
an image fooled once is fooled for good, because the ball only grows. So `success` is monotone, and
at each budget the path is as strong as an attack run for that budget alone.

A path is made to be drawn, so its images are bytes, and every number in it is that of the image as
drawn: predictions, logits and features are computed from the bytes. Rounding to the nearest of 256
grey levels moves a pixel by up to half a level. Where it would undo an attack, each pixel is
rounded up or down instead, to the side on which the model errs. So a drawn pixel may leave the ball
by less than one level, 0.004; with budgets that are whole levels, k/255, none leaves it at all.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz import tables
from mmc_viz.attacks import View, frozen, pgd
from mmc_viz.attacks.checks import check_classes, check_epsilons, check_images, check_labels
from mmc_viz.attacks.flatness import flat_under
from mmc_viz.devices import choose_device
from mmc_viz.networks import outputs
from mmc_viz.objectives import margin


@dataclass(frozen=True)
class EpsilonPath:
    """Images under attack for growing budgets, on the CPU.

    Attributes
    ----------
    epsilons : Float[Tensor, "steps"]
        Budgets in the unit of the images, rising.
    images : UInt8[Tensor, "steps batch channels height width"]
        As drawn: the adversarial image, or the attack's last try.
    logits : Float[Tensor, "steps batch num_classes"]
        Of these images.
    features : Float[Tensor, "steps batch dim"]
        Of these images; of dimension 0 if the model has none.
    success : Bool[Tensor, "steps batch"]
        Whether this budget or a smaller one fooled the model; a clean error counts.
    labels : Int[Tensor, "batch"]
        True classes.
    zero_gradient : Bool[Tensor, "batch"], optional
        Whether what the attack climbs has an exactly zero gradient at the clean image.
    """

    epsilons: Float[Tensor, " steps"]
    images: UInt8[Tensor, "steps batch channels height width"]
    logits: Float[Tensor, "steps batch num_classes"]
    features: Float[Tensor, "steps batch dim"]
    success: Bool[Tensor, "steps batch"]
    labels: Int[Tensor, " batch"]
    zero_gradient: Bool[Tensor, " batch"] | None = None

    @property
    def right(self) -> Int[Tensor, " steps"]:
        """How many images the model still gets right, at each budget."""
        return (~self.success).sum(dim=1)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the path, without pixels and features, as JSON; write it too if `path` is given."""
        values = {
            "epsilons": [float(f"{epsilon:.6g}") for epsilon in self.epsilons.tolist()],
            "labels": self.labels.tolist(),
            "predictions": self.logits.argmax(dim=2).tolist(),
            "success": self.success.tolist(),
            "right": self.right.tolist(),
            "zero_gradient": None if self.zero_gradient is None else self.zero_gradient.tolist(),
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each budget and image as CSV; write it too if `path` is given."""
        predictions, success = self.logits.argmax(dim=2).tolist(), self.success.int().tolist()
        rows = [
            {
                "epsilon": f"{epsilon:.6g}",
                "image": i,
                "label": label,
                "prediction": predictions[k][i],
                "fooled": success[k][i],
            }
            for k, epsilon in enumerate(self.epsilons.tolist())
            for i, label in enumerate(self.labels.tolist())
        ]
        return tables.to_csv(rows, path)


def epsilon_path(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Tensor | np.ndarray | Sequence[float | int],
    *,
    attack: Callable[..., Tensor] = pgd,
    follow: str = "hold",
    seed: int = 0,
    progress: bool = False,
) -> EpsilonPath:
    """Attack images with growing budgets.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1]; they are rounded to whole grey levels first, which changes nothing for images
        that come from bytes.
    labels : Int[Tensor, "batch"]
        True classes.
    epsilons : tensor, array or sequence of float
        Budgets in the unit of the images, rising.
    attack : callable
        Called as `attack(model, images, labels, eps=, generator=)`. Settings are fixed beforehand,
        for instance `functools.partial(pgd, steps=50, objective="distance")`.
    follow : {"hold", "track"}
        What is drawn of an image already fooled: `hold` keeps its first adversarial image; `track`
        attacks the clean image again at each budget, for pictures of features that move.
    seed : int
        Of the generator that the attack gets, the same at each budget.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    path : EpsilonPath

    Raises
    ------
    ValueError
        If the budgets do not rise, or an argument is out of range.
    """
    budgets = torch.as_tensor(epsilons, dtype=torch.float64).cpu()
    check_epsilons(budgets)
    if follow not in ("hold", "track"):
        raise ValueError(f"`follow` must be 'hold' or 'track'; got {follow!r}.")
    check_images(images)
    check_labels(labels, images)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    clean = (images.detach() * 255).round().to(torch.uint8)

    steps = []
    with frozen(model, images) as view:
        frame = clean.clone()
        logits, features = outputs(view.exact, frame.to(images.dtype) / 255)
        check_classes("labels", labels, logits.shape[1])
        fooled = logits.argmax(dim=1) != labels
        flat = flat_under(attack, view, frame.to(images.dtype) / 255, labels)
        for eps in tqdm(budgets.tolist(), unit="eps", disable=not progress):
            # An image that is held goes in as it is drawn and comes straight back: an attack
            # returns what fools the model already. So each image keeps its place in the call, and
            # with it the random start that it would have in a run of its own.
            rows = (~fooled if follow == "hold" else torch.ones_like(fooled)).nonzero()[:, 0]
            source = frame.to(images.dtype) / 255
            source[rows] = clean[rows].to(images.dtype) / 255
            generator = torch.Generator().manual_seed(seed)
            found = attack(view, source, labels, eps=eps, generator=generator)
            if len(rows):
                frame[rows], logits[rows], features[rows] = _drawn(view, found[rows], labels[rows])
            fooled |= logits.argmax(dim=1) != labels
            steps.append([value.cpu().clone() for value in (frame, logits, features, fooled)])
    frames, logits, features, success = (torch.stack(values) for values in zip(*steps, strict=True))
    return EpsilonPath(budgets.float(), frames, logits, features, success, labels.cpu(), flat)


def compare(
    models: dict[str, nn.Module],
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Tensor | np.ndarray | Sequence[float | int],
    *,
    objectives: Sequence[str] = ("cross_entropy", "distance", "margin"),
    steps: int = 20,
    device: str | torch.device = "auto",
    seed: int = 0,
    progress: bool = True,
) -> dict[str, dict[str, EpsilonPath]]:
    """Attack the same images of several models with PGD, once for each objective.

    Parameters
    ----------
    models : dict[str, nn.Module]
        A title for each model. They stay where and as they are; copies go to `device`.
    images, labels, epsilons
        As for `epsilon_path`.
    objectives : sequence of str
        What the attacker maximises in each run: names from `mmc_viz.objectives`.
    steps : int
        Steps of each attack, in each budget.
    device : str or torch.device
        Where to compute; `auto` picks CUDA, then MPS, then CPU.
    seed : int
        Of the random starts.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    runs : dict[str, dict[str, EpsilonPath]]
        Objective to title to path.
    """
    device = choose_device(device)
    copies = {title: copy.deepcopy(model).to(device) for title, model in models.items()}
    images, labels = images.to(device), labels.to(device)
    runs: dict[str, dict[str, EpsilonPath]] = {objective: {} for objective in objectives}
    jobs = [(objective, title) for objective in objectives for title in models]
    for objective, title in tqdm(jobs, unit="path", disable=not progress):
        runs[objective][title] = epsilon_path(
            copies[title],
            images,
            labels,
            epsilons,
            attack=partial(pgd, steps=steps, objective=objective),
            seed=seed,
        )
    return runs


def attack_once(
    models: dict[str, nn.Module],
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    steps: int,
    objective: str,
    device: str | torch.device = "auto",
    seed: int = 0,
) -> dict[str, EpsilonPath]:
    """Attack the same images of several models with one budget; the arguments are as in `compare`.

    Returns
    -------
    paths : dict[str, EpsilonPath]
        Title to a path of two steps: the clean images, and those attacked with `eps`.
    """
    epsilons = [0.0, eps] if eps > 0 else [0.0]
    settings = {"objectives": [objective], "steps": steps, "device": device, "seed": seed}
    return compare(models, images, labels, epsilons, progress=False, **settings)[objective]


def _drawn(
    view: View,
    found: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
) -> tuple[
    UInt8[Tensor, "batch channels height width"],
    Float[Tensor, "batch num_classes"],
    Float[Tensor, "batch dim"],
]:
    """Round to bytes without undoing the attack, where that can be done.

    Returns the bytes, and their logits and features.
    """
    levels = found * 255
    drawn = _bytes(levels.round())
    logits, features = outputs(view.exact, drawn.to(found.dtype) / 255)
    undone = (logits.argmax(dim=1) == labels) & (
        outputs(view.exact, found)[0].argmax(dim=1) != labels
    )
    rows = undone.nonzero()[:, 0]
    if len(rows):
        # Rounding pushes a point that lies just past the boundary back over it. Rounding each
        # pixel to the side on which the margin grows goes, to first order, farther past it.
        point = found[rows].detach().requires_grad_()
        with torch.enable_grad():
            value = margin(view.fast(point.clone()), labels[rows]).sum()
        uphill = torch.autograd.grad(value, point)[0] > 0
        # What is a whole level but for float32's rounding stays that level, and within its ball.
        whole = (levels[rows] - levels[rows].round()).abs() < 1e-3
        pushed = torch.where(uphill, levels[rows].ceil(), levels[rows].floor())
        drawn[rows] = _bytes(torch.where(whole, levels[rows].round(), pushed))
        logits[rows], features[rows] = outputs(view.exact, drawn[rows].to(found.dtype) / 255)
    return drawn, logits, features


def _bytes(
    levels: Float[Tensor, "batch channels height width"],
) -> UInt8[Tensor, "batch channels height width"]:
    return levels.clamp(0, 255).to(torch.uint8)
