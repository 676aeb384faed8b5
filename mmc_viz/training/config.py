"""What defines a training run: one frozen dataclass, saved beside the weights it led to."""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmc_viz.datasets.superclasses import superclass_indices
from mmc_viz.heads import HEADS, check_options, options_of
from mmc_viz.networks import NETWORKS
from mmc_viz.objectives import OBJECTIVES

SCHEDULES = ("one_cycle", "steps")
DECAYS = ("all", "convolutions")
AUGMENTATIONS = ("none", "shift", "shift_flip")
ADVERSARIES = ("none", "pgd")
TARGETS = ("none", "random")


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a run; a variant is `dataclasses.replace(config, ...)`.

    Two schedules are known. `one_cycle` rises linearly to `lr` over the first quarter of the run
    and falls linearly to 0. `steps` is the authors': `lr`, a tenth of it from the first milestone
    on, a hundredth from the second.

    Raises
    ------
    ValueError
        If a name is unknown or a number is out of range.
    """

    dataset: str = "digits"
    network: str = "small_cnn"
    head: str = "mmc"
    head_options: dict[str, Any] = field(default_factory=dict)  # `mmc_viz.heads.options_of(head)`
    dim: int | None = None  # of the features; None: the network's own
    radius: float | int = 10.0  # norm of the centers, in feature units (not squared)
    epochs: int = 60  # passes over the training images
    batch_size: int = 128  # images a step
    lr: float | int | None = None  # peak of the learning rate; None: the head's `peak_lr`
    momentum: float | int = 0.9  # of SGD, Nesterov's form
    nesterov: bool = True
    weight_decay: float | int = 5e-4  # added to the gradient as `weight_decay * w`
    decay: str = "all"  # which weights decay: all matrices and kernels, or convolutions alone
    schedule: str = "one_cycle"
    milestones: tuple[int, ...] = (101, 151)  # first epochs (from 0) of the lower rates of `steps`
    augmentation: str | None = None  # None: `shift` for digits, else `shift_flip`
    image_size: int = 32  # pixels, for `folder:PATH` alone: the other data sets have their own
    limit: int | None = None  # train on the first so many images; None: all
    seed: int = 0  # of initial weights, order, augmentation and the adversary; 32 bits
    adversarial: str = "none"  # who changes the training images: nobody, or `pgd`
    eps: float | int = 0.1  # the adversary's budget in linf, in the unit of the images
    attack_steps: int = 7  # of the adversary
    attack_step_size: float | None = None  # in the unit of eps; None: 2.5 * eps / attack_steps
    attack_objective: str = "loss"  # climbed: the head's own `loss`, or a name from `objectives`
    attack_targets: str = "none"  # `random`: descend towards a class drawn for each image instead
    compiled: bool = False  # whether torch.compile prepares the network; it needs a C++ compiler
    bfloat16: bool | None = None  # whether convolutions run in bfloat16; None: on CUDA
    float64: bool = False  # compute in double precision, several times slower: for comparisons
    deterministic: bool = False  # on CUDA: the same bits every time, for some speed

    def __post_init__(self):
        _check_choice("network", self.network, NETWORKS)
        _check_choice("head", self.head, sorted(HEADS))
        # A copy, so that what the caller does to the dictionary later is no part of the run.
        object.__setattr__(self, "head_options", copy.deepcopy(self.head_options))
        check_options(self.head, self.head_options)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("decay", self.decay, DECAYS)
        _check_choice("adversarial", self.adversarial, ADVERSARIES)
        _check_choice("attack_targets", self.attack_targets, TARGETS)
        _check_choice("attack_objective", self.attack_objective, ("loss", *OBJECTIVES))
        if self.augmentation is not None:
            _check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        if self.float64 and self.bfloat16:
            raise ValueError("`float64` and `bfloat16` exclude each other; ask for one of them.")
        for name in ("epochs", "batch_size", "image_size", "attack_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; got {getattr(self, name)}.")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"`limit` must be at least 1; got {self.limit}.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be in 0 .. 2^32 - 1; got {self.seed}.")
        for name in ("lr", "radius", "attack_step_size"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"`{name}` must be positive and finite; got {value}.")
        if not 0 <= self.eps <= 1:
            meant = f" Did you mean {self.eps}/255?" if self.eps > 1 else ""
            raise ValueError(
                f"`eps` must be in 0 .. 1, in the unit of the images; got {self.eps}.{meant}"
            )
        for name in ("momentum", "weight_decay"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"`{name}` must be in [0, 1); got {value}.")

    def resolved(self, class_names: Sequence[str] = ()) -> "TrainConfig":
        """Fill in what was left to us, so that the saved configuration says all.

        Parameters
        ----------
        class_names : sequence of str
            Of the data, where they are known. If all are names of CIFAR-100's classes, `hmc` has
            the official superclasses for `groups` unless others are given.
        """
        augmentation = "shift" if self.dataset in ("digits", "mnist") else "shift_flip"
        options = options_of(self.head) | self.head_options
        if self.head == "hmc" and class_names and options["groups"] is None:
            options["groups"] = _official_groups(class_names)
        return replace(
            self,
            head_options=options,
            lr=self.lr or HEADS[self.head].peak_lr,
            augmentation=self.augmentation or augmentation,
        )

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of one step, counted from 0 over the whole run."""
        lr = self.resolved().lr
        if self.schedule == "steps":
            epoch = step // steps_per_epoch
            return lr * 0.1 ** sum(epoch >= milestone for milestone in self.milestones)
        total = self.epochs * steps_per_epoch
        peak = total / 4
        return lr * min((step + 1) / peak, (total - step) / (total - peak), 1.0)

    def to_json(self) -> dict[str, Any]:
        """Give the settings as plain values for `card.json`."""
        return asdict(self) | {"milestones": list(self.milestones)}


def _official_groups(class_names: Sequence[str]) -> list[int] | None:
    try:
        return superclass_indices(class_names)
    except ValueError:  # no classes of CIFAR-100: the head has a default of its own
        return None


def _check_choice(name: str, value: str, choices) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}; got {value!r}.")
