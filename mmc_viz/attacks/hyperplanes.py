r"""The nearest point of a hyperplane, of those that are images.

To raise a linear function of gradient $w$ by $g$ from the point $x$, with the least change in a
norm, one goes to

$$x' = \mathrm{clip}(x + s\, u, 0, 1), \qquad w \cdot (x' - x) = g,$$

where $u$ is the steepest direction of the norm: $\mathrm{sign}(w)$ in linf, $w / \lVert w \rVert_2$
in l2. The gain $w \cdot (x' - x)$ is piecewise linear in $s$, with a kink wherever a pixel reaches
its end; so $s$ is found exactly.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.attacks.balls import Ball

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]


def onto_boundary(points: Images, slopes: Images, gaps: Numbers, ball: Ball) -> Images:
    """As `to_boundary`, from either side: functions whose gap is negative are lowered."""
    sign = torch.where(gaps < 0, -1.0, 1.0).to(slopes)
    return to_boundary(points, slopes * sign[:, None, None, None], gaps.abs(), ball)


def to_boundary(points: Images, slopes: Images, gaps: Numbers, ball: Ball) -> Images:
    """Nearest point of the box at which a linear function has risen by the gap.

    Parameters
    ----------
    points : Float[Tensor, "batch channels height width"]
        In [0, 1].
    slopes : Float[Tensor, "batch channels height width"]
        Gradients of the linear functions.
    gaps : Float[Tensor, "batch"]
        By how much they are to rise, at least 0.
    ball : Ball
        Of the norm in which the point is nearest.

    Returns
    -------
    moved : Float[Tensor, "batch channels height width"]
        Where the box allows no such rise, its corner where the function is largest.
    """
    direction = ball.steepest(slopes)
    speed = direction.flatten(1).abs()
    gain = speed * slopes.flatten(1).abs()  # of the function while s grows by 1, pixel by pixel
    room = torch.where(direction > 0, 1 - points, points).flatten(1)
    ends = torch.where(speed > 0, room / speed.clamp_min(_TINY), torch.inf)
    ends, order = ends.sort(dim=1)
    gain = gain.gather(1, order)
    # At the end of each pixel: what those before it have gained, and how fast the rest still gain.
    spent = (gain * ends.nan_to_num(posinf=0)).cumsum(dim=1)
    rate = gain.flip(1).cumsum(dim=1).flip(1)
    before = torch.cat([torch.zeros_like(spent[:, :1]), spent[:, :-1]], dim=1)
    reach = (gaps[:, None] - before) / rate.clamp_min(_TINY)
    # Within the piece of s that ends first at or beyond it, this is the answer.
    inside = (reach <= ends) & (rate > 0)
    piece = inside.to(torch.uint8).argmax(dim=1, keepdim=True)
    last = ends.nan_to_num(posinf=0).amax(dim=1, keepdim=True)
    distance = torch.where(inside.any(dim=1, keepdim=True), reach.gather(1, piece), last)
    return (points + direction * distance[:, :, None, None]).clamp(0, 1)


_TINY = torch.finfo(torch.float32).tiny
