"""Saving and loading models: a folder with `model.safetensors` and `card.json`.

The weights file holds tensors and nothing else, so loading a stranger's model runs none of their
code. The card says what the weights are of, how they were made and what was measured, and it holds
their checksum: a model whose weights were changed is refused.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from mmc_viz.devices import choose_device
from mmc_viz.locations import MODELS_DIR
from mmc_viz.networks import Classifier, make_classifier

WEIGHTS = "model.safetensors"
CARD = "card.json"


@dataclass(frozen=True)
class Card:
    """What a model is and how it came about; the content of `card.json`.

    Attributes
    ----------
    network, head : str
        Names of the parts.
    in_channels, num_classes, dim : int
        Sizes that the parts are built with.
    class_names : list[str]
        One for each logit.
    dataset : dict
        `name` and `sha256` of the training images and labels, and `image_size`.
    config : dict
        The `TrainConfig` of the run.
    seed : int
        Seed of the run.
    history, measured : list[dict]
        Numbers along the training, and numbers measured afterwards.
    versions : dict
        Of the software, and the device.
    weights_sha256 : str
        Checksum of the weights file.
    reproducible : bool
        Whether the same command gives the same weights again, bit for bit, on the same kind of
        machine.
    command : str
        The command line that made the model, where one did.
    format : int
        Version of this description, 1.
    """

    network: str
    head: str
    in_channels: int
    num_classes: int
    dim: int
    class_names: list[str]
    dataset: dict[str, Any]
    config: dict[str, Any]
    seed: int
    history: list[dict[str, Any]] = field(default_factory=list)
    measured: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    reproducible: bool = True
    command: str = ""
    format: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        return dict(vars(self))


def software_versions(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Say what ran: versions of Python and torch, the kind of device, the number of threads."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "machine": name,
        "threads": torch.get_num_threads(),
    }


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
    _check_card(card.to_json(), folder / CARD)
    tensors = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    weights = save(tensors)
    card = replace(card, weights_sha256=hashlib.sha256(weights).hexdigest())
    text = _card_text(card)
    with _replacing(folder) as draft:
        (draft / WEIGHTS).write_bytes(weights)
        (draft / CARD).write_text(text, encoding="utf-8")
    return card


def check_writable(folder: str | Path) -> None:
    """Make sure that a model can be saved as `folder`, before hours are spent on it.

    Raises
    ------
    ValueError
        If it cannot; nothing is left behind.
    """
    folder = Path(folder)
    exists = folder.exists() or folder.is_symlink()  # a link to nothing is in the way too
    if exists and not ((folder / CARD).is_file() or _is_empty_folder(folder)):
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


def load_card(name: str | Path) -> Card:
    """Read the card of a shipped model or of a model folder.

    Raises
    ------
    ValueError
        If there is no such model, or its card is damaged.
    """
    folder = find_model(name)
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"The card {folder / CARD} cannot be read ({_first_line(error)}); "
            "the model has to be trained or copied again."
        ) from None
    _check_card(values, folder / CARD)
    return Card(**values)


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
        weights = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The weights {path} cannot be read ({error.strerror}); the model has to be trained or "
            "copied again."
        ) from None
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise ValueError(
            f"The weights {path} do not have the checksum in {CARD}: the file was changed or cut "
            "off. Train or copy the model again."
        )
    try:
        tensors = load(weights)
    except (SafetensorError, KeyError) as error:  # KeyError: a number type that torch has not
        raise ValueError(f"{path} is no safetensors file of ours ({_first_line(error)}).") from None
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
        )
    except ValueError as error:
        raise ValueError(f"The card {folder / CARD} is not one of ours: {error}") from None
    _check_tensors(tensors, model.state_dict(), path)
    model.load_state_dict(tensors)
    return model.to(device).eval()


def record_measurement(name: str | Path, result: dict[str, Any]) -> None:
    """Add a measured number to a model's card, in place of an older one of the same settings.

    Parameters
    ----------
    name : str or Path
        Shipped name or model folder.
    result : dict
        Plain values. Settings are all but the outcome: what was correct, and in what time.
    """
    outcome = {"model", "correct", "accuracy", "clean_accuracy", "low", "high", "seconds"}

    def settings(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if key not in outcome}

    path = find_model(name) / CARD
    card = load_card(name)
    kept = [entry for entry in card.measured if settings(entry) != settings(result)]
    added = {key: value for key, value in result.items() if key != "model"}
    text = _card_text(replace(card, measured=[*kept, added]))
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def shipped_models() -> list[str]:
    """Names of the models that come with the project, sorted."""
    return sorted(card.parent.name for card in MODELS_DIR.glob(f"[!.]*/{CARD}"))


def find_model(name: str | Path) -> Path:
    """Folder of a shipped model or of any model.

    Raises
    ------
    ValueError
        If `name` is neither; the message lists the shipped names.
    """
    if str(name) in shipped_models():
        return MODELS_DIR / str(name)
    folder = Path(name)
    if (folder / CARD).is_file():
        return folder
    raise ValueError(
        f"`model` must be a shipped name ({', '.join(shipped_models())}) or a folder with "
        f"{CARD}; got {str(name)!r}."
    )


_CARD_TYPES: dict[str, type] = {
    "network": str,
    "head": str,
    "in_channels": int,
    "num_classes": int,
    "dim": int,
    "class_names": list,
    "dataset": dict,
    "config": dict,
    "seed": int,
    "history": list,
    "measured": list,
    "versions": dict,
    "weights_sha256": str,
    "reproducible": bool,
    "command": str,
    "format": int,
}
_LARGEST_SIZE = 100_000  # of any dimension in a card: above it, somebody means harm or erred


def _check_card(values: Any, path: Path) -> None:
    def refuse(why: str) -> None:
        raise ValueError(f"The card {path} is not one of ours: {why}.")

    if not isinstance(values, dict):
        refuse("it is no JSON object")
    if values.get("format") != 1:
        refuse(f"its format is {values.get('format')!r}, and this version reads format 1")
    if values.keys() != _CARD_TYPES.keys():
        refuse(f"fields are missing or unknown: {sorted(values.keys() ^ _CARD_TYPES.keys())}")
    for name, kind in _CARD_TYPES.items():
        # bool is an int to isinstance; type() tells them apart.
        if type(values[name]) is not kind:
            refuse(f"`{name}` must be of type {kind.__name__}")
    for name in ("in_channels", "num_classes", "dim"):
        if not 1 <= values[name] <= _LARGEST_SIZE:
            refuse(f"`{name}` is {values[name]}, out of range")
    if len(values["class_names"]) != values["num_classes"]:
        refuse(f"it has {len(values['class_names'])} names for {values['num_classes']} classes")
    for name, kind in (("class_names", str), ("history", dict), ("measured", dict)):
        if not all(type(entry) is kind for entry in values[name]):
            refuse(f"`{name}` must hold entries of type {kind.__name__}")
    for name, kind in (("name", str), ("sha256", str), ("image_size", int)):
        if type(values["dataset"].get(name)) is not kind:
            refuse(f"`dataset.{name}` must be of type {kind.__name__}")
    radius = values["config"].get("radius", 10.0)
    if type(radius) not in (int, float) or not 0 < radius < 1e18:  # its square is a float32
        refuse(f"`config.radius` is {radius!r}")


def _check_tensors(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path
) -> None:
    if found.keys() != expected.keys():
        odd = ", ".join(sorted(found.keys() ^ expected.keys())[:3])
        raise ValueError(f"{path} does not fit its card: missing or unknown tensors ({odd}, ...).")
    for name, value in found.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            raise ValueError(
                f"{path} does not fit its card: `{name}` is {value.dtype} {list(value.shape)}, and "
                f"should be {expected[name].dtype} {list(expected[name].shape)}."
            )


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give a draft folder that takes the place of `folder` if all goes well, else vanishes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if not folder.exists():
            os.rename(draft, folder)
        else:
            # Weights beside an older card fail its checksum, so nothing between is mistaken.
            for name in (WEIGHTS, CARD):
                os.replace(draft / name, folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _card_text(card: Card) -> str:
    return json.dumps(card.to_json(), indent=1, allow_nan=False) + "\n"


def _is_empty_folder(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
