"""Model folders: the card, the weights, weights that a card vouches for, and what a run kept."""

import functools
import hashlib
import json
import struct
import tempfile
from pathlib import Path
from random import Random

import torch

from fuzzing.kind import Format
from fuzzing.mutating import BYTES, JSON, change_json_file, inside
from mmc_viz.__main__ import main
from mmc_viz.checkpoints import Card, load_card, load_model, load_progress, save_model
from mmc_viz.checkpoints.progress import save_progress
from mmc_viz.networks import make_classifier


@functools.cache
def folders() -> list[tuple[bytes, bytes]]:
    """Card and weights of some small models."""
    found = []
    for head, dim, options in (("mmc", 2, {}), ("sce", 3, {}), ("hmc", 8, {"groups": [0, 0, 1]})):
        model = make_classifier(
            "small_cnn", head, in_channels=1, num_classes=3, dim=dim, head_options=options
        )
        card = Card(
            network="small_cnn",
            head=head,
            in_channels=1,
            num_classes=3,
            dim=dim,
            class_names=["cat", "dog", "T-shirt/top"],
            dataset={"name": "digits", "sha256": "0" * 64, "image_size": 8},
            config={"head": head, "radius": 10.0, "head_options": options, "seed": 3},
            seed=3,
            history=[{"epoch": 1, "loss": 0.5, "accuracy": 0.5, "seconds": 1.5}],
            measured=[
                {"attack": "none", "images": 360, "correct": 350, "accuracy": 350 / 360},
                {
                    **{"attack": "pgd", "objective": "margin", "norm": "linf", "steps": 50},
                    **{"eps": 0.1, "images": 100, "correct": 7, "accuracy": 0.07},
                    **{"low": 0.03, "high": 0.14, "seed": 0, "seconds": 1.5, "zero_gradient": 3},
                },
                {"attack": "cw", "images": 9, "accuracy": 0.5, "median_distance": 0.3},
                {"attack": "rotation", "degrees": 30.0, "accuracy": 0.5, "mean_accuracy": 0.9},
                {"attack": "audit", "eps": 0.1, "accuracy": 0.1, "masked": True, "claim": 0.8},
            ],
            versions={"python": "3.11.2", "threads": 2},
            command="mmc-viz train --dataset digits",
        )
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder) / "model", model, card)
            files = (Path(folder) / "model" / name for name in ("card.json", "model.safetensors"))
            card_text, weights = (file.read_bytes() for file in files)
        found.append((card_text, weights))
    return found


def _place(folder: Path, card: bytes, weights: bytes) -> None:
    (folder / "card.json").write_bytes(card)
    (folder / "model.safetensors").write_bytes(weights)


def read_card(data: bytes, folder: Path) -> None:
    """Read a card, print it, and build its model."""
    # The weights whose checksum the card has, if it has one.
    checksums = {hashlib.sha256(weights).hexdigest(): weights for _, weights in folders()}
    known = next((sum_ for sum_ in checksums if sum_.encode() in data), None)
    _place(folder, data, checksums.get(known, b""))
    card = load_card(folder)
    assert card.to_json() == json.loads(data), "the card is not what the file says"
    # It will be printed by our commands, in one way or another.
    assert main(["models", str(folder)]) == 0, "it was loaded, and could not be listed"
    model = load_model(folder)
    assert card.weights_sha256 in checksums, "weights of another checksum"
    _compare(model, checksums[card.weights_sha256])


def read_weights(data: bytes, folder: Path) -> None:
    """Read weights beside the card of sound ones."""
    card, sound = min(folders(), key=lambda pair: abs(len(pair[1]) - len(data)))
    _place(folder, card, data)
    model = load_model(folder)
    assert data == sound, "changed weights were loaded"
    _compare(model, data)


def read_vouched(data: bytes, folder: Path) -> None:
    """Read weights for which their card vouches: the parser behind the checksum."""
    card, _ = min(folders(), key=lambda pair: abs(len(pair[1]) - len(data)))
    changed = json.loads(card) | {"weights_sha256": hashlib.sha256(data).hexdigest()}
    _place(folder, json.dumps(changed).encode(), data)
    _compare(load_model(folder), data)


def _compare(model: torch.nn.Module, weights: bytes) -> None:
    """Compare a model with a weights file, read by hand."""
    size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + size])
    header.pop("__metadata__", None)
    state = model.state_dict()
    assert state.keys() == header.keys(), "other tensors than in the file"
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        content = weights[8 + size + begin : 8 + size + end]
        assert state[name].numpy().tobytes() == content, f"{name} is not what the file says"
        assert list(state[name].shape) == entry["shape"], f"{name} has another shape"


def _header(weights: bytes) -> bytes:
    return weights[8 : 8 + struct.unpack("<Q", weights[:8])[0]]


def _with_header(weights: bytes, header: bytes) -> bytes:
    rest = weights[8 + struct.unpack("<Q", weights[:8])[0] :]
    return struct.pack("<Q", len(header)) + header + rest


def _cards() -> list[bytes]:
    return [card for card, _ in folders()]


def _weights() -> list[bytes]:
    return [weights for _, weights in folders()]


# ---- a run that is not over yet


@functools.cache
def _progress() -> tuple[bytes, bytes]:
    """What is kept of a run: its description, and its tensors."""
    with tempfile.TemporaryDirectory() as folder:
        values = {"taken": 7, "history": [{"epoch": 1, "loss": 0.5}], "seconds": 1.5}
        save_progress(folder, {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}, values)
        return tuple(
            (Path(folder) / f"resume.{end}").read_bytes() for end in ("json", "safetensors")
        )


def read_progress(data: bytes, folder: Path) -> None:
    """Read what is kept of a run by a changed description."""
    (folder / "resume.json").write_bytes(data)
    (folder / "resume.safetensors").write_bytes(_progress()[1])
    tensors, values = load_progress(folder)
    assert values == json.loads(data)["values"]
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and int(tensors["b"]) == 3


def vouch(data: bytes, draw: Random) -> bytes:
    """Change a description of a run, and let its checksum be that of what it says now."""
    changed = change_json_file(data, draw)
    try:
        stated = {name: value for name, value in json.loads(changed).items() if name != "sha256"}
        checksum = hashlib.sha256(json.dumps(stated).encode()).hexdigest()
        return json.dumps(stated | {"sha256": checksum}).encode()
    except (ValueError, AttributeError, RecursionError):
        return changed


FORMATS = (
    Format("card", _cards, read_card, JSON, cases=150),
    Format("weights", _weights, read_weights, cases=100),
    Format(
        "vouched-weights",
        _weights,
        read_vouched,
        (*BYTES, *(inside(_header, _with_header, JSON),) * 20),
        cases=150,
    ),
    Format("progress", lambda: [_progress()[0]], read_progress, (*JSON, *(vouch,) * 40)),
)
