"""The tenth lesson in JupyterLab: curves from the cards, choices, and the ledger at the end."""

import json

import pytest

from mmc_viz.results import worst_curve

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson("10_does_it_help.ipynb")


def said(lab, expression):
    return json.loads(lab.ask(f"import json; print(json.dumps({expression}))"))


def committed(root):
    root.page.wait_for_function(
        "(r) => r.dataset.committed === 'true'", arg=root.element_handle(), timeout=60_000
    )
    return root.locator(".mmcviz-verdict, .mmcviz-verdicts li").all_inner_texts()


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert student.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert "Error displaying widget" not in student.page.locator(".jp-Notebook").inner_text()
    assert student.errors == []


def test_the_first_picture_stands_under_the_third_code_cell_or_before(lesson):
    _, student = lesson
    place = student.page.evaluate(
        """() => [...document.querySelectorAll('.jp-CodeCell')]
              .findIndex((cell) => cell.querySelector('.js-plotly-plot'))"""
    )
    assert 0 <= place <= 2


def test_the_curves_of_the_cards_come_after_the_guess(lesson):
    lab, student = lesson
    root = student.page.locator(".mmcviz-prediction-curve")
    root.scroll_into_view_if_needed()
    assert said(lab, "[guess.committed, guess.answers]") == [False, {}]
    plot = root.locator(".mmcviz-plot")
    for which, key in ((0, "PageDown"), (1, "ArrowDown")):
        root.locator(".mmcviz-serie input").nth(which).check()
        plot.press("End")
        plot.press(key)
    root.get_by_role("button", name="Commit").click()
    words = committed(root)
    assert words == said(lab, "guess.sentences")
    assert said(lab, "guess.guesses") == {"SCE": [100, 100, 100, 80], "MMC": [100, 100, 100, 95]}
    for name in ("SCE", "MMC"):
        curve = worst_curve(f"fashion-{name.lower()}-at")
        answer = said(lab, f"guess.answers['{name}']")
        assert answer["accuracy"] == pytest.approx([100 * share for share in curve.accuracy])
        assert answer["low"] == pytest.approx([100 * share for share in curve.low])
    plot.press("Home")
    spoken = root.locator(".mmcviz-say").inner_text()
    assert f"it is {100 * worst_curve('fashion-mmc-at').accuracy[0]:.1f} %" in spoken


def test_predictions_are_judged_in_the_kernel_s_words(lesson):
    lab, student = lesson
    for which, (name, numbers) in enumerate((("ahead", (1, 1)), ("others", (40, 40)))):
        root = student.page.locator(".mmcviz-prediction").nth(which)
        root.scroll_into_view_if_needed()
        assert said(lab, f"{name}.answers") == {}
        for i, number in enumerate(numbers):
            root.locator("input[type=number]").nth(i).fill(str(number))
        root.get_by_role("button", name="Commit").press("Enter")
        assert committed(root) == said(lab, f"{name}.sentences")


def test_the_ledger_shows_all_guesses_when_its_cell_runs_again(lesson):
    lab, student = lesson
    assert said(lab, "len(predictions.ledger.entries)") == 6
    shown = said(lab, "predictions.ledger._repr_html_()")
    assert shown.count("<tr>") == 7 and "6 guesses, off by" in shown
    assert student.errors == []


def test_a_solution_passes_in_the_notebook(lesson):
    lab, _ = lesson
    verdict = said(
        lab,
        "exercises.check('10.2', dict(A='refuted', B='supported', C='open', D='open')).passed",
    )
    assert verdict is True
