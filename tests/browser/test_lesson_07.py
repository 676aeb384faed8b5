"""The seventh lesson in JupyterLab: every control of the microscope, and what it says."""

import re

import pytest
from lessons import (
    all_differ,
    assert_clean,
    bring_into_view,
    commit,
    in_both_themes,
    place_of,
    said,
    show_numbers,
    until,
    until_still,
)

pytestmark = pytest.mark.browser
SHOWN = ("subject", "objective", "restart", "step")
CANVASES = ".mmcviz-hill, .mmcviz-pictures, .mmcviz-curves"


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson("07_attack_microscope.ipynb")


def scope(student, which=0):
    """The microscopes: SCE alone, both models, the three starts of the distance."""
    return student.page.locator(".mmcviz-microscope").nth(which)


def pictures(root):
    """What the three canvases show, once the point has stopped gliding."""
    return until_still(root, CANVASES)


def menu(root, name):
    """Find the menu of a model, an objective or a start."""
    return root.locator("select").nth(SHOWN.index(name))


def state(root):
    return [root.get_attribute(f"data-{name}") for name in SHOWN]


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert_clean(student)


def test_the_first_picture_stands_under_the_second_code_cell(lesson):
    _, student = lesson
    assert place_of(student, ".mmcviz-hill") == 1
    assert scope(student).get_attribute("data-ready") == "true"


def test_before_a_commitment_the_page_holds_no_climb(lesson):
    lab, student = lesson
    for which in (1, 2):
        root = scope(student, which)
        assert root.get_attribute("data-locked") == "true"
        assert root.locator(".mmcviz-lock").is_visible()
        assert not root.locator(".mmcviz-hill").is_visible()
    assert lab.value("[len(w.get_state()['slides']) for w in (scope, three)]") == [0, 0]


def test_the_answers_are_those_of_the_climbs(lesson):
    lab, student = lesson
    boxes = student.page.locator(".mmcviz-prediction")
    step, fate = commit(boxes.nth(0))
    wanted = lab.value("scope.fooled_at('MMC', 'margin')")
    assert re.match(rf"first step at which the margin fools MMC: {wanted}\b", step)
    assert lab.value("scope.fate('MMC', 'cross_entropy')") in fate
    (starts,) = commit(boxes.nth(1))
    wanted = lab.value("three.fooling('MMC', 'distance')")
    assert re.match(rf"starts that fool MMC: {wanted}\b", starts)
    (best,) = commit(boxes.nth(2))
    assert lab.value("min(sweep, key=lambda name: int(sweep[name].right[-1]))") in best
    for which in (1, 2):
        bring_into_view(scope(student, which))
        until(scope(student, which), ready="true")
    assert state(scope(student, 1))[0] == "MMC"  # as the cell asked for
    assert state(scope(student, 2)) == ["MMC", "distance", "0", "20"]


def test_every_control_moves_the_picture_and_the_sentence(lesson):
    lab, student = lesson
    root = scope(student, 1)
    bring_into_view(root)
    for value, name in (("SCE", "subject"), ("margin", "objective"), ("MMC", "subject")):
        before = pictures(root), said(root)
        menu(root, name).select_option(value)
        assert root.get_attribute(f"data-{name}") == value
        after = pictures(root), said(root)
        assert all_differ(before[0], after[0])
        assert before[1] != after[1]
    steps = []
    for name in ("forward", "forward", "back", "last", "first"):
        before = pictures(root)
        root.locator(f'[data-do="{name}"]').click()
        assert all_differ(before, pictures(root))
        steps.append(int(root.get_attribute("data-step")))
    assert steps == [1, 2, 1, 20, 0]
    assert root.locator('[data-do="back"]').is_disabled()
    root.locator(".mmcviz-slider").press("ArrowRight")
    root.locator(".mmcviz-hill").press("ArrowRight")
    assert root.get_attribute("data-step") == "2"
    root.locator(".mmcviz-hill").press("End")
    assert root.get_attribute("data-step") == "20"
    root.locator('[data-do="play"]').click()  # from the end it begins anew
    student.page.wait_for_function(
        "(r) => Number(r.dataset.step) >= 2 && Number(r.dataset.step) < 20",
        arg=root.element_handle(),
    )
    root.locator('[data-do="play"]').click()
    paused = root.get_attribute("data-step")
    student.page.wait_for_timeout(900)
    assert root.get_attribute("data-step") == paused
    box = root.locator(".mmcviz-curves").bounding_box()
    root.locator(".mmcviz-curves").click(position={"x": box["width"] / 2, "y": 60})
    assert 5 < int(root.get_attribute("data-step")) < 15
    student.wait_for_kernel()
    shown = "[scope.subject, scope.objective, str(scope.restart), str(scope.step)]"
    assert lab.value(shown) == state(root)


@pytest.mark.parametrize("objective", ["distance", "margin"])
def test_what_it_says_is_what_the_kernel_would_say(lesson, objective):
    lab, student = lesson
    lab.ask("import mmc_viz.widgets.attack_microscope as writing")
    root = scope(student, 2)
    menu(root, "objective").select_option(objective)
    for restart in range(3):
        menu(root, "restart").select_option(str(restart))
        for step in (0, 3, 20):
            root.locator(".mmcviz-slider").fill(str(step))
            slide = f"three._find('MMC', '{objective}', {restart})"
            wanted = f"writing.write_sentence(three._header, {slide}, {step})"
            assert said(root) == lab.value(wanted)
            label = root.locator(".mmcviz-hill").get_attribute("aria-label")
            assert said(root) in label
    assert root.locator(".mmcviz-hill").get_attribute("role") == "img"


def test_the_table_holds_the_climb(lesson):
    lab, student = lesson
    root = scope(student, 2)
    rows = show_numbers(root)
    assert rows.count() == 21
    margins = lab.value(
        f"three._find('MMC', 'margin', {root.get_attribute('data-restart')})['margins']"
    )
    for k in (0, 7, 20):
        cells = rows.nth(k).locator("th, td").all_inner_texts()
        assert int(cells[0]) == k
        assert float(cells[2].replace("−", "-")) == pytest.approx(margins[k], abs=0.06)


def test_attacking_again_computes_in_the_kernel_and_a_code_brings_it_back(lesson):
    lab, student = lesson
    root = scope(student)
    bring_into_view(root)
    root.get_by_text("Replay code").click()
    code = root.locator(".mmcviz-codetext").first.input_value()
    before = pictures(root), said(root)
    root.get_by_label("steps", exact=True).fill("7")
    root.get_by_label("ε", exact=True).fill("0.1")
    root.get_by_role("button", name="Attack again").click()
    root.get_by_text("Done: this is the new attack.").wait_for(timeout=60_000)
    student.page.wait_for_function(
        "(r) => r.querySelector('.mmcviz-slider').max === '7'", arg=root.element_handle()
    )
    root.locator('[data-do="last"]').click()
    assert re.match(r"Step 7 of 7: margin ", said(root))
    assert lab.value("[first.settings.eps, first.settings.steps]") == [0.1, 7]
    root.get_by_label("steps", exact=True).fill("1000")
    root.get_by_role("button", name="Attack again").click()
    root.get_by_text("must be a whole number, 1 to 100; got 1000").wait_for()
    root.get_by_label("A replay code to restore").fill(code)
    root.get_by_role("button", name="Restore").click()
    student.page.wait_for_function(
        "(r) => r.querySelector('.mmcviz-slider').max === '20' && r.dataset.step === '0'",
        arg=root.element_handle(),
        timeout=60_000,
    )
    assert (pictures(root), said(root)) == before


def test_both_themes_are_drawn(lesson):
    _, student = lesson
    root = scope(student)
    bring_into_view(root)
    light, dark, again = in_both_themes(student, root, CANVASES)
    assert all_differ(light, dark) and again == light


def test_it_steps_after_the_kernel_is_gone_and_without_motion(lesson):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    lab.shut_down_kernels()
    student.page.emulate_media(reduced_motion="reduce")
    root = scope(student)
    root.locator('[data-do="first"]').click(force=True)
    seen = [pictures(root)]
    for step in (1, 2, 3):
        root.locator('[data-do="forward"]').click()
        assert root.get_attribute("data-step") == str(step)
        assert said(root).startswith(f"Step {step} of 20")
        assert pictures(root) not in seen
        seen.append(pictures(root))
    root.locator('[data-do="play"]').click()  # nothing moves on its own: it jumps
    assert root.get_attribute("data-step") == "20"
    assert not [error for error in student.errors if "blob:" in error]
