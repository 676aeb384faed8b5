import csv
import io
import json

import pytest

from mmc_viz.tables import to_csv, to_json

ROWS = [
    {"attack": 'a, "b"', "epsilon": 0.1, "correct": 3},
    {"attack": "c", "epsilon": 0.2, "correct": 0},
]


def test_csv_reads_back_whatever_the_names(tmp_path):
    text = to_csv(ROWS, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == text
    back = list(csv.DictReader(io.StringIO(text)))
    assert [row["attack"] for row in back] == ['a, "b"', "c"]
    assert [float(row["epsilon"]) for row in back] == [0.1, 0.2]


def test_json_reads_back_and_has_no_nan(tmp_path):
    assert json.loads(to_json(ROWS, tmp_path / "t.json")) == ROWS
    assert json.loads((tmp_path / "t.json").read_text()) == ROWS
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"accuracy": float("nan")})
