r"""Where a loss has one value: the contours that theory knows in closed form.

**Two classes of a generalized softmax cross-entropy.** Let the logits be, up to a term that all
classes share, $h_i(z) = -s_i \lVert z - \mu_i \rVert^2 + B_i$. With the true class $k$ and one
rival $t$ the loss is $\log(1 + e^{h_t - h_k})$. It equals $c$ exactly where

$$h_t(z) - h_k(z) = \log C, \qquad C = e^c - 1.$$

For equal scales $s_k = s_t = s$ the squares of $z$ cancel and the contour is a hyperplane:

$$2 s \, (\mu_k - \mu_t)^\top z =
  s (\lVert \mu_k \rVert^2 - \lVert \mu_t \rVert^2) + B_t - B_k - \log C.$$

It goes on for ever, so no value of the loss keeps the features of a class together. For unequal
scales, completing the square gives a hypersphere with

$$M = \frac{s_k \mu_k - s_t \mu_t}{s_k - s_t}, \qquad
  r^2 = \frac{s_k s_t}{(s_k - s_t)^2} \lVert \mu_k - \mu_t \rVert^2
      + \frac{B_k - B_t + \log C}{s_k - s_t},$$

empty where $r^2 < 0$. The loss is below $c$ inside it if $s_k > s_t$, and outside it otherwise.

With more than two classes the other rivals only add to the loss: on such a contour the full loss is
at least $c$, and more where another rival is near. `mmc_viz.contours.compare` measures how much.

**A squared distance.** $\tfrac12 \lVert z - \mu_k \rVert^2 = c$ is the sphere of radius
$\sqrt{2c}$ about $\mu_k$, whatever the number of classes. No rival has a say.

Everything here is float64 on the CPU.

References
----------
Pang et al., "Rethinking Softmax Cross-Entropy Loss for Adversarial Robustness", ICLR 2020,
https://arxiv.org/abs/1905.10626.
"""

import copy
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.contours.planes import Plane
from mmc_viz.heads import GeneralizedSCE, Head

#: Scales that differ by less, relative to the larger, count as equal. A sphere between such scales
#: has a radius of more than 1e8 times the distance of the means, and float64 would lose in its
#: curvature more than the plane leaves out.
_EQUAL = 1e-8


@dataclass(frozen=True)
class Hyperplane:
    r"""The points with $\langle n, z \rangle = b$.

    Attributes
    ----------
    normal : Float[Tensor, "dim"]
        $n$, of any length but 0. As a contour it points to where the loss falls.
    offset : float
        $b$.
    """

    normal: Float[Tensor, " dim"]
    offset: float

    def signed_distance(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Distance of each point, positive on the side to which the normal points."""
        points = points.detach().cpu().double()
        return (points @ self.normal - self.offset) / self.normal.norm()

    def foot(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Give the nearest point of the plane to each."""
        points = points.detach().cpu().double()
        return points - self.signed_distance(points)[:, None] * self.normal / self.normal.norm()

    def points(
        self,
        count: int,
        *,
        near: Float[Tensor, " dim"] | None = None,
        spread: float | int = 1.0,
        seed: int = 0,
    ) -> Float[Tensor, "batch dim"]:
        """Draw points of the plane, normally distributed about a place on it.

        Parameters
        ----------
        count : int
            How many.
        near : Float[Tensor, "dim"], optional
            They scatter about its foot on the plane. None: the origin's foot.
        spread : float
            Standard deviation along each direction within the plane, in feature units.
        seed : int
            Of the private generator.
        """
        draws = _normal_draws(count, len(self.normal), seed)
        return self.foot(draws * spread + (0 if near is None else near.detach().cpu().double()))

    def section(self, plane: Plane) -> "Hyperplane | None":
        """Give its trace in a plane, in the plane's coordinates: a line; None where parallel."""
        normal = plane.axes @ self.normal
        if normal.norm() <= 1e-12 * self.normal.norm():
            return None
        return Hyperplane(normal, self.offset - float(plane.origin @ self.normal))


@dataclass(frozen=True)
class Hypersphere:
    r"""The points with $\lVert z - M \rVert = r$.

    Attributes
    ----------
    center : Float[Tensor, "dim"]
        $M$.
    radius : float
        $r \ge 0$, in feature units, not squared.
    """

    center: Float[Tensor, " dim"]
    radius: float

    def signed_distance(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Distance of each point, positive outside."""
        return (points.detach().cpu().double() - self.center).norm(dim=1) - self.radius

    def foot(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Give the nearest point of the sphere to each; not a number for its center."""
        away = points.detach().cpu().double() - self.center
        return self.center + self.radius * away / away.norm(dim=1, keepdim=True)

    def points(self, count: int, *, seed: int = 0) -> Float[Tensor, "batch dim"]:
        """Draw points of the sphere, uniformly, from a private generator."""
        return self.foot(self.center + _normal_draws(count, len(self.center), seed))

    def section(self, plane: Plane) -> "Hypersphere | None":
        """Give its trace in a plane, in the plane's coordinates: a circle; None where they miss.

        In a space of three dimensions it is a sphere again.
        """
        away = self.center - plane.origin
        foot = plane.axes @ away
        squared = self.radius**2 - float((away - foot @ plane.axes).square().sum())
        return None if squared < 0 else Hypersphere(foot, math.sqrt(squared))


def two_class_contour(
    form: GeneralizedSCE, k: int, rival: int, loss: float | int
) -> Hyperplane | Hypersphere | None:
    r"""Find where the loss of two classes, $\log(1 + e^{h_t - h_k})$, has a given value.

    Parameters
    ----------
    form : GeneralizedSCE
        The logits as negative scaled squared distances plus offsets; a head gives it as
        `head.generalized_sce()`.
    k, rival : int
        The true class and $t$.
    loss : float
        $c > 0$, in nats. At $\log 2$ the two logits are equal.

    Returns
    -------
    contour : Hyperplane, Hypersphere or None
        A hyperplane for equal scales, a hypersphere for unequal ones; None where no point has this
        loss. None too if both classes have the same mean and the same scale: then the loss is one
        constant.

    Raises
    ------
    ValueError
        If a class is not there, the two are the same, the form is not finite, or the loss is not
        positive and finite.
    """
    num_classes = len(form.means)
    for name, value in (("k", k), ("rival", rival)):
        if not 0 <= value < num_classes:
            raise ValueError(f"`{name}` must be in 0 .. {num_classes - 1}; got {value}.")
    if k == rival:
        raise ValueError(f"`rival` must be another class than `k`; both are {k}.")
    _check_loss(loss)
    means, scales, offsets = (
        value.detach().cpu().double() for value in (form.means, form.scales, form.offsets)
    )
    if not all(bool(value.isfinite().all()) for value in (means, scales, offsets)):
        raise ValueError("`form` must be finite; some of its means, scales or offsets are not.")

    mean_k, mean_t = means[k], means[rival]
    s_k, s_t = float(scales[k]), float(scales[rival])
    lead = float(offsets[k] - offsets[rival]) + log_expm1(loss)
    if abs(s_k - s_t) <= _EQUAL * max(abs(s_k), abs(s_t)):
        scale = (s_k + s_t) / 2
        normal = 2 * scale * (mean_k - mean_t)
        # (|a|^2 - |b|^2) as (a - b)(a + b), which keeps its digits where a and b are close.
        offset = scale * float((mean_k - mean_t) @ (mean_k + mean_t)) - lead
        return Hyperplane(normal, offset) if float(normal.norm()) > 0 else None
    difference = s_k - s_t
    center = (s_k * mean_k - s_t * mean_t) / difference
    apart = float((mean_k - mean_t).square().sum())
    squared = s_k * s_t / difference**2 * apart + lead / difference
    return Hypersphere(center, math.sqrt(squared)) if squared >= 0 else None


def distance_contour(
    center: Float[Tensor, " dim"], loss: float | int, *, least: float | int = 0.0
) -> Hypersphere | None:
    r"""Find where half the squared distance to a center, plus a constant, has a given value.

    Parameters
    ----------
    center : Float[Tensor, "dim"]
        $\mu_k$.
    loss : float
        $c > 0$.
    least : float
        The constant, which is the loss at the center itself: 0 for MMC.

    Returns
    -------
    contour : Hypersphere or None
        Of radius $\sqrt{2 (c - \mathrm{least})}$; None where no point has so small a loss.
    """
    _check_loss(loss)
    if loss < least:
        return None
    return Hypersphere(center.detach().cpu().double(), math.sqrt(2 * (loss - least)))


def contour_of(
    head: Head, label: int, loss: float | int, *, rival: int | None = None
) -> Hyperplane | Hypersphere | None:
    """Find the contour that theory gives for a head's loss of one class.

    Parameters
    ----------
    head : Head
        Of loss form `distance`, or one with a generalized softmax form.
    label : int
        The true class.
    loss : float
        Value of the loss, positive.
    rival : int, optional
        The other class; a head of loss form `distance` needs none.

    Returns
    -------
    contour : Hyperplane, Hypersphere or None
        None where no point has this loss.

    Raises
    ------
    ValueError
        If the head has no such form, or a rival is missing or not there.
    """
    if not 0 <= label < head.num_classes:
        raise ValueError(f"`label` must be in 0 .. {head.num_classes - 1}; got {label}.")
    head = in_float64(head)
    if head.loss_form == "distance":
        center = head.centers[label]
        with torch.no_grad():
            at_center = head(center[None], torch.tensor([label]))
        return distance_contour(center, loss, least=float(at_center))
    form = head.generalized_sce()
    if form is None:
        raise ValueError(
            f"`head` must have a generalized softmax form or a distance as its loss; "
            f"{type(head).__name__} has neither. Draw its contours from a grid: `loss_on_plane`."
        )
    if rival is None:
        raise ValueError("`rival` must be given for a softmax loss; got None.")
    return two_class_contour(form, label, rival, loss)


def in_float64(head: Head) -> Head:
    """Copy a head to the CPU, in float64 and evaluation mode: what theory is compared with."""
    return copy.deepcopy(head).cpu().double().eval().requires_grad_(False)


def log_expm1(value: float | int) -> float:
    r"""Give $\log(e^c - 1)$ without overflow for large $c$ or cancellation for small."""
    return value + math.log(-math.expm1(-value))


def _check_loss(loss: float | int) -> None:
    if not (loss > 0 and math.isfinite(loss)):
        raise ValueError(f"`loss` must be positive and finite; got {loss}.")


def _normal_draws(count: int, dim: int, seed: int) -> Float[Tensor, "batch dim"]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)
