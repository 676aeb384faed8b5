r"""Attacks that weigh closeness against success: `cw` and `ead`.

With the lead $m$ in pixels, which holds a confidence already (see `mmc_viz.attacks.minimal`), they
minimise

$$\lVert \delta \rVert_2^2 + \beta \lVert \delta \rVert_1 + c \, \max(-m(x_0 + \delta), 0),$$

`cw` with $\beta = 0$. With a small constant $c$ it does not pay to fool the model, with a large one
it does not pay to stay near. So $c$ is searched for each image: raised tenfold until the image is
fooled, then bisected. On a linear model the right one is twice the distance to the boundary.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.budget import Trace
from mmc_viz.attacks.checks import check_count
from mmc_viz.attacks.minimal import Hunt, check_positive, closest, column

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]


class Constants:
    """The constant $c$ of each image, and between which values it is searched."""

    def __init__(self, initial: float | int, like: Numbers):
        self.values = torch.full_like(like, initial)
        self.low, self.high = torch.zeros_like(like), torch.full_like(like, torch.inf)

    def update(self, reached: Bool[Tensor, " batch"]) -> None:
        """Lower the constants with which the image was fooled, raise the others."""
        self.high = torch.where(reached, self.values.minimum(self.high), self.high)
        self.low = torch.where(reached, self.low, self.values.maximum(self.low))
        known = self.high.isfinite()
        self.values = torch.where(known, (self.low + self.high) / 2, 10 * self.values)


class Patience:
    """Says which images have stopped getting better, by a look at every tenth of the steps."""

    def __init__(self, steps: int, like: Numbers):
        self.every, self.last = max(steps // 10, 1), torch.full_like(like, torch.inf)

    def lost(self, step: int, rows: Tensor, losses: Numbers) -> Bool[Tensor, " batch"]:
        """Whether the loss has fallen by less than a part in 10,000 since the last look."""
        if step % self.every:
            return torch.zeros_like(losses, dtype=torch.bool)
        lost = losses > 0.9999 * self.last[rows]
        self.last[rows] = losses
        return lost


def cw(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    steps: int = 200,
    norm: str = "l2",
    search_steps: int = 6,
    initial_const: float | int = 1.0,
    lr: float | int = 0.05,
    confidence: float | int = 0.0,
    abort_early: bool = True,
    targets: Int[Tensor, " batch"] | None = None,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    check_count("steps", steps, 1)

    def search(hunt: Hunt, record: Callable | None) -> None:
        constants = Constants(initial_const, hunt.sizes)
        for _ in range(search_steps):
            patience = Patience(steps, hunt.sizes) if abort_early else None
            constants.update(
                _tanh_descent(hunt, constants.values, steps, lr, patience, record)
            )

    return closest(
        model,
        images,
        labels,
        search=search,
        norm=norm,
        norms=["l2"],
        confidence=confidence,
        targets=targets,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )

EDGE = 1e-6

def _tanh_descent(
    hunt: Hunt,
    constants: Numbers,
    steps: int,
    lr: float | int,
    patience: Patience | None,
    record: Callable | None,
) -> Bool[Tensor, " batch"]:
    """Descend by Adam in $w$ with $x = (1 + \tanh w) / 2$; say which images were ever fooled."""
    variables = torch.atanh((2 * hunt.images - 1) * (1 - EDGE))
    first, second = torch.zeros_like(variables), torch.zeros_like(variables)
    ever = torch.zeros_like(constants, dtype=torch.bool)
    active = torch.arange(len(constants), device=constants.device)
    for step in range(steps + 1):
        last = step == steps
        tanh = variables[active].tanh()
        point = (1 + tanh) / 2
        logits, lead, reached, slope = hunt.visit(active, point, gradient=not last)
        change = point - hunt.images[active]
        losses = change.square().flatten(1).sum(dim=1) + constants[active] * (-lead).clamp_min(0)
        ever[active] |= reached
        if record is not None:
            record(step, active, point, logits, -losses)
        if last:
            break
        weight = constants[active] * (lead <= 0)
        gradient = (2 * change - column(weight) * slope) * (1 - tanh**2) / 2
        m = first[active] = 0.9 * first[active] + 0.1 * gradient
        v = second[active] = 0.999 * second[active] + 0.001 * gradient**2
        m, v = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        variables[active] -= lr * m / (v.sqrt() + 1e-8)
        if patience is not None:
            active = active[~patience.lost(step, active, losses)]
    return ever
