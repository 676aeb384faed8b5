"""Adversarial attacks: one function each, one signature per family.

Fixed budget, `attack(model, images, labels, *, eps, ...) -> images`: `fgsm`, `bim`, `pgd`,
`mim`, `apgd`, and without a gradient `square` and `spsa`. `transfer` runs an attack against one
model for another. Minimal norm, without `eps`: `cw`, `ead`, `deepfool`, `ddn`, `fmn`, `fab`; what
they give back is the closest adversarial image found, else the clean one. Transforms, which are not
aimed at a model: `gaussian_noise`, `rotation`.

They take any `nn.Module` from images in [0, 1] to logits and leave it, the images and the random
state as they were. What comes back is the adversarial image where one was met, else the last
iterate. An image that the model gets wrong without any help counts as fooled and comes back as it
is. `PRESETS` holds attacks with the settings of others.

What they share: `checks` refuses wrong calls, by a `ValueError` whatever is wrong; `view` is the
copy of the model that they work on, `goals` what is wanted of an image, `balls` the norms. With a
budget, `budget` is the frame, `starts` says where they begin, `ascent` how they climb, `shrinking`
how they come from outside. Without one, `minimal` is the frame, `leads` what they raise,
`hyperplanes` the way to a boundary. `flatness` tells where an attack that follows a gradient finds
no slope; `evading` attacks a detector too, and `published` runs the AutoAttack of others.
"""

from collections.abc import Callable

from torch import Tensor

from mmc_viz.attacks.carlini_wagner import cw as cw
from mmc_viz.attacks.carlini_wagner import ead as ead
from mmc_viz.attacks.deepfool import deepfool as deepfool
from mmc_viz.attacks.fast_adaptive_boundary import fab as fab
from mmc_viz.attacks.fast_minimum_norm import ddn as ddn
from mmc_viz.attacks.fast_minimum_norm import fmn as fmn
from mmc_viz.attacks.flatness import zero_gradient as zero_gradient
from mmc_viz.attacks.gradient import apgd as apgd
from mmc_viz.attacks.gradient import bim as bim
from mmc_viz.attacks.gradient import fgsm as fgsm
from mmc_viz.attacks.gradient import mim as mim
from mmc_viz.attacks.gradient import pgd as pgd
from mmc_viz.attacks.presets import PRESETS as PRESETS
from mmc_viz.attacks.presets import Preset as Preset
from mmc_viz.attacks.spsa import spsa as spsa
from mmc_viz.attacks.square import square as square
from mmc_viz.attacks.transfer import transfer as transfer
from mmc_viz.attacks.transforms import gaussian_noise as gaussian_noise
from mmc_viz.attacks.transforms import rotation as rotation
from mmc_viz.attacks.view import View as View
from mmc_viz.attacks.view import frozen as frozen

#: Attacks with a budget `eps`, by name.
FIXED_BUDGET: dict[str, Callable[..., Tensor]] = {
    "fgsm": fgsm,
    "bim": bim,
    "pgd": pgd,
    "mim": mim,
    "apgd": apgd,
    "square": square,
    "spsa": spsa,
}

#: Transforms that no gradient aims, by name; called as `transform(model, images, labels, ...)`.
TRANSFORMS: dict[str, Callable[..., Tensor]] = {
    "gaussian_noise": gaussian_noise,
    "rotation": rotation,
}

#: Attacks without a budget, by name: they look for the closest adversarial image.
MINIMAL_NORM: dict[str, Callable[..., Tensor]] = {
    "cw": cw,
    "ead": ead,
    "deepfool": deepfool,
    "ddn": ddn,
    "fmn": fmn,
    "fab": fab,
}
