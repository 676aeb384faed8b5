"""Every exercise: its solution passes, its stub fails kindly, and the notebooks begin with it."""

from pathlib import Path

import nbformat
import pytest

from mmc_viz import exercises
from mmc_viz.exercises.exercise import Exercise, Wrong, returned

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
NAMES = exercises.names()


def answer_of(exercise, code):
    """Run code as a student's cell and give what it defines."""
    scope = {}
    exec(compile(f"{exercise.setup}\n{code}", exercise.name, "exec"), scope)
    return scope[exercise.answer]


@pytest.fixture(params=NAMES)
def exercise(request):
    return exercises.show(request.param)


def test_the_solution_passes(exercise):
    verdict = exercise.verdict(answer_of(exercise, exercise.solution))
    assert verdict.passed, verdict.message
    assert verdict.message


def test_the_stub_fails_with_words_that_help(exercise):
    verdict = exercise.verdict(answer_of(exercise, exercise.stub))
    assert not verdict.passed
    assert len(verdict.message) > 20
    assert "raised" not in verdict.message


@pytest.mark.parametrize("answer", [0, -1.5, "no", [], lambda *_: 0, lambda *_: None, object()])
def test_a_wrong_answer_fails_without_a_traceback(exercise, answer):
    verdict = exercise.verdict(answer)
    assert not verdict.passed and verdict.message


def test_time_difficulty_and_staged_hints_are_there(exercise):
    assert 1 <= exercise.minutes <= 20
    assert exercise.difficulty in (1, 2, 3)
    assert len(exercise.hints) >= 2
    shown = exercise._repr_html_()
    assert shown.count("<details>") == len(exercise.hints) + 1
    assert f"{exercise.minutes} minutes" in shown


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_each_exercise_stands_in_its_notebook_with_its_stub():
    cells = [
        cell.source
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    for name in NAMES:
        stub = exercises.show(name).stub.strip()
        own = [cell for cell in cells if f'exercises.check("{name}"' in cell]
        assert own, f"{name} is checked in no cell"
        assert own[0].startswith(stub), name
        assert any(f'exercises.show("{name}")' in cell for cell in cells), name
        assert exercises.show(name).setup in "\n".join(cells), name


# ---- the checker itself --------------------------------------------------------------------------


def make(check):
    return Exercise("99.1", "T", 1, 1, "t", "a = None", "a", "a = 3", ("one", "two"), check)


def test_an_answer_that_raises_becomes_a_sentence():
    def check(answer):
        answer()
        return "good"

    def crash():
        raise RuntimeError("boom\nand more")

    verdict = make(check).verdict(crash)
    assert not verdict.passed
    assert verdict.message == "Your answer raised RuntimeError: boom"


def test_a_missing_answer_is_named_as_such():
    for nothing in (None, ...):
        assert "Nothing is there yet" in make(lambda answer: "good").verdict(nothing).message


def test_a_function_that_returns_nothing_is_named_as_such():
    with pytest.raises(Wrong, match="returns nothing"):
        returned(lambda: None)
    with pytest.raises(Wrong, match="function is wanted"):
        returned(3)
    assert returned(lambda x: x + 1, 2) == 3


def test_what_a_student_reads_is_escaped():
    verdict = make(lambda answer: "<b>good</b>").verdict(3)
    assert "&lt;b&gt;" in verdict._repr_html_()


def test_names_of_code_look_like_code():
    shown = make(lambda answer: "call `value(a < b)`, not ` alone").verdict(3)._repr_html_()
    assert "call <code>value(a &lt; b)</code>, not ` alone" in shown


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match="must be one of"):
        exercises.show("77.7")
