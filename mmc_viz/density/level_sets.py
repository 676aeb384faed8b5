r"""Where a loss has one value, how much room lies between two values, and how fast it grows.

All level sets that matter here are spheres about one point $M$, of a radius $r(c)$. In $d$
dimensions the room between the losses $c_1$ and $c_2$ is the volume of a shell, and it grows with
the loss as

$$\operatorname{vol}(c_1, c_2) = V_d \left| r_2^d - r_1^d \right|, \qquad
  \frac{dV}{dc} = A_d \, r^{d-1} \left| \frac{dr}{dc} \right|, \qquad
  A_d = \frac{2 \pi^{d/2}}{\Gamma(d/2)}, \quad V_d = \frac{A_d}{d}.$$

Half a squared distance, $c = r^2 / 2$, has $dr/dc = 1/r$, so
$dV/dc = A_d \, r^{d-2} = A_d (2c)^{(d-2)/2}$. The two-class loss $c = \log(1 + e^{h_t - h_k})$ of
unequal scales has $r^2$ linear in $\log(e^c - 1)$ with slope $1 / (s_k - s_t)$, so
$dV/dc = A_d \, r^{d-2} / (2 |s_k - s_t| (1 - e^{-c}))$. With equal scales its level sets are
planes: any two hold infinite room between them, and no density can be counted.

Losses spread over many powers of ten and volumes over hundreds, so both are held as logarithms, in
float64.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmc_viz.contours.theorem import Hypersphere, contour_of, two_class_contour
from mmc_viz.heads import GeneralizedSCE, Head

Values = Float[Tensor, " *shape"]


def log_area(dim: int) -> float:
    r"""Log of $A_d$, the area of the unit sphere in $d \ge 1$ dimensions: 2, $2\pi$, $4\pi$, ..."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


def log_ball(dim: int) -> float:
    r"""Log of $V_d = A_d / d$, the volume of the unit ball."""
    return log_area(dim) - math.log(dim)


@runtime_checkable
class LevelSets(Protocol):
    """The spheres of one loss.

    Attributes
    ----------
    dim : int
        $d$.
    """

    dim: int

    def log_loss(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Log of the loss of each feature; minus infinity where it is 0."""

    def log_radius(self, log_loss: Values) -> Values:
        """Log of the radius of each level set; minus infinity where it has shrunk to a point."""

    def log_growth(self, log_loss: Values) -> Values:
        """Log of $dV/dc$, the volume that a unit of loss more would add."""


def log_shell(sets: LevelSets, log_loss: Float[Tensor, " edges"]) -> Float[Tensor, " bins"]:
    """Log of the volume between each loss and the next."""
    radius = sets.log_radius(log_loss)
    outer = torch.maximum(radius[1:], radius[:-1])
    inner = torch.minimum(radius[1:], radius[:-1])
    return log_ball(sets.dim) + sets.dim * outer + torch.log1p(-(sets.dim * (inner - outer)).exp())


@dataclass(frozen=True)
class DistanceSpheres:
    r"""Level sets of $\tfrac12 \lVert z - \mu \rVert^2$.

    Attributes
    ----------
    center : Float[Tensor, "dim"]
        $\mu$, float64.
    """

    center: Float[Tensor, " dim"]

    @property
    def dim(self) -> int:
        """Dimension of the space."""
        return len(self.center)

    def log_loss(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Log of half the squared distance."""
        return ((features - self.center.to(features)).square().sum(dim=1) / 2).log()

    def log_radius(self, log_loss: Values) -> Values:
        r"""Log of $\sqrt{2c}$."""
        return (log_loss + math.log(2)) / 2

    def log_growth(self, log_loss: Values) -> Values:
        r"""Log of $A_d (2c)^{(d-2)/2}$."""
        return log_area(self.dim) + (self.dim - 2) * self.log_radius(log_loss)


@dataclass(frozen=True)
class TwoClassSpheres:
    r"""Level sets of $\log(1 + e^{h_t - h_k})$ for a generalized softmax with unequal scales.

    Attributes
    ----------
    form : GeneralizedSCE
        The logits.
    label, rival : int
        $k$ and $t$.
    center : Float[Tensor, "dim"]
        $M$, float64.
    squared : float
        $r^2$ where the two logits are equal, at $c = \log 2$; negative where that is nowhere.
    slope : float
        $s_k - s_t$. Positive: the loss grows outward, from its least value at $M$. Negative: it
        falls outward, from its largest value at $M$, and goes to 0 far away.
    """

    form: GeneralizedSCE
    label: int
    rival: int
    center: Float[Tensor, " dim"]
    squared: float
    slope: float

    @property
    def dim(self) -> int:
        """Dimension of the space."""
        return len(self.center)

    def log_loss(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Log of the two-class loss, with all its digits however small it is."""
        gap = _gap(self.form, features, self.label, self.rival)
        # log log(1 + e^x) is x where e^x is small, long before softplus underflows.
        return torch.where(gap < -40, gap, functional.softplus(gap.clamp_min(-40)).log())

    def log_radius(self, log_loss: Values) -> Values:
        """Log of the radius."""
        # log(e^c - 1) = c + log(1 - e^-c); for small c it is log c, which loses no digit.
        loss = log_loss.exp()
        excess = loss + torch.where(loss < 1e-12, log_loss, (-torch.expm1(-loss)).log())
        return (self.squared + excess / self.slope).clamp_min(0).log() / 2

    def log_growth(self, log_loss: Values) -> Values:
        r"""Log of $A_d \, r^{d-2} / (2 |s_k - s_t| (1 - e^{-c}))$."""
        loss = log_loss.exp()
        share = torch.where(loss < 1e-12, log_loss, (-torch.expm1(-loss)).log())
        slope = math.log(2 * abs(self.slope))
        return log_area(self.dim) + (self.dim - 2) * self.log_radius(log_loss) - slope - share


def level_sets_of(
    head: Head, label: int, *, rival: int | None = None
) -> DistanceSpheres | TwoClassSpheres | None:
    """Find the level sets of a head's loss for one class.

    Parameters
    ----------
    head : Head
        Of loss form `distance`, or one with a generalized softmax form.
    label : int
        The true class.
    rival : int, optional
        The other class; a head of loss form `distance` needs none.

    Returns
    -------
    sets : DistanceSpheres, TwoClassSpheres or None
        None where they are unbounded: planes, between which there is infinite room.

    Raises
    ------
    ValueError
        If the head has no such form, or a class is missing or not there.
    """
    if head.loss_form == "distance":
        if not 0 <= label < head.num_classes:
            raise ValueError(f"`label` must be in 0 .. {head.num_classes - 1}; got {label}.")
        return DistanceSpheres(head.centers[label].detach().cpu().double())
    # What is refused is refused there, in the words of the contours.
    contour_of(head, label, math.log(2), rival=rival)
    form = head.generalized_sce()
    return two_class_spheres(form, label, rival)


def two_class_spheres(form: GeneralizedSCE, label: int, rival: int) -> TwoClassSpheres | None:
    """Find the spheres of a pair of classes; None where scales agree and they are planes.

    Raises
    ------
    ValueError
        If the offsets differ by so much that no loss of the pair has a sphere.
    """
    form = GeneralizedSCE(
        *(value.detach().cpu().double() for value in (form.means, form.scales, form.offsets))
    )
    slope = float(form.scales[label] - form.scales[rival])
    # The sphere of log 2, where the logits are equal, may be empty; towards one side r^2 grows.
    for step in (0, *(2**power for power in range(10))):
        excess = math.copysign(step, slope)  # log(e^c - 1)
        loss = math.log1p(math.exp(excess))
        contour = two_class_contour(form, label, rival, loss)
        if isinstance(contour, Hypersphere):
            squared = contour.radius**2 - excess / slope
            return TwoClassSpheres(form, label, rival, contour.center, squared, slope)
        if contour is not None or slope == 0:
            return None
    raise ValueError(
        f"`form` must give the pair of classes {label} and {rival} some loss; their offsets differ "
        f"by {float(form.offsets[label] - form.offsets[rival]):.4g}, which no feature makes up for."
    )


def strongest_rivals(
    form: GeneralizedSCE, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> Int[Tensor, " batch"]:
    """Give the wrong class with the largest logit, for each feature."""
    logits = _logits(form, features)
    return logits.scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


def _logits(
    form: GeneralizedSCE, features: Float[Tensor, "batch dim"]
) -> Float[Tensor, "batch num_classes"]:
    form = GeneralizedSCE(
        *(value.detach().to(features) for value in (form.means, form.scales, form.offsets))
    )
    return form.logits(features)


def _gap(
    form: GeneralizedSCE, features: Float[Tensor, "batch dim"], label: int, rival: int
) -> Float[Tensor, " batch"]:
    logits = _logits(form, features)
    return logits[:, rival] - logits[:, label]
