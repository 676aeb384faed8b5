"""The last notebook in real JupyterLab: a digit that is drawn."""

import re

import pytest
from lessons import assert_clean, bring_into_view, pictures, said, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(open_lesson):
    return open_lesson("bring_your_own.ipynb")


def opened(own):
    lab, student = own
    root = student.page.locator(".mmcviz-draw")
    bring_into_view(root)
    student.page.wait_for_selector('.mmcviz-draw[data-ready="true"]')
    return lab, student, root


def test_the_drawing_says_what_the_kernel_says(own):
    lab, student, root = opened(own)
    assert said(root) == " ".join(lab.value("drawing.sentences"))
    assert re.search(r"SCE sees \d; from ε = 0\.\d\d on it sees \d\. MMC sees \d", said(root))
    assert_clean(student)


def test_one_can_draw_with_the_keyboard_and_ask(own):
    lab, student, root = opened(own)
    root.get_by_role("button", name="Clear").click()
    assert root.get_attribute("data-ink") == "0"
    field = root.locator(".mmcviz-drawing")
    field.focus()
    for _ in range(4):
        field.press("ArrowUp")
    before = pictures(root, ".mmcviz-drawing")
    field.press("Space")
    for _ in range(26):
        field.press("ArrowDown")
    field.press("Space")
    assert pictures(root, ".mmcviz-drawing") != before
    assert int(root.get_attribute("data-ink")) > 26
    assert "ask “What is it?”" in said(root)
    root.get_by_role("button", name="What is it?").click()
    until(root, stale="false", busy="false")
    assert said(root).startswith("SCE sees 1")  # one straight line
    assert said(root) == " ".join(lab.value("drawing.sentences"))


def test_one_can_draw_with_the_mouse(own):
    lab, student, root = opened(own)
    root.get_by_role("button", name="Clear").click()
    box = root.locator(".mmcviz-drawing").bounding_box()
    mouse = student.page.mouse
    mouse.move(box["x"] + 64, box["y"] + 64)
    mouse.down()
    mouse.move(box["x"] + 192, box["y"] + 64, steps=4)
    mouse.up()
    student.wait_for_kernel()
    lab.ask("from mmc_viz.widgets.draw_digit import from_hex")
    ink = lab.value("[bool(from_hex(drawing.drawing)[8, x]) for x in (2, 9, 15, 22, 29)]")
    assert ink == [False, True, True, True, False]
    assert student.errors == []
