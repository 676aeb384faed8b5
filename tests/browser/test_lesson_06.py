"""The sixth lesson in real JupyterLab: points that move, a brush that all maps share."""

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
    show_numbers,
    until,
)

pytestmark = pytest.mark.browser
NAME = "06_feature_maps.ipynb"
VIEW = ".mmcviz-features"


@pytest.fixture(scope="module")
def lesson(open_lesson):
    lab, student = open_lesson(NAME, seconds=400)
    until(student.page.locator(VIEW).first, ready="true")
    return lab, student


@pytest.fixture(scope="module")
def before(lesson):
    """What page and kernel hold before anything is committed."""
    lab, student = lesson
    root = student.page.locator(VIEW).nth(1)
    sent = lab.value("[len(view.atlas), len(view.bundle), guess.answers]")
    return root.get_attribute("data-locked"), root.locator("canvas").count(), sent


@pytest.fixture(scope="module")
def view(lesson, before):
    """The view of both models, unlocked."""
    _, student = lesson
    commit(student.page.locator(".mmcviz-prediction").first, 0.5, 1, 70)
    root = student.page.locator(VIEW).nth(1)
    root.locator(".mmcviz-map").nth(1).wait_for()
    bring_into_view(root)
    until(root, ready="true")
    return root


def go(root, step):
    slider = root.locator(".mmcviz-slider")
    slider.focus()
    slider.press("Home")
    for _ in range(step):
        slider.press("ArrowRight")
    until(root, step=step, moving="false")


def pixels(lab, root, place, title, step):
    """Where the points of a map stand on the page's canvas, from the kernel's own positions."""
    name = root.get_attribute("data-map")
    positions = lab.value(f"view.maps[{name!r}][{title!r}].positions[{step}].tolist()")
    plane = root.locator(".mmcviz-map").nth(place).get_attribute("data-plane")
    x, y, scale = map(float, plane.split(","))
    return [(x + scale * a, y - scale * b) for a, b in positions]


def test_the_lesson_runs_and_begins_with_a_picture(lesson):
    _, student = lesson
    assert_clean(student)
    assert 0 <= place_of(student, VIEW) <= 2


def test_the_maps_wait_for_the_commitment(before):
    assert before == ("true", 0, [0, 0, {}])


def test_the_sentence_is_the_kernel_s_at_every_budget(lesson, view):
    lab, student = lesson
    for step in (0, 5, 15):
        shown = pictures(view)
        go(view, step)
        assert step == 0 or pictures(view) != shown
        student.wait_for_kernel()
        assert lab.value("[view.step, view.sentence]") == [step, said(view)]


def test_every_map_is_drawn_and_labelled_with_what_it_distorts(lesson, view):
    _, student = lesson
    seen = []
    for name, words in (("plane", "blind across it"), ("umap", "keeps neighbours"), ("pca", "PCA")):
        view.locator(".mmcviz-mapname").select_option(name)
        until(view, map=name)
        assert words in view.locator(".mmcviz-note").inner_text()
        assert view.locator(".mmcviz-quality").count() == 2
        assert "in feature space" in view.locator(".mmcviz-quality").first.inner_text()
        seen.append(pictures(view)[-4:])
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_a_brush_picks_the_same_images_in_all_maps(lesson, view):
    """A rectangle dragged over one map picks exactly the points in it, in both maps."""
    lab, student = lesson
    go(view, 6)
    points = pixels(lab, view, 0, "SCE", 6)
    canvas = view.locator(".mmcviz-map").first
    bring_into_view(canvas)
    box = canvas.bounding_box()
    left, right = 0.2 * box["width"], 0.6 * box["width"]
    top, bottom = 0.2 * box["height"], 0.8 * box["height"]
    wanted = [n for n, (x, y) in enumerate(points) if left <= x <= right and top <= y <= bottom]
    assert 0 < len(wanted) < len(points)
    mouse = student.page.mouse
    before = pictures(view)
    mouse.move(box["x"] + left, box["y"] + top)
    mouse.down()
    mouse.move(box["x"] + (left + right) / 2, box["y"] + bottom - 9, steps=3)
    mouse.move(box["x"] + right, box["y"] + bottom, steps=3)
    mouse.up()
    text = ",".join(map(str, wanted))
    assert view.get_attribute("data-chosen") == text
    for strip in view.locator(".mmcviz-strip").all():
        shown = strip.get_attribute("data-shown").split(",")
        assert shown == text.split(",")[: len(shown)] and len(shown) >= min(len(wanted), 10)
    after = pictures(view)
    maps = [i for i, _ in enumerate(after) if before[i] != after[i]]
    assert len(maps) >= 4  # two maps and two strips
    student.wait_for_kernel()
    assert lab.value("view.chosen") == wanted


def test_keys_walk_pick_and_clear(lesson, view):
    _, student = lesson
    canvas = view.locator(".mmcviz-map").nth(1)
    canvas.focus()
    canvas.press("Escape")
    assert view.get_attribute("data-chosen") == ""
    captions = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        canvas.press(key)
        captions.append(view.locator(".mmcviz-caption").inner_text())
    assert len(set(captions)) >= 3 and all(text.startswith("Image ") for text in captions)
    canvas.press(" ")
    first = view.get_attribute("data-chosen")
    assert captions[-1].startswith(f"Image {first},")
    canvas.press(" ")
    assert view.get_attribute("data-chosen") == ""


def test_a_class_can_be_shown_alone_and_tails_hidden(lesson, view):
    lab, student = lesson
    before = pictures(view)
    view.get_by_role("button", name="Sandal").click()
    alone = pictures(view)
    assert alone != before
    student.wait_for_kernel()
    assert lab.value("view.classes") == [5]
    view.get_by_role("button", name="Sandal").click()
    view.locator(".mmcviz-tails").uncheck()
    assert pictures(view) != before
    view.locator(".mmcviz-tails").check()
    student.page.mouse.move(0, 0)
    assert view.get_attribute("data-tails") == "true"


def test_who_wants_no_motion_gets_none(lesson, view):
    _, student = lesson
    go(view, 3)
    slider = view.locator(".mmcviz-slider")
    student.page.emulate_media(reduced_motion="reduce")
    try:
        slider.press("ArrowRight")
        assert view.get_attribute("data-moving") == "false"
        assert view.get_attribute("data-step") == "4"
    finally:
        student.page.emulate_media(reduced_motion="no-preference")


def test_play_goes_to_the_end(lesson, view):
    _, student = lesson
    go(view, 12)
    view.get_by_role("button", name="Play").click()
    until(view, step=15, moving="false")
    view.get_by_role("button", name="Play").wait_for()


def test_the_table_states_the_counts(lesson, view):
    lab, student = lesson
    rows = show_numbers(view)
    assert rows.count() == 16
    wanted = lab.value("[j.path.success.sum(dim=1).tolist() for j in view.journeys.values()]")
    for k, row in enumerate(rows.all()):
        cells = row.locator("td").all_inner_texts()
        assert [int(cells[0]), int(cells[4])] == [wanted[0][k], wanted[1][k]]


def test_both_themes_are_drawn_and_nothing_complains(lesson, view):
    _, student = lesson
    canvas = view.locator(".mmcviz-map").first
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press(" ")  # without an image picked, the strips are empty in either theme
    light, dark, again = in_both_themes(student, view)
    assert all_differ(light, dark) and again == light
    assert student.errors == []
