"""The training loop: SGD on a data set that lies on the device as bytes.

No worker processes and no host copies: a batch is an index into a uint8 tensor on the device, and
augmentation happens there. On the CPU a run with the same configuration, library versions and
number of threads gives the same weights, bit for bit.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.datasets import Dataset
from mmc_viz.devices import choose_device
from mmc_viz.networks import Classifier, make_classifier, outputs
from mmc_viz.training.adversary import worst_in_ball
from mmc_viz.training.augmentation import augment
from mmc_viz.training.config import TrainConfig
from mmc_viz.training.precision import forward


@dataclass(frozen=True)
class TrainingRun:
    """A trained model and how it came about.

    Attributes
    ----------
    model : Classifier
        In evaluation mode, on the device it was trained on.
    config : TrainConfig
        With nothing left open, but that `bfloat16` may be None: then the device decided.
    history : list[dict]
        For each epoch: `epoch` from 1, `loss` (mean over the training images), `accuracy` on the
        clean test images (0..1), `seconds` of training without testing, and
        `intra_class_distance`, the mean distance of a test feature to the mean of its class, in
        feature units.
    """

    model: Classifier
    config: TrainConfig
    history: list[dict[str, Any]]


def train(
    config: TrainConfig,
    train_set: Dataset,
    test_set: Dataset,
    *,
    device: str | torch.device = "auto",
    progress: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    probe: Callable[[Classifier, int], Any] | None = None,
) -> TrainingRun:
    """Train a classifier from scratch.

    Parameters
    ----------
    config : TrainConfig
        The run.
    train_set, test_set : Dataset
        Images to learn from, and to measure the history on.
    device : str or torch.device
        Where to compute; `auto` picks CUDA, then MPS, then CPU.
    progress : bool
        Whether to show a bar with the time left.
    on_epoch : callable, optional
        Called with each epoch's entry of the history.
    probe : callable, optional
        Called as `probe(model, epoch)` before the first step, with epoch 0, and after every epoch,
        counted from 1. It may look at the model and must leave it as it is; `Snapshots` is one.
        Its time counts for no epoch.

    Returns
    -------
    run : TrainingRun

    Raises
    ------
    FloatingPointError
        If the loss or a feature stops being a finite number; the message says when.
    """
    course = Course(config, train_set, device=device)
    model, config = course.model, course.config
    history = []
    if probe is not None:
        probe(model, 0)
    with tqdm(total=course.steps, unit="step", disable=not progress) as bar:
        for epoch in range(config.epochs):
            start = time.perf_counter()
            for _ in range(course.steps_per_epoch):
                course.advance()
                bar.update()
            loss = course.loss
            seconds = time.perf_counter() - start
            entry = {"epoch": epoch + 1, "loss": loss, "seconds": seconds}
            entry |= _test(model, test_set)
            # The last step may spoil the weights after the last loss; then the features show it.
            if not math.isfinite(loss + entry["intra_class_distance"]):
                raise FloatingPointError(
                    f"The loss or the features stopped being finite numbers in epoch {epoch + 1}; "
                    f"a smaller `lr` than {config.lr} usually helps."
                )
            history.append(entry)
            bar.set_postfix(
                epoch=epoch + 1, loss=f"{loss:.4g}", accuracy=f"{entry['accuracy']:.1%}"
            )
            if on_epoch is not None:
                on_epoch(entry)
            if probe is not None:
                probe(model, epoch + 1)
    return TrainingRun(model.eval(), config, history)


class Course:
    """A training run that is taken one step at a time; `train` takes them all in a row.

    Between two steps the model may be looked at, and must be left as it is.

    Parameters
    ----------
    config : TrainConfig
        The run.
    train_set : Dataset
        Images to learn from.
    device : str or torch.device
        Where to compute; `auto` picks CUDA, then MPS, then CPU.

    Attributes
    ----------
    model : Classifier
        With the weights of this moment.
    config : TrainConfig
        With nothing left open, but that `bfloat16` may be None.
    taken : int
        Steps so far.
    steps_per_epoch : int
        Batches in one pass over the training images; the last may be smaller.
    steps : int
        Of the whole run.
    """

    def __init__(
        self, config: TrainConfig, train_set: Dataset, *, device: str | torch.device = "auto"
    ):
        self.config = config = config.resolved(train_set.class_names)
        device = choose_device(device)
        images, labels = train_set.images[: config.limit], train_set.labels[: config.limit]
        mean, std = channel_statistics(images)
        self.model = make_classifier(
            config.network,
            config.head,
            in_channels=images.shape[1],
            num_classes=len(train_set.class_names),
            dim=config.dim,
            radius=config.radius,
            head_options=config.head_options,
            mean=mean,
            std=std,
            seed=config.seed,
        ).to(device, memory_format=torch.channels_last)
        self.taken = 0
        self.steps_per_epoch = math.ceil(len(images) / config.batch_size)
        self.steps = config.epochs * self.steps_per_epoch
        self._features = forward(self.model, config)
        self._optimizer = torch.optim.SGD(
            decay_groups(self.model, config),
            lr=1.0,  # set anew at every step
            momentum=config.momentum,
            # Without momentum Nesterov's form is plain SGD, and torch refuses the pair.
            nesterov=config.nesterov and config.momentum > 0,
        )
        self._images, self._labels = images.to(device), labels.to(device)
        self._batches: tuple[Tensor, ...] = ()
        self._total, self._seen = torch.zeros((), device=device), 0

    @property
    def loss(self) -> float:
        """Mean loss over the training images of this epoch so far, each as it was met."""
        return self._total.item() / self._seen if self._seen else math.nan

    def advance(self) -> None:
        """Take the next step.

        Raises
        ------
        ValueError
            If the run is over.
        """
        if self.taken >= self.steps:
            raise ValueError(f"the run is over: all {self.config.epochs} epochs have been trained.")
        epoch, number = divmod(self.taken, self.steps_per_epoch)
        if number == 0:
            self._begin(epoch)
        config, indices = self.config, self._batches[number]
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate(self.taken, self.steps_per_epoch)
        batch = augment(
            self._images[indices],
            indices,
            kind=config.augmentation,
            seed=config.seed,
            epoch=epoch,
        )
        inputs = (batch / 255).contiguous(memory_format=torch.channels_last)
        labels = self._labels[indices]
        if config.adversarial == "pgd":
            inputs = worst_in_ball(
                self.model, inputs, labels, indices, config, epoch, features=self._features
            )
        loss = train_step(self.model, self._optimizer, inputs, labels, self._features)
        self._total += loss * len(indices)
        self._seen += len(indices)
        self.taken += 1

    def _begin(self, epoch: int) -> None:
        """Order the images of an epoch."""
        self.model.train()
        # The order depends on (seed, epoch) alone, and is drawn on the CPU for every device.
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self._images), generator=generator).to(self._images.device)
        self._batches = order.split(self.config.batch_size)
        self._total, self._seen = torch.zeros_like(self._total), 0


def train_step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    features: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Take one step of the optimizer on one batch and return the batch's mean loss.

    `features` computes what `model.features` does; see `forward`.
    """
    loss = model.head((features or model.features)(images), labels).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def channel_statistics(
    images: UInt8[Tensor, "batch channels height width"],
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Mean and standard deviation of each channel, for images scaled to [0, 1]."""
    # A histogram of the 256 grey levels is exact and needs no float copy of the data set.
    levels = torch.arange(256, dtype=torch.float64) / 255
    share = torch.stack(
        [channel.flatten().bincount(minlength=256) for channel in images.cpu().unbind(1)]
    ).double()
    share /= share.sum(dim=1, keepdim=True)
    mean = share @ levels
    variance = share @ levels.square() - mean.square()
    # An all-grey channel has no spread; dividing by 1 leaves it at 0.
    std = torch.where(variance > 0, variance, 1.0).sqrt()
    return mean.float(), std.float()


def decay_groups(model: Classifier, config: TrainConfig) -> list[dict[str, Any]]:
    """Split the weights into those that decay and those that do not.

    Biases and batch norm never decay, nor do the learned centers of a head. Other matrices decay
    only where `config.decay` is `all`.
    """
    smallest = {"convolutions": 4, "all": 2}[config.decay]  # dimensions of a decaying tensor
    places = {id(getattr(model.head, name)) for name in model.head.undecayed}
    decaying, free = [], []
    for weight in model.parameters():
        decays = weight.dim() >= smallest and id(weight) not in places
        (decaying if decays else free).append(weight)
    return [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def _test(model: Classifier, test_set: Dataset) -> dict[str, float]:
    device = next(model.parameters()).device
    logits, features = outputs(model, test_set.inputs(device))
    labels = test_set.labels.to(device)
    return {
        "accuracy": (logits.argmax(dim=1) == labels).double().mean().item(),
        "intra_class_distance": intra_class_distance(features, labels),
    }


def intra_class_distance(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> float:
    """Mean distance of a feature to the mean feature of its class, in feature units."""
    return distances_to_class_means(features, labels).mean().item()


def distances_to_class_means(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Distance of each feature to the mean feature of its class, in feature units."""
    classes, place = labels.unique(return_inverse=True)
    means = features.new_zeros(len(classes), features.shape[1])
    means.index_add_(0, place, features)
    means /= place.bincount()[:, None]
    return (features - means[place]).norm(dim=1)
