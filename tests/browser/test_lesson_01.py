"""The first lesson in real JupyterLab, in a real browser: what a student meets, in order."""

import re

import pytest
from lessons import assert_clean, own_errors, place_of, show_numbers, until
from lessons import pictures as pictures_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lesson(open_lesson):
    """The notebook after Run All: the server, the student's page."""
    return open_lesson("01_slide_epsilon.ipynb")


@pytest.fixture(scope="module")
def right(lesson):
    """How many images are still right, as the kernel's own paths say: [objective][title][step]."""
    lab, _ = lesson
    return lab.value(
        "{o: {t: p.right.tolist() for t, p in r.panels.items()} for o, r in lab.runs.items()}"
    )


def explorer(student, which=-1):
    """The explorer with all objectives is the last of three."""
    return student.page.locator(".mmcviz-explorer").nth(which)


def sentences(student):
    return explorer(student).locator(".mmcviz-sentence").all_inner_texts()


def pictures(student):
    return pictures_in(explorer(student), ".mmcviz-canvas")


def shown(student):
    """How many images each panel's sentence calls right, and the step and run of the view."""
    root = explorer(student)
    counts = {}
    for sentence in sentences(student):
        found = re.match(r"(\w+): (\d+) of 30 still right \((\d+) %\)", sentence)
        counts[found[1]] = int(found[2])
        assert int(found[3]) == int(100 * int(found[2]) / 30 + 0.5)
    return counts, int(root.get_attribute("data-step")), root.get_attribute("data-run")


def commit(student, which, *numbers):
    """Fill in a prediction and commit it with the keyboard."""
    box = student.page.locator(".mmcviz-prediction").nth(which)
    fields = box.locator('input[type="number"]')
    for i, number in enumerate(numbers):
        fields.nth(i).fill(str(number))
    fields.nth(len(numbers) - 1).press("Enter")
    box.get_by_text("your guess").wait_for()
    return box.inner_text()


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert_clean(student)


def test_the_first_picture_stands_under_the_third_code_cell(lesson):
    _, student = lesson
    assert 0 <= place_of(student, ".mmcviz-explorer") <= 2
    assert explorer(student, 0).get_attribute("data-ready") == "true"
    assert explorer(student, 0).locator(".mmcviz-canvas").count() == 1


def test_what_a_prediction_asks_for_stays_in_the_kernel_until_it_is_committed(lesson):
    lab, student = lesson
    for which in (1, 2):
        root = explorer(student, which)
        assert root.get_attribute("data-locked") == "true"
        lock = root.locator(".mmcviz-lock")
        assert lock.is_visible()
        assert lock.text_content() == "Locked: commit your prediction first."
        for part in root.locator("xpath=./*").all():
            assert part.is_visible() == ("mmcviz-lock" in part.get_attribute("class"))
    states = "[{**w.get_state()} for w in (both, lab, guess, guess_2)]"
    code = f"print([(s.get('bundle'), s.get('answers')) for s in {states}])"
    assert lab.ask(code).strip() == "[(b'', None), (b'', None), (None, {}), (None, {})]"


def test_the_answer_comes_after_the_commitment_and_is_the_kernel_s(lesson):
    lab, student = lesson
    said = commit(student, 0, 7)
    answer = lab.ask("print(both.right('cross_entropy', 0.06)['MMC'])").strip()
    assert f"MMC under cross_entropy: {answer}; you said 7" in said
    until(explorer(student, 1), ready="true")
    assert explorer(student, 2).get_attribute("data-locked") == "true"
    commit(student, 1, 5, 5)
    until(explorer(student, 2), ready="true")
    lab.ask("from mmc_viz import predictions")
    assert lab.value("len(predictions.ledger.entries)") == 3


def test_the_replay_code_is_the_same_in_browser_and_kernel_and_restores(lesson):
    lab, student = lesson
    root = explorer(student)
    root.locator(".mmcviz-run").select_option("distance")
    root.locator(".mmcviz-slider").press("End")
    root.get_by_text("Replay code").click()
    code = root.locator(".mmcviz-codetext").first.input_value()
    student.wait_for_kernel()
    assert lab.value("lab.code") == code
    before = pictures(student)
    root.locator(".mmcviz-run").select_option("margin")
    root.locator(".mmcviz-slider").press("Home")
    assert pictures(student) != before
    root.get_by_label("A replay code to restore").fill(code)
    root.get_by_role("button", name="Restore").click()
    until(root, step=30)
    assert pictures(student) == before
    root.get_by_label("A replay code to restore").fill("nonsense")
    root.get_by_label("A replay code to restore").press("Enter")
    root.get_by_text("must be a replay code").wait_for()


def test_the_numbers_are_there_as_a_table(lesson, right):
    _, student = lesson
    root = explorer(student)
    root.locator(".mmcviz-run").select_option("margin")
    cells = show_numbers(root).locator("td").all_inner_texts()
    rows = zip(right["margin"]["SCE"], right["margin"]["MMC"], strict=True)
    assert cells == [str(count) for row in rows for count in row]


def test_arrow_keys_move_the_pictures_and_the_sentences_say_the_path_s_numbers(lesson, right):
    _, student = lesson
    slider = explorer(student).locator(".mmcviz-slider")
    menu = explorer(student).locator(".mmcviz-run")
    for objective in ("cross_entropy", "distance", "margin"):
        menu.select_option(objective)
        slider.press("Home")
        seen = []
        for _ in range(4):
            before = pictures(student)
            counts, step, run = shown(student)
            assert run == objective
            assert counts == {title: right[objective][title][step] for title in ("SCE", "MMC")}
            seen.append(step)
            slider.press("ArrowRight")
            assert pictures(student) != before
        assert seen == [0, 1, 2, 3]
        slider.press("End")
        counts, step, _ = shown(student)
        assert step == 30
        assert counts == {title: right[objective][title][30] for title in ("SCE", "MMC")}


def test_the_canvas_describes_itself(lesson):
    _, student = lesson
    canvas = explorer(student).locator(".mmcviz-canvas").first
    assert canvas.get_attribute("role") == "img"
    before = canvas.get_attribute("aria-label")
    slider = explorer(student).locator(".mmcviz-slider")
    slider.press("Home")
    assert canvas.get_attribute("aria-label") != before


def test_python_and_the_browser_share_one_state(lesson):
    lab, student = lesson
    explorer(student).locator(".mmcviz-run").select_option("margin")
    explorer(student).locator(".mmcviz-slider").press("End")
    student.wait_for_kernel()
    assert lab.value("[lab.run, lab.step]") == ["margin", 30]
    assert lab.value("list(lab.sentences.values())") == sentences(student)
    lab.ask("lab.step = 7")
    until(explorer(student), step=7)
    assert shown(student)[1] == 7


def test_attack_now_computes_and_joins_the_menu(lesson):
    _, student = lesson
    page = student.page
    explorer(student).get_by_role("button", name="Attack now").click()
    page.wait_for_selector("text=/Computed on \\w+ in [0-9.]+ s/", timeout=120_000)
    status = explorer(student).locator(".mmcviz-status").inner_text()
    counts, step, run = shown(student)
    assert run.startswith("yours: margin, ε = 0.10, 50 steps")
    assert step == 1
    assert f"SCE {counts['SCE']} of 30" in status and f"MMC {counts['MMC']} of 30" in status


def test_both_themes_are_drawn(lesson):
    """The frame of the first image, which both models get right, takes the theme's blue."""
    _, student = lesson
    explorer(student).locator(".mmcviz-run").select_option("cross_entropy")
    explorer(student).locator(".mmcviz-slider").press("Home")
    has_colour = """(rgb) => {
      const canvas = [...document.querySelectorAll('.mmcviz-canvas')].at(-2);
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < pixels.length; i += 4)
        if (rgb.every((value, channel) => pixels[i + channel] === value)) return true;
      return false;
    }"""
    light, dark = [0, 114, 178], [86, 180, 233]
    assert student.page.evaluate(has_colour, light)
    student.use_theme(dark=True)
    until(explorer(student), theme="dark")
    student.page.wait_for_function(has_colour, arg=dark)
    assert not student.page.evaluate(has_colour, light)
    student.use_theme(dark=False)
    until(explorer(student), theme="light")
    student.page.wait_for_function(has_colour, arg=light)


def test_the_slider_works_after_the_kernel_is_gone(lesson, right):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    explorer(student).locator(".mmcviz-run").select_option("margin")
    lab.shut_down_kernels()
    assert lab.kernels() == []
    slider = explorer(student).locator(".mmcviz-slider")
    slider.press("Home")
    for step in (1, 2, 3):
        before = pictures(student)
        slider.press("ArrowRight")
        assert pictures(student) != before
        counts, now, _ = shown(student)
        assert now == step
        assert counts == {title: right["margin"][title][step] for title in ("SCE", "MMC")}
    assert own_errors(student) == []
