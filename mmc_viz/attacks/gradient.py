"""Attacks that follow the gradient of an objective within a fixed budget."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz.attacks.ascent import Goal, Recorder, Trace, ascend
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.checks import (
    check_classes,
    check_count,
    check_eps,
    check_images,
    check_logits,
    check_step_size,
    check_targets,
)
from mmc_viz.attacks.view import frozen
from mmc_viz.objectives import Objective, resolve


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
    return _attack(
        model,
        images,
        labels,
        eps=eps,
        steps=1,
        step_size=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=lambda images, budgets: iter([images]),
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
        step `steps`, anew for each restart. The tensors cover all images; an image keeps its values
        from the step on which it is fooled. The work is then done in one batch.
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
    check_count("restarts", restarts, 1)

    def starts(images: Tensor, budgets: Tensor) -> Iterator[Tensor]:
        source = generator if generator is not None else torch.Generator().manual_seed(0)
        for _ in range(restarts):
            offset = BALLS[norm].sample(images.shape, source).to(images)
            yield (images + budgets[:, None, None, None] * offset).clamp_(0, 1)

    return _attack(
        model,
        images,
        labels,
        eps=eps,
        steps=steps,
        step_size=step_size,
        norm=norm,
        objective=objective,
        targets=targets,
        starts=starts,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def _attack(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    steps: int,
    step_size: float | int | Tensor | None,
    norm: str,
    objective: str | Objective,
    targets: Int[Tensor, " batch"] | None,
    starts: Callable[[Tensor, Tensor], Iterator[Tensor]],
    trace: Trace | None,
    batch_size: int,
    progress: bool,
) -> Float[Tensor, "batch channels height width"]:
    """Check the call, then ascend from each start, with the images that are not yet fooled."""
    check_images(images, labels)
    check_count("steps", steps, 1)
    check_count("batch_size", batch_size, 1)
    if norm not in BALLS:
        raise ValueError(f"`norm` must be one of {', '.join(BALLS)}; got {norm!r}.")
    budgets = check_eps(eps, images, norm)
    if step_size is None:
        step_size = 2.5 * budgets / steps
    step_sizes = check_step_size(step_size, images)
    objective = resolve(objective)
    if targets is not None:
        check_targets(targets, labels)
    goal = Goal(objective, targets is not None)
    classes = labels if targets is None else targets
    if len(images) == 0:
        return images.clone()

    # Tensors made in inference mode have no gradient; copies made outside of it do.
    with torch.inference_mode(False):
        images, classes, labels = images.detach().clone(), classes.clone(), labels.clone()
        with frozen(model, images) as view:
            found = images.clone()
            with torch.no_grad():
                # Copies, because some models write into what they are given.
                logits = torch.cat([view.exact(part.clone()) for part in images.split(batch_size)])
            check_logits(logits, images)
            check_classes("labels", labels, logits.shape[1])
            check_classes("targets", classes, logits.shape[1])
            fooled = goal.reached(logits, classes)
            recorder = None
            if trace is not None:
                recorder = Recorder(trace, images, logits, goal.value(logits, classes))
                batch_size = len(images)
            for start in starts(images, budgets):
                batches = (~fooled).nonzero()[:, 0].split(batch_size)
                for rows in tqdm(batches, unit="batch", leave=False, disable=not progress):
                    # No batch is ever empty: some models cannot take one.
                    if len(rows) == 0 and recorder is None:
                        continue
                    found[rows], fooled[rows] = ascend(
                        view,
                        images[rows],
                        classes[rows],
                        start[rows],
                        eps=budgets[rows],
                        steps=steps,
                        step_size=step_sizes[rows],
                        ball=BALLS[norm],
                        goal=goal,
                        record=None if recorder is None else recorder.of(rows),
                    )
    return found
