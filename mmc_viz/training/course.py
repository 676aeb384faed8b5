"""A training run, one step at a time: SGD on a data set that lies on the device as bytes.

No worker processes and no host copies: a batch is an index into a uint8 tensor, on the device where
the whole set fits there, and augmentation happens there. On the CPU a run with the same
configuration, library versions and number of threads gives the same weights, bit for bit, also if
it was interrupted after any step and went on in another process.

Several processes share each batch: every rank has the gradient of its part, and the sum of all is
that of the batch, but for batch norms, which on the CPU normalise each part by itself. All that a
step changes is the same on all ranks afterwards.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from mmc_viz.datasets import Dataset
from mmc_viz.devices import choose_device
from mmc_viz.distributed import ALONE, Ranks
from mmc_viz.networks import Classifier, make_classifier
from mmc_viz.training.adversary import worst_in_ball
from mmc_viz.training.augmentation import augment
from mmc_viz.training.config import TrainConfig
from mmc_viz.training.divergence import Diverged, Watch
from mmc_viz.training.keeping import State
from mmc_viz.training.precision import dtype_of, forward
from mmc_viz.training.preparing import channel_statistics, decay_groups
from mmc_viz.unbroken import unbroken


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
    ranks : Ranks
        The processes that take part; each gives the same arguments.

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

    Raises
    ------
    ValueError
        If a batch has fewer images than there are ranks.
    """

    def __init__(
        self,
        config: TrainConfig,
        train_set: Dataset,
        *,
        device: str | torch.device = "auto",
        ranks: Ranks = ALONE,
    ):
        self.config = config = config.resolved(train_set.class_names)
        device = choose_device(device)
        images, labels = train_set.images[: config.limit], train_set.labels[: config.limit]
        if min(config.batch_size, len(images)) < ranks.size:
            raise ValueError(
                f"`batch_size` must be at least {ranks.size}, an image for each process; "
                f"got {config.batch_size} of {len(images)} images."
            )
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
        ).to(device, dtype_of(config), memory_format=torch.channels_last)
        if ranks.size > 1 and device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.taken = 0
        self.steps_per_epoch = math.ceil(len(images) / config.batch_size)
        self.steps = config.epochs * self.steps_per_epoch
        self._ranks, self._device = ranks, device
        self._features = forward(self.model, config)
        # With its first optimizer torch imports its compiler, for seconds. Interrupted there, it
        # makes no other until the kernel is restarted.
        with unbroken():
            self._optimizer = torch.optim.SGD(
                decay_groups(self.model, config),
                lr=1.0,  # set anew at every step
                momentum=config.momentum,
                # Without momentum Nesterov's form is plain SGD, and torch refuses the pair.
                nesterov=config.nesterov and config.momentum > 0,
            )
        self._images, self._labels = _near(images, device), labels.to(device)
        self._batches: tuple[Tensor, ...] = ()
        self._total, self._seen = torch.zeros((), device=device, dtype=dtype_of(config)), 0
        self._watch = Watch(config, self.steps_per_epoch, self.steps, device)

    @property
    def loss(self) -> float:
        """Mean loss over this epoch's images so far, each as it was met; NaN before the first."""
        return self._total.item() / self._seen if self._seen else math.nan

    @property
    def looks(self) -> bool:
        """Whether it is time to look at what the device has computed: on a GPU that costs time."""
        return self._device.type != "cuda" or self.taken % 50 == 0 or self.at_epoch_end

    @property
    def at_epoch_end(self) -> bool:
        """Whether no epoch is half done: after the last step of one, and before the first."""
        return self.taken % self.steps_per_epoch == 0

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
        config, batch_indices = self.config, self._batches[number]
        indices, share = self._share(batch_indices)
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate(self.taken, self.steps_per_epoch)
        batch = augment(
            self._images[indices.to(self._images.device)].to(self._device),
            indices,
            kind=config.augmentation,
            seed=config.seed,
            epoch=epoch,
        )
        inputs = (batch.to(dtype_of(config)) / 255).contiguous(memory_format=torch.channels_last)
        labels = self._labels[indices]
        if config.adversarial == "pgd":
            inputs = worst_in_ball(
                self.model, inputs, labels, indices, config, epoch, features=self._features
            )
        loss = train_step(
            self.model,
            self._optimizer,
            inputs,
            labels,
            self._features,
            share=share,
            ranks=self._ranks,
        )
        self._total += loss * len(batch_indices)
        self._seen += len(batch_indices)
        self._watch.note(loss, self.taken)
        self.taken += 1

    def look(self) -> None:
        """Make sure that every loss so far was a finite number.

        Raises
        ------
        Diverged
            If one was not; the message says when and what is likely to blame.
        """
        self._watch.look()

    def spoiled(self, what: str) -> Diverged:
        """Give the error for `what` that was found to be no finite number after this step."""
        return self._watch.spoiled(what, self.taken - 1)

    def state(self) -> State:
        """Give what it takes to go on from here, on the CPU."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, weight in self.model.named_parameters():
            momentum = self._optimizer.state[weight].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{name}"] = momentum
        tensors["total"] = self._total
        contiguous = torch.contiguous_format  # as files want it
        return State(
            {
                name: value.detach().cpu().clone(memory_format=contiguous)
                for name, value in tensors.items()
            },
            {"taken": self.taken},
        )

    def restore(self, state: State) -> None:
        """Go to where a run with the same configuration and images was.

        Raises
        ------
        ValueError
            If the state is of another run.
        """
        taken = state.values.get("taken")
        if type(taken) is not int or not 0 < taken <= self.steps:
            raise ValueError(f"`taken` must be a number of steps in 1 .. {self.steps}.")
        expected = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        expected["total"] = self._total
        weights = dict(self.model.named_parameters())
        if self.config.momentum > 0:
            expected |= {f"momentum.{name}": weight for name, weight in weights.items()}
        odd = sorted(expected.keys() ^ state.tensors.keys())
        odd += [
            name
            for name in expected.keys() & state.tensors.keys()
            if (state.tensors[name].shape, state.tensors[name].dtype)
            != (expected[name].shape, expected[name].dtype)
        ]
        if odd:
            raise ValueError(f"the state is of another network: {odd[0]} does not fit.")
        for name, value in expected.items():
            if name.startswith("momentum."):
                # Laid out in memory like its weight, as the optimizer would have made it: a sum may
                # be rounded otherwise where the elements are met in another order.
                weight = weights[name.removeprefix("momentum.")]
                buffer = torch.empty_like(weight).copy_(state.tensors[name])
                self._optimizer.state[weight]["momentum_buffer"] = buffer.detach()
            else:
                with torch.no_grad():
                    value.copy_(state.tensors[name])
        self.taken = taken
        epoch, number = divmod(taken, self.steps_per_epoch)
        if number:
            total = self._total.clone()
            self._begin(epoch)
            self._total, self._seen = total, number * self.config.batch_size

    def _begin(self, epoch: int) -> None:
        """Order the images of an epoch."""
        self.model.train()
        # The order depends on (seed, epoch) alone, and is drawn on the CPU for every device.
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self._images), generator=generator).to(self._device)
        self._batches = order.split(self.config.batch_size)
        self._total, self._seen = torch.zeros_like(self._total), 0

    def _share(self, indices: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " part"], float]:
        """Give the part of a batch that this rank computes, and how much of the mean it makes."""
        rank, size = self._ranks.rank, self._ranks.size
        if len(indices) < size:  # the end of an epoch: too few to go round, so all do all of it
            return indices, 1 / size
        part = indices[rank::size]
        return part, len(part) / len(indices)


def train_step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    features: Callable[[Tensor], Tensor] | None = None,
    *,
    share: float = 1.0,
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    """Take one step of the optimizer on one batch and return the batch's mean loss.

    `features` computes what `model.features` does; see `forward`. With several ranks each has a
    part of the batch, which makes the `share` of its mean.
    """
    loss = model.head((features or model.features)(images), labels).mean()
    if ranks.joined:
        loss = loss * share
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    loss = loss.detach()
    if ranks.joined:
        _combine(model, loss, share, ranks)
    optimizer.step()
    return loss


def _combine(model: Classifier, loss: Float[Tensor, ""], share: float, ranks: Ranks) -> None:
    """Sum gradients and loss over the ranks, and average the statistics of the batch norms.

    Each rank has normalised its part by itself (on the CPU); the average of what they saw is what
    the model keeps, so all ranks stay alike.
    """
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    statistics = [
        value.mul_(share)
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for value in (module.running_mean, module.running_var)
    ]
    ranks.add_([*gradients, *statistics, loss])


def _near(
    images: UInt8[Tensor, "batch channels height width"], device: torch.device
) -> UInt8[Tensor, "batch channels height width"]:
    """Move images to the device, where they fit into half of what is free; else leave them."""
    if device.type == "cuda" and images.numel() > torch.cuda.mem_get_info(device)[0] // 2:
        return images
    return images.to(device)
