"""Damaged files of every format: read rightly, or refused in one line. See `fuzzing`."""

import pytest
from fuzzing.formats import FORMATS, Format
from fuzzing.mutating import BYTES, JSON, change_json, inside
from fuzzing.running import CORPUS, Finding, case, judge

KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", FORMATS)
def test_sound_files_are_read(name):
    for data in FORMATS[name].seeds():
        assert judge(FORMATS[name], data) == "loaded"


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_rightly_or_refused_in_one_line(name):
    """A case that fails is made again by `case(FORMATS[name], number)`."""
    kind = FORMATS[name]
    verdicts = []
    for number in range(kind.cases):
        try:
            verdicts.append(judge(kind, case(kind, number)))
        except Finding as finding:
            pytest.fail(f"case {number}: {finding}")
    assert "refused" in verdicts, "nothing was damaged"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_went_wrong_does_not_again(path):
    judge(FORMATS[path.parent.name], path.read_bytes())


def test_kept_files_are_small_and_of_formats_that_there_are():
    assert {path.parent.name for path in KEPT} <= FORMATS.keys()
    assert sum(path.stat().st_size for path in KEPT) < 200_000


# --- the fuzzer itself --------------------------------------------------------------------------


def kind_of(read, seed=b"sound", **more):
    return Format("made-up", lambda: [seed], read, **more)


def raising(error):
    def read(data, folder):
        raise error

    return read


@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        KeyError("x"),
        AssertionError("the wrong numbers"),
        MemoryError(),
        RecursionError("x"),
        ValueError("two\nlines"),
        ValueError("two\u2028lines"),
        ValueError(""),
        ValueError("x" * 2_000),
    ],
)
def test_all_but_a_refusal_in_one_line_is_a_finding(error):
    with pytest.raises(Finding):
        judge(kind_of(raising(error)), b"")


def test_a_warning_and_a_hang_are_findings(monkeypatch):
    import time
    import warnings

    with pytest.raises(Finding, match="UserWarning"):
        judge(kind_of(lambda data, folder: warnings.warn("odd", stacklevel=1)), b"")
    monkeypatch.setattr("fuzzing.running.SECONDS", 1)
    with pytest.raises(Finding, match="more than 1 seconds"):
        judge(kind_of(lambda data, folder: time.sleep(60)), b"")


def test_a_refusal_and_a_reading_are_told_apart(tmp_path):
    assert judge(kind_of(raising(ValueError("damaged"))), b"") == "refused"
    seen = []
    assert judge(kind_of(lambda data, folder: seen.append((data, [*folder.iterdir()]))), b"x")
    assert seen == [(b"x", [])]


def test_a_case_can_be_made_again_and_cases_differ():
    for name in ("card", "picture", "code"):
        kind = FORMATS[name]
        files = [case(kind, number) for number in range(30)]
        assert files == [case(kind, number) for number in range(30)]
        assert len(set(files)) > 20


@pytest.mark.parametrize("mutator", [*dict.fromkeys(BYTES), JSON[0], inside(bytes, max, BYTES)])
@pytest.mark.parametrize("data", [b"", b"x", b'{"a": [1, 2.5, "b", null]}', b"abc" * 999])
def test_mutators_take_any_file_and_change_most(mutator, data):
    from random import Random

    draw = Random(0)
    changed = [mutator(data, draw) for _ in range(50)]
    assert all(type(one) is bytes for one in changed)
    assert len(data) < 2 or sum(one != data for one in changed) > 10


def test_json_is_changed_at_every_depth():
    from random import Random

    draw = Random(0)
    value = {"a": {"b": [1, {"c": "d"}]}, "e": 2}
    changed = [change_json(value, draw) for _ in range(300)]
    assert value == {"a": {"b": [1, {"c": "d"}]}, "e": 2}
    whole = [one for one in changed if isinstance(one, dict) and one.keys() == value.keys()]
    assert any(one["e"] != 2 for one in whole)
    deep = [one["a"] for one in whole if str(one["a"]).startswith("{'b': [1, {")]
    assert any(one != value["a"] for one in deep)
