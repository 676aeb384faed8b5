"""The second lesson in real JupyterLab: centers moved by pointer and keys, angles as Python's."""

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
NAME = "02_class_centers.ipynb"
BENCH = ".mmcviz-workbench"


@pytest.fixture(scope="module")
def lesson(open_lesson):
    lab, student = open_lesson(NAME)
    until(student.page.locator(BENCH).first, ready="true")
    return lab, student


@pytest.fixture(scope="module")
def bench(lesson):
    """The workbench of the lesson's middle, unlocked, and what its kernel knows of it."""
    lab, student = lesson
    commit(student.page.locator(".mmcviz-prediction").first, 100, 90, 5)
    root = student.page.locator(BENCH).nth(1)
    root.locator(".mmcviz-sphere").wait_for()
    until(root, ready="true")
    bring_into_view(root)
    return root


def kernel(lab):
    """Smallest angle, code and centers, as Python has them."""
    return lab.value("[bench.geometry.smallest_angle, bench.code, bench.centers.tolist()]")


def begin(student, root, count, dim, arrangement="spread"):
    root.get_by_label("Dimensions d").select_option(str(dim))
    slider = root.get_by_label("Centers L")
    slider.focus()
    slider.press("Home")
    for _ in range(count - 2):
        slider.press("ArrowRight")
    root.get_by_label("Begin with").select_option(arrangement)
    assert root.get_attribute("data-count") == str(count)
    student.wait_for_kernel()


def agree(lab, root):
    """What page and kernel say of the present arrangement is the same."""
    angle, code, _ = kernel(lab)
    assert float(root.get_attribute("data-angle")) == pytest.approx(angle, abs=2e-3)
    pair = [int(i) for i in root.get_attribute("data-pair").split("-")]
    angles = lab.value("bench.geometry.angles.tolist()")
    assert angles[pair[0]][pair[1]] == pytest.approx(angle, abs=3e-3)
    sentence = said(root)
    assert float(re.search(r"smallest angle is ([\d.]+)°", sentence)[1]) == pytest.approx(
        angle, abs=0.01
    )
    best = float(root.get_attribute("data-best"))
    assert angle <= best + 1e-3
    missing = re.search(r"([\d.]+)° below the best known, ([\d.]+)°", sentence)
    if missing:
        assert float(missing[1]) == pytest.approx(best - angle, abs=0.02)
        assert float(missing[2]) == pytest.approx(best, abs=0.01)
    else:
        assert "no better arrangement is known" in sentence
        assert angle == pytest.approx(best, abs=0.02)
    assert root.locator(".mmcviz-codetext").first.input_value() == code
    return angle


def test_the_lesson_runs_and_begins_with_a_picture(lesson):
    _, student = lesson
    assert_clean(student)
    assert 0 <= place_of(student, BENCH) <= 2
    first = student.page.locator(BENCH).first
    assert first.locator(".mmcviz-controls").is_hidden()


def test_the_answers_wait_for_the_commitment(lesson):
    lab, student = lesson
    if student.page.locator(BENCH).nth(1).get_attribute("data-locked") == "true":
        assert lab.ask("print(bench.catalogue, guess.answers)").strip() == "{} {}"


def test_the_prediction_s_answers_are_those_of_the_workbench(lesson, bench):
    _, student = lesson
    said = student.page.locator(".mmcviz-prediction").first.inner_text()
    assert "3 centers: 120" in said and "4 centers: 90" in said
    assert "lost by moving one: 10" in said


@pytest.mark.parametrize(("count", "dim"), [(3, 2), (7, 3), (20, 3), (10, 0), (2, 2)])
def test_every_arrangement_is_measured_as_python_measures_it(lesson, bench, count, dim):
    lab, student = lesson
    begin(student, bench, count, dim)
    spread = agree(lab, bench)
    for option in bench.get_by_label("Begin with").locator("option").all():
        name = option.get_attribute("value")
        if name == "spread" or option.is_disabled():
            continue
        before = pictures(bench)
        bench.get_by_label("Begin with").select_option(name)
        student.wait_for_kernel()
        assert pictures(bench) != before or count == 2
        assert agree(lab, bench) <= spread + 1e-3
    bench.get_by_role("button", name="Spread again").click()
    student.wait_for_kernel()
    assert agree(lab, bench) == pytest.approx(spread, abs=1e-6)


def test_keys_choose_and_move_on_the_circle(lesson, bench):
    lab, student = lesson
    begin(student, bench, 3, 2)
    canvas = bench.locator(".mmcviz-sphere")
    canvas.press("]")
    assert bench.get_attribute("data-chosen") == "1"
    canvas.press("[")
    for key, angle in [("ArrowLeft", 119), ("ArrowLeft", 118), ("Shift+ArrowLeft", 108)]:
        before = pictures(bench)
        canvas.press(key)
        assert float(bench.get_attribute("data-angle")) == pytest.approx(angle, abs=2e-3)
        assert all_differ(before, pictures(bench))
    assert bench.get_attribute("data-pair") == "0-1"
    student.wait_for_kernel()
    agree(lab, bench)
    assert "Center 0 is chosen" in canvas.get_attribute("aria-label")


def test_keys_move_and_turn_on_the_sphere(lesson, bench):
    lab, student = lesson
    begin(student, bench, 8, 3)
    canvas = bench.locator(".mmcviz-sphere")
    best = float(bench.get_attribute("data-angle"))
    for key in ("d", "w", "s", "a"):
        before = pictures(bench)[0]
        canvas.press(key)
        assert pictures(bench)[0] != before
        assert float(bench.get_attribute("data-angle")) == pytest.approx(best)
    for key in ("ArrowUp", "ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
        canvas.press(key)
        student.wait_for_kernel()
        assert agree(lab, bench) < best
    _, _, centers = kernel(lab)
    assert all(sum(x * x for x in point) == pytest.approx(1, abs=1e-9) for point in centers)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_center_follows_the_pointer(lesson, bench, dim):
    lab, student = lesson
    begin(student, bench, 4, dim, "axes")
    canvas = bench.locator(".mmcviz-sphere")
    bring_into_view(canvas)
    box = canvas.bounding_box()
    side, mouse = box["width"], student.page.mouse
    middle = (box["x"] + side / 2, box["y"] + side / 2)
    radius = side / 2 - 34
    if dim == 3:  # turned so that the first axis looks at us
        lab.ask("bench.turn = [90, 0]")
        until(bench, turn="90,0")
        mouse.move(*middle)
    else:
        mouse.move(middle[0] + radius, middle[1])
    mouse.down()
    target = (middle[0] + 0.6 * radius, middle[1] - 0.8 * radius * (1 if dim == 2 else 0.5))
    mouse.move(*target, steps=4)
    mouse.up()
    student.wait_for_kernel()
    assert bench.get_attribute("data-chosen") == "0"
    angle = agree(lab, bench)
    assert angle < 90
    _, _, centers = kernel(lab)
    if dim == 2:
        assert centers[0] == pytest.approx([0.6, 0.8], abs=0.02)
    assert centers[1:] == [*([[0, 1], [-1, 0], [0, -1]] if dim == 2 else centers[1:])]


def test_a_code_restores_what_was_moved(lesson, bench):
    lab, student = lesson
    begin(student, bench, 6, 3)
    canvas = bench.locator(".mmcviz-sphere")
    for key in ("]", "]", "ArrowUp", "Shift+ArrowRight", "d"):
        canvas.press(key)
    student.wait_for_kernel()
    angle, code, centers = kernel(lab)
    before = pictures(bench)
    bench.get_by_role("button", name="Spread again").click()
    assert pictures(bench) != before
    bench.get_by_text("Replay code").click()
    bench.get_by_label("A replay code to restore").fill(code)
    bench.get_by_role("button", name="Restore").click()
    until(bench, moved=1)
    student.wait_for_kernel()
    assert pictures(bench) == before
    assert kernel(lab)[2] == centers
    assert agree(lab, bench) == pytest.approx(angle)


def test_the_table_lists_every_pair_by_its_angle(lesson, bench):
    lab, student = lesson
    begin(student, bench, 5, 2)
    rows = show_numbers(bench).all_inner_texts()
    assert len(rows) == 10
    assert sum("smallest" in row for row in rows) == 5
    bench.get_by_text("Show the numbers").click()


def test_both_themes_are_drawn(lesson, bench):
    _, student = lesson
    light, dark, again = in_both_themes(student, bench)
    assert all_differ(light, dark) and again == light


def test_without_a_kernel_it_moves_and_measures_as_before(lesson, bench):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    lab.shut_down_kernels()
    bench.get_by_label("Begin with").select_option("spread")
    canvas = bench.locator(".mmcviz-sphere")
    before = pictures(bench)
    canvas.press("Shift+ArrowLeft")
    assert float(bench.get_attribute("data-angle")) == pytest.approx(62, abs=2e-3)
    assert pictures(bench) != before
    assert own_errors(student) == []
