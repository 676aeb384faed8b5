"""A model that is to be judged, and the images that it is to be judged on."""

import argparse
from dataclasses import dataclass
from typing import Any

#: Images that go through a model at once where it is only asked for its answers; as `outputs` takes
#: them, so that no number depends on whether it had all of them.
BATCH = 512


@dataclass(frozen=True)
class Inputs:
    """The images of a data set as a network reads them, made when they are asked for.

    Only slices can be taken. As floats, all of them together may not fit into memory.

    Attributes
    ----------
    data : Dataset
        Images as they are stored.
    device : torch.device
        Where slices lie.
    """

    data: Any
    device: Any

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> Any:
        return self.data.inputs(self.device, part)


@dataclass(frozen=True)
class Subject:
    """A model and its data, which fit together.

    Attributes
    ----------
    name : str
        As the caller named the model.
    model : nn.Module
        From images in [0, 1] to logits, in evaluation mode.
    weights_sha256 : str
        Checksum of its weights.
    data : Dataset
        Test images as they are stored.
    images : Inputs
        The same on the model's device as float32 in [0, 1], slice by slice.
    labels : Tensor
        Of all images, on the model's device.
    """

    name: str
    model: Any
    weights_sha256: str
    data: Any
    images: Any
    labels: Any

    @property
    def device(self) -> str:
        """Where model and images lie."""
        return str(self.images.device)

    def right(self, count: int) -> list[bool]:
        """Say of each of the first `count` images whether the model gets it right."""
        from mmc_viz.evaluation import correct

        found = []
        for start in range(0, count, BATCH):
            part = slice(start, min(start + BATCH, count))
            found += correct(self.model, self.images[part], self.labels[part]).tolist()
        return found


def load_subject(name: str, arguments: argparse.Namespace, device: Any) -> Subject:
    """Load a model, and the test images that it is to be judged on.

    Raises
    ------
    ValueError
        If either is missing or damaged, or they do not fit together.
    """
    from mmc_viz.checkpoints import load_card, load_model
    from mmc_viz.datasets import load_dataset

    card = load_card(name)
    model = load_model(name, device=device)
    data = load_dataset(
        arguments.dataset or card.dataset["name"],
        split="test",
        limit=arguments.limit,
        root=arguments.data_root,
        size=card.dataset["image_size"],
    )
    if (data.images.shape[1], len(data.class_names)) != (card.in_channels, card.num_classes):
        raise ValueError(
            f"`--dataset` {data.name} has {data.images.shape[1]} channels and "
            f"{len(data.class_names)} classes; the model {name} expects {card.in_channels} and "
            f"{card.num_classes}."
        )
    for found, expected in zip(data.class_names, card.class_names, strict=True):
        if found != expected:  # a label means something else here: any accuracy would mislead
            raise ValueError(
                f"`--dataset` {data.name} has other classes than the model {name}: {found!r} in "
                f"place of {expected!r}."
            )
    if data.images.shape[-1] != card.dataset["image_size"]:
        raise ValueError(
            f"`--dataset` {data.name} has images of {data.images.shape[-1]} pixels a side; the "
            f"model {name} was trained on {card.dataset['image_size']}."
        )
    return subject_of(name, model, card, data, device)


def subject_of(name: str, model: Any, card: Any, data: Any, device: Any) -> Subject:
    """Join a model on a device and images that fit to it."""
    labels = data.labels.to(device)
    # `cuda` is `cuda:0` by now, as it is in the files of earlier results.
    images = Inputs(data, labels.device)
    return Subject(name, model, card.weights_sha256, data, images, labels)
