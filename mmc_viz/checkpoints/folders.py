"""Writing and reading model folders: all or nothing, and nothing taken on trust."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from mmc_viz.checkpoints.cards import (
    CARD,
    Card,
    card_text,
    check_card,
    find_model,
    load_card,
)
from mmc_viz.checkpoints.progress import PROGRESS, PROGRESS_TENSORS, has_progress
from mmc_viz.devices import choose_device
from mmc_viz.files import read_described, write_pair, write_through
from mmc_viz.heads import HEADS
from mmc_viz.networks import Classifier, make_classifier
from mmc_viz.texts import first_line, is_plain, shorten

WEIGHTS = "model.safetensors"
LARGEST_FILE = 1 << 30  # bytes of weights; the networks here have less than 30 MB


def save_model(folder: str | Path, model: Classifier, card: Card) -> Card:
    """Write a model folder; it appears complete or not at all.

    Parameters
    ----------
    folder : str or Path
        Where to put the model. A model that is there already is replaced.
    model : Classifier
        Its weights are saved in float32, from any device.
    card : Card
        Its description; the checksum is filled in here.

    Returns
    -------
    card : Card
        As it was saved.

    Raises
    ------
    ValueError
        If the folder exists and is no model folder, or cannot be written, or if the card is one
        that `load_card` would refuse.
    """
    folder = Path(folder)
    check_writable(folder)
    check_card(card.to_json(), folder / CARD)
    tensors = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    weights = save(tensors)
    card = replace(card, weights_sha256=hashlib.sha256(weights).hexdigest())
    text = card_text(card)
    if folder.exists():
        write_pair(folder / WEIGHTS, weights, folder / CARD, text)
    else:
        _make(folder, weights, text)
    return card


def check_writable(folder: str | Path) -> None:
    """Make sure that a model can be saved as `folder`, before hours are spent on it.

    Raises
    ------
    ValueError
        If it cannot; nothing is left behind.
    """
    folder = Path(folder)
    if not is_plain(str(folder)):  # the card's `command` will hold it
        raise ValueError(f"The output folder must have a name of one line; got {str(folder)!r}.")
    exists = folder.exists() or folder.is_symlink()  # a link to nothing is in the way too
    if exists and not (has_progress(folder) or (folder / CARD).is_file() or _is_vacant(folder)):
        raise ValueError(
            f"The output folder {folder} exists and holds no model; choose a new or empty one."
        )
    try:
        # A draft is written beside the folder, and a model that is there is replaced inside it.
        places = [next(parent for parent in folder.absolute().parents if parent.exists())]
        for place in [*places, folder] if exists else places:
            with tempfile.TemporaryDirectory(prefix=".mmc-viz-", dir=place):
                pass
    except OSError as error:
        raise ValueError(
            f"The output folder {folder} cannot be written ({error.strerror}); choose another."
        ) from None


def load_model(name: str | Path, *, device: torch.device | str = "cpu") -> Classifier:
    """Load a shipped model by its name, or any model by its folder.

    Parameters
    ----------
    name : str or Path
        A name that `shipped_models` lists, or a folder with `model.safetensors` and `card.json`.
    device : torch.device or str
        Where to put the model; `auto` picks CUDA, then MPS, then CPU.

    Returns
    -------
    model : Classifier
        In evaluation mode. Its weights need no gradient by default of torch; attacks never ask
        for one.

    Raises
    ------
    ValueError
        If there is no such model or device, or a file is damaged or was changed; the message says
        which.
    """
    device = choose_device(device)
    folder = find_model(name)
    card = load_card(folder)
    path = folder / WEIGHTS
    try:
        weights = read_described(path, card.weights_sha256, LARGEST_FILE)
    except OSError as error:
        raise ValueError(
            f"The weights {path} cannot be read ({error.strerror}); the model has to be trained or "
            "copied again."
        ) from None
    if weights is None:
        raise ValueError(
            f"The weights {path} do not have the checksum in {CARD}: the file was changed or cut "
            "off. Train or copy the model again."
        )
    try:
        tensors = load(weights)
    except (SafetensorError, KeyError) as error:  # KeyError: a number type that torch has not
        raise ValueError(f"{path} is no safetensors file of ours ({first_line(error)}).") from None
    # No tensor of ours is larger than the file. Asked before anything of a card's size is built.
    if 4 * max(card.in_channels, card.dim * card.num_classes) > len(weights):
        raise ValueError(
            f"{path} does not fit its card: {card.in_channels} channels, {card.dim} features and "
            f"{card.num_classes} classes need a larger file."
        )
    try:
        model = make_classifier(
            card.network,
            card.head,
            in_channels=card.in_channels,
            num_classes=card.num_classes,
            dim=card.dim,
            radius=card.config.get("radius", 10.0),
            head_options=card.config.get("head_options"),
            preset=_preset(card, tensors, path),
        )
    except ValueError as error:
        raise ValueError(
            f"The card {folder / CARD} is not one of ours: {first_line(error)}"
        ) from None
    _check_tensors(tensors, model.state_dict(), path)
    model.load_state_dict(tensors)
    return model.to(device).eval()


def _preset(card: Card, tensors: dict[str, torch.Tensor], path: Path) -> torch.Tensor | None:
    """Points that the head placed before training.

    Searching for them again would take time for nothing, and a stranger's sizes could make it a
    very long one; so the file has to hold them.
    """
    placed = HEADS[card.head].placed if card.head in HEADS else None
    if placed is None:
        return None
    points = tensors.get(f"head.{placed}")
    expected = torch.Size([card.num_classes, card.dim])
    if points is None or (points.dtype, points.shape) != (torch.float32, expected):
        found = "missing" if points is None else f"{points.dtype} {list(points.shape)}"
        raise ValueError(
            f"{path} does not fit its card: `head.{placed}` is {found}, and should be "
            f"{torch.float32} {list(expected)}."
        )
    return points


def _check_tensors(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path
) -> None:
    if found.keys() != expected.keys():
        odd = shorten(", ".join(map(repr, sorted(found.keys() ^ expected.keys())[:3])))
        raise ValueError(f"{path} does not fit its card: missing or unknown tensors ({odd}, ...).")
    for name, value in found.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            raise ValueError(
                f"{path} does not fit its card: `{name}` is {value.dtype} {list(value.shape)}, and "
                f"should be {expected[name].dtype} {list(expected[name].shape)}."
            )


def _make(folder: Path, weights: bytes, text: str) -> None:
    """Let a new folder appear, complete or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_through(draft / WEIGHTS, weights)
        write_through(draft / CARD, text)
        draft.chmod(0o755)
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing, or only what an interrupted run of ours left."""
    return folder.is_dir() and all(
        entry.name.startswith((PROGRESS, PROGRESS_TENSORS)) and entry.is_file()
        for entry in folder.iterdir()
    )
