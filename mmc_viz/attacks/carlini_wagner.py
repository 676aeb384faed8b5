r"""Attacks that weigh closeness against success: `cw` and `ead`.

With the lead $m$ in pixels, which holds a confidence already (see `mmc_viz.attacks.leads`), they
minimise

$$\lVert \delta \rVert_2^2 + \beta \lVert \delta \rVert_1 + c \, \max(-m(x_0 + \delta), 0),$$

`cw` with $\beta = 0$. With a small constant $c$ it does not pay to fool the model, with a large one
it does not pay to stay near. So $c$ is searched for each image: raised tenfold until the image is
fooled, then bisected. For `cw` and a linear model the smallest that does is twice the distance to
the boundary, and the point it leads to is the nearest of all.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.checks import check_count
from mmc_viz.attacks.minimal import Hunt, check_positive, closest, column

Numbers = Float[Tensor, " batch"]

_EDGE = 1e-3  # of the way to the ends of the box at which tanh would need an infinite variable
_RULES = ("en", "l1")


def cw(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 200,
    norm: str = "l2",
    search_steps: int = 9,
    initial_const: float | int | None = None,
    lr: float | int = 0.1,
    confidence: float | int = 0.0,
    abort_early: bool = True,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    r"""Descend in a variable that cannot leave the box: the attack of Carlini and Wagner, in l2.

    With $x = (1 + \tanh w) / 2$ every $w$ gives an image in [0, 1], so Adam may move it freely.

    Parameters
    ----------
    steps : int
        Gradients taken of each image for each constant, at most.
    search_steps : int
        How many constants are tried for each image.
    initial_const : float, optional
        The first of them. It weighs the lead in pixels, so it suits models of any logit scale.
        None: four times the distance to the boundary, if the model is linear.
    lr : float
        First step of Adam, in the unit of $w$. It is shorter for an image whose boundary is so near
        that it would be missed, and falls to a hundredth.
    confidence : float
        Margin, in logits, that an image must have to count as fooled, at least 0.
    abort_early : bool
        Whether the step of an image is quartered when a tenth of the steps has lowered its loss by
        less than a part in 10,000; after the third time the image rests until the next constant.

    Notes
    -----
    The other arguments are those of `fmn`; nothing is random here, so `generator` is not used. The
    trace is called at each step of each constant, with minus what is minimised as its `loss`.
    The authors' settings are `steps=1000, search_steps=9, initial_const=0.01, lr=5e-3`. Four
    things differ: their constant weighs the margin in logits; their steps do not get shorter; they
    look whether the loss of the whole batch still falls; and they do not draw the result towards
    the image.

    References
    ----------
    Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017,
    https://arxiv.org/abs/1608.04644.
    """
    _check(steps, search_steps, initial_const, lr, confidence)

    def descend(hunt: Hunt, constants: Numbers, record: Callable | None) -> Bool[Tensor, " batch"]:
        patience = Patience(steps, constants) if abort_early else None
        return _tanh_descent(hunt, constants, steps, lr, patience, record)

    return closest(
        model,
        images,
        labels,
        search=_search(descend, search_steps, initial_const),
        norm=norm,
        norms=["l2"],
        confidence=confidence,
        targets=targets,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def ead(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 200,
    norm: str = "l2",
    beta: float | int = 0.01,
    decision_rule: str = "en",
    search_steps: int = 6,
    initial_const: float | int | None = None,
    lr: float | int = 0.01,
    confidence: float | int = 0.0,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    r"""Change few pixels: the elastic-net attack, by FISTA.

    Each step follows the gradient from a point ahead of the last two, and then moves every pixel
    towards the clean image by a constant amount; pixels that come so near stay clean.

    What comes back is the closest in the measure of `decision_rule`, not in l2. In a curve it is
    measured in l2 like the others, and is no match for `cw` there.

    Parameters
    ----------
    norm : {"l2"}
        In which a curve measures what is found.
    beta : float
        Weight of l1 against the square of l2, at least 0; the larger, the fewer pixels change.
    decision_rule : {"en", "l1"}
        What is to be small: $\beta \lVert \delta \rVert_1 + \lVert \delta \rVert_2^2$, or
        $\lVert \delta \rVert_1$ alone.
    lr : float
        First step. It falls to 0 with the square root of the steps still ahead.

    Notes
    -----
    The other arguments are those of `cw`. Pixels are moved towards the image by `lr * beta`, which
    minimises what is said to be minimised. The published code moves them by `beta` itself: in
    effect a `beta` 1 / `lr` times as large, so changes are sparser there and longer.

    References
    ----------
    Chen et al., "EAD: elastic-net attacks to deep neural networks via adversarial examples", AAAI
    2018, https://arxiv.org/abs/1709.04114.
    """
    _check(steps, search_steps, initial_const, lr, confidence)
    if not 0 <= beta < float("inf"):
        raise ValueError(f"`beta` must be finite and at least 0; got {beta}.")
    if decision_rule not in _RULES:
        raise ValueError(f"`decision_rule` must be one of en, l1; got {decision_rule!r}.")

    def measure(change: Tensor) -> Tensor:
        city_block = change.abs().flatten(1).sum(dim=1)
        if decision_rule == "l1":
            return city_block
        return beta * city_block + change.square().flatten(1).sum(dim=1)

    def descend(hunt: Hunt, constants: Numbers, record: Callable | None) -> Bool[Tensor, " batch"]:
        return _shrinking_descent(hunt, constants, steps, lr, beta, record)

    return closest(
        model,
        images,
        labels,
        search=_search(descend, search_steps, initial_const),
        norm=norm,
        norms=["l2"],
        measure=measure,
        confidence=confidence,
        targets=targets,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


class Constants:
    """The constant $c$ of each image, and between which values it is searched."""

    def __init__(self, initial: Numbers):
        self.values = initial
        self.low, self.high = torch.zeros_like(initial), torch.full_like(initial, torch.inf)

    def update(self, reached: Bool[Tensor, " batch"]) -> None:
        """Lower the constants with which the image was fooled, raise the others."""
        self.high = torch.where(reached, self.values, self.high)
        self.low = torch.where(reached, self.low, self.values)
        middle = (self.low + self.high) / 2
        self.values = torch.where(self.high.isfinite(), middle, 10 * self.values)


class Patience:
    """Says which images have stopped getting better, by a look after every tenth of the steps."""

    def __init__(self, steps: int, like: Numbers):
        self.every, self.last = max(steps // 10, 1), torch.full_like(like, torch.inf)

    def lost(self, step: int, rows: Tensor, losses: Numbers) -> Bool[Tensor, " batch"]:
        """Whether the loss has fallen by less than a part in 10,000 since the last look."""
        if step % self.every:
            return torch.zeros_like(losses, dtype=torch.bool)
        lost = losses > 0.9999 * self.last[rows]
        self.last[rows] = losses
        return lost


def _search(
    descend: Callable[[Hunt, Numbers, Callable | None], Bool[Tensor, " batch"]],
    search_steps: int,
    initial_const: float | int | None,
) -> Callable[[Hunt, Callable | None], None]:
    """Descend again and again, each time with better constants."""

    def search(hunt: Hunt, record: Callable | None) -> None:
        first = 4 * hunt.estimates()
        if initial_const is not None:
            first = torch.full_like(first, initial_const)
        constants = Constants(first)
        for _ in range(search_steps):
            constants.update(descend(hunt, constants.values, record))

    return search


def _tanh_descent(
    hunt: Hunt,
    constants: Numbers,
    steps: int,
    lr: float | int,
    patience: Patience | None,
    record: Callable | None,
) -> Bool[Tensor, " batch"]:
    """Descend by Adam in the variable of tanh; say which images were fooled on the way."""
    variables = torch.atanh((1 - _EDGE) * (2 * hunt.images - 1))
    first, second = torch.zeros_like(variables), torch.zeros_like(variables)
    ever = torch.zeros_like(constants, dtype=torch.bool)
    # A step changes each pixel by up to half its rate. So the first are about as long, in l2, as
    # the closest point so far is far or, before there is one, as the constant makes believe.
    reach = hunt.sizes.minimum(2 * constants)
    longest = (2 * reach / hunt.stretch()).clamp_max(lr)
    rates = longest.clone()
    active = torch.arange(len(constants), device=constants.device)
    for step in range(steps + 1):
        last = step == steps
        tanh = variables[active].tanh()
        point = (1 + tanh) / 2
        logits, lead, reached, slope = hunt.visit(active, point, gradient=not last)
        ever[active] |= reached
        change = point - hunt.images[active]
        losses = change.square().flatten(1).sum(dim=1) + constants[active] * (-lead).clamp_min(0)
        if record is not None:
            record(step, active, point, logits, -losses)
        if last:
            break
        weight = column(constants[active] * ~reached)
        gradient = (2 * change - weight * slope) * (1 - tanh.square()) / 2
        first[active] = mean = 0.9 * first[active] + 0.1 * gradient
        second[active] = spread = 0.999 * second[active] + 0.001 * gradient.square()
        mean, spread = mean / (1 - 0.9 ** (step + 1)), spread / (1 - 0.999 ** (step + 1))
        share = (1 + math.cos(math.pi * step / steps)) / 2
        variables[active] -= (
            column(rates[active]) * (0.01 + 0.99 * share) * mean / (spread.sqrt() + 1e-8)
        )
        if patience is not None:
            # A loss that does not fall may be one that is stepped over: shorter steps come first.
            rates[active[patience.lost(step, active, losses)]] /= 4
            active = active[rates[active] > longest[active] / 64]
    return ever


def _shrinking_descent(
    hunt: Hunt,
    constants: Numbers,
    steps: int,
    lr: float | int,
    beta: float | int,
    record: Callable | None,
) -> Bool[Tensor, " batch"]:
    """Descend by FISTA; say which images were fooled on the way."""
    images, points, ahead = hunt.images, hunt.images, hunt.images
    ever = torch.zeros_like(constants, dtype=torch.bool)
    rows = torch.arange(len(constants), device=constants.device)
    for step in range(steps + 1):
        logits, lead, reached, _ = hunt.visit(rows, points, gradient=False)
        ever |= reached
        if record is not None:
            change = (points - images).flatten(1)
            size = change.square().sum(dim=1) + beta * change.abs().sum(dim=1)
            record(step, rows, points, logits, -size - constants * (-lead).clamp_min(0))
        if step == steps:
            break
        # The point ahead may lie outside the box, so it only lends its gradient.
        slope, beyond = hunt.slope(ahead)
        rate = lr * (1 - step / steps) ** 0.5
        gradient = 2 * (ahead - images) - column(constants * ~beyond) * slope
        change = ahead - rate * gradient - images
        shrunk = change.sign() * (change.abs() - rate * beta).clamp_min(0)
        moved = (images + shrunk).clamp(0, 1)
        ahead = moved + step / (step + 3) * (moved - points)
        points = moved
    return ever


def _check(
    steps: int,
    search_steps: int,
    initial_const: float | int | None,
    lr: float | int,
    confidence: float | int,
) -> None:
    check_count("steps", steps, 1)
    check_count("search_steps", search_steps, 1)
    if initial_const is not None:
        check_positive("initial_const", initial_const)
    check_positive("lr", lr)
    if not 0 <= confidence < float("inf"):
        raise ValueError(f"`confidence` must be finite and at least 0; got {confidence}.")
