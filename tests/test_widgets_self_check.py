import re

import pytest

from mmc_viz.checkpoints import shipped_models
from mmc_viz.widgets import selfcheck
from mmc_viz.widgets.self_check import CHECKS


@pytest.fixture(scope="module")
def checked():
    return selfcheck()


def test_here_everything_works(checked):
    assert [row["name"] for row in checked.rows] == list(CHECKS)
    assert checked.passed, checked.rows
    words = {row["name"]: row["words"] for row in checked.rows}
    assert int(re.match(r"\d+", words["Models"])[0]) == len(shipped_models())


def test_what_fails_is_said_in_one_line(monkeypatch):
    def broken():
        raise FileNotFoundError("there is no such folder\nand more")

    monkeypatch.setitem(CHECKS, "Models", broken)
    checked = selfcheck()
    row = next(row for row in checked.rows if row["name"] == "Models")
    assert not row["ok"] and not checked.passed
    assert row["words"] == "FileNotFoundError: there is no such folder"


def test_missing_models_and_senseless_models_are_noticed(monkeypatch):
    monkeypatch.setattr("mmc_viz.widgets.self_check.shipped_models", list)
    with pytest.raises(FileNotFoundError, match="no shipped model"):
        CHECKS["Models"]()
    monkeypatch.setattr(
        "mmc_viz.widgets.self_check.load_model", lambda name: lambda x: x.flatten(1)[:, :10]
    )
    with pytest.raises(ValueError, match="of the digits right"):
        CHECKS["Sense"]()


def test_a_word_goes_there_and_back(checked):
    checked._receive(checked, {"do": "hello", "word": "moin"}, [])
    assert checked.echo == "moin"
