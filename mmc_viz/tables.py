"""Results as text: every table and curve can be saved as CSV and as JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from mmc_viz.files import write_whole


def to_csv(rows: list[dict[str, Any]], path: str | Path | None = None) -> str:
    """Give rows with the same keys as CSV, the keys on top; write it too if `path` is given."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return _written(text.getvalue(), path)


def to_json(values: Any, path: str | Path | None = None) -> str:
    """Give plain values as JSON; write it too if `path` is given."""
    return _written(json.dumps(values, allow_nan=False) + "\n", path)


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        write_whole(path, text)
    return text
