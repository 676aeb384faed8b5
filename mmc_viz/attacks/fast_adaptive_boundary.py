r"""FAB: walk along the boundary, drawn towards the image.

At the point $x$ the lead $m$ (see `mmc_viz.attacks.leads`) is made linear, which gives a
hyperplane. Both the point and the clean image $x_0$ are brought onto it, with the least change that
the box allows, and the next point lies between the two,

$$x' = (1 - \alpha) \bigl( x + \eta\, (\mathrm{onto}(x) - x) \bigr)
+ \alpha \bigl( x_0 + \eta\, (\mathrm{onto}(x_0) - x_0) \bigr).$$

Where that fools the model, it is drawn back towards the image by a tenth.

A budget holds the other attacks near the image. FAB knows none: it goes as far as the boundary lies
and comes back, and what it keeps of a change is what counts where it is. So it finds its way where
small changes do nothing: a model trained against linf learns to overlook what is darker than the
budget, and from the clean image an attack in l2 sees no slope on the pixels that it had best raise.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.checks import check_count
from mmc_viz.attacks.hyperplanes import onto_boundary
from mmc_viz.attacks.leads import Aim
from mmc_viz.attacks.minimal import Hunt, check_positive, closest, column, offsets


def fab(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 100,
    norm: str = "linf",
    rivals: int = 9,
    restarts: int = 1,
    alpha_max: float | int = 0.1,
    eta: float | int = 1.05,
    beta: float | int = 0.9,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Fast adaptive boundary attack: from outside to the nearest point of each rival's boundary.

    Parameters
    ----------
    steps : int
        Gradients taken of each image for each rival, at most.
    rivals : int
        How many classes are headed for, one after the other, those first that are nearest if the
        model is linear.
    restarts : int
        How often that is done: first from the image, then from random points half as far as the
        closest adversarial point so far.
    alpha_max : float
        How far the next point may be drawn towards the image's own place on the hyperplane, in
        (0, 1).
    eta : float
        By which factor steps onto the hyperplane are longer than the linear model says, at least 1.
    beta : float
        What is left of a change that fools the model, in (0, 1).

    Notes
    -----
    The other arguments are those of `fmn`. The trace is called at each step, anew for each rival
    and restart, with the lead in pixels as its `loss`. Published with margins in logits; its
    targeted form, as in AutoAttack, is the one that heads for one rival after the other.

    References
    ----------
    Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
    ICML 2020, https://arxiv.org/abs/1907.02044.
    """
    check_count("steps", steps, 1)
    check_count("rivals", rivals, 1)
    check_count("restarts", restarts, 1)
    check_positive("alpha_max", alpha_max, below=1)
    check_positive("beta", beta, below=1)
    if not 1 <= eta < float("inf"):
        raise ValueError(f"`eta` must be finite and at least 1; got {eta}.")

    offset = offsets(images, norm, generator)

    def search(hunt: Hunt, record: Callable | None) -> None:
        aims = [hunt.aim]
        if targets is None:
            ranked = hunt.nearest_rivals()[:, :rivals]
            aims = [replace(hunt.aim, rivals=rival) for rival in ranked.unbind(dim=1)]
        for number in range(restarts):
            start = hunt.aside(offset(number)) if number else hunt.images
            for aim in aims:
                _walk(hunt, aim, start, steps, alpha_max, eta, beta, record)

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


def _walk(
    hunt: Hunt,
    aim: Aim,
    start: Float[Tensor, "batch channels height width"],
    steps: int,
    alpha_max: float | int,
    eta: float | int,
    beta: float | int,
    record: Callable | None,
) -> None:
    """Walk along the boundary of `aim`, from `start`."""
    points, ball = start.clone(), hunt.ball
    active = torch.arange(len(points), device=points.device)
    for step in range(steps + 1):
        last = step == steps
        point, image = points[active], hunt.images[active]
        logits, lead, _, slope = hunt.visit(active, point, aim=aim, gradient=not last)
        if record is not None:
            record(step, active, point, logits, lead)
        if last:
            break
        here = onto_boundary(point, slope, -lead, ball) - point
        missing = -lead - (slope * (image - point)).flatten(1).sum(dim=1)
        home = onto_boundary(image, slope, missing, ball) - image
        near, far = ball.length(here), ball.length(home)
        alpha = column((near / (near + far).clamp_min(_TINY)).clamp_max(alpha_max))
        moved = (1 - alpha) * (point + eta * here) + alpha * (image + eta * home)
        if step == steps - 1:  # at the end to the image's own place, and hardly beyond
            moved = image + (1 + (eta - 1) / 5) * home
        moved = moved.clamp(0, 1)
        _, _, reached, _ = hunt.visit(active, moved, aim=aim, gradient=False)
        moved[reached] = (image + beta * (moved - image))[reached]
        points[active] = moved
        # Without a slope there is no hyperplane, and an iterate stays for good.
        active = active[slope.flatten(1).any(dim=1)]


_TINY = torch.finfo(torch.float32).tiny
