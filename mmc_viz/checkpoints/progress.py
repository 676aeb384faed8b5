"""A run that is not over yet: `resume.safetensors` and `resume.json` in its model folder.

The tensors are what the next step needs, the JSON says of which run they are and holds their
checksum and its own. Both are replaced together (`mmc_viz.files.write_pair`), so a process killed
at any moment leaves one state that is whole.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mmc_viz.files import read_described, read_json, write_pair
from mmc_viz.texts import first_line

PROGRESS = "resume.json"
PROGRESS_TENSORS = "resume.safetensors"
LARGEST_STATE = 16 << 30  # bytes: weights and momentum, in double precision


def has_progress(folder: str | Path) -> bool:
    """Whether a folder keeps an interrupted run."""
    return (Path(folder) / PROGRESS).is_file()


def save_progress(folder: str | Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write the state of a run, in place of an older one; the folder is made where it is missing.

    Parameters
    ----------
    folder : str or Path
        The model folder.
    tensors : dict[str, Tensor]
        On the CPU.
    values : dict
        Plain values that JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: value.contiguous() for name, value in tensors.items()})
    stated = {
        "format": 1,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "values": values,
    }
    text = json.dumps(stated | {"sha256": _checksum(stated)}, allow_nan=False) + "\n"
    write_pair(folder / PROGRESS_TENSORS, content, folder / PROGRESS, text)


def load_progress(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_progress` wrote.

    Raises
    ------
    ValueError
        If there is nothing, or it was damaged or changed.
    """
    folder = Path(folder)
    try:
        stated = read_json(folder / PROGRESS)
        checksum = stated.pop("sha256")
        if stated["format"] != 1 or checksum != _checksum(stated):
            raise ValueError("its own checksum is another")
        values = stated["values"]
        content = read_described(folder / PROGRESS_TENSORS, stated["tensors_sha256"], LARGEST_STATE)
        if content is None or type(values) is not dict:
            raise ValueError(f"{PROGRESS_TENSORS} has another checksum than it says")
        return load(content), values
    except (OSError, ValueError, KeyError, AttributeError, TypeError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise ValueError(
            f"The interrupted run kept in {folder} is damaged ({why}); delete {PROGRESS} there "
            "and start anew."
        ) from None


def remove_progress(folder: str | Path) -> None:
    """Forget an interrupted run; there need not be one."""
    folder = Path(folder)
    # What says that there is a run goes first: the rest without it is nothing. Drafts of a process
    # that was killed lie there too; other files of the folder are not ours.
    (folder / PROGRESS).unlink(missing_ok=True)
    for name in (PROGRESS, PROGRESS_TENSORS):
        for left in folder.glob(f"{name}*"):
            left.unlink(missing_ok=True)


def _checksum(stated: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(stated, allow_nan=False).encode()).hexdigest()
