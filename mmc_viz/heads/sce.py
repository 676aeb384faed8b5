"""Softmax cross-entropy, what nearly every classifier is trained with."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.heads._base import GeneralizedSCE, Head, register
from mmc_viz.unfilled import unfilled


@register("sce")
class SoftmaxCrossEntropy(Head):
    r"""Softmax cross-entropy on a learned linear layer: $-\log \mathrm{softmax}_y(W z + b)$.

    As a generalised SCE it has $\mu_i = W_i / 2$, $s_i = 1$ and
    $B_i = b_i + \lVert W_i \rVert^2 / 4$: expand $-\lVert z - W_i / 2 \rVert^2 + B_i$ to
    $\langle W_i, z \rangle + b_i - \lVert z \rVert^2$, whose last term is equal for all classes.
    """

    loss_form = "softmax"

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(dim, num_classes)
        self.linear = unfilled(nn.Linear, dim, num_classes)
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

    def generalized_sce(self) -> GeneralizedSCE:
        r"""Means $W_i / 2$, scales 1, offsets $b_i + \lVert W_i \rVert^2 / 4$."""
        weight, bias = self.linear.weight.detach(), self.linear.bias.detach()
        return GeneralizedSCE(
            means=weight / 2,
            scales=torch.ones_like(bias),
            offsets=bias + weight.square().sum(dim=1) / 4,
        )
