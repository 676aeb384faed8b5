"""Every notebook: its form, that it runs in a fresh kernel, and that it keeps its secrets."""

import ast
import base64
import json
import re
import zlib
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
SHEETS = Path(__file__).parent.parent / "notebooks" / "instructor"
LESSONS = [path for path in NOTEBOOKS if re.match(r"(0[1-9]|10)_", path.name)]
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def codes(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


# ---- form ----------------------------------------------------------------------------------------


@every
def test_is_stored_without_outputs_and_small(notebook, path):
    assert path.stat().st_size < 300_000
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@every
def test_cells_are_short_and_define_nothing_outside_exercises(notebook):
    for source in codes(notebook):
        exercise = "exercises.check(" in source
        assert source.strip().count("\n") < 15, source
        lines = [line for line in source.strip().split("\n") if line.strip()]
        assert len(lines) <= (12 if exercise else 10), source
        defines = any(line.lstrip().startswith(("def ", "class ")) for line in lines)
        assert exercise or not defines, source


@every
def test_cells_have_their_own_ids(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@lesson
def test_has_all_that_a_lesson_has(notebook, path):
    written = "\n".join(texts(notebook))
    head = texts(notebook)[0]
    number = int(path.name[:2])
    assert re.match(rf"# {number} · \S", head)
    assert re.search(r"^\*\*[A-Z][^*]+[.?]\*\*$", head, re.MULTILINE | re.DOTALL)  # the promise
    assert re.search(r"After this lesson you can\n\n(- \w+[^-]*){2,6}", head)
    assert "You need:" in head
    assert re.search(r"Time: \d+ minutes; the computer needs about \d+ seconds", head)
    headings = re.findall(r"^#+ (.*)$", written, re.MULTILINE)
    for part in ("Predict", "Run", "Explain", "Change one thing"):
        assert any(part in heading for heading in headings), part
    for heading in ("What this does not show", "In five lines", "Next"):
        assert heading in headings
    summary = written.partition("## In five lines")[2].partition("## Next")[0]
    assert re.findall(r"^(\d)\. ", summary, re.MULTILINE) == list("12345")
    checks = [source for source in codes(notebook) if "exercises.check(" in source]
    assert 2 <= len(checks) <= 4


@lesson
def test_what_runs_is_said_first(notebook):
    assert codes(notebook)[0].rstrip().endswith("about()")


@every
def test_links_between_notebooks_lead_somewhere(notebook, path):
    for target in re.findall(r"\]\(([\w./-]+\.(?:ipynb|md))\)", "\n".join(texts(notebook))):
        assert (path.parent / target).resolve().is_file(), target


@every
def test_has_an_instructor_sheet(path):
    sheet = (SHEETS / f"{path.stem}.md").read_text(encoding="utf-8")
    for part in ("Timing", "misconceptions", "Questions", "Without a network"):
        assert re.search(part, sheet, re.IGNORECASE), part


@pytest.mark.parametrize("sheet", sorted(SHEETS.glob("*.md")), ids=lambda path: path.stem)
def test_codes_in_an_instructor_sheet_can_be_read(sheet):
    from mmc_viz import replay, widgets

    kinds = {w.kind: w for w in vars(widgets).values() if getattr(w, "kind", "")}
    for code in re.findall(r"^ {4}([a-z-]+\?\S+)$", sheet.read_text("utf-8"), re.MULTILINE):
        kind, fields = replay.split(code)
        _, rest = replay.read(kinds[kind].Settings, fields)
        assert not rest.keys() - {"weights", *kinds[kind].view}, code


# ---- what happens when it runs -------------------------------------------------------------------


@every
def test_runs_in_a_fresh_kernel(path, executed):
    run = executed(path)
    for cell in run.notebook.cells:
        if cell.cell_type == "code":
            noise = [o.text for o in cell.outputs if o.get("name") == "stderr"]
            assert not any("Warning" in text for text in noise), noise
    for state in run.states.values():
        assert not state.get("busy"), "a widget is still at work"


@every
def test_the_first_picture_stands_below_the_third_code_cell_at_the_latest(path, executed):
    run = executed(path)
    first = [cell for cell in run.notebook.cells if cell.cell_type == "code"][:3]
    kinds = {kind for cell in first for output in cell.outputs for kind in output.get("data", {})}
    views = [
        output.data["application/vnd.jupyter.widget-view+json"]["model_id"]
        for cell in first
        for output in cell.outputs
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    # A locked widget is none, and a prediction is a question.
    shown = [run.states[view] for view in views]
    drawn = [s for s in shown if not s.get("locked") and "committed" not in s]
    assert drawn or kinds & {"image/png", "application/vnd.plotly.v1+json"}


@every
def test_at_most_two_figures_need_the_graphics_card(path, executed):
    figures = [
        output.data["application/vnd.plotly.v1+json"]
        for cell in executed(path).notebook.cells
        for output in cell.get("outputs", [])
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    heavy = ("scatter3d", "isosurface", "surface", "mesh3d", "volume", "scattergl")
    with_it = [f for f in figures if any(trace["type"] in heavy for trace in f["data"])]
    assert len(with_it) <= 2


@every
def test_nothing_that_a_prediction_asks_for_has_left_the_kernel(path, executed):
    run = executed(path)
    sealed = {model: kept for model, kept in run.offline.items() if "sealed" in kept}
    questions = [state for state in run.states.values() if "committed" in state]
    assert len(questions) <= len(sealed)
    for model, kept in sealed.items():
        state = run.states[model]
        inside = json.loads(zlib.decompress(base64.b64decode(kept["sealed"])))
        assert kept["after"] in run.states
        for name, value in inside.items():
            if value and not isinstance(value, int) and value != {"bytes": ""}:
                assert state.get(name) != value, f"{name} was sent before the commitment"


@every
def test_no_answer_to_a_prediction_is_written_in_the_source(notebook):
    for source in codes(notebook):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Prediction":
                (answer,) = [word.value for word in node.keywords if word.arg == "answer"]
                assert isinstance(answer, ast.Lambda | ast.Name | ast.Attribute | ast.Call), source
                constants = [n.value for n in ast.walk(answer) if isinstance(n, ast.Constant)]
                whole = isinstance(answer, ast.Lambda) and isinstance(answer.body, ast.Constant)
                assert not whole, f"the answer is written down: {constants}"
