"""MMC whose centers may leave their places, against a spring."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.heads._base import GeneralizedSCE, Head, check_number, register, squared_distances
from mmc_viz.heads._placing import spread, taken_over


@register("emc")
class ElasticCenter(Head):
    r"""Elastic MMC: a center may leave its place $\mu^*_i$ against a spring of stiffness $k$.

    $$\tfrac12 \lVert z - \mu_y \rVert^2 + \tfrac k2 \lVert \mu_y - \mu^*_y \rVert^2$$

    This is our own reading of the idea. Pang et al. name an elastic variant, but its formula was
    not available to us, so nothing measured here says anything about theirs.

    Each class has a learned center $\mu_i$; the places $\mu^*_i$ are the centers of `mmc`. With the
    features held still, the loss is least at

    $$\mu_i = \frac{\bar z_i + k \mu^*_i}{1 + k}$$

    with the mean feature $\bar z_i$ of class $i$: a stiff spring gives `mmc`, a soft one lets
    centers follow their features, as those of the center loss do. Only with features and centers
    both at their places is the loss 0, so even a soft spring rules out that all gather in one
    point. Features see the loss of `mmc`, to the centers as they are: the second term is a constant
    to them.

    What is trained is $u_i = \sqrt{1 + k}\, (\mu_i - \mu^*_i)$. In $u_i$ the loss has curvature 1
    for every $k$, so one learning rate suits all springs, even stiff ones.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Norm of each center at its place, in feature units, not squared.
    generator : torch.Generator, optional
        Unused: nothing here is random.
    preset : Float[Tensor, "num_classes dim"], optional
        Places to use instead.
    stiffness : float
        $k$, above 0 and at most 1e6.

    Attributes
    ----------
    centers : Float[Tensor, "num_classes dim"]
        $\mu_i$ as they are now.
    rest : Float[Tensor, "num_classes dim"]
        $\mu^*_i$, a buffer.

    Raises
    ------
    ValueError
        If `stiffness` is out of range.

    References
    ----------
    The idea of elastic centers: Pang et al., ICLR 2020, https://arxiv.org/abs/1905.10626.
    """

    loss_form = "distance"
    placed = "rest"
    undecayed = ("displacement",)
    peak_lr = 0.03

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        preset: Float[Tensor, "..."] | None = None,
        stiffness: float | int = 1.0,
    ):
        super().__init__(dim, num_classes)
        check_number("stiffness", stiffness, above=0)
        self.stiffness = stiffness
        if preset is None:
            rest = spread(num_classes, dim, radius=radius)
        else:
            rest = taken_over(preset, num_classes, dim)
        self.register_buffer("rest", rest)
        self.displacement = nn.Parameter(torch.zeros_like(rest))

    @property
    def centers(self) -> Float[Tensor, "num_classes dim"]:
        """Where the centers are now."""
        return self.rest + self.displacement / (1 + self.stiffness) ** 0.5

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch num_classes"]:
        r"""Minus the squared distance to each center, $-\lVert z - \mu_i \rVert^2$."""
        return -squared_distances(features, self.centers)

    def forward(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Half the squared distance to the center of the class, and the energy of its spring."""
        distance = (features - self.centers[labels]).square().sum(dim=1)
        stretch = self.displacement[labels].square().sum(dim=1) / (1 + self.stiffness)
        return (distance + self.stiffness * stretch) / 2

    def generalized_sce(self) -> GeneralizedSCE:
        """Means are the centers as they are now, scales 1, offsets 0."""
        means = self.centers.detach()
        return GeneralizedSCE(means, means.new_ones(len(means)), means.new_zeros(len(means)))
