"""The third lesson in real JupyterLab: the film moves, and says the numbers of the film."""

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
    until,
    verdicts,
)

pytestmark = pytest.mark.browser
NAME = "03_what_losses_ask.ipynb"
FILM = ".mmcviz-film"
TITLES = ("SCE", "MMLDA", "L-GM", "MMC")


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson(NAME, seconds=400)


@pytest.fixture(scope="module")
def film(lesson):
    """The film, unlocked."""
    _, student = lesson
    commit(student.page.locator(".mmcviz-prediction").first)
    root = student.page.locator(FILM)
    until(root, ready="true")
    bring_into_view(root)
    return root


@pytest.fixture(scope="module")
def rows(lesson):
    lab, _ = lesson
    return lab.value("film.made.rows()")


def planes(root):
    return pictures(root, ".mmcviz-plane")


def agree(root, rows):
    """The sentence and the titles say the rows of the epoch that is shown."""
    epoch = int(root.get_attribute("data-epoch"))
    sentence = said(root)
    assert sentence.startswith(f"Epoch {epoch} of ")
    words = root.locator(".mmcviz-words").all_inner_texts()
    found = re.findall(r"([\w-]+) (\d+) right, median loss ([\d.]+), scatter ([\d.]+)", sentence)
    assert [title for title, *_ in found] == list(TITLES)
    for (title, right, loss, scatter), panel in zip(found, words, strict=True):
        row = next(r for r in rows if r["title"] == title and r["epoch"] == epoch)
        assert int(right) == row["right"]
        assert panel == f"{row['right']} of {row['images']} right"
        assert float(loss) == pytest.approx(row["median_loss"], rel=0.06)
        assert float(scatter.rstrip(".")) == pytest.approx(row["scatter"], rel=0.06)
    return epoch


def test_the_lesson_runs_and_its_first_picture_is_there(lesson):
    _, student = lesson
    assert_clean(student)
    assert 0 <= place_of(student, ".js-plotly-plot") <= 2


def test_the_film_waits_for_the_commitment(lesson):
    lab, student = lesson
    root = student.page.locator(FILM)
    if root.get_attribute("data-locked") == "true":
        assert lab.ask("print(film.film, guess.answers)").strip() == "b'' {}"


def test_the_answers_are_measured_on_the_film(lesson, film, rows):
    lab, student = lesson
    answers = lab.value("guess.answers")
    last = {row["title"]: row for row in rows if row["epoch"] == rows[-1]["epoch"]}
    assert list(last) == list(TITLES)
    assert answers["least scatter"] == min(last, key=lambda title: last[title]["scatter"])
    assert answers["farthest away"] == max(TITLES[1:], key=lambda title: last[title]["away"])
    for title in ("SCE", "MMC"):
        assert answers[f"stretch of {title}"] == round(last[title]["stretch"], 1)
    box = student.page.locator(".mmcviz-prediction").first
    assert "the answer" in box.inner_text()
    assert verdicts(box) == lab.value("guess.sentences")  # of choices and of numbers


def test_the_slider_moves_all_panels_and_the_sentence(film, rows):
    slider = film.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    seen = [agree(film, rows)]
    epochs = sorted({row["epoch"] for row in rows})
    for _ in epochs[1:]:
        before = planes(film)
        slider.press("ArrowRight")
        assert all_differ(before, planes(film))
        seen.append(agree(film, rows))
    assert seen == epochs


def test_the_class_of_the_contours_can_be_chosen(film):
    menu = film.get_by_role("combobox")
    seen = set()
    for label in ("0", "7", "-1"):
        menu.select_option(label)
        assert film.get_attribute("data-label") == label
        seen.add(tuple(planes(film)))
    assert len(seen) == 3
    label = film.locator(".mmcviz-plane").first.get_attribute("aria-label")
    assert "the nearest class" in label
    menu.select_option("0")


def test_a_feature_lies_where_python_has_it(lesson, film):
    """Pointing at the place of an image's feature finds that image, in each panel."""
    lab, student = lesson
    film.get_by_role("slider").press("End")
    reels = lab.value("[[r.extent, r.features[-1].tolist()] for r in film.made.reels]")
    for canvas, (extent, features) in zip(film.locator(".mmcviz-plane").all(), reels, strict=True):
        left, right, bottom, top = extent
        inside = [
            i
            for i, (x, y) in enumerate(features)
            if left < x < right
            and bottom < y < top
            and min((x - a) ** 2 + (y - b) ** 2 for j, (a, b) in enumerate(features) if j != i)
            > ((right - left) / 60) ** 2
        ]
        bring_into_view(canvas)
        box = canvas.bounding_box()
        assert inside
        for i in inside[:3]:
            x, y = features[i]
            student.page.mouse.move(
                box["x"] + box["width"] * (x - left) / (right - left),
                box["y"] + box["height"] * (top - y) / (top - bottom),
            )
            assert film.get_attribute("data-image") == str(i)
            assert f"Image {i}, class " in film.locator(".mmcviz-caption").inner_text()


def test_keys_step_through_images_and_epochs(film, rows):
    canvas = film.locator(".mmcviz-plane").nth(2)
    canvas.focus()
    before = film.get_attribute("data-image")
    canvas.press("]")
    assert film.get_attribute("data-image") != before
    step = int(film.get_attribute("data-step"))
    canvas.press("ArrowLeft")
    assert int(film.get_attribute("data-step")) == step - 1
    agree(film, rows)


def test_play_runs_to_the_end_and_pause_stops_it(lesson, film, rows):
    _, student = lesson
    film.get_by_role("slider").press("Home")
    play = film.locator(".mmcviz-play")
    play.click()
    student.page.wait_for_selector(f'{FILM}[data-step="2"]', timeout=20_000)
    play.click()
    assert film.get_attribute("data-playing") == "false"
    step = film.get_attribute("data-step")
    student.page.wait_for_timeout(1500)
    assert film.get_attribute("data-step") == step
    play.click()
    last = len({row["epoch"] for row in rows}) - 1
    student.page.wait_for_selector(f'{FILM}[data-step="{last}"][data-playing="false"]')
    agree(film, rows)


def test_with_reduced_motion_it_jumps(lesson, film):
    _, student = lesson
    student.page.emulate_media(reduced_motion="reduce")
    film.get_by_role("slider").press("Home")
    film.locator(".mmcviz-play").click()
    student.page.wait_for_selector(f'{FILM}[data-step="1"]', timeout=20_000)
    still = planes(film)
    student.page.wait_for_timeout(150)  # in which a gliding feature would have moved
    assert planes(film) == still
    film.locator(".mmcviz-play").click()
    student.page.emulate_media(reduced_motion="no-preference")


def test_python_and_the_browser_share_one_state_and_one_code(lesson, film):
    lab, student = lesson
    lab.ask("film.step = 4; film.label = 3; film.image = 12")
    student.page.wait_for_selector(f'{FILM}[data-step="4"][data-label="3"][data-image="12"]')
    film.get_by_text("Replay code").click()
    code = film.locator(".mmcviz-codetext").first.input_value()
    assert lab.value("film.code") == code
    film.get_by_role("slider").press("ArrowRight")
    student.wait_for_kernel()
    assert lab.value("film.step") == 5


def test_both_themes_are_drawn(lesson, film):
    _, student = lesson
    light, dark, again = in_both_themes(student, film, ".mmcviz-plane")
    assert all_differ(light, dark) and again == light


def test_there_are_at_most_two_webgl_figures(lesson):
    _, student = lesson
    spaces = student.page.evaluate(
        "() => document.querySelectorAll('.js-plotly-plot .gl-container canvas').length"
    )
    assert spaces <= 2


def test_without_a_kernel_it_still_moves(lesson, film, rows):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    lab.shut_down_kernels()
    slider = film.get_by_role("slider")
    slider.press("Home")
    for _ in range(2):
        before = planes(film)
        slider.press("ArrowRight")
        assert planes(film) != before
        agree(film, rows)
    assert own_errors(student) == []
