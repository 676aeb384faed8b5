"""What the settings of a widget name: models, images, and the titles they are shown under."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import Dataset, load_dataset


def find_models(
    names: Sequence[str], own: Mapping[str, nn.Module] | None = None
) -> dict[str, nn.Module]:
    """Load models by name.

    Parameters
    ----------
    names : sequence of str
        Shipped names, or names of `own`.
    own : mapping, optional
        Models that are not shipped.

    Returns
    -------
    models : dict[str, nn.Module]
        Title to model: `fashion-sce` is shown as SCE beside `fashion-mmc`.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    return dict(zip(titles(names), [_find(name, own or {}) for name in names], strict=True))


def titles(names: Sequence[str]) -> list[str]:
    """Shorten names to what tells them apart: without the data set, which all share."""
    parts = [name.partition("-") for name in names]
    same = len({first for first, _, _ in parts}) == 1 and all(rest for _, _, rest in parts)
    if not same or len(set(names)) < len(names):
        return list(names)
    return [rest.upper() for _, _, rest in parts]


def find_images(dataset: str, indices: Sequence[int]) -> Dataset:
    """Take images of a test split by their places in stored order.

    Raises
    ------
    ValueError
        If there is no such image.
    """
    if not indices:
        raise ValueError("`images` must name at least one image.")
    data = load_dataset(dataset, limit=max(indices) + 1)
    if min(indices) < 0 or max(indices) >= len(data):
        raise ValueError(
            f"`images` must lie in 0..{len(data) - 1}; got {min(indices)}..{max(indices)}."
        )
    rows = torch.tensor(list(indices))
    return replace(data, images=data.images[rows], labels=data.labels[rows])


def weights_stamp(names: Sequence[str], own: Mapping[str, nn.Module] | None = None) -> str:
    """Give eight hexadecimal digits that change with the weights of the models."""
    digest = hashlib.sha256()
    for name in names:
        for key, value in _find(name, own or {}).state_dict().items():
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:8]


def _find(name: str, own: Mapping[str, nn.Module]) -> nn.Module:
    if name in own:
        return own[name]
    if not name.replace("-", "").isalnum():  # a code from a stranger may not name a folder
        raise ValueError(f"`models` must be names of shipped models; got {name!r}.")
    return load_model(name)
