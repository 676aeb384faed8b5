"""The ninth lesson in JupyterLab: both sliders of the noise bench, and what it says."""

import re

import pytest
from lessons import (
    all_differ,
    assert_clean,
    bring_into_view,
    commit,
    in_both_themes,
    own_errors,
    pictures,
    place_of,
    said,
    show_numbers,
    until,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson("09_black_boxes_and_noise.ipynb")


def bench(student, which=-1):
    """The benches: SCE alone, then both models."""
    return student.page.locator(".mmcviz-bench").nth(which)


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert_clean(student)


def test_the_first_picture_stands_under_the_second_code_cell(lesson):
    _, student = lesson
    assert place_of(student, ".mmcviz-charts") == 1
    assert bench(student, 0).get_attribute("data-ready") == "true"


def test_the_second_bench_waits_for_the_first_prediction(lesson):
    lab, student = lesson
    assert bench(student).get_attribute("data-locked") == "true"
    assert lab.value("len(bench.get_state()['bench'])") == 0
    boxes = student.page.locator(".mmcviz-prediction")
    verdict = " ".join(commit(boxes.nth(0)))
    for words, where in (("σ = 0.15", "sigma=0.15"), ("20°", "degrees=20")):
        count = lab.value(f"bench.right('MMC', {where})")
        assert re.search(rf"{words}: {count}\b", verdict)
    bring_into_view(bench(student))
    until(bench(student), ready="true")


def test_the_other_answers_are_those_of_the_cells(lesson):
    lab, student = lesson
    boxes = student.page.locator(".mmcviz-prediction")
    verdict = " ".join(commit(boxes.nth(2)))
    own, foreign = lab.value("[int(blind.correct[s, 1].sum()) for s in (1, 0)]")
    assert re.search(rf"made on MMC itself: {own}\b", verdict)
    assert re.search(rf"made on SCE: {foreign}\b", verdict)
    assert foreign < own  # what the lesson goes on to explain
    verdict = " ".join(commit(boxes.nth(3)))
    for name, count in lab.value("asked").items():
        assert re.search(rf"{name}: {count}\b", verdict)


def test_each_slider_moves_all_pictures_and_the_sentence_is_the_kernel_s(lesson):
    lab, student = lesson
    root = bench(student)
    grain, turn = root.locator(".mmcviz-slider").all()
    for slider, key, name in ((grain, "End", "noise"), (turn, "ArrowRight", "turn")):
        before = pictures(root), said(root)
        slider.press(key)
        assert all_differ(before[0], pictures(root))
        assert said(root) != before[1]
        student.wait_for_kernel()
        assert lab.value(f"bench.{name}") == int(root.get_attribute(f"data-{name}"))
        assert lab.value("bench.sentence") == said(root)
    for noise, angle in ((0, 8), (3, 0), (10, 16)):
        lab.ask(f"bench.noise, bench.turn = {noise}, {angle}")
        until(root, noise=noise, turn=angle)
        assert lab.value("bench.sentence") == said(root)


def test_the_browser_draws_the_very_bytes_that_were_judged(lesson):
    """A grid is painted from a canvas with all images at their own resolution, which is read."""
    lab, student = lesson
    root = bench(student)
    lab.ask("bench.noise, bench.turn = 4, 10")
    until(root, noise=4, turn=10)
    student.page.evaluate(
        """() => {
          const put = CanvasRenderingContext2D.prototype.putImageData;
          CanvasRenderingContext2D.prototype.putImageData = function (image, ...rest) {
            window.put = [image.width, [...image.data].filter((_, i) => i % 4 === 0)];
            return put.call(this, image, ...rest);
          };
        }"""
    )
    root.locator(".mmcviz-slider").last.press("ArrowRight")
    width, red = student.page.evaluate("() => window.put")
    columns = width // 28
    drawn = [
        [
            red[(28 * (n // columns) + y) * width + 28 * (n % columns) + x]
            for y in range(28)
            for x in range(28)
        ]
        for n in range(30)
    ]
    assert drawn == lab.value("bench.disturbances.images(4, 11).flatten(1).tolist()")


def test_pointing_at_an_image_names_what_is_seen(lesson):
    lab, student = lesson
    root = bench(student)
    canvas = root.locator(".mmcviz-panel canvas").first
    canvas.press("ArrowRight")
    caption = root.locator(".mmcviz-caption").inner_text()
    names = lab.value("list(bench.disturbances.class_names)")
    label = lab.value("int(bench.disturbances.labels[1])")
    assert caption.startswith(f"True class: {names[label]}. SCE sees ")
    assert "; MMC sees " in caption
    canvas.evaluate("(c) => c.blur()")


def test_the_table_holds_every_pair_of_strengths(lesson):
    lab, student = lesson
    root = bench(student)
    rows = show_numbers(root)
    right = lab.value("bench.disturbances.right('MMC').flatten().tolist()")
    assert rows.count() == len(right)
    for k in (0, 8, len(right) - 1):
        assert rows.nth(k).locator("td").last.inner_text() == str(right[k])


def test_other_noise_is_drawn_by_the_kernel(lesson):
    _, student = lesson
    root = bench(student)
    before = pictures(root)
    root.get_by_role("button", name="Draw other noise").click()
    root.get_by_text("This is the noise of seed 1.").wait_for(timeout=90_000)
    student.page.wait_for_timeout(800)
    assert pictures(root) != before
    root.get_by_text("Replay code").click()
    assert "seed=1" in root.locator(".mmcviz-codetext").first.input_value()


def test_both_themes_are_drawn(lesson):
    _, student = lesson
    root = bench(student)
    light, dark, again = in_both_themes(student, root)
    assert all_differ(light, dark) and again == light


def test_the_sliders_work_after_the_kernel_is_gone(lesson):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    lab.shut_down_kernels()
    root = bench(student, 0)
    bring_into_view(root)
    for slider in root.locator(".mmcviz-slider").all():
        before = pictures(root), said(root)
        slider.press("ArrowRight")
        assert all_differ(before[0], pictures(root))
        assert said(root) != before[1]
    assert own_errors(student) == []
