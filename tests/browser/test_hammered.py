"""Sliders hammered as fast as the browser takes it: the last value wins, and nothing piles up.

Without a kernel on an exported page, with one in JupyterLab. It takes seconds; MMC_VIZ_HAMMER says
how many to hammer each page and each notebook, for instance a minute. Then a second page, of a
widget that JupyterLab's test has too, gets its turn.
"""

import os
import time

import nbformat
import pytest
from exported import FACE, commit_all, open_page
from lessons import assert_clean, bring_into_view, until

pytestmark = pytest.mark.browser

SECONDS = float(os.environ.get("MMC_VIZ_HAMMER", "2"))
PAGES = ["01_slide_epsilon.ipynb"]
if "MMC_VIZ_HAMMER" in os.environ:
    PAGES.append("09_black_boxes_and_noise.ipynb")
KEYS = ("ArrowRight", "ArrowRight", "End", "ArrowLeft", "PageDown", "Home", "ArrowUp", "PageUp")

#: Widgets of several kinds, each with the trait that its slider moves.
NOTEBOOK = """
from mmc_viz.widgets import AttackMicroscope, EpsilonExplorer, LiveTrainer, NoiseBench
models, dataset = ["digits-sce", "digits-mmc"], "digits"
---
explorer = EpsilonExplorer.of(models=models, dataset=dataset, images=range(12), steps=5, count=16)
explorer
---
microscope = AttackMicroscope.of(models=models, dataset=dataset, image=0, steps=12, restarts=1)
microscope
---
bench = NoiseBench.of(models=models, dataset=dataset, images=range(12))
bench
---
trainer = LiveTrainer.of(epochs=4, taken=48)
trainer
"""
KINDS = {
    "explorer": ("explorer", "step", "list(explorer.sentences.values())", ".mmcviz-sentence"),
    "microscope": ("microscope", "step", "[microscope.sentence]", ".mmcviz-say"),
    "bench": ("bench", "noise", "[bench.sentence]", ".mmcviz-say"),
    "trainer": ("trainer", "epoch", "[trainer.sentence]", ".mmcviz-say"),
}

#: Memory of the kernel in bytes, and the objects that it keeps.
KERNEL = (
    "[int(open('/proc/self/statm').read().split()[1]) * 4096,"
    " [__import__('gc').collect(), len(__import__('gc').get_objects())][1]]"
)


class Meter:
    """What a page takes, after all that nobody needs any more has been collected."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable")
        self.session.send("HeapProfiler.enable")
        self.page = page

    def read(self):
        self.page.wait_for_timeout(500)  # what was put off has been done
        for _ in range(2):
            self.session.send("HeapProfiler.collectGarbage")
        found = self.session.send("Performance.getMetrics")["metrics"]
        names = {"JSHeapUsedSize": "heap", "Nodes": "nodes", "JSEventListeners": "listeners"}
        return {names[one["name"]]: one["value"] for one in found if one["name"] in names}


def assert_did_not_grow(before, after):
    """No more than what JupyterLab itself makes now and then, whatever the number of moves."""
    print("before", before, "after", after)
    assert after["listeners"] <= before["listeners"] + 5
    assert after["nodes"] <= before["nodes"] + 100
    assert after["heap"] <= before["heap"] + 1_000_000


def sliders(page):
    """All sliders of a page that can be moved."""
    found = page.locator(".mmcviz input[type=range]:enabled").all()
    return [one for one in found if one.is_visible() and one.get_attribute("max") != "0"]


def hammer(page, slider, seconds):
    """Press keys and drag, as fast as the page takes it. Count the moves."""
    bring_into_view(slider)
    box = slider.bounding_box()
    middle, moves, until = box["y"] + box["height"] / 2, 0, time.monotonic() + seconds
    while time.monotonic() < until:
        slider.focus()
        for key in KEYS:
            page.keyboard.press(key)
        page.mouse.move(box["x"] + 8, middle)
        page.mouse.down()
        for share in (0.9, 0.2, 0.6, 0.4):
            page.mouse.move(box["x"] + share * box["width"], middle, steps=5)
        page.mouse.up()
        moves += len(KEYS) + 20
    return moves


def press(slider, *keys):
    slider.focus()
    for key in keys:
        slider.page.keyboard.press(key)
    return slider.input_value()


def face(slider):
    """All that is seen and heard of the widget of a slider, once nothing moves any more."""
    root = slider.locator("xpath=ancestor::section[contains(@class, 'mmcviz')]")
    before = None
    while (now := root.evaluate(FACE)) != before:
        before = now
        slider.page.wait_for_timeout(400)
    return now


@pytest.mark.parametrize("name", PAGES)
def test_hammered_without_a_kernel_a_page_shows_the_last_value_and_does_not_grow(
    name, page_of, chromium
):
    with open_page(page_of(name)) as seen:
        page = seen.page
        commit_all(page)
        meter, found = Meter(page), sliders(page)
        for slider in found:
            hammer(page, slider, SECONDS / 16)
        before = meter.read()
        moves = sum(hammer(page, slider, SECONDS / len(found)) for slider in found)
        print(name, len(found), "sliders,", moves, "moves")
        assert_did_not_grow(before, meter.read())
        for slider in found:
            wanted = press(slider, "Home", "ArrowRight", "ArrowRight")
            calm = face(slider)
            press(slider, *KEYS, "End", "Home", "ArrowRight", "ArrowRight")
            assert slider.input_value() == wanted
            assert face(slider) == calm
        assert seen.errors == []


@pytest.fixture(scope="module")
def opened(open_lesson, tmp_path_factory):
    """A notebook with a widget of each kind, after Run All: the server, the student's page."""
    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in NOTEBOOK.split("---")]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=spec)
    path = tmp_path_factory.mktemp("hammered") / "hammered.ipynb"
    nbformat.write(notebook, path)
    return open_lesson(path)


@pytest.mark.parametrize("kind", KINDS)
def test_hammered_with_a_kernel_page_kernel_and_sentence_have_the_last_value(kind, opened):
    lab, student = opened
    name, trait, sentences, selector = KINDS[kind]
    assert_clean(student)
    root = student.page.locator(f".mmcviz-{kind}")
    bring_into_view(root)
    until(root, ready="true")
    slider, meter = root.locator("input.mmcviz-slider").first, Meter(student.page)
    # JupyterLab dresses up the cell that is in use; only what comes after that counts.
    hammer(student.page, slider, SECONDS / 16)
    student.wait_for_kernel()
    before, kernel_before = meter.read(), lab.value(KERNEL)
    moves = hammer(student.page, slider, SECONDS / 4)
    student.wait_for_kernel()
    kernel_after = lab.value(KERNEL)
    print(kind, moves, "moves; kernel", kernel_before, kernel_after)
    assert_did_not_grow(before, meter.read())
    assert kernel_after[0] <= kernel_before[0] + 20_000_000
    assert kernel_after[1] <= kernel_before[1] + 2_000
    press(slider, *KEYS, "End", "Home", "ArrowRight", "ArrowRight")
    student.wait_for_kernel()
    said = root.locator(selector).all_inner_texts()
    assert int(slider.input_value()) == 2
    assert lab.value(f"[{name}.{trait}, {sentences}]") == [2, said]
    assert student.errors == []
