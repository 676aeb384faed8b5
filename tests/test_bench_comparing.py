"""Two runs of the benchmark side by side: what counts as slower, and what is noise."""

import json
import math
import os

import numpy as np
import pytest

from mmc_viz.__main__ import main
from mmc_viz.bench import comparing
from mmc_viz.bench.comparing import Report, compare, differences, read_report
from mmc_viz.bench.timing import Measurement, measured, noise_of

SETTING = {"python": "3.12.1", "torch": "2.13.0", "machine": "x86_64", "threads": 2}


def draws(kind, shape, seed):
    """Noise of standard deviation 1, or near it: what rounds scatter by."""
    rng = np.random.default_rng(seed)
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "skew":  # now and then something else runs
        return np.exp(0.8 * rng.normal(size=shape))
    slow = rng.random(shape) < 0.1  # one round in ten is three times as slow
    return rng.normal(size=shape) + 100 * slow


def verdicts(unit, old, new):
    """Judge many pairs of runs, one a row."""
    return [
        compare(
            Report({}, {"a": measured("a", first.tolist(), unit)}),
            Report({}, {"a": measured("a", second.tolist(), unit)}),
        )[0].verdict
        for first, second in zip(old, new, strict=True)
    ]


def share(found, verdict):
    return found.count(verdict) / len(found)


# --- simulation: what is known to be equal, and what is known to be slower -----------------------


@pytest.mark.parametrize("kind", ["normal", "skew", "slow"])
@pytest.mark.parametrize("rounds", [3, 5, 7, 25])
def test_the_same_is_rarely_called_slower(kind, rounds, monkeypatch):
    # Without the floor, so that the measured noise alone is put to the test. It is far larger here.
    monkeypatch.setattr(comparing, "FLOOR", 0.0)
    pair = 100 + draws(kind, (2, 1000, rounds), seed=rounds)
    found = verdicts("s", *pair)
    # Where two of three rounds are slow, which happens in three cases of a hundred, so is the run.
    most = 0.05 if (kind, rounds) == ("slow", 3) else 0.03
    assert share(found, "slower") <= most
    assert share(found, "faster") <= most


@pytest.mark.parametrize("rounds", [3, 5, 7, 25])
@pytest.mark.parametrize(("unit", "worse", "better"), [("s", 1, -1), ("images/s", -1, 1)])
def test_a_change_of_several_times_the_noise_is_found(rounds, unit, worse, better):
    scatter = 0.02  # of a round
    old, new = 1 + scatter * draws("normal", (2, 500, rounds), seed=1)
    # Several times what a median of so many rounds scatters by, beyond what any two runs may.
    change = comparing.FLOOR + 15 * scatter / math.sqrt(rounds)
    slower = verdicts(unit, old, new * (1 + change) ** worse)
    faster = verdicts(unit, old, new * (1 + change) ** better)
    assert share(slower, "slower") >= 0.97
    assert share(faster, "faster") >= 0.97


def test_one_slow_round_in_five_is_no_noise():
    assert noise_of(1.0, [1.0, 1.01, 0.99, 1.0, 9.0]) < 0.05
    assert noise_of(1.0, [1.0, 1.1, 0.9, 1.05, 0.95]) > 0.1


def test_the_noise_is_the_interval_that_it_is_said_to_be():
    # Quartiles of 1 .. 5 are 2 and 4.
    expected = (3 + 8 / 5) * 2 / 1.349 / math.sqrt(5) / 3
    assert noise_of(3.0, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(expected)
    assert noise_of(3.0, [3.0, 3.0]) is None  # too few to scatter
    assert noise_of(0.0, [0.0, 0.0, 0.0]) is None


# --- verdicts -----------------------------------------------------------------------------------


def judged(old, new, unit="s", *, rounds=True, setting=None):
    """One number of two runs, each round the same."""
    first, second = (
        Measurement("a", value, unit, "", (value,) * 5 if rounds else ()) for value in (old, new)
    )
    (row,) = compare(
        Report({"torch": "1"}, {"a": first}), Report(setting or {"torch": "1"}, {"a": second})
    )
    return row.verdict


@pytest.mark.parametrize(
    ("unit", "more", "less"),
    [
        ("s", "slower", "faster"),
        ("ms", "slower", "faster"),
        ("ratio", "slower", "faster"),
        ("images/s", "faster", "slower"),
        ("share", "faster", "slower"),
        ("MB", "larger", "smaller"),
        ("images", "changed", "changed"),
    ],
)
def test_the_unit_says_which_way_is_better(unit, more, less):
    assert judged(10.0, 20.0, unit) == more
    assert judged(20.0, 10.0, unit) == less
    assert judged(10.0, 10.0, unit) == "within noise"


def test_what_was_measured_once_must_differ_by_much():
    assert judged(100.0, 130.0, rounds=False) == "within noise"
    assert judged(100.0, 140.0, rounds=False) == "slower"
    assert judged(100.0, 70.0, rounds=False) == "faster"
    assert judged(100.0, 108.0, "MB", rounds=False) == "within noise"
    assert judged(100.0, 112.0, "MB", rounds=False) == "larger"
    # Rounds that are all alike still have what two processes differ by.
    assert judged(100.0, 102.0) == "within noise"
    assert judged(100.0, 104.0) == "slower"


def test_a_tick_of_the_browser_clock_is_no_change():
    assert judged(0.3, 0.4, "ms") == "within noise"
    assert judged(0.3, 0.5, "ms") == "slower"
    assert judged(30.0, 34.0, "ms") == "slower"


def test_what_cannot_be_compared_is_not():
    assert judged(10.0, 20.0, setting={"torch": "2"}) == "not comparable"
    assert judged(10.0, 20.0, setting={"cores": "2"}) == "slower"  # only one of them says it
    assert judged(-0.1, 20.0, "ms") == "not comparable"
    (row,) = compare(
        Report({}, {"a": Measurement("a", 1.0, "s")}),
        Report({}, {"a": Measurement("a", 1.0, "ms")}),
    )
    assert row.verdict == "not comparable" and row.limit is None


def test_what_only_one_has_is_said():
    old = Report({}, {name: Measurement(name, 1.0, "s") for name in "ab"})
    new = Report({}, {name: Measurement(name, 1.0, "s") for name in "bc"})
    found = {row.name: (row.verdict, row.old, row.new, row.change) for row in compare(old, new)}
    assert found == {
        "b": ("within noise", 1.0, 1.0, 0.0),
        "c": ("only in NEW", None, 1.0, None),
        "a": ("only in OLD", 1.0, None, None),
    }


def test_differences_are_named():
    old, new = (
        Report({"torch": "1", "threads": "2"}, {}),
        Report({"torch": "1", "threads": "4"}, {}),
    )
    assert differences(old, new) == ["threads was 2 and is 4"]


# --- files and the command ----------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """Write a file as `--json` does, of figures `(value, rounds)`; give its path."""

    def write(name, figures, **more):
        rows = [
            Measurement(what, value, "s", "", tuple(rounds)).to_json()
            for what, (value, rounds) in figures.items()
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"versions": SETTING, "figures": rows} | more))
        return str(path)

    return write


def test_the_command_names_what_got_slower(written, capsys):
    old = written("old.json", {"a": (1.0, [1.0] * 5), "b": (2.0, [2.0] * 5)})
    new = written("new.json", {"a": (1.01, [1.01] * 5), "b": (3.0, [3.0] * 5)})
    assert main(["bench", "--compare", old, new]) == 3
    printed = capsys.readouterr().out
    assert "slower: b, 2 -> 3 s" in printed and "slower: a" not in printed
    row = next(line for line in printed.splitlines() if line.startswith("b "))
    assert row.split() == ["b", "s", "2", "3", "+50.0%", "3.0%", "slower"]
    # The other way round it got faster, and with itself nothing happened.
    assert main(["bench", "--compare", new, old]) == 0
    assert main(["bench", "--compare", old, old]) == 0
    assert "nothing got slower or larger" in capsys.readouterr().out


def test_another_machine_is_said_and_not_judged(written, capsys):
    old = written("old.json", {"a": (1.0, [1.0] * 5)}, machine={"processor": "this", "cores": "2"})
    new = written("new.json", {"a": (9.0, [9.0] * 5)}, machine={"processor": "that", "cores": "2"})
    assert main(["bench", "--compare", old, new]) == 0
    assert "not comparable: processor was this and is that" in capsys.readouterr().out


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    figure = {"name": "a", "value": 1.5, "unit": "ratio", "note": "once"}
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"versions": SETTING, "figures": [figure]}))
    report = read_report(path)
    assert report.figures == {"a": Measurement("a", 1.5, "ratio", "once")}
    assert report.setting["threads"] == "2"


GOOD = {"name": "a", "value": 1.0, "unit": "s", "note": "", "rounds": [1.0]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "it is no JSON object"),
        ("{", "no JSON that can be read"),
        ('{"versions": {}, "figures": [NaN]}', "NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        ({"figures": []}, "`versions` must be an object"),
        ({"versions": {"torch": ["2"]}, "figures": []}, "`versions` must hold printable words"),
        ({"versions": {}, "machine": 3, "figures": []}, "`machine` must be an object"),
        ({"versions": {}}, "`figures` must be a list"),
        ({"versions": {}, "figures": [3]}, "entry 0: it is no object"),
        ({"versions": {}, "figures": [GOOD | {"name": "\x1b[2J"}]}, "`name` must be printable"),
        ({"versions": {}, "figures": [GOOD | {"unit": None}]}, "`unit` must be printable"),
        ({"versions": {}, "figures": [GOOD | {"value": True}]}, "`value` must be a number"),
        ({"versions": {}, "figures": [GOOD | {"value": 10**400}]}, "`value` must be a number"),
        ({"versions": {}, "figures": [GOOD | {"rounds": "1"}]}, "`rounds` must be a list"),
        ({"versions": {}, "figures": [GOOD | {"rounds": [None]}]}, "`rounds` must be a list"),
        ({"versions": {}, "figures": [GOOD, GOOD]}, "'a' is there twice"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(content, why, tmp_path, written, capsys):
    path = tmp_path / "bad.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match="The file .*bad.json is "):
        read_report(path)
    assert main(["bench", "--compare", written("good.json", {}), str(path)]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1


def test_what_cannot_be_read_is_refused(tmp_path, written, capsys):
    good = written("good.json", {})
    os.mkfifo(tmp_path / "pipe")
    for name, why in {"none": "No such file", "pipe": "no regular file", ".": "directory"}.items():
        assert main(["bench", "--compare", str(tmp_path / name), good]) == 2
        said = capsys.readouterr().err
        assert "cannot be read" in said and why in said.replace("Is a", "a") and "\n" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("more", [["attacks"], ["--json", "figures.json"]])
def test_comparing_measures_nothing(more, written, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = written("good.json", {})
    assert main(["bench", "--compare", good, good, *more]) == 2
    assert "`--compare OLD NEW` measures nothing" in capsys.readouterr().err


def test_what_is_written_is_read_again(tmp_path, monkeypatch, capsys):
    from mmc_viz.bench import imports

    figures = [measured("a", [1.0, 1.2, 1.1], "s", "three"), Measurement("b", 3.0, "images")]
    monkeypatch.setattr(imports, "measure", lambda: figures)
    path = tmp_path / "run.json"
    assert main(["bench", "imports", "--json", str(path)]) == 0
    report = read_report(path)
    assert list(report.figures.values()) == figures
    assert {"processor", "cores", "torch", "threads", "OMP_NUM_THREADS"} <= report.setting.keys()
    assert main(["bench", "--compare", str(path), str(path)]) == 0
