"""The first lesson in real JupyterLab, in a real browser."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mmc_viz.browser import jupyter_lab, visit

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "01_slide_epsilon.ipynb"
EXPLORER = '.mmcviz-explorer[data-ready="true"]'


@pytest.fixture(scope="module")
def lesson(chromium, tmp_path_factory):
    """The notebook after Run All: the server, the student's page."""
    folder = tmp_path_factory.mktemp("lesson")
    shutil.copy(NOTEBOOK, folder)
    with jupyter_lab(folder) as lab, visit() as student:
        student.open_notebook(lab, NOTEBOOK.name)
        student.run_all()
        student.page.wait_for_selector(EXPLORER, timeout=180_000)
        student.wait_until_idle(300)
        yield lab, student


@pytest.fixture(scope="module")
def right(lesson):
    """How many images are still right, as the kernel's own paths say: [objective][title][step]."""
    lab, _ = lesson
    code = (
        "import json; print(json.dumps({o: {t: p.right.tolist() for t, p in r.items()}"
        " for o, r in runs.items()}))"
    )
    return json.loads(ask_kernel(lab, code))


def ask_kernel(lab, code):
    """Run code in the lesson's kernel and return what it prints."""
    from jupyter_client import BlockingKernelClient

    client = BlockingKernelClient()
    client.load_connection_file(str(lab.runtime / f"kernel-{lab.kernels()[0]}.json"))
    client.start_channels()
    printed = []

    def keep(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(code, output_hook=keep, timeout=60)
    finally:
        client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def sentences(student):
    return student.page.locator(".mmcviz-sentence").all_inner_texts()


def pictures(student):
    return student.page.evaluate(
        "() => [...document.querySelectorAll('.mmcviz-canvas')].map((c) => c.toDataURL())"
    )


def shown(student):
    """How many images each panel's sentence calls right, and the step and run of the view."""
    root = student.page.locator(EXPLORER).first
    counts = {}
    for sentence in sentences(student):
        found = re.match(r"(\w+): (\d+) of 30 still right \((\d+) %\)", sentence)
        counts[found[1]] = int(found[2])
        assert int(found[3]) == int(100 * int(found[2]) / 30 + 0.5)
    return counts, int(root.get_attribute("data-step")), root.get_attribute("data-run")


def test_run_all_leaves_no_error_on_the_page_or_in_the_console(lesson):
    _, student = lesson
    assert student.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    text = student.page.locator(".jp-Notebook").inner_text()
    assert "Error displaying widget" not in text
    assert student.errors == []


def test_the_first_picture_stands_under_the_third_code_cell(lesson):
    _, student = lesson
    place = student.page.evaluate(
        """() => [...document.querySelectorAll('.jp-CodeCell')]
              .findIndex((cell) => cell.querySelector('.mmcviz-explorer'))"""
    )
    assert place == 2
    assert student.page.locator(".mmcviz-canvas").count() == 2


def test_arrow_keys_move_the_pictures_and_the_sentences_say_the_path_s_numbers(lesson, right):
    _, student = lesson
    slider = student.page.locator(".mmcviz-slider").first
    menu = student.page.locator(".mmcviz-run").first
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
    canvas = student.page.locator(".mmcviz-canvas").first
    assert canvas.get_attribute("role") == "img"
    before = canvas.get_attribute("aria-label")
    slider = student.page.locator(".mmcviz-slider").first
    slider.press("Home")
    assert canvas.get_attribute("aria-label") != before


def test_python_and_the_browser_share_one_state(lesson):
    lab, student = lesson
    student.page.locator(".mmcviz-run").first.select_option("margin")
    student.page.locator(".mmcviz-slider").first.press("End")
    student.page.wait_for_timeout(500)
    code = "e = lab.explorer; print(e.run, e.step, *e.sentences.values())"
    said = ask_kernel(lab, code)
    assert said.split(" ", 2) == ["margin", "30", " ".join(sentences(student)) + "\n"]
    ask_kernel(lab, "lab.explorer.step = 7")
    student.page.wait_for_selector(EXPLORER + '[data-step="7"]')


def test_attack_now_computes_and_joins_the_menu(lesson):
    _, student = lesson
    page = student.page
    page.get_by_role("button", name="Attack now").first.click()
    page.wait_for_selector("text=/Computed on \\w+ in [0-9.]+ s/", timeout=120_000)
    status = page.locator('[role="status"]', has_text="Computed on").first.inner_text()
    counts, step, run = shown(student)
    assert run.startswith("yours: margin, ε = 0.10, 50 steps")
    assert step == 1
    assert f"SCE {counts['SCE']} of 30" in status and f"MMC {counts['MMC']} of 30" in status


def test_both_themes_are_drawn(lesson):
    """The frame of the first image, which both models get right, takes the theme's blue."""
    _, student = lesson
    student.page.locator(".mmcviz-run").first.select_option("cross_entropy")
    student.page.locator(".mmcviz-slider").first.press("Home")
    has_colour = """(rgb) => {
      const canvas = document.querySelector('.mmcviz-canvas');
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < pixels.length; i += 4)
        if (rgb.every((value, channel) => pixels[i + channel] === value)) return true;
      return false;
    }"""
    light, dark = [0, 114, 178], [86, 180, 233]
    assert student.page.evaluate(has_colour, light)
    student.use_theme(dark=True)
    student.page.wait_for_selector(EXPLORER + '[data-theme="dark"]')
    student.page.wait_for_function(has_colour, arg=dark)
    assert not student.page.evaluate(has_colour, light)
    student.use_theme(dark=False)
    student.page.wait_for_selector(EXPLORER + '[data-theme="light"]')
    student.page.wait_for_function(has_colour, arg=light)


def test_the_slider_works_after_the_kernel_is_gone(lesson, right):
    """The last test of this file: the kernel does not come back."""
    lab, student = lesson
    assert student.errors == []
    student.page.locator(".mmcviz-run").first.select_option("margin")
    lab.shut_down_kernels()
    assert lab.kernels() == []
    slider = student.page.locator(".mmcviz-slider").first
    slider.press("Home")
    for step in (1, 2, 3):
        before = pictures(student)
        slider.press("ArrowRight")
        assert pictures(student) != before
        counts, now, _ = shown(student)
        assert now == step
        assert counts == {title: right["margin"][title][step] for title in ("SCE", "MMC")}
    # JupyterLab and ipywidgets complain that nobody listens any more. What comes from our own
    # module, which the browser knows as a blob, would be ours to mend.
    assert not any("blob:" in error for error in student.errors)
