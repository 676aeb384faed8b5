"""Snapshots: the features of the same images at several moments of a training run.

What a loss does to the feature space is a process, and a trained model shows its end alone. A
snapshot keeps what the questions about that process need, and no more: the features, and the head
as it was, for some heads learn. The backbone is not kept. Taking one reads the weights and changes
nothing, so a run with snapshots gives the same weights, bit for bit, as the run without.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.heads import Head
from mmc_viz.networks import Classifier, outputs


@dataclass(frozen=True)
class Snapshot:
    """Features and head of a model at one moment of its training, on the CPU.

    Attributes
    ----------
    epoch : int
        Passes over the training images so far; 0 is before the first step.
    features : Float[Tensor, "batch dim"]
        float32, as the model gives them in evaluation mode.
    labels : Int[Tensor, "batch"]
        True classes, the same tensor in all snapshots of a run.
    head : Head
        A copy of the head as it was then, in evaluation mode and without gradients.
    """

    epoch: int
    features: Float[Tensor, "batch dim"]
    labels: Int[Tensor, " batch"]
    head: Head


class Snapshots:
    """A probe for `train` that takes a snapshot every so many epochs.

    Parameters
    ----------
    images : Tensor
        `[N, C, H, W]`: bytes, as data sets hold them, or floats in [0, 1]. Without augmentation.
    labels : Int[Tensor, "batch"]
        True classes.
    every : int
        Take one at epoch 0 and at each multiple of this. The last epoch of a run is among them
        only if it is a multiple.
    at : collection of int, optional
        Take one at these epochs instead. Features move fastest in the beginning, so
        `at=[0, 1, 2, 5, 10, 20, 60]` may tell more than seven equal steps.

    Attributes
    ----------
    taken : list[Snapshot]
        In the order in which they were taken. A snapshot needs 4 bytes a feature: 60 of 10,000
        images in 64 dimensions are 154 MB.

    Raises
    ------
    ValueError
        If there is no image, images and labels do not go together, or an epoch is out of range.

    Examples
    --------
    >>> snapshots = Snapshots(test_set.images, test_set.labels, every=5)  # doctest: +SKIP
    >>> train(config, train_set, test_set, probe=snapshots)  # doctest: +SKIP
    >>> [snapshot.epoch for snapshot in snapshots.taken]  # doctest: +SKIP
    [0, 5, 10]
    """

    def __init__(
        self,
        images: Tensor,
        labels: Int[Tensor, " batch"],
        *,
        every: int = 1,
        at: Collection[int] | None = None,
    ):
        if images.dim() != 4 or len(images) == 0:
            raise ValueError(
                "`images` must be at least one image, [N, C, H, W]; "
                f"got the shape {tuple(images.shape)}."
            )
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise ValueError(
                f"`images` must be uint8, or floats in [0, 1]; got {images.dtype}. "
                "`data.images` of a data set is right."
            )
        if len(labels) != len(images):
            raise ValueError(
                f"`labels` must be one for each of the {len(images)} images; got {len(labels)}."
            )
        if every < 1:
            raise ValueError(f"`every` must be at least 1; got {every}.")
        if at is not None and any(epoch < 0 for epoch in at):
            raise ValueError(f"`at` must hold epochs from 0 on; got {min(at)}.")
        self.images = images
        self.labels = labels.cpu()
        self.every = every
        self.at = None if at is None else frozenset(at)
        self.taken: list[Snapshot] = []

    def __call__(self, model: Classifier, epoch: int) -> None:
        """Take a snapshot of `model` if one is due at this epoch."""
        due = epoch % self.every == 0 if self.at is None else epoch in self.at
        if not due:
            return
        device = next(model.parameters()).device
        features = []
        # Batch by batch, so that no float copy of all images is ever made.
        for batch in self.images.split(512):
            batch = batch.to(device)
            inputs = batch / 255 if batch.dtype == torch.uint8 else batch.float()
            features.append(outputs(model, inputs)[1].float().cpu())
        head = copy.deepcopy(model.head).cpu().eval().requires_grad_(False)
        self.taken.append(Snapshot(epoch, torch.cat(features), self.labels, head))
