"""Attacks of other libraries behind one call: rivals in speed, and judges of strength.

None of them is needed. What is not installed is left out, and `INSTALL` says how to get it.
torchattacks asks for a release of requests that JupyterLab cannot live with, though it never
imports it; so it is installed without what it asks for. Each library gets the model as it is,
images in [0, 1], and the same eps, steps and step size as ours. The global random state, from which
they draw, is seeded for the call and put back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: Called as `attack(model, images, labels)`; gives images.
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]

#: How to install each library.
INSTALL = {
    "torchattacks": "pip install --no-deps torchattacks==3.5.1",
    "foolbox": "pip install 'mmc-viz[compare]'",
    "pyautoattack": "pip install 'mmc-viz[autoattack]'",
}


def missing() -> list[str]:
    """List the libraries that cannot be imported here."""
    found = {"torchattacks": _torchattacks(), "foolbox": _foolbox(), "pyautoattack": _apgd_class()}
    return [name for name, library in found.items() if library is None]


def pgd_of_others(
    *, eps: float | int, steps: int, step_size: float | int, seed: int = 0
) -> dict[str, Attack]:
    """Give PGD on cross-entropy, in linf, from a random start, of each library that has it.

    Parameters
    ----------
    eps : float
        Budget in the unit of the images.
    steps : int
        Gradients taken of each image.
    step_size : float
        Length of a step, in the unit of the images.
    seed : int
        Of the random start.
    """
    attacks: dict[str, Attack] = {}
    if (torchattacks := _torchattacks()) is not None:

        def of_torchattacks(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            with _seeded(seed):
                attack = torchattacks.PGD(model, eps=eps, alpha=step_size, steps=steps)
                return attack(images, labels)

        attacks["torchattacks"] = of_torchattacks
    if (foolbox := _foolbox()) is not None:

        def of_foolbox(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            with _seeded(seed):
                wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=images.device)
                attack = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=steps)
                return attack(wrapped, images, labels, epsilons=eps)[1]

        attacks["foolbox"] = of_foolbox
    return attacks


def apgd_of_others(
    *, eps: float | int, steps: int, objective: str = "cross_entropy", seed: int = 0
) -> dict[str, Attack]:
    """Give Auto-PGD in linf, from one random start, of each library that has it.

    They take one gradient more than `steps`: one at the start, and one after each step. They give
    back the image itself where they fail.

    Parameters
    ----------
    eps : float
        Budget in the unit of the images.
    steps : int
        Steps of each image.
    objective : {"cross_entropy", "dlr"}
        What is maximised.
    seed : int
        Of the random start.
    """
    loss = {"cross_entropy": "ce", "dlr": "dlr"}[objective]
    attacks: dict[str, Attack] = {}
    if (torchattacks := _torchattacks()) is not None:

        def of_torchattacks(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            with _seeded(seed):
                attack = torchattacks.APGD(model, eps=eps, steps=steps, loss=loss, seed=seed)
                return attack(images, labels)

        attacks["torchattacks"] = of_torchattacks
    if (apgd_class := _apgd_class()) is not None:

        def of_pyautoattack(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            with _seeded(seed):
                settings = {"eps": eps, "n_iter": steps, "loss": loss, "seed": seed}
                return apgd_class(model, device=images.device, **settings).perturb(images, labels)

        attacks["pyautoattack"] = of_pyautoattack
    return attacks


def _torchattacks():
    try:
        import torchattacks
    except ImportError:
        return None
    return torchattacks


def _foolbox():
    try:
        import foolbox
    except ImportError:
        return None
    return foolbox


def _apgd_class():
    try:
        from pyautoattack.autopgd_base import APGDAttack
    except ImportError:
        return None
    return APGDAttack


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
