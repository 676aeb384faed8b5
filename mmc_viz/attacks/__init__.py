"""Adversarial attacks: one function each, one signature per family.

Fixed budget, `attack(model, images, labels, *, eps, ...) -> images`: `fgsm`, `bim`, `pgd`,
`mim`, `apgd`.

They take any `nn.Module` from images in [0, 1] to logits and leave it, the images and the random
state as they were. What comes back is the adversarial image where one was met, else the last
iterate. An image that the model gets wrong without any help counts as fooled and comes back as it
is.
"""

from collections.abc import Callable

from torch import Tensor

from mmc_viz.attacks.gradient import apgd as apgd
from mmc_viz.attacks.gradient import bim as bim
from mmc_viz.attacks.gradient import fgsm as fgsm
from mmc_viz.attacks.gradient import mim as mim
from mmc_viz.attacks.gradient import pgd as pgd
from mmc_viz.attacks.view import View as View
from mmc_viz.attacks.view import frozen as frozen

#: Attacks with a budget `eps`, by name.
FIXED_BUDGET: dict[str, Callable[..., Tensor]] = {
    "fgsm": fgsm,
    "bim": bim,
    "pgd": pgd,
    "mim": mim,
    "apgd": apgd,
}
