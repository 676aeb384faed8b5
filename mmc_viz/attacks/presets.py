"""Settings of others, by name: what the authors' code runs, and what the paper is known to use.

A preset called `authors_code_*` does what the code released with Pang et al. does, as read there
and in the library that it calls (cleverhans 2.1); one called `paper_*` is confirmed by a source
that says so. Each names where we differ on purpose. Three differences are common to all:

* pixels are clipped to [0, 1], where the authors clip to bounds of the normalised image that are
  looser for some channels;
* an image counts as fooled at the first iterate on which the model errs, not at the last alone;
* an image on which the model errs without any attack counts as not robust. The authors climb away
  from the predicted label, so such an image may be put right and count in the model's favour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.carlini_wagner import cw, ead
from mmc_viz.attacks.deepfool import deepfool
from mmc_viz.attacks.gradient import bim, fgsm, mim, pgd
from mmc_viz.attacks.spsa import spsa
from mmc_viz.attacks.transforms import gaussian_noise, rotation
from mmc_viz.networks import outputs


@dataclass(frozen=True)
class Preset:
    """An attack with somebody else's settings.

    Attributes
    ----------
    attack : callable
        With all settings fixed; called as `attack(model, images, labels)`.
    source : str
        Where the settings were read.
    differences : str
        Where we differ on purpose, beside what all presets have in common.
    """

    attack: Callable[..., Tensor]
    source: str
    differences: str = ""


def away_from_prediction(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    attack: Callable[..., Tensor],
    eps: float | int | Tensor,
    norm: str = "linf",
    objective: str = "cross_entropy",
    generator: torch.Generator | None = None,
    progress: bool = False,
    **settings,
) -> Float[Tensor, "batch channels height width"]:
    """Attack away from the class that the model predicts, whatever the `labels` say."""
    predicted = outputs(model, images)[0].argmax(dim=1)
    return attack(
        model,
        images,
        predicted,
        eps=eps,
        norm=norm,
        objective=objective,
        generator=generator,
        progress=progress,
        **settings,
    )


def towards_random_class(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    attack: Callable[..., Tensor],
    eps: float | int | Tensor,
    norm: str = "linf",
    objective: str = "cross_entropy",
    generator: torch.Generator | None = None,
    progress: bool = False,
    **settings,
) -> Float[Tensor, "batch channels height width"]:
    """Attack towards one wrong class for each image, drawn from `generator`."""
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    num_classes = outputs(model, images[:1])[0].shape[1]
    shift = torch.randint(1, num_classes, labels.shape, generator=source, device=source.device)
    return attack(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=(labels + shift.to(labels.device)) % num_classes,
        generator=source,
        progress=progress,
        **settings,
    )


_ITERATIVE = "authors' code, advtest_iterative.py, with cleverhans 2.1"
_OTHERS = "authors' code, advtest_others.py, with cleverhans 2.1"
_SIMPLE = "authors' code, advtest_simple_transform.py"
_LOOK = (
    "The sources use eps in 256ths; give `eps` for other budgets (8, 16, 24 and 32 are run there)."
)
_STEPS = {"eps": 8 / 256, "steps": 10, "step_size": 2 / 256}


def _iterative(attack: Callable[..., Tensor], **settings) -> tuple[Preset, Preset]:
    """Give the untargeted and the targeted form."""
    return (
        Preset(partial(away_from_prediction, attack=attack, **settings), _ITERATIVE, _LOOK),
        Preset(
            partial(towards_random_class, attack=attack, **settings),
            _ITERATIVE,
            f"{_LOOK} Targets are drawn from a seed, there without one.",
        ),
    )


def _presets() -> dict[str, Preset]:
    presets = {}
    iterative = {"pgd10": pgd, "bim10": bim, "mim10": mim}
    for name, attack in iterative.items():
        untargeted, targeted = _iterative(attack, **_STEPS)
        presets |= {f"authors_code_{name}": untargeted, f"authors_code_{name}_targeted": targeted}
    untargeted, targeted = _iterative(fgsm, eps=8 / 256)
    presets |= {"authors_code_fgsm": untargeted, "authors_code_fgsm_targeted": targeted}
    return presets | {
        "authors_code_cw": Preset(
            partial(cw, steps=1000, search_steps=9, initial_const=0.01, lr=5e-3),
            _OTHERS,
            "Images that no longer get better leave one by one, there the batch as a whole; the "
            "constant weighs the margin in pixels, there in logits; what is found is drawn towards "
            "the image. There the mean distance over the first 500 test images is reported, with "
            "those that were not fooled.",
        ),
        "authors_code_ead": Preset(
            partial(
                ead,
                steps=1000,
                search_steps=1,
                initial_const=1.0,
                beta=0.01,
                lr=0.01,
                confidence=0.1,
            ),
            _OTHERS,
            "Pixels are moved towards the image by `lr * beta`, there by `beta`. There the first "
            "1,000 test images are used.",
        ),
        "authors_code_deepfool": Preset(
            partial(deepfool, steps=10, norm="l2"),
            _OTHERS,
            "It is coded there but not among the documented commands. What is found is drawn "
            "towards the image.",
        ),
        "authors_code_spsa": Preset(
            partial(spsa, eps=8 / 256, steps=10, samples=128, delta=0.01, lr=0.01),
            _OTHERS,
            "The image stays within ball and box. There the mean-subtracted image is clipped to "
            "[0, 1], so that negative values vanish and the change may exceed eps.",
        ),
        "authors_code_gaussian_noise": Preset(
            partial(gaussian_noise, sigma=0.05, samples=1, clip=False),
            _SIMPLE,
            "There the first 1,000 test images are used.",
        ),
        "authors_code_rotation": Preset(
            partial(rotation, degrees=30, samples=1),
            _SIMPLE,
            "Interpolation is torch's, there that of Keras; there 1,000 random test images.",
        ),
        "paper_pgd_adaptive": Preset(
            partial(pgd, objective="distance", **_STEPS),
            "the objective: README and issues 1 and 2 of the authors' repository, which say to "
            "climb minus the true logit; steps and budgets as in advtest_iterative.py",
            "The label is the true one.",
        ),
    }


#: Attacks with settings of others, by name.
PRESETS: dict[str, Preset] = _presets()
