"""Attacks that follow the gradient of an objective within a fixed budget."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.ascent import Adaptive, Constant, Momentum
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.shrinking import from_outside
from mmc_viz.attacks.starts import ascents, at_random, at_the_image, step_sizes
from mmc_viz.objectives import Objective


def fgsm(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Take one step of the whole budget along the gradient at the image itself.

    The arguments are those of `pgd`; nothing is random here, so `generator` is not used. Weak, and
    of use as a sign: where one step does better than many, the many are lost in a masked gradient.

    References
    ----------
    Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015,
    https://arxiv.org/abs/1412.6572.
    """
    return ascents(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=at_the_image,
        steps=1,
        rule=lambda part: Constant(part, BALLS[norm], part.eps),
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def bim(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int = 20,
    step_size: float | int | Tensor | None = None,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Ascend as `pgd` does, but from the image itself: the basic iterative method.

    The arguments are those of `pgd`; nothing is random here, so `generator` is not used.

    References
    ----------
    Kurakin, Goodfellow, Bengio, "Adversarial examples in the physical world", 2016,
    https://arxiv.org/abs/1607.02533.
    """
    sizes = step_sizes(step_size, steps, images)
    return ascents(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=at_the_image,
        steps=steps,
        rule=lambda part: Constant(part, BALLS[norm], sizes(part)),
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def mim(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int = 20,
    step_size: float | int | Tensor | None = None,
    decay: float | int = 1.0,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    r"""Ascend from the image along gathered gradients: the momentum iterative method.

    The direction is that of $m \leftarrow \mu m + g / \lVert g \rVert_1$. What it finds depends
    less on the model at hand, so it carries over to others better.

    Parameters
    ----------
    decay : float
        What of the momentum is left after a step, $\mu$, in [0, 1].

    Notes
    -----
    The other arguments are those of `pgd`; nothing is random here, so `generator` is not used.

    References
    ----------
    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018,
    https://arxiv.org/abs/1710.06081.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"`decay` must be in [0, 1]; got {decay}.")
    sizes = step_sizes(step_size, steps, images)
    return ascents(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=at_the_image,
        steps=steps,
        rule=lambda part: Momentum(part, BALLS[norm], sizes(part), decay),
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def pgd(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int = 20,
    step_size: float | int | Tensor | None = None,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    restarts: int = 1,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Projected gradient ascent from uniform random points of the ball.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is; the attack sees it in evaluation mode.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float or Float[Tensor, "batch"]
        Budget in the unit of the images (8/255, not 8), one for all or one for each image.
    steps : int
        Gradients taken of each image, at most.
    step_size : float or Float[Tensor, "batch"], optional
        Length of a step in the norm. None: `2.5 * eps / steps`.
    norm : {"linf", "l2"}
        In which the budget is measured.
    objective : str or callable
        What is maximised: a name from `mmc_viz.objectives`, or a callable from logits and labels
        to one number per image.
    targets : Int[Tensor, "batch"], optional
        Classes to reach. With them an image is fooled when it is taken for its target; without,
        when it is not taken for its label.
    restarts : int
        Random starts. Only images that no earlier start has fooled are tried again.
    generator : torch.Generator, optional
        Source of the starts. One point is drawn for each image of the call, fooled or not, so an
        image's start depends on its place in `images` and on nothing else. None: a private one,
        seeded 0.
    trace : callable, optional
        Called as `trace(step, images, logits, loss)` at every iterate, from step 0, the start, to
        step `steps`, anew for each restart and for each rival of `targeted_margin`. The tensors
        cover all images; an image keeps its values from the step on which it is fooled. The work is
        then done in one batch.
    batch_size : int
        How many images are worked on at once. It changes memory and speed, not the starts.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    adversarial : Float[Tensor, "batch channels height width"]
        The first adversarial image met, which is the image itself where the model errs on it
        already; else the last iterate. Within [0, 1], and within `eps` of the images.

    Raises
    ------
    ValueError
        If an argument is out of range or a name unknown.

    References
    ----------
    Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018,
    https://arxiv.org/abs/1706.06083.
    """
    sizes = step_sizes(step_size, steps, images)
    return ascents(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=at_random(restarts, norm, generator),
        steps=steps,
        rule=lambda part: Constant(part, BALLS[norm], sizes(part)),
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def apgd(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int = 100,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    restarts: int = 1,
    widest: float | int = 1.0,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Ascend with steps that find their own length: Auto-PGD.

    It begins with steps of twice the budget, and halves them, going back to the best point so far,
    where they no longer raise the objective. There is nothing to tune but `steps`. With
    `objective="targeted_margin"` each rival class is tried in turn.

    Parameters
    ----------
    widest : float
        Above 1 it comes from outside: it takes `steps` steps in each of a series of balls, the
        first `widest` times as large as the budget, and then those in the ball of the budget. A
        trace sees the last alone.

    Notes
    -----
    The other arguments are those of `pgd`.

    References
    ----------
    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, https://arxiv.org/abs/2003.01690. With balls that shrink, in
    l1: Croce, Hein, "Mind the box", ICML 2021, https://arxiv.org/abs/2103.01208.
    """
    if not 1 <= widest < float("inf"):
        raise ValueError(f"`widest` must be finite and at least 1; got {widest}.")
    return ascents(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=at_random(restarts, norm, generator),
        steps=steps,
        rule=lambda part: Adaptive(part, BALLS[norm], steps),
        approach=partial(from_outside, widest=widest, steps=steps) if widest > 1 else None,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )
