"""Models and images that several figures share."""

import os
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.attacks import pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.networks import Classifier, outputs

EPS = 0.06  # of the attacks that are shown


class Scene:
    """Loads models and images when they are first asked for, and keeps them.

    Parameters
    ----------
    device : torch.device
        Where to compute.
    count : int
        How many test images of Fashion-MNIST are shown.
    root : path, optional
        Where the standard data sets lie; without them the shipped sample does.
    """

    def __init__(
        self, device: torch.device, count: int, root: str | os.PathLike[str] | None = None
    ):
        self.device = device
        self.count = count
        self.root = root

    @cached_property
    def data(self) -> Dataset:
        """The images as they are stored."""
        return load_dataset("fashion_mnist", limit=self.count, root=self.root)

    @cached_property
    def images(self) -> Float[Tensor, "batch channels height width"]:
        """The images as a network reads them."""
        return self.data.inputs(self.device)

    @cached_property
    def labels(self) -> Int[Tensor, " batch"]:
        """Their true classes."""
        return self.data.labels.to(self.device)

    @property
    def class_names(self) -> list[str]:
        """The names of the classes."""
        return self.data.class_names

    @cached_property
    def models(self) -> dict[str, Classifier]:
        """SCE and MMC, with features in 64 dimensions."""
        return {
            title: load_model(f"fashion-{title.lower()}", device=self.device)
            for title in ("SCE", "MMC")
        }

    @cached_property
    def flat_models(self) -> dict[str, Classifier]:
        """SCE and MMC, with features in the plane."""
        return {
            title: load_model(f"fashion-{title.lower()}-2d", device=self.device)
            for title in ("SCE", "MMC")
        }

    @cached_property
    def attacked(self) -> dict[str, Float[Tensor, "batch channels height width"]]:
        """For each of `models` the images after PGD with 20 steps on the margin."""
        return {
            title: pgd(model, self.images, self.labels, eps=EPS)
            for title, model in self.models.items()
        }

    def features(self, model: Classifier) -> Float[Tensor, "batch dim"]:
        """Give the features of the images."""
        return outputs(model, self.images)[1]
