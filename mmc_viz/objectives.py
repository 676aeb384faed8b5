r"""What an attacker maximises: a number for each image, made from its logits $h$ and label $y$.

======================= ============================== ===========================================
name                    maximised                      what it sees
======================= ============================== ===========================================
`cross_entropy`         $-\log \mathrm{softmax}_y(h)$  the usual choice, in the precision of the
                                                       logits; blind where softmax saturates
`cross_entropy_float64` the same in float64            what the usual choice was meant to see
`distance`              $-h_y$                         for MMC $\lVert z-\mu_y\rVert^2$, the paper's
                                                       adaptive objective
`margin`                $\max_{j \ne y} h_j - h_y$     the decision itself: positive exactly where
                                                       the image is fooled
`dlr`                   margin / $(h_{(1)} - h_{(3)})$ the margin without its scale
`targeted_margin`       $h_t - h_y$                    one rival $t$; attacks try all in turn
======================= ============================== ===========================================

Why cross-entropy goes blind: at an MMC center of radius 10 the true logit leads by 222. Softmax of
that is 1 to the last digit of float32, its gradient is exactly 0, and an attack that follows it
stands still. The decision is no safer for it; the margin's gradient is as large as ever.

With targets $t$ an attack maximises minus the objective at the target, $-\mathrm{objective}(h, t)$.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

#: From logits `[N, L]` and labels `[N]` to one number per image.
Objective = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    r"""Cross-entropy $-\log \mathrm{softmax}_y(h)$, in nats."""
    return functional.cross_entropy(logits, labels, reduction="none")


def cross_entropy_float64(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    r"""Cross-entropy in float64, with a gradient that keeps its direction when it is tiny.

    Written as $\log(1 + e^t)$ with $t = \log \sum_{j \ne y} e^{h_j} - h_y$, where nothing is lost
    for $t > -700$. Its gradient may be too small for float32. So where the logits are not float64
    themselves, what flows back into them is scaled, for each image, to a largest entry of 1: the
    direction is that of cross-entropy, the length is not.

    Returns
    -------
    value : Float[Tensor, "batch"]
        In nats, float64.
    """
    wide = logits if logits.dtype == torch.float64 else _Widened.apply(logits)
    wrong = wide.scatter(1, labels[:, None], -torch.inf)
    return functional.softplus(wrong.logsumexp(dim=1) - _pick(wide, labels), threshold=700)


class _Widened(torch.autograd.Function):
    """Turn into float64; on the way back scale each row to what the narrower type can hold."""

    @staticmethod
    def forward(ctx, logits: Tensor) -> Tensor:
        ctx.dtype = logits.dtype
        return logits.double()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        largest = gradient.abs().amax(dim=1, keepdim=True)
        return (gradient / largest.clamp_min(torch.finfo(torch.float64).tiny)).to(ctx.dtype)


def distance(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    r"""Minus the true logit; for MMC the squared distance $\lVert z - \mu_y \rVert^2$."""
    return -_pick(logits, labels)


def margin(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Lead of the best wrong class over the true one; positive where the image is fooled."""
    wrong = logits.scatter(1, labels[:, None], -torch.inf)
    return wrong.amax(dim=1) - _pick(logits, labels)


def dlr(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Difference of logits ratio: the margin over the gap between the first and third logit.

    Raises
    ------
    ValueError
        With fewer than three classes.

    References
    ----------
    Croce, Hein, "Reliable evaluation of adversarial robustness", ICML 2020,
    https://arxiv.org/abs/2003.01690.
    """
    if logits.shape[1] < 3:
        raise ValueError(
            f"`dlr` needs at least 3 classes; got {logits.shape[1]}. Use `margin` instead."
        )
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2]).clamp_min(1e-12)


def targeted_margin(
    logits: Float[Tensor, "batch num_classes"],
    labels: Int[Tensor, " batch"],
    targets: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, " batch"]:
    """Lead of one wrong class over the true one; without `targets` of the best, which is `margin`.

    Attacks given this objective, and no targets, try every wrong class in turn: the class that
    leads now need not be the one that lies nearest.
    """
    if targets is None:
        return margin(logits, labels)
    return _pick(logits, targets) - _pick(logits, labels)


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_float64": cross_entropy_float64,
    "distance": distance,
    "margin": margin,
    "dlr": dlr,
    "targeted_margin": targeted_margin,
}


def resolve(objective: str | Objective) -> Objective:
    """Give the function behind the name of an objective; a callable is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the names.
    """
    if callable(objective):
        return objective
    if objective not in OBJECTIVES:
        raise ValueError(
            f"`objective` must be one of {', '.join(OBJECTIVES)} or a callable; got {objective!r}."
        )
    return OBJECTIVES[objective]


def _pick(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    return logits.gather(1, labels[:, None])[:, 0]
