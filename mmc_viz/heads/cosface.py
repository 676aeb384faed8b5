"""Softmax cross-entropy on angles, with a margin."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.heads._base import Head, check_number, register


@register("cosface")
class LargeMarginCosine(Head):
    r"""Large-margin cosine loss: cross-entropy of $s \cos\theta_i - s\, m\, 1_{i = y}$.

    The $w_i$ are learned, and $\theta_i$ is the angle between $w_i$ and $z$,

    $$\cos\theta_i = \frac{\langle w_i, z \rangle}{\lVert w_i \rVert \lVert z \rVert}.$$

    Only the direction of a feature counts, and in training the true class has to win by the margin
    $m$. Logits are $s \cos\theta_i$, without the margin. They are linear in $z / \lVert z \rVert$,
    not in $z$, so they are no generalised SCE, and features have no preferred norm.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Ignored: there are no centers.
    generator : torch.Generator, optional
        Source of the initial weights. None: a private one, seeded 0.
    scale : float
        $s$, above 0 and at most 1000. Logits lie in $[-s, s]$.
    margin : float
        $m$ in 0 .. 2, a difference of cosines.

    Attributes
    ----------
    weight : Float[Tensor, "num_classes dim"]
        The $w_i$.

    Raises
    ------
    ValueError
        If `scale` or `margin` is out of range.

    Notes
    -----
    Cosines of $L$ directions as far apart as can be leave room for a margin of at most
    $L / (L - 1)$, and in the plane of $1 - \cos(2 \pi / L)$, 0.19 for ten classes. A larger one
    cannot be reached and only adds to the loss. The source's 0.35 is for faces in 512 dimensions.

    References
    ----------
    Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
    https://arxiv.org/abs/1801.09414.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        scale: float | int = 16.0,
        margin: float | int = 0.2,
    ):
        super().__init__(dim, num_classes)
        check_number("scale", scale, above=0, high=1000)
        check_number("margin", margin, low=0, high=2)
        self.scale = scale
        self.margin = margin
        generator = generator or torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(
            torch.randn(num_classes, dim, generator=generator) * dim**-0.5  # norms of about 1
        )

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Scaled cosine of the angle to each weight, $s \cos\theta_i$."""
        directions = functional.normalize(features, dim=1)
        return self.scale * functional.linear(directions, functional.normalize(self.weight, dim=1))

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample after the margin was taken from its class, in nats."""
        logits = self.logits(features)
        margin = self.scale * self.margin * functional.one_hot(labels, self.num_classes)
        return functional.cross_entropy(logits - margin, labels, reduction="none")
