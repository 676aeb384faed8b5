"""What all heads have in common, and how they are found, described and built."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

HEADS: dict[str, type["Head"]] = {}


def register(name: str) -> Callable[[type["Head"]], type["Head"]]:
    """Make a head known under `name` to `make_head`, `TrainConfig`, commands and model files.

    Raises
    ------
    ValueError
        If another class has the name already. The same class may come again, as it does when a
        notebook's cell is run twice.
    """

    def add(cls: type["Head"]) -> type["Head"]:
        known = HEADS.get(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(
                f"`name` must be new; got {name!r}, which {known.__module__} has. Choose another."
            )
        cls.name = name
        HEADS[name] = cls
        return cls

    return add


@dataclass(frozen=True)
class GeneralizedSCE:
    r"""Logits $h_i = -s_i \lVert z - \mu_i \rVert^2 + B_i$, up to a term equal for all classes.

    Theorem 1 of Pang et al. speaks of losses of this form: between two classes, level sets of the
    cross-entropy are planes where their scales agree, and spheres where they differ.

    Attributes
    ----------
    means : Float[Tensor, "num_classes dim"]
        The $\mu_i$, in feature units.
    scales : Float[Tensor, "num_classes"]
        The $s_i$, positive.
    offsets : Float[Tensor, "num_classes"]
        The $B_i$, in nats.
    """

    means: Float[Tensor, "num_classes dim"]
    scales: Float[Tensor, " num_classes"]
    offsets: Float[Tensor, " num_classes"]

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        """Score every class; a head's own logits may differ by a term equal for all classes."""
        return self.offsets - self.scales * squared_distances(features, self.means)


def squared_distances(
    features: Float[Tensor, "batch dim"], centers: Float[Tensor, "num_classes dim"]
) -> Float[Tensor, "batch num_classes"]:
    r"""Squared distance of each feature to each center, $\lVert z - \mu_i \rVert^2$.

    Expanded to $\lVert z \rVert^2 - (2 \langle z, \mu_i \rangle - \lVert \mu_i \rVert^2)$: one
    matrix product instead of a difference for every pair. The price is rounding of about
    $10^{-7} (\lVert z \rVert^2 + r^2)$ in float32, so a distance at a center may miss 0 by that.
    """
    affine = nn.functional.linear(2 * features, centers, -centers.square().sum(dim=1))
    return features.square().sum(dim=1, keepdim=True) - affine


class Head(nn.Module):
    """What every head offers: `logits(features)` and `forward(features, labels)`.

    A head with class centers has them as `centers` [L, d]; others have no such attribute. Settings
    of its own are keyword-only parameters of its constructor beside `radius`, `generator` and
    `preset`; see `options_of`.

    Parameters
    ----------
    dim : int
        Dimension $d$ of the features.
    num_classes : int
        Number of classes $L$, at least 2.

    Attributes
    ----------
    name : str
        Under which it is registered.
    loss_form : str
        `softmax` where the loss is the cross-entropy of the logits, `distance` where it is half
        the squared distance to the center of the class, up to a term that the feature has no part
        in; `other` where it is neither.
    placed : str or None
        Name of the buffer that holds points placed by a rule and never trained. A head that has one
        takes such a tensor as `preset`, so that a model is loaded without searching for good places
        again.
    undecayed : tuple[str, ...]
        Names of learned matrices that are places, not weights: weight decay would pull them to the
        origin.
    peak_lr : float
        Peak learning rate of SGD that suits the scale of this loss. Cross-entropy has gradients of
        at most about 1 with respect to a feature; a squared distance has the distance itself, which
        starts at the radius, 10 by default.
    """

    name: ClassVar[str]
    loss_form: ClassVar[str] = "other"
    placed: ClassVar[str | None] = None
    undecayed: ClassVar[tuple[str, ...]] = ()
    peak_lr: ClassVar[float] = 0.1

    def __init__(self, dim: int, num_classes: int):
        super().__init__()
        check_sizes(dim, num_classes)
        self.dim = dim
        self.num_classes = num_classes

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        """Score every class; the largest score is the prediction."""
        raise NotImplementedError

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Loss of each sample, to be minimised in training."""
        raise NotImplementedError

    def generalized_sce(self) -> GeneralizedSCE | None:
        """Describe the logits as a generalised SCE, detached; None where they are of another form.

        Softmax of the described logits is softmax of `logits`.
        """
        return None


def check_sizes(dim: int, num_classes: int) -> None:
    """Refuse features without a dimension, and fewer than two classes.

    Raises
    ------
    ValueError
        With name, rule and value.
    """
    if dim < 1:
        raise ValueError(f"`dim` must be at least 1; got {dim}.")
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2; got {num_classes}.")


def check_number(
    name: str,
    value: float | int,
    *,
    above: float | int | None = None,
    low: float | int = 0,
    high: float | int = 1e6,
) -> None:
    """Refuse an option outside of its range, [low, high] or (above, high].

    Raises
    ------
    ValueError
        With name, range and value.
    """
    if above is not None and not above < value <= high:
        raise ValueError(
            f"`{name}` must be above {above:g} and at most {high:g}; got {shown(value)}."
        )
    if above is None and not low <= value <= high:
        raise ValueError(f"`{name}` must be in {low:g} .. {high:g}; got {shown(value)}.")


def shown(value: Any) -> str:
    """Show a value in a message, but no more of it than a line holds."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def options_of(name: str) -> dict[str, Any]:
    """Options of the head registered under `name`, each with its default.

    They are the keyword-only parameters of its constructor, without those that all heads share. An
    option whose default is a number takes a number, any other a list of whole numbers.

    Raises
    ------
    ValueError
        If no head of that name exists.
    """
    _check_name(name)
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(HEADS[name].__init__).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
        and parameter.name not in ("radius", "generator", "preset")
    }


def check_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that the head registered under `name` has not, and values of a wrong kind.

    Ranges are the constructor's concern. Options may come from a stranger's file, so nothing is
    taken on trust.

    Raises
    ------
    ValueError
        If no head of that name exists, or with the first option that is wrong.
    """
    known = options_of(name)
    for option, value in options.items():
        if option not in known:
            legal = f"one of {', '.join(known)}" if known else f"left out, as `{name}` has none"
            raise ValueError(f"An option of the head `{name}` must be {legal}; got {option!r}.")
        default = known[option]
        if type(default) in (int, float):
            if type(value) not in (int, float) or not abs(value) < math.inf:
                raise ValueError(f"`{option}` must be a finite number; got {shown(value)}.")
        elif value is not default and not (
            type(value) is list and all(type(entry) is int for entry in value)
        ):
            raise ValueError(f"`{option}` must be a list of whole numbers; got {shown(value)}.")


def make_head(
    name: str,
    dim: int,
    num_classes: int,
    *,
    radius: float | int = 10.0,
    generator: torch.Generator | None = None,
    preset: Float[Tensor, "..."] | None = None,
    **options: Any,
) -> Head:
    """Build the head registered under `name`.

    Parameters
    ----------
    name : str
        A key of `HEADS`.
    dim : int
        Dimension of the features.
    num_classes : int
        Number of classes, at least 2.
    radius : float
        Norm of the class centers, for heads that have centers; others ignore it.
    generator : torch.Generator, optional
        Source of random initial weights, for heads that have weights. None: a private one,
        seeded 0.
    preset : Float[Tensor, "num_classes dim"], optional
        Points to take over instead of placing them by the head's own rule, for heads that place any
        (see `Head.placed`); others ignore it.
    **options
        The head's own settings; `options_of(name)` lists them.

    Raises
    ------
    ValueError
        If no head of that name exists, or an option is unknown, of a wrong kind or out of range.
    """
    check_options(name, options)
    if HEADS[name].placed is not None:
        options["preset"] = preset
    return HEADS[name](dim, num_classes, radius=radius, generator=generator, **options)


def _check_name(name: str) -> None:
    if name not in HEADS:
        raise ValueError(f"`head` must be one of {', '.join(sorted(HEADS))}; got {name!r}.")
