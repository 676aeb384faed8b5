"""What a bundle holds, and the limits that its format keeps."""

from dataclasses import dataclass

from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

FORMAT = 1
MAX_BYTES = 1 << 28  # unpacked, 256 MiB: what a browser tab can hold beside the notebook
MAX_RATIO = 1032  # deflate cannot do better: at most 258 bytes for 2 bits


@dataclass(frozen=True)
class Panel:
    """One model under one attack: all that is shown of it.

    Parameters
    ----------
    images : UInt8[Tensor, "steps count channels height width"]
        The image of each step as it is drawn.
    predictions : Int64[Tensor, "steps count"]
        The class that the model sees in it.
    success : Bool[Tensor, "steps count"]
        Whether the model was fooled at this epsilon or at a smaller one.
    right : Int64[Tensor, " steps"]
        Number of images for which it was not.
    """

    images: UInt8[Tensor, "steps count channels height width"]
    predictions: Int64[Tensor, "steps count"]
    success: Bool[Tensor, "steps count"]
    right: Int64[Tensor, " steps"]


@dataclass(frozen=True)
class Run:
    """One attack against each of the models, at the same budgets.

    Parameters
    ----------
    epsilons : list[float]
        The budget of each step, in the unit of images in [0, 1].
    panels : dict[str, Panel]
        The models by title.
    """

    epsilons: list[float]
    panels: dict[str, Panel]


@dataclass(frozen=True)
class Bundle:
    """What `unpack` finds in a block of bytes.

    Parameters
    ----------
    class_names : list[str]
        One name per class.
    labels : list[int]
        The true class of each image.
    runs : dict[str, Run]
        The attacks by name, in the order of the menu.
    """

    class_names: list[str]
    labels: list[int]
    runs: dict[str, Run]
