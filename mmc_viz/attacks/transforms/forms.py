"""What all transforms share: forms of an image to try, in search of the worst or one and all."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz.attacks.checks import check_count, check_labels
from mmc_viz.attacks.view import clean_logits, frozen

Images = Float[Tensor, "batch channels height width"]


@dataclass(frozen=True)
class TransformResult:
    """On which forms of which image the model is right.

    Attributes
    ----------
    clean : Bool[Tensor, "batch"]
        Whether it is right on the image as it is.
    correct : Bool[Tensor, "samples batch"]
        Whether it is right on each form of the image.
    """

    clean: Bool[Tensor, " batch"]
    correct: Bool[Tensor, "samples batch"]

    @property
    def mean(self) -> float:
        """Accuracy over all images and forms, 0..1."""
        return self.correct.double().mean().item()

    @property
    def worst(self) -> float:
        """Share of images on which the model is right as they are and in every form, 0..1."""
        return self.robust.double().mean().item()

    @property
    def robust(self) -> Bool[Tensor, " batch"]:
        """Whether the model is right on the image as it is and in every form."""
        return self.clean & self.correct.all(dim=0)

    def rows(self) -> list[dict[str, float | int]]:
        """Give the result as a table of one row."""
        samples, images = self.correct.shape
        return [
            {
                "images": images,
                "samples": samples,
                "clean": self.clean.double().mean().item(),
                "mean": self.mean,
                "worst": self.worst,
            }
        ]


@dataclass(frozen=True)
class Forms:
    """The forms of a transform: how many, and form `k` of the images at these rows of the call."""

    count: int
    make: Callable[[int, Tensor, Tensor], Tensor]  # from k, rows, images to images


def worst_form(
    model: nn.Module,
    images: Images,
    labels: Int[Tensor, " batch"],
    forms: Forms,
    batch_size: int,
    progress: bool,
) -> Images:
    """Try one form after the other on the images on which the model is still right."""
    check_labels(labels, images)
    check_count("batch_size", batch_size, 1)
    images = images.detach()
    found = images.clone()
    if len(images) == 0:
        return found
    with torch.no_grad(), frozen(model, images) as view:
        right = clean_logits(view, images, labels, None, batch_size).argmax(dim=1) == labels
        batches = right.nonzero()[:, 0].split(batch_size)
        for rows in tqdm(batches, unit="batch", leave=False, disable=not progress):
            for k in range(forms.count):
                if len(rows) == 0:
                    break
                found[rows] = tried = forms.make(k, rows, images[rows])
                rows = rows[view.exact(tried.clone()).argmax(dim=1) == labels[rows]]
    return found


def all_forms(
    model: nn.Module,
    images: Images,
    labels: Int[Tensor, " batch"],
    forms: Forms,
    batch_size: int,
    progress: bool,
) -> TransformResult:
    """Judge every form of every image."""
    check_labels(labels, images)
    check_count("batch_size", batch_size, 1)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    images = images.detach()
    correct = torch.zeros(forms.count, len(images), dtype=torch.bool)
    with torch.no_grad(), frozen(model, images) as view:
        clean = clean_logits(view, images, labels, None, batch_size).argmax(dim=1) == labels
        batches = torch.arange(len(images), device=images.device).split(batch_size)
        for rows in tqdm(batches, unit="batch", leave=False, disable=not progress):
            for k in range(forms.count):
                made = forms.make(k, rows, images[rows])
                right = view.exact(made.clone()).argmax(dim=1) == labels[rows]
                correct[k, rows.cpu()] = right.cpu()
    return TransformResult(clean.cpu(), correct)


def draw_seeds(images: Images, generator: torch.Generator | None) -> Int[Tensor, " batch"]:
    """Draw one seed for each image of the call."""
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    drawn = torch.randint(2**32, (len(images),), generator=source, device=source.device)
    return drawn.to(images.device)


def check_size(name: str, value: float | int, most: float | int) -> None:
    """Refuse what is no size of a transform, from 0 to `most`.

    Raises
    ------
    ValueError
        With the name, the rule and the value.
    """
    if not (0 <= value <= most and math.isfinite(value)):
        rule = "finite and at least 0" if math.isinf(most) else f"between 0 and {most}"
        raise ValueError(f"`{name}` must be {rule}; got {value}.")
