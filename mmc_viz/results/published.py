"""What others report of MMC, each figure with its source and with how far it can be relied on.

Only figures that we have read in their source, or in a record of it, are here. The paper's own
tables were not available to us in full; what is merely remembered of them is left out.
"""

from dataclasses import asdict, dataclass
from typing import Any

_AUTOATTACK = "README of the AutoAttack repository (github.com/fra31/auto-attack)"
_TORCH_ROBUST = "github.com/MTandHJ/PyTorch-Robust, an independent implementation, commit f9befc6"


@dataclass(frozen=True)
class Published:
    """One published figure, on CIFAR-10.

    Attributes
    ----------
    model : str
        What was attacked.
    clean : float
        Accuracy without an attack, 0..1.
    attack : str
        Which, and by whom.
    budget : str
        Norm and size.
    accuracy : float
        What the attack left, 0..1.
    source : str
        Where the figure stands.
    reliability : {"claimed", "independent", "reported by a user"}
        Whether it is the authors' own, somebody else's evaluation, or what a user wrote.
    """

    model: str
    clean: float
    attack: str
    budget: str
    accuracy: float
    source: str
    reliability: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _resnet(attack: str, budget: str, accuracy: float) -> Published:
    model = "MMC, ResNet-32, not adversarially trained"
    return Published(model, 0.9018, attack, budget, accuracy, _TORCH_ROBUST, "independent")


def _robust(attack: str, accuracy: float, source: str, reliability: str) -> Published:
    model = "MMC, ResNet-32, adversarially trained"
    return Published(model, 0.8089, attack, "linf 8/255", accuracy, source, reliability)


_ISSUE = "issue 1 of the authors' repository (github.com/P2333/Max-Mahalanobis-Training)"
PUBLISHED: tuple[Published, ...] = (
    Published(
        "MMC, not adversarially trained (August 2019)",
        0.936,
        "not stated, by the authors",
        "linf 8/255",
        0.46,
        "issue 10 of robust-ml.github.io, by the first author",
        "claimed",
    ),
    _robust("the authors' own", 0.55, _AUTOATTACK, "claimed"),
    _robust("AutoAttack, first version", 0.4378, f"{_AUTOATTACK}, March 2020", "independent"),
    _robust("AutoAttack", 0.4348, f"{_AUTOATTACK}, and RobustBench", "independent"),
    _resnet("PGD-10, cross-entropy", "linf 8/255", 0.8471),
    _resnet("PGD-40, cross-entropy", "linf 8/255", 0.8431),
    _resnet("DeepFool", "linf 8/255", 0.3435),
    _resnet("AutoAttack", "linf 8/255", 0.0),
    _resnet("PGD-40, cross-entropy", "linf 16/255", 0.7763),
    _resnet("AutoAttack", "linf 16/255", 0.0),
    _resnet("C&W", "l2 0.5", 0.0241),
    _resnet("AutoAttack", "l2 0.5", 0.0009),
    Published(
        "MMC, WideResNet, not adversarially trained",
        0.9518,
        "PGD-20, cross-entropy",
        "linf 8/255",
        0.9324,
        _ISSUE,
        "reported by a user",
    ),
    Published(
        "MMC, WideResNet, not adversarially trained",
        0.9518,
        "PGD-20, minus the true logit",
        "linf 8/255",
        0.4571,
        _ISSUE,
        "reported by a user",
    ),
)
