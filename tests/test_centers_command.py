"""`mmc-viz centers`: the packing table, printed and as JSON."""

import json
import math

import pytest

from mmc_viz.centers import packing_table


def rows_of(out):
    """Rows of the printed table, each a list of its cells."""
    lines = out.split("\n\n")[0].splitlines()
    starts = [i for i, c in enumerate(lines[1]) if c == "-" and (i == 0 or lines[1][i - 1] == " ")]
    ends = [*starts[1:], None]
    cells = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]
    assert cells[0] == ["dim", "classes", "ours", "known", "difference", "tight pairs", "basis"]
    return cells[2:]


def test_what_is_printed_and_written_is_the_table(run, tmp_path):
    file = tmp_path / "table.json"
    words = ("--classes", "4-6,8,9", "--dim", 3, "--seed", 3, "--quiet", "--json", file)
    status, out, err = run("centers", *words)
    assert (status, err) == (0, "")
    table = packing_table([(count, 3) for count in (4, 5, 6, 8, 9)], seed=3)
    written = json.loads(file.read_text())
    assert written == {"seed": 3, "rows": table.values()}
    printed = rows_of(out)
    assert len(printed) == 5
    for cells, row in zip(printed, table.rows, strict=True):
        assert cells[:2] == ["3", str(row.num_classes)]
        assert float(cells[2]) == pytest.approx(row.angle, abs=5.1e-5)
        assert float(cells[3]) == pytest.approx(row.known, abs=5.1e-5)
        assert abs(float(cells[4])) <= 1e-5
        assert cells[5:] == [str(row.tight), row.basis]
    assert printed[0][2] == f"{math.degrees(math.acos(-1 / 3)):.4f}"
    assert printed[3][2] == "74.8585" and printed[3][5] == "16"
    assert "5 compared, at most 0.00000 below the best known" in out
    assert "larger than known" not in out


def test_three_dimensions_are_taken_if_only_classes_are_given(run):
    status, out, err = run("centers", "--classes", "4", "--quiet")
    assert (status, err) == (0, "")
    assert [row[:2] for row in rows_of(out)] == [["3", "4"]]


def test_a_case_that_nobody_has_told_us_of_is_not_compared(run):
    status, out, err = run("centers", "--dim", 4, "--classes", "9", "--quiet")
    assert (status, err) == (0, "")
    ((dim, classes, ours, known, difference, _, basis),) = rows_of(out)
    assert (dim, classes, known, difference, basis) == ("4", "9", "-", "-", "not known to us")
    assert 80 < float(ours) < 90
    assert "compared" not in out


def test_without_options_the_table_of_cases_is_printed(run, monkeypatch):
    from mmc_viz.centers import packings

    kinds = {(dim, count > 2 * dim) for count, dim in packings.CASES}
    assert kinds >= {(2, False), (2, True), (3, True), (4, True), (5, True), (8, False)}
    assert {count for count, dim in packings.CASES if dim == 3} == set(range(4, 25))
    monkeypatch.setattr(packings, "CASES", ((3, 2), (8, 4)))
    status, out, _ = run("centers", "--quiet")
    assert status == 0
    printed = rows_of(out)
    assert [row[:4] for row in printed] == [
        ["2", "3", "120.0000", "120.0000"],
        ["4", "8", "90.0000", "90.0000"],
    ]


def test_an_angle_larger_than_known_is_said(run, monkeypatch):
    monkeypatch.setattr("mmc_viz.centers.packings.best_known", lambda *_: (89.5, "best known: us"))
    status, out, _ = run("centers", "--dim", 3, "--classes", "5-6", "--quiet")
    assert status == 0
    assert [row[4] for row in rows_of(out)] == ["+0.50000", "+0.50000"]
    assert "larger than known: 6 classes in 3 dimensions" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--classes", "6-4"], "must be numbers or ranges such as 4-8,12; got '6-4'"),
        (["--classes", "many"], "must be numbers or ranges such as 4-8,12; got 'many'"),
        (["--classes", "1"], "`num_classes` must be at least 2; got 1"),
        (["--dim", 1, "--classes", "4"], "`dim` must be at least 2; got 1"),
        (["--seed", "-1"], "must be in 0 .. 2^32 - 1; got '-1'"),
        (["--classes", "4", "--json", "missing/out.json"], "missing/out.json cannot be written"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(run, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("centers", *words)
    assert (status, out) == (2, "")
    assert said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
