"""DeepFool: step again and again to the nearest boundary of the model made linear.

At the point $x$ let $h_j - h_y$ have the value $-g$ and the gradient $w$: where the linear model
rises by $g$ lies the boundary, see `mmc_viz.attacks.hyperplanes`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.checks import check_count, check_value
from mmc_viz.attacks.hyperplanes import to_boundary
from mmc_viz.attacks.leads import dual_length, rounding
from mmc_viz.attacks.minimal import LEAST, Hunt, closest, column
from mmc_viz.objectives import targeted_margin

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]


def deepfool(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 50,
    norm: str = "l2",
    overshoot: float | int = 0.02,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Step to the boundary that is nearest, of all classes, until the image is fooled.

    Fast: a few steps are enough, each with one gradient a class. It stops at the first adversarial
    point it meets, so it says how near a boundary is at most, and `fmn` often finds a nearer one.
    It is tried twice: with steps to the boundary, and with steps of half the distance that the
    boundary would have without a box, which go less astray where the model bends. The closer point
    counts.

    Parameters
    ----------
    overshoot : float
        By which part each step is longer than the linear model says, at least 0. What is too much
        is taken back at the end.
    targets : None
        The method leads away from a class, to whichever is nearest; it has no targets.

    Notes
    -----
    The other arguments are those of `fmn`; nothing is random here, so `generator` is not used.
    `loss` of the trace, which is called anew for the second try, is the lead in pixels. Published
    with one try, and without regard to the box, which is here part of each whole step.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool: a simple and accurate method to fool deep neural
    networks", CVPR 2016, https://arxiv.org/abs/1511.04599.
    """
    check_count("steps", steps, 1)
    if not 0 <= overshoot < float("inf"):
        raise ValueError(f"`overshoot` must be finite and at least 0; got {overshoot}.")
    if targets is not None:
        raise ValueError(
            "`targets` must be None: DeepFool leads to the nearest class, whichever it is. Use "
            "`fmn` to reach targets."
        )

    def search(hunt: Hunt, record: Callable | None) -> None:
        for whole in (True, False):
            points = hunt.images.clone()
            active = torch.arange(len(points), device=points.device)
            for step in range(steps + 1):
                point = points[active]
                logits, lead, reached, _ = hunt.visit(active, point, gradient=False)
                if record is not None:
                    record(step, active, point, logits, lead)
                active, point = active[~reached], point[~reached]
                if step < steps and len(active):
                    points[active] = _step(hunt, active, point, overshoot, whole=whole)

    return closest(
        model,
        images,
        labels,
        search=search,
        norm=norm,
        targets=targets,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def _step(
    hunt: Hunt, rows: Tensor, points: Images, overshoot: float | int, *, whole: bool
) -> Images:
    """Go from these points past the nearest boundary of the linear models, or half the way."""
    labels = hunt.aim.goal.classes[rows]
    nearest, moved = torch.full_like(hunt.sizes[rows], torch.inf), points.clone()
    with torch.enable_grad():
        point = points.clone().requires_grad_()
        logits = hunt.view.fast(point.clone())
        check_value(logits[:, 0], logits)
        least = rounding(logits.detach()).to(points.dtype)
        for offset in range(1, logits.shape[1]):
            rivals = (labels + offset) % logits.shape[1]
            lead = targeted_margin(logits, labels, rivals)
            slopes = torch.autograd.grad(lead.sum(), point, retain_graph=True)[0].nan_to_num()
            gaps = -lead.detach().to(points.dtype)
            steepness = dual_length(slopes, hunt.norm)
            # Beside the boundary, where the gap says nothing any more, at least past rounding.
            more = (overshoot * gaps).maximum(steepness * LEAST).maximum(least)
            rise = gaps.clamp_min(0) + more
            if whole:
                aims = to_boundary(points, slopes, rise, hunt.ball)
                length = hunt.ball.length(aims - points)
                # A class that no point of the box reaches comes last.
                beyond = ((aims - points) * slopes).flatten(1).sum(dim=1) < gaps
                length = torch.where(beyond, length + _FAR, length)
            else:
                length = rise / steepness.clamp_min(_TINY)
                aims = points + hunt.ball.steepest(slopes) * column(length / 2)
                aims = aims.clamp(0, 1)
            better = (length < nearest) & slopes.flatten(1).any(dim=1)
            nearest[better], moved[better] = length[better], aims[better]
    return moved


_FAR = 1e6  # farther than one end of the box from the other


_TINY = torch.finfo(torch.float32).tiny
