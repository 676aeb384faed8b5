"""What every source of images returns: `Dataset`, one split as tensors.

Images are stored as uint8, as they lie on disk and as a picture is drawn, and become float32 in
[0, 1] when a network reads them: $x = v / 255$. Nothing is normalised here; that is the model's
own first step, so that a budget `eps` means the same for every model.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a data set, as tensors; those of `shards` are mapped from the disk.

    Parameters
    ----------
    name : str
        The name it was asked for by, such as `digits` or `folder:PATH`.
    split : str
        `train` or `test`.
    images : UInt8[Tensor, "batch channels height width"]
        Pixel values 0 to 255.
    labels : Int64[Tensor, " batch"]
        Class indices, 0 to `len(class_names)` - 1.
    class_names : list of str
        The name of each class, in the order of the labels.
    source : str
        What was read, in words: the full set or the shipped sample, and from which files.

    Raises
    ------
    ValueError
        If images, labels and class names do not belong together.
    """

    name: str
    split: str
    images: UInt8[Tensor, "batch channels height width"]
    labels: Int64[Tensor, " batch"]
    class_names: list[str]
    source: str

    def __post_init__(self):
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(
                "`images` must be uint8 of shape [N, C, H, W]; "
                f"got {images.dtype} of shape {list(images.shape)}."
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"`labels` must be int64 of shape [{len(images)}], one per image; "
                f"got {labels.dtype} of shape {list(labels.shape)}."
            )
        highest = len(self.class_names) - 1
        if len(labels) and not (0 <= labels.min() and labels.max() <= highest):
            raise ValueError(
                f"`labels` must lie in 0..{highest}, one number per class name; "
                f"got {int(labels.min())}..{int(labels.max())}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> "Dataset":
        """Take the first `count` images in stored order; all where there are no more."""
        if count >= len(self):
            return self
        return replace(
            self,
            images=self.images[:count].clone(),  # a view would keep the whole split in memory
            labels=self.labels[:count].clone(),
            source=f"the first {count:,} images of {self.source}",
        )

    def inputs(
        self, device: torch.device | str | None = None, part: slice = slice(None)
    ) -> Float32[Tensor, "batch channels height width"]:
        """Return the images as a network reads them.

        Parameters
        ----------
        device : torch.device or str, optional
            Where to put them. Default: where the stored images are.
        part : slice
            Which of them. As floats they take four times the memory, so who has many takes them
            part by part.

        Returns
        -------
        inputs : Float32[Tensor, "batch channels height width"]
            `images / 255`, float32 in [0, 1].
        """
        # Moved as bytes, a quarter of the floats.
        return self.images[part].to(device=device).to(torch.float32).div_(255)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the data: SHA-256 over the shape, the image bytes and the labels.

        Names and source do not enter, so the same pictures have the same fingerprint wherever they
        were read from.
        """
        images = self.images.cpu().contiguous().numpy()
        return fingerprint(self.images.shape, [images], self.labels.cpu())


def fingerprint(
    shape: Sequence[int], images: Iterable[bytes | np.ndarray], labels: Int64[Tensor, " batch"]
) -> str:
    """SHA-256 over the shape of all images, their bytes piece by piece, and their labels."""
    digest = hashlib.sha256(str(list(shape)).encode())
    for piece in images:
        digest.update(piece)
    digest.update(labels.numpy().astype("<i8"))
    return digest.hexdigest()
