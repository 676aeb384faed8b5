"""The tenth lesson in JupyterLab: curves from the cards, choices, and the ledger at the end."""

import pytest
from lessons import assert_clean, bring_into_view, commit, place_of, said, verdicts

from mmc_viz.results import worst_curve

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson("10_does_it_help.ipynb")


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert_clean(student)


def test_the_first_picture_stands_under_the_third_code_cell_or_before(lesson):
    _, student = lesson
    assert 0 <= place_of(student, ".js-plotly-plot") <= 2


def test_the_curves_of_the_cards_come_after_the_guess(lesson):
    lab, student = lesson
    root = student.page.locator(".mmcviz-prediction-curve")
    bring_into_view(root)
    assert lab.value("[guess.committed, guess.answers]") == [False, {}]
    plot = root.locator(".mmcviz-plot")
    for which, key in ((0, "PageDown"), (1, "ArrowDown")):
        root.locator(".mmcviz-serie input").nth(which).check()
        plot.press("End")
        plot.press(key)
    root.get_by_role("button", name="Commit").click()
    words = verdicts(root)
    assert words == lab.value("guess.sentences")
    assert lab.value("guess.guesses") == {"SCE": [100, 100, 100, 80], "MMC": [100, 100, 100, 95]}
    for name in ("SCE", "MMC"):
        curve = worst_curve(f"fashion-{name.lower()}-at")
        answer = lab.value(f"guess.answers['{name}']")
        assert answer["accuracy"] == pytest.approx([100 * share for share in curve.accuracy])
        assert answer["low"] == pytest.approx([100 * share for share in curve.low])
    plot.press("Home")
    assert f"it is {100 * worst_curve('fashion-mmc-at').accuracy[0]:.1f} %" in said(root)


def test_predictions_are_judged_in_the_kernel_s_words(lesson):
    lab, student = lesson
    for which, (name, numbers) in enumerate((("ahead", (1, 1)), ("others", (40, 40)))):
        root = student.page.locator(".mmcviz-prediction").nth(which)
        bring_into_view(root)
        assert lab.value(f"{name}.answers") == {}
        assert commit(root, *numbers) == lab.value(f"{name}.sentences")


def test_the_ledger_shows_all_guesses_when_its_cell_runs_again(lesson):
    lab, student = lesson
    assert lab.value("len(predictions.ledger.entries)") == 6
    shown = lab.value("predictions.ledger._repr_html_()")
    assert shown.count("<tr>") == 7 and "6 guesses, off by" in shown
    assert student.errors == []


def test_a_solution_passes_in_the_notebook(lesson):
    lab, _ = lesson
    answer = "dict(A='refuted', B='supported', C='open', D='open')"
    assert lab.value(f"exercises.check('10.2', {answer}).passed") is True
