"""The index of a folder of shards; what it tells of lies beside it, whole."""

import functools
import json
import tempfile
from pathlib import Path

from fuzzing.kind import Format
from fuzzing.mutating import JSON
from mmc_viz.datasets import load_dataset
from mmc_viz.datasets.shard_writing import write_shards


@functools.cache
def _written() -> dict[str, bytes]:
    """Files of a small folder of shards, by name."""
    with tempfile.TemporaryDirectory() as folder:
        write_shards("digits", Path(folder) / "out", splits=["test"], progress=False)
        return {path.name: path.read_bytes() for path in (Path(folder) / "out").iterdir()}


def indices() -> list[bytes]:
    """The index as it was written."""
    return [_written()["shards.json"]]


def read_index(data: bytes, folder: Path) -> None:
    """Load the split; its bytes can only be those of the files."""
    for name, content in (_written() | {"shards.json": data}).items():
        (folder / name).write_bytes(content)
    found = load_dataset(f"shards:{folder}")
    values = json.loads(data)
    assert found.images.numpy().tobytes() == _written()["test.images"]
    assert found.labels.numpy().astype("<i8").tobytes() == _written()["test.labels"]
    sizes = [values[name] for name in ("channels", "height", "width")]
    assert list(found.images.shape) == [360, *sizes]
    assert found.class_names == values["class_names"]


FORMATS = (Format("shards", indices, read_index, JSON),)
