"""The fifth lesson in real JupyterLab: shells that slide, and questions that wait."""

import pytest
from lessons import (
    all_differ,
    assert_clean,
    bring_into_view,
    commit,
    in_both_themes,
    pictures,
    place_of,
    said,
    until,
)

pytestmark = pytest.mark.browser
NAME = "05_how_dense.ipynb"
SHELLS = ".mmcviz-shells"


@pytest.fixture(scope="module")
def lesson(open_lesson):
    lab, student = open_lesson(NAME, seconds=400)
    until(student.page.locator(SHELLS).first, ready="true")
    return lab, student


@pytest.fixture(scope="module")
def shells(lesson):
    _, student = lesson
    root = student.page.locator(SHELLS).first
    bring_into_view(root)
    return root


def test_the_lesson_runs_and_begins_with_a_picture(lesson):
    _, student = lesson
    assert_clean(student)
    assert 0 <= place_of(student, SHELLS) <= 2


def test_every_control_changes_the_picture_and_the_sentence_is_the_kernel_s(lesson, shells):
    lab, student = lesson
    slider = shells.locator(".mmcviz-slider")
    slider.focus()
    classes, frames = shells.locator("select").all()
    moves = [
        lambda: slider.press("ArrowLeft"),
        lambda: slider.press("End"),
        lambda: slider.press("Home"),
        lambda: frames.select_option(index=1),
        lambda: classes.select_option("Trouser"),
        lambda: [slider.press("ArrowRight") for _ in range(9)],
    ]
    for move in moves:
        before = pictures(shells)
        move()
        assert pictures(shells) != before
        student.wait_for_kernel()
        assert lab.value("shells.sentence") == said(shells)


def test_the_browser_rings_as_many_features_as_python_counts(lesson, shells):
    """The drawn shell is computed in the browser, the counts in Python: they agree."""
    lab, student = lesson
    slider = shells.locator(".mmcviz-slider")
    slider.press("Home")
    student.wait_for_kernel()
    counts = lab.value(
        "[[int(c) for c in one.counts[shells.label]] for one in shells.found.values()]"
    )
    for shell in range(len(counts[0])):
        for panel, row in zip(shells.locator(".mmcviz-panel").all(), counts, strict=True):
            assert int(panel.get_attribute("data-inside")) == row[shell]
        slider.press("ArrowRight")


def test_answers_wait_and_then_are_those_of_the_kernel(lesson):
    lab, student = lesson
    assert lab.value("[within.answers, across.answers]") == [{}, {}]
    commit(student.page.locator(".mmcviz-prediction").first, 0.3, 0.3)
    measured = "[round(r.correlations['density'].overall.rho, 2) for r in robust.values()]"
    assert lab.value("list(within.answers.values())") == lab.value(measured)


def test_both_themes_are_drawn_and_nothing_complains(lesson, shells):
    _, student = lesson
    light, dark, again = in_both_themes(student, shells)
    assert all_differ(light, dark) and again == light
    assert student.errors == []
