r"""Attacks that let the budget follow the boundary: `ddn` and `fmn`.

Both ascend the lead $m$ (see `mmc_viz.attacks.leads`) within a ball about the image, and move the
ball itself. From a point that fools the model the budget shrinks by a small part, from one that
does not it grows by it. So the iterate walks along the boundary to where this is nearest,

$$\delta_{s+1} = \mathrm{project}_{\epsilon_{s+1}}\Bigl( \delta_s + \alpha_s
\frac{\nabla m}{\lVert \nabla m \rVert_2} \Bigr), \qquad
\epsilon_{s+1} = (1 \mp \gamma_s)\, \epsilon_s,$$

with steps $\alpha_s$ that fall along half a cosine.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.checks import check_count
from mmc_viz.attacks.leads import Aim, dual_length
from mmc_viz.attacks.minimal import LEAST, Hunt, check_positive, closest, column, offsets

Numbers = Float[Tensor, " batch"]


def fmn(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 100,
    norm: str = "linf",
    starts: int = 4,
    step_size: float | int = 2.0,
    gamma: float | int = 0.05,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Fast minimum-norm attack: follow the boundary to its nearest point, from several starts.

    One run draws the whole curve of accuracy against the budget. The nearest point found often
    belongs to the boundary of another class than the first start meets, so each start looks
    elsewhere. The first sets out from the image, towards the class that is nearest if the model
    is linear. Then come in turn: from the image towards the next nearest class; and from a random
    point, half as far as the closest adversarial point so far, towards the nearest.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is; the attack sees it in evaluation mode.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    steps : int
        Gradients taken of each image from each start, at most.
    norm : {"linf", "l2"}
        In which the distance is measured.
    starts : int
        The first is the published attack.
    step_size : float
        Length of the first step in l2, whatever the norm, in the unit of the images; at most the
        width of the ball. It falls to a hundredth.
    gamma : float
        By which part the budget changes at first, in (0, 1). It falls to a thousandth.
    targets : Int[Tensor, "batch"], optional
        Classes to reach. With them an image is fooled when it is taken for its target; without,
        when it is not taken for its label. All starts but the first are then random.
    generator : torch.Generator, optional
        Source of the random starts, which depend on an image's place in `images` and on nothing
        else. None: a private one, seeded 0.
    trace : callable, optional
        Called as `trace(step, images, logits, loss)` at every iterate, from step 0, the start, to
        step `steps`, anew for each start; `loss` is the lead in pixels. The tensors cover all
        images; those that the model gets wrong already stay as they are. The work is then done in
        one batch.
    batch_size : int
        How many images are worked on at once. It changes memory and speed, not the starts.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    adversarial : Float[Tensor, "batch channels height width"]
        The closest adversarial image found, which is the image itself where the model errs on it
        already; where none was found, the image too, so ask the model which it is. Within [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range or a name unknown.

    Notes
    -----
    Published with the margin in logits; here it is in pixels, as `mmc_viz.attacks.leads` says.
    Published with a first step of 1 however small the ball, and without further starts.

    References
    ----------
    Pintor et al., "Fast minimum-norm adversarial attacks through adaptive norm constraints",
    NeurIPS 2021, https://arxiv.org/abs/2102.12827.
    """
    check_count("steps", steps, 1)
    check_count("starts", starts, 1)
    check_positive("step_size", step_size)
    check_positive("gamma", gamma, below=1)

    offset = offsets(images, norm, generator)

    def budget(part, eps, best, reached, estimate):
        # A little beyond the estimate: on a linear model it is the boundary itself.
        larger = (1 + part) * torch.where(best.isfinite(), eps, estimate)
        return torch.where(reached, ((1 - part) * eps).minimum(best), larger)

    def search(hunt: Hunt, record: Callable | None) -> None:
        ranked = hunt.nearest_rivals()
        for start in range(starts):
            aim, begin = hunt.aim, hunt.images
            rank = (start + 1) // 2
            if start % 2 and targets is None and rank < ranked.shape[1]:
                aim = replace(aim, rivals=ranked[:, rank])
            elif start:
                begin = hunt.aside(offset(start))
            _follow(
                hunt,
                aim,
                begin,
                torch.full_like(hunt.sizes, torch.inf),
                steps=steps,
                step_size=step_size,
                parts=lambda share: gamma * (0.02 + 0.98 * share),
                budget=budget,
                place=hunt.ball.project,
                record=record,
            )

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


def ddn(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 100,
    norm: str = "l2",
    step_size: float | int = 2.0,
    gamma: float | int = 0.05,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Decoupled direction and norm: the change always has the norm of the budget, in l2.

    Steps turn the change; only the budget, which shrinks or grows by the part `gamma`, makes it
    shorter or longer. The first budget is the distance to the boundary if the model is linear.

    Notes
    -----
    The other arguments are those of `fmn`; nothing is random here, so `generator` is not used.
    Published with cross-entropy and with pixels in 256 steps; here with the lead, which does not
    saturate, and with pixels as they come.

    References
    ----------
    Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks
    and defenses", CVPR 2019, https://arxiv.org/abs/1811.09600.
    """
    check_count("steps", steps, 1)
    check_positive("step_size", step_size)
    check_positive("gamma", gamma, below=1)

    def search(hunt: Hunt, record: Callable | None) -> None:
        def place(points: Tensor, centers: Tensor, eps: Tensor) -> Tensor:
            # The projection of a point far out is as long as the box allows.
            change = points - centers
            far = 8 * eps / hunt.ball.length(change).clamp_min(_TINY)
            return hunt.ball.project(centers + change * column(far), centers, eps)

        _follow(
            hunt,
            hunt.aim,
            hunt.images,
            hunt.estimates().clamp_min(100 * LEAST),  # a budget far too small grows too slowly
            steps=steps,
            step_size=step_size,
            parts=lambda share: gamma,
            budget=lambda part, eps, best, reached, estimate: (
                eps * torch.where(reached, 1 - part, 1 + part)
            ),
            place=place,
            record=record,
        )

    return closest(
        model,
        images,
        labels,
        search=search,
        norm=norm,
        norms=["l2"],
        targets=targets,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


_TINY = torch.finfo(torch.float32).tiny


def _follow(
    hunt: Hunt,
    aim: Aim,
    points: Float[Tensor, "batch channels height width"],
    eps: Numbers,
    *,
    steps: int,
    step_size: float | int,
    parts: Callable[[float], float | int],
    budget: Callable[[float, Numbers, Numbers, Bool[Tensor, " batch"], Numbers], Numbers],
    place: Callable[[Tensor, Tensor, Tensor], Tensor],
    record: Callable | None,
) -> None:
    """Walk along the boundary of `aim`, from `points` and the budgets `eps`.

    `parts` are by which the budget changes, from the share of the steps still ahead; `budget`
    gives the next one, and `place` brings a point to it.
    """
    points, best = points.clone(), torch.full_like(eps, torch.inf)
    active = torch.arange(len(points), device=points.device)
    for step in range(steps + 1):
        last = step == steps
        point, images = points[active], hunt.images[active]
        logits, lead, reached, gradient = hunt.visit(active, point, aim=aim, gradient=not last)
        if record is not None:
            record(step, active, point, logits, lead)
        if last:
            break
        share = (1 + math.cos(math.pi * step / steps)) / 2
        length = hunt.ball.length(point - images)
        best[active] = torch.where(reached, best[active].minimum(length), best[active])
        # Where the boundary lies if the model is linear from here on.
        slope = dual_length(gradient, hunt.norm).clamp_min(_TINY)
        estimate = length + (-lead / slope).clamp(LEAST, point[:1].numel() + 1)
        eps[active] = budget(parts(share), eps[active], best[active], reached, estimate)
        # A step longer than the ball is wide would only throw the iterate from side to side.
        ahead = (2 * hunt.in_l2(eps[active])).clamp_max(step_size) * (0.01 + 0.99 * share)
        moved = point + column(ahead) * BALLS["l2"].steepest(gradient)
        moved = place(moved, images, eps[active]).clamp(0, 1)
        # Without a slope, and without success that draws it back, an iterate stays for good.
        stuck = ~reached & ~gradient.flatten(1).any(dim=1) & (moved == point).flatten(1).all(dim=1)
        points[active] = moved
        active = active[~stuck]
