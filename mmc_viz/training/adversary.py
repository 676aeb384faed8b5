r"""Adversarial training: each batch is replaced by what an attacker makes of it.

Madry et al. minimise the loss at the worst point of the ball,

$$\min_\theta \; \mathbb{E}\, \max_{\lVert \delta \rVert_\infty \le \epsilon}
\mathrm{loss}_\theta(x + \delta, y),$$

and let projected gradient ascent stand for the inner maximum. An attack that wants a verdict stops
at the first point that fools the model; this one wants the worst point and goes on. It climbs the
head's own loss at the true label, on the weights of this very step and in evaluation mode, so the
inner steps leave the statistics of the batch norms alone. A targeted adversary descends the loss at
another label instead, drawn anew for each image and epoch from all classes, the true one included,
as the authors of MMC do.

Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018,
https://arxiv.org/abs/1706.06083.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.heads import Head
from mmc_viz.networks import Classifier, eval_mode
from mmc_viz.noise import bits, places, uniform
from mmc_viz.objectives import resolve
from mmc_viz.training.config import TrainConfig

_START, _TARGET = 3, 4  # streams of the noise; augmentation uses 0, 1 and 2


def worst_in_ball(
    model: Classifier,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    indices: Int[Tensor, " batch"],
    config: TrainConfig,
    epoch: int,
    *,
    features: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Climb the loss of each image from a random point of its ball, within [0, 1].

    Parameters
    ----------
    model : Classifier
        Neither its weights' gradients nor its modes or statistics change.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    indices : Int[Tensor, "batch"]
        Place of each image in the training set; with seed and epoch it decides start and target.
    config : TrainConfig
        Its `eps` and all that begins with `attack_` say how far, how long, along and towards what.
    epoch : int
        Counted from 0.
    features : callable, optional
        Computes what `model.features` does; see `forward`. None: the model's own.
    """
    features = features or model.features
    eps = config.eps
    step_size = config.attack_step_size or 2.5 * eps / config.attack_steps
    low, high = (images - eps).clamp_min_(0), (images + eps).clamp_max_(1)
    key = bits(config.seed, epoch, _START, indices)[:, None, None, None]
    noise = uniform(key, places(images.shape[1:], images.device))
    points = (images + eps * (2 * noise - 1)).clamp_(0, 1)
    sign = 1
    if config.attack_targets == "random":
        labels = bits(config.seed, epoch, _TARGET, indices) % model.head.num_classes
        sign = -1
    with eval_mode(model):
        for _ in range(config.attack_steps):
            points.requires_grad_()
            value = sign * _climbed(model.head, features(points), labels, config.attack_objective)
            (gradient,) = torch.autograd.grad(value.sum(), points)
            points = (points.detach() + step_size * gradient.sign()).clamp(low, high)
    return points


def _climbed(
    head: Head, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], objective: str
) -> Float[Tensor, " batch"]:
    if objective == "loss":
        return head(features, labels)
    return resolve(objective)(head.logits(features), labels)
