"""Cross-entropy on the logits of MMC: the same places, but rivals have a say."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmc_viz.heads._base import register
from mmc_viz.heads.mmc import MaxMahalanobisCenter


@register("mmlda")
class MaxMahalanobisLDA(MaxMahalanobisCenter):
    r"""Max-Mahalanobis LDA: $-\log \mathrm{softmax}_y(-\lVert z - \mu_i \rVert^2)$, fixed centers.

    The centers, the logits and the predictions are those of `mmc`; the loss is the cross-entropy of
    the logits. Since all centers have one norm, $\lVert z \rVert^2$ and $\lVert \mu_i \rVert^2$
    cancel in the softmax, which leaves a linear classifier with fixed weights $2 \mu_i$. So the
    loss keeps falling as $z$ moves on past its center: nothing holds features together.

    As a generalised SCE it has $s_i = 1$ and $B_i = 0$. Linear discriminant analysis with unit
    covariance would have $s_i = 1/2$; the authors' later code has 1, and so have we.

    References
    ----------
    Pang, Du, Zhu, "Max-Mahalanobis Linear Discriminant Analysis Networks", ICML 2018,
    https://arxiv.org/abs/1802.09308. What is called C there is the square of our `radius`.
    """

    loss_form = "softmax"

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of each sample, in nats."""
        return functional.cross_entropy(self.logits(features), labels, reduction="none")
