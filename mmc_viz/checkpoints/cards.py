"""The card of a model: what it is, how it came about, what was measured."""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from mmc_viz.files import locked, read_json, write_whole
from mmc_viz.locations import MODELS_DIR
from mmc_viz.texts import check_json, first_line, shorten

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
        Of the software, and the device; also the number of processes where there were several, and
        the `parts` of a run that went on under other conditions.
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


def load_card(name: str | Path) -> Card:
    """Read the card of a shipped model or of a model folder.

    Raises
    ------
    ValueError
        If there is no such model, or its card is damaged.
    """
    folder = find_model(name)
    try:
        values = read_json(folder / CARD)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The card {folder / CARD} cannot be read ({first_line(error)}); "
            "the model has to be trained or copied again."
        ) from None
    check_card(values, folder / CARD)
    return Card(**values)


def record_measurement(name: str | Path, result: dict[str, Any]) -> None:
    """Add a measured number to a model's card, in place of an older one of the same settings.

    Parameters
    ----------
    name : str or Path
        Shipped name or model folder.
    result : dict
        Plain values. Settings are all but the outcome: what was correct, and in what time.
    """
    outcome = {
        "model",
        "correct",
        "accuracy",
        "clean_accuracy",
        "mean_accuracy",
        "low",
        "high",
        "zero_gradient",
        "median_distance",
        "broken_by",
        "left_out",
        "about",
        "claim",
        "masked",
        "checks",
        "device",
        "seconds",
    }

    def settings(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if key not in outcome}

    path = find_model(name) / CARD
    added = {key: value for key, value in result.items() if key != "model"}
    with locked(path, wait=True):  # several processes may measure at once
        card = load_card(name)
        kept = [entry for entry in card.measured if settings(entry) != settings(result)]
        write_whole(path, card_text(replace(card, measured=[*kept, added])))


def card_text(card: Card) -> str:
    """Content of `card.json`."""
    return json.dumps(card.to_json(), indent=1, allow_nan=False) + "\n"


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
#: Outcomes of a measurement, printed as shares.
_SHARES = ("accuracy", "clean_accuracy", "mean_accuracy", "low", "high", "claim")
#: Other numbers of a measurement that are printed.
_NUMBERS = ("eps", "sigma", "degrees", "images", "correct")


def check_card(values: Any, path: Path) -> None:
    """Refuse what is no card of ours; `path` is where it was found.

    Raises
    ------
    ValueError
        With the first thing that is wrong.
    """

    def refuse(why: str) -> NoReturn:
        raise ValueError(f"The card {path} is not one of ours: {shorten(why)}.")

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
    # What a head makes of its options is for it to say; here, what could be one at all.
    options = values["config"].get("head_options", {})
    if type(options) is not dict:
        refuse("`config.head_options` must be of type dict")
    for name, value in options.items():
        if type(value) is list and len(value) > values["num_classes"]:
            refuse(f"`config.head_options` holds {len(value)} values for {name!r}")
    try:
        check_json(values)
    except ValueError as error:
        refuse(str(error))
    for entry in values["measured"]:
        _check_measured(entry, refuse)


def _check_measured(entry: dict[str, Any], refuse: Callable[[str], NoReturn]) -> None:
    """Refuse a measurement that could not be listed."""
    for name in {*_SHARES, *_NUMBERS} & entry.keys():
        value = entry[name]
        if type(value) not in (int, float):
            refuse(f"`{name}` of a measurement must be a number")
        if name in _SHARES and not 0 <= value <= 1:
            refuse(f"`{name}` of a measurement must be in 0 .. 1")
    if type(entry.get("median_distance")) not in (int, float, type(None)):
        refuse("`median_distance` of a measurement must be a number or null")
    if ("low" in entry) != ("high" in entry):
        refuse("a measurement has one end of an interval without the other")
    if "masked" in entry and not (type(entry["masked"]) is bool and "claim" in entry):
        refuse("`masked` of a measurement must be true or false, beside a `claim`")
