"""A Gaussian for each class, learned: mean, variance, and a margin between them."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.heads._base import GeneralizedSCE, Head, check_number, register, squared_distances


@register("lgm")
class LargeMarginGaussianMixture(Head):
    r"""Large-margin Gaussian mixture (L-GM): classify and model features by one Gaussian a class.

    Class $i$ has a learned mean $\mu_i$ and covariance $\Lambda_i$; all classes are equally likely.
    With $d_i = \tfrac12 (z - \mu_i)^\top \Lambda_i^{-1} (z - \mu_i)$, the logits are
    $h_i = -d_i - \tfrac12 \log \lvert \Lambda_i \rvert$, and the loss

    $$-\log \mathrm{softmax}_y(h_i - \alpha d_i 1_{i = y})
      + \lambda (d_y + \tfrac12 \log \lvert \Lambda_y \rvert)$$

    is a classification whose margin $\alpha$ makes the true class win by a share of its distance,
    and a likelihood of weight $\lambda$, which gathers features about their mean.

    Here $\Lambda_i = \sigma_i^2 I$ with one learned variance a class, where the source has one for
    each coordinate: then $\tfrac12 \log \lvert \Lambda_i \rvert = d \log \sigma_i$, and as a
    generalised SCE the head has $s_i = 1 / (2 \sigma_i^2)$ and $B_i = -d \log \sigma_i$. It is the
    one head whose scales differ, so the level sets of Theorem 1 of Pang et al. are spheres.

    The likelihood has no maximum: where all features of a class coincide with its mean, it grows
    without bound as the variance falls. So $\sigma_i^2 = \sigma_{\min}^2 + e^{\rho_i}$ with a floor
    and a learned $\rho_i$, which starts at $\sigma_i = 1$. The loss can be negative.

    The likelihood has curvature $d / 2$ in $\log \sigma_i^2$. So what is trained is
    $\sqrt{d / 2}\, \rho_i$; else, in many dimensions, the variances would run ahead of the means.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Ignored: the means are learned.
    generator : torch.Generator, optional
        Source of the first means, of norms about 1. None: a private one, seeded 0.
    margin : float
        $\alpha$ in 0 .. 10.
    weight : float
        $\lambda$ in 0 .. 10.
    least_sigma : float
        $\sigma_{\min}$ in 0.01 .. 0.9, in feature units.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        The means.
    log_variance : Float[Tensor, "num_classes"]
        The $\rho_i$: logarithm of what the variance is above its floor.

    Raises
    ------
    ValueError
        If an option is out of range.

    References
    ----------
    Wan et al., "Rethinking Feature Distribution for Loss Functions in Image Classification", CVPR
    2018, https://arxiv.org/abs/1803.02988. The floor is ours, and so are the values of $\alpha$ and
    $\lambda$ that are taken unless others are given.
    """

    undecayed = ("centers",)

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        margin: float | int = 0.3,
        weight: float | int = 0.01,
        least_sigma: float | int = 0.1,
    ):
        super().__init__(dim, num_classes)
        check_number("margin", margin, low=0, high=10)
        check_number("weight", weight, low=0, high=10)
        check_number("least_sigma", least_sigma, low=0.01, high=0.9)
        self.margin = margin
        self.weight = weight
        self.least_sigma = least_sigma
        generator = generator or torch.Generator().manual_seed(0)
        self.centers = nn.Parameter(torch.randn(num_classes, dim, generator=generator) * dim**-0.5)
        start = math.log(1 - least_sigma**2) * (dim / 2) ** 0.5
        self.scaled_log_variance = nn.Parameter(torch.full((num_classes,), start))

    @property
    def log_variance(self) -> Float[Tensor, " num_classes"]:
        r"""Logarithm of what the variance of each class is above its floor, $\rho_i$."""
        return self.scaled_log_variance * (2 / self.dim) ** 0.5

    def variance(self) -> Float[Tensor, " num_classes"]:
        r"""Variance of each class in every coordinate, $\sigma_i^2$."""
        return self.least_sigma**2 + self.log_variance.exp()

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Log-density of each Gaussian, $-d_i - d \log \sigma_i$, up to a common constant."""
        distance, log_det = self._terms(features)
        return -distance - log_det

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy with the margin, and the weighted likelihood; it can be negative."""
        distance, log_det = self._terms(features)
        mine = functional.one_hot(labels, self.num_classes)
        logits = -distance * (1 + self.margin * mine) - log_det
        classification = functional.cross_entropy(logits, labels, reduction="none")
        likelihood = ((distance + log_det) * mine).sum(dim=1)
        return classification + self.weight * likelihood

    def generalized_sce(self) -> GeneralizedSCE:
        r"""Means as learned, scales $1 / (2 \sigma_i^2)$, offsets $-d \log \sigma_i$."""
        variance = self.variance().detach()
        return GeneralizedSCE(
            means=self.centers.detach(),
            scales=1 / (2 * variance),
            offsets=-self.dim * variance.log() / 2,
        )

    def _terms(
        self, features: Float[Tensor, "batch dim"]
    ) -> tuple[Float[Tensor, "batch num_classes"], Float[Tensor, " num_classes"]]:
        variance = self.variance()
        distance = squared_distances(features, self.centers) / (2 * variance)
        return distance, self.dim * variance.log() / 2
