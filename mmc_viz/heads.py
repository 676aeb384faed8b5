r"""From features to logits and to a loss: one head for each training objective.

A head takes a feature $z \in R^d$ and gives one logit for each of $L$ classes; the largest wins.
During training it also gives one loss per sample. Two ideas stand here side by side:

softmax cross-entropy (SCE)
    $h = W z + b$ and $-\log \mathrm{softmax}_y(h)$. Only differences of logits count, so the loss
    falls as long as $z$ moves away from the rival: its level sets are unbounded, and features of
    one class may lie anywhere in a cone.
Max-Mahalanobis center (MMC)
    $h_i = -\lVert z - \mu_i \rVert^2$ with fixed, optimally spread centers $\mu_i$, and the loss
    $\tfrac12 \lVert z - \mu_y \rVert^2$. Its level sets are spheres about $\mu_y$, so features of
    one class gather in a ball. The rivals do not appear in the loss at all.

`HEADS` maps the name of each head to its class; decorate a new one with `register`.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.centers import max_mahalanobis_centers, spread_centers

HEADS: dict[str, type["Head"]] = {}


def register(name: str) -> Callable[[type["Head"]], type["Head"]]:
    """Make a head known to the command line and to model files under `name`."""

    def add(cls: type["Head"]) -> type["Head"]:
        cls.name = name
        HEADS[name] = cls
        return cls

    return add


class Head(nn.Module):
    """What every head offers: `logits(features)` and `forward(features, labels)`.

    Parameters
    ----------
    dim : int
        Dimension $d$ of the features.
    num_classes : int
        Number of classes $L$.
    radius : float
        Norm of the class centers, for heads that have centers; others ignore it.
    generator : torch.Generator, optional
        Source of random initial weights, for heads that have weights. None: a private one,
        seeded 0.
    """

    name: ClassVar[str]
    #: Peak learning rate of SGD that suits the scale of this loss. Cross-entropy has gradients of
    #: at most about 1 with respect to a feature; a squared distance has the distance itself, which
    #: starts at the radius, 10 by default.
    peak_lr: ClassVar[float] = 0.1

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        """Score every class; the largest score is the prediction."""
        raise NotImplementedError

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Loss of each sample, to be minimised in training."""
        raise NotImplementedError


@register("sce")
class SoftmaxCrossEntropy(Head):
    r"""Softmax cross-entropy on a learned linear layer: $-\log \mathrm{softmax}_y(W z + b)$."""

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.linear = nn.utils.skip_init(nn.Linear, dim, num_classes)
        generator = generator or torch.Generator().manual_seed(0)
        bound = dim**-0.5  # what nn.Linear draws from, with our own generator
        nn.init.uniform_(self.linear.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        """Affine scores $W z + b$."""
        return self.linear(features)

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample, in nats."""
        return functional.cross_entropy(self.logits(features), labels, reduction="none")


@register("mmc")
class MaxMahalanobisCenter(Head):
    r"""Max-Mahalanobis center loss: $\tfrac12 \lVert z - \mu_y \rVert^2$ to fixed centers.

    The centers are a regular simplex where it fits into the feature space, else spread as evenly as
    `spread_centers` can.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        The fixed centers, a buffer: saved with the model, never trained.

    References
    ----------
    Pang et al., "Rethinking Softmax Cross-Entropy Loss for Adversarial Robustness", ICLR 2020,
    https://arxiv.org/abs/1905.10626. The authors' code has no factor 1/2; the optimum is the same.
    """

    peak_lr = 0.03

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        fits = dim >= num_classes - 1
        place = max_mahalanobis_centers if fits else spread_centers
        self.register_buffer("centers", place(num_classes, dim, radius=radius))

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Minus the squared distance to each center, $-\lVert z - \mu_i \rVert^2$.

        Expanded to $2 \langle z, \mu_i \rangle - \lVert \mu_i \rVert^2 - \lVert z \rVert^2$: one
        matrix product instead of a difference for every pair. The price is rounding of about
        $10^{-7} (\lVert z \rVert^2 + r^2)$ in float32, so a logit at a center may miss 0 by that.
        """
        offset = -self.centers.square().sum(dim=1)
        affine = functional.linear(2 * features, self.centers, offset)
        return affine - features.square().sum(dim=1, keepdim=True)

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Half the squared distance of each feature to the center of its class."""
        return (features - self.centers[labels]).square().sum(dim=1) / 2


def make_head(
    name: str,
    dim: int,
    num_classes: int,
    *,
    radius: float | int = 10.0,
    generator: torch.Generator | None = None,
) -> Head:
    """Build the head registered under `name`; the other arguments are those of `Head`.

    Raises
    ------
    ValueError
        If no head of that name exists.
    """
    if name not in HEADS:
        raise ValueError(f"`head` must be one of {', '.join(sorted(HEADS))}; got {name!r}.")
    return HEADS[name](dim, num_classes, radius=radius, generator=generator)
