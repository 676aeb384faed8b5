"""Maps kept on disk, found again by their content.

UMAP and t-SNE take seconds to minutes, and a notebook asks for the same map each time it is run.
So positions are stored under a hash of all that they depend on: the method, its settings, the seed,
the versions of the libraries, and every byte of the features. Change any of them and the name
changes, so a stale map is never met.

A file holds numbers alone, in the format of safetensors, with a checksum. What is torn, changed or
of another shape counts as absent and is computed again. Nothing is ever unpickled. Where the folder
cannot be written or read, all works as without it.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmc_viz.locations import cache_dir

#: Raised when the same inputs would give another map than before.
FORMAT = 1
#: Bytes that all files together may take; the oldest go first.
LIMIT = 256 * 2**20

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "umap-learn", "numba")
_HEADER = 4096  # bytes that a file may have beside its numbers


def key_of(kind: str, settings: dict[str, float | int | str], *arrays: np.ndarray) -> str:
    """Hash all that a result depends on.

    Parameters
    ----------
    kind : str
        What is computed.
    settings : dict
        With which settings, the seed among them.
    *arrays : np.ndarray
        From which numbers; their types and shapes count too.
    """
    words = {
        "format": FORMAT,
        "kind": kind,
        "settings": settings,
        "versions": {library: version(library) for library in _LIBRARIES},
        "arrays": [[str(array.dtype), list(array.shape)] for array in arrays],
    }
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load(key: str, count: int) -> np.ndarray | None:
    """Give `count` stored positions, or None where there is no sound file of them."""
    with suppress(OSError, RuntimeError, SafetensorError):
        path = _path(key)
        if path.stat().st_size > count * 8 + _HEADER:
            return None
        with safe_open(path, framework="np") as file:
            positions = file.get_tensor("positions")
            checksum = (file.metadata() or {}).get("sha256")
        if positions.shape == (count, 2) and checksum == _checksum(positions):
            os.utime(path)  # seen: it is not the oldest any more
            return positions
    return None


def store(key: str, positions: np.ndarray) -> None:
    """Keep positions under a key, all or nothing; where that cannot be done, do nothing."""
    positions = np.ascontiguousarray(positions, dtype=np.float32)
    content = save({"positions": positions}, {"sha256": _checksum(positions)})
    with suppress(OSError, RuntimeError):
        path = _path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside its place and moved there at once, so that nobody reads half a file.
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        _make_room(path.parent)


def _path(key: str) -> Path:
    return cache_dir() / "maps" / f"{key}.safetensors"


def _checksum(positions: np.ndarray) -> str:
    return hashlib.sha256(str(positions.dtype).encode() + positions.tobytes()).hexdigest()


def _make_room(folder: Path) -> None:
    """Remove the files that were not used for longest, down to the limit."""
    files = sorted(
        ((path.stat(), path) for path in folder.glob("*.safetensors")),
        key=lambda entry: entry[0].st_mtime,
        reverse=True,
    )
    total = 0
    for stat, path in files:
        total += stat.st_size
        if total > LIMIT:
            path.unlink(missing_ok=True)
