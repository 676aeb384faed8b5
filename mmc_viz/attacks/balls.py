"""The set an attacker may choose from: the eps-ball of a norm about each image, within [0, 1].

For each norm three things are needed: a uniform point of the ball to start from, the direction in
which a linear function rises fastest for a unit of that norm, and the projection back into the
ball. A budget is given for each image, so one batch can hold many budgets.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "batch channels height width"]
Budgets = Float[Tensor, " batch"]


@runtime_checkable
class Ball(Protocol):
    """What an attack needs to know about a norm."""

    def length(self, changes: Images) -> Budgets:
        """Norm of each change."""

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Images:
        """Uniform points of the unit ball, on the device of the generator."""

    def steepest(self, gradient: Images) -> Images:
        """Point of the unit ball at which each linear function is largest; 0 where it is 0."""

    def project(self, points: Images, centers: Images, eps: Budgets) -> Images:
        """Point of the ball about each center, within [0, 1], near each point."""


class Linf:
    """Every pixel may change by up to `eps`."""

    def length(self, changes: Images) -> Budgets:
        """Take the largest change of a pixel."""
        return changes.abs().amax(dim=(1, 2, 3))

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Images:
        """Draw each pixel from [-1, 1]."""
        return torch.rand(shape, generator=generator, device=generator.device) * 2 - 1

    def steepest(self, gradient: Images) -> Images:
        """Take the sign of each pixel."""
        return gradient.sign()

    def project(self, points: Images, centers: Images, eps: Budgets) -> Images:
        """Clip each pixel to the ball and to [0, 1]; this is the nearest point of both."""
        eps = _column(eps)
        low, high = (centers - eps).clamp_min_(0), (centers + eps).clamp_max_(1)
        return points.clamp(low, high)


class L2:
    """The Euclidean norm of the change over all pixels is at most `eps`."""

    def length(self, changes: Images) -> Budgets:
        """Take the root of the sum of squares."""
        return changes.flatten(1).norm(dim=1)

    def sample(self, shape: torch.Size, generator: torch.Generator) -> Images:
        """Draw a direction, and a distance whose power `pixels` is uniform."""
        direction = torch.randn(shape, generator=generator, device=generator.device)
        length = torch.rand(shape[0], generator=generator, device=generator.device)
        return self.steepest(direction) * _column(length ** (1 / direction[0].numel()))

    def steepest(self, gradient: Images) -> Images:
        """Scale each gradient to norm 1."""
        # Scaling by the largest entry first keeps squares of tiny gradients from vanishing.
        gradient = gradient / _column(gradient.abs().amax(dim=(1, 2, 3)).clamp_min(_TINY))
        return gradient / _column(self.length(gradient).clamp_min(_TINY))

    def project(self, points: Images, centers: Images, eps: Budgets) -> Images:
        r"""Find the nearest point of both the ball and the box.

        By Lagrange it is $\mathrm{clip}(c + t (p - c))$ with the largest $t \le 1$ that keeps it
        in the ball. Where the box cuts pixels off, others may go farther: $t$ is bisected between
        the value that would do without a box and 1.
        """
        change = points - centers
        low = (eps / self.length(change).clamp_min(_TINY)).clamp_max(1)
        nearest = (centers + change * _column(low)).clamp_(0, 1)
        cut = (low < 1) & (self.length(nearest - centers) < 0.999 * eps)
        if cut.any():
            centers, change, eps = centers[cut], change[cut], eps[cut]
            low, high = low[cut], torch.ones_like(low[cut])
            for _ in range(16):
                middle = (low + high) / 2
                reached = (centers + change * _column(middle)).clamp(0, 1)
                inside = self.length(reached - centers) <= eps
                low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
            nearest[cut] = (centers + change * _column(low)).clamp_(0, 1)
        return nearest


BALLS: dict[str, Ball] = {"linf": Linf(), "l2": L2()}

_TINY = torch.finfo(torch.float32).tiny


def _column(values: Budgets) -> Images:
    return values[:, None, None, None]
