"""The fifth lesson in real JupyterLab: shells that slide, and questions that wait."""

import json

import pytest

pytestmark = pytest.mark.browser
NAME = "05_how_dense.ipynb"
SHELLS = ".mmcviz-shells"


@pytest.fixture(scope="module")
def lesson(open_lesson):
    lab, student = open_lesson(NAME, seconds=400)
    student.page.wait_for_selector(f'{SHELLS}[data-ready="true"]')
    return lab, student


@pytest.fixture(scope="module")
def shells(lesson):
    _, student = lesson
    root = student.page.locator(SHELLS).first
    root.scroll_into_view_if_needed()
    return root


def pictures(root):
    return root.evaluate("(r) => [...r.querySelectorAll('canvas')].map((c) => c.toDataURL())")


def test_the_lesson_runs_and_begins_with_a_picture(lesson):
    _, student = lesson
    page = student.page
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    place = page.evaluate(
        f"""() => [...document.querySelectorAll('.jp-CodeCell')]
              .findIndex((cell) => cell.querySelector('{SHELLS}'))"""
    )
    assert place <= 2
    assert student.errors == []


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
        student.page.wait_for_timeout(300)  # for the kernel to hear of it
        assert (
            lab.ask("print(shells.sentence)").strip() == shells.locator(".mmcviz-say").inner_text()
        )


def test_the_browser_rings_as_many_features_as_python_counts(lesson, shells):
    """The drawn shell is computed in the browser, the counts in Python: they agree."""
    lab, _ = lesson
    slider = shells.locator(".mmcviz-slider")
    slider.press("Home")
    wanted = lab.ask(
        "print([[int(c) for c in one.counts[shells.label]] for one in shells.found.values()])"
    )
    counts = json.loads(wanted)
    for shell in range(len(counts[0])):
        for panel, row in zip(shells.locator(".mmcviz-panel").all(), counts, strict=True):
            assert int(panel.get_attribute("data-inside")) == row[shell]
        slider.press("ArrowRight")


def test_answers_wait_and_then_are_those_of_the_kernel(lesson):
    lab, student = lesson
    assert lab.ask("print(within.answers, across.answers)").strip() == "{} {}"
    box = student.page.locator(".mmcviz-prediction").first
    for i in range(2):
        box.locator('input[type="number"]').nth(i).fill("0.3")
    box.get_by_role("button", name="Commit").click()
    box.locator(".mmcviz-verdict").first.wait_for()
    code = "print([round(r.correlations['density'].overall.rho, 2) for r in robust.values()])"
    assert lab.ask("print(list(within.answers.values()))") == lab.ask(code)


def test_both_themes_are_drawn_and_nothing_complains(lesson, shells):
    _, student = lesson
    page = student.page
    light = pictures(shells)
    student.use_theme(dark=True)
    page.wait_for_selector(f'{SHELLS}[data-theme="dark"]')
    assert pictures(shells) != light
    student.use_theme(dark=False)
    page.wait_for_selector(f'{SHELLS}[data-theme="light"]')
    assert student.errors == []
