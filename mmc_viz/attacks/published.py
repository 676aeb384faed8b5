"""The published AutoAttack, by its authors' code: the yardstick that papers report.

It needs the extra `autoattack`. Its cross-entropy is computed in float32 and would saturate on
models with large logits, as any other; so it is fed logits divided by one constant a model, the
median gap between the two largest logits of the clean images. That changes no decision.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.checks import check_eps, check_images, check_labels, check_norm
from mmc_viz.attacks.view import clean_logits, frozen

#: The parts of the standard version, in its order.
PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")


def usable_parts(num_classes: int) -> tuple[str, ...]:
    """Parts of AutoAttack that are defined for so many classes.

    `apgd-t` climbs a targeted difference of logits ratio, which needs the fourth largest logit.
    """
    return PARTS if num_classes >= 4 else tuple(part for part in PARTS if part != "apgd-t")


def autoattack(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    norm: str = "linf",
    parts: tuple[str, ...] | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 250,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Run the published AutoAttack in its standard version.

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
        In which the budget is measured.
    parts : tuple of str, optional
        Which of `PARTS` to run. None: those that are defined for the number of classes.
    generator : torch.Generator, optional
        Source of the seed. None: a private one, seeded 0.
    batch_size : int
        How many images are worked on at once.
    progress : bool
        Not used; the published code shows none.

    Returns
    -------
    adversarial : Float[Tensor, "batch channels height width"]
        An adversarial image where one was found; else the image itself.

    Raises
    ------
    ValueError
        If the extra is not installed, an argument is out of range, or a part is not defined for
        the number of classes.

    References
    ----------
    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, https://arxiv.org/abs/2003.01690.
    """
    published = load_published()
    check_images(images)
    check_labels(labels, images)
    check_norm(norm, BALLS)
    budgets = check_eps(eps, images, norm)
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    seed = int(torch.randint(2**31, (), generator=source, device=source.device))
    found = images.detach().clone()
    if len(images) == 0 or eps == 0:
        return found
    with torch.inference_mode(False), frozen(model, images) as view:
        logits = clean_logits(view, found.clone(), labels.clone(), None, batch_size)
        defined = usable_parts(logits.shape[1])
        if parts is None:
            parts = defined
        elif not set(parts) <= set(defined):
            raise ValueError(
                f"`parts` must be among {', '.join(defined)} for {logits.shape[1]} classes; got "
                f"{', '.join(parts)}."
            )
        right = (logits.argmax(dim=1) == labels).nonzero()[:, 0]
        if len(right) == 0:
            return found
        attack = published(
            _Divided(view.exact, typical_gap(logits)),
            norm={"linf": "Linf", "l2": "L2"}[norm],
            eps=float(eps),
            seed=seed,
            version="standard",
            device=images.device,
        )
        attack.attacks_to_run = list(parts)
        attack.apgd_targeted.n_target_classes = min(9, logits.shape[1] - 1)
        attack.fab.n_target_classes = min(9, logits.shape[1] - 1)
        with _global_randomness_kept(images.device):
            tried, _ = attack.run_standard_evaluation(
                images[right].detach().clone(), labels[right].clone(), batch_size=batch_size
            )
        found[right] = BALLS[norm].project(tried.detach(), found[right], budgets[right])
    return found


def typical_gap(logits: Float[Tensor, "batch num_classes"]) -> float:
    """Median over images of the gap between the two largest logits; 1 where that is 0."""
    first, second = logits.topk(2, dim=1).values.unbind(dim=1)
    return float((first - second).median()) or 1.0


def load_published() -> Callable:
    """Give the published class.

    Raises
    ------
    ValueError
        If the extra is not installed.
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise ValueError(
            "The published AutoAttack is not installed; install the extra `autoattack` "
            "(pip install 'mmc-viz[autoattack]' or pip install pyautoattack==0.2.0)."
        ) from None
    return AutoAttack


class _Divided(nn.Module):
    """A model whose logits are divided by a constant."""

    def __init__(self, model: nn.Module, constant: float):
        super().__init__()
        self.model = model
        self.constant = constant

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images) / self.constant


@contextmanager
def _global_randomness_kept(device: torch.device) -> Iterator[None]:
    """Put the global random states back: the published code seeds them all."""
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)
