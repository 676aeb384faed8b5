"""The last notebook in real JupyterLab: a digit that is drawn."""

import json
import re

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(open_lesson):
    return open_lesson("bring_your_own.ipynb")


def clean(student):
    assert student.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert "Error displaying widget" not in student.page.locator(".jp-Notebook").inner_text()
    assert student.errors == []


def opened(own):
    lab, student = own
    root = student.page.locator(".mmcviz-draw")
    root.scroll_into_view_if_needed()
    student.page.wait_for_selector('.mmcviz-draw[data-ready="true"]')
    return lab, student, root


def picture(root):
    return root.locator(".mmcviz-drawing").evaluate("(canvas) => canvas.toDataURL()")


def test_the_drawing_says_what_the_kernel_says(own):
    lab, student, root = opened(own)
    said = root.locator(".mmcviz-say").inner_text()
    assert said == " ".join(
        json.loads(lab.ask("import json; print(json.dumps(drawing.sentences))"))
    )
    assert re.search(r"SCE sees \d; from ε = 0\.\d\d on it sees \d\. MMC sees \d", said)
    clean(student)


def test_one_can_draw_with_the_keyboard_and_ask(own):
    lab, student, root = opened(own)
    root.get_by_role("button", name="Clear").click()
    assert root.get_attribute("data-ink") == "0"
    field = root.locator(".mmcviz-drawing")
    field.focus()
    for _ in range(4):
        field.press("ArrowUp")
    before = picture(root)
    field.press("Space")
    for _ in range(26):
        field.press("ArrowDown")
    field.press("Space")
    assert picture(root) != before
    assert int(root.get_attribute("data-ink")) > 26
    assert "ask “What is it?”" in root.locator(".mmcviz-say").inner_text()
    root.get_by_role("button", name="What is it?").click()
    student.page.wait_for_selector('.mmcviz-draw[data-stale="false"][data-busy="false"]')
    said = root.locator(".mmcviz-say").inner_text()
    assert re.match(r"SCE sees 1", said)  # one straight line
    assert said == " ".join(
        json.loads(lab.ask("import json; print(json.dumps(drawing.sentences))"))
    )


def test_one_can_draw_with_the_mouse(own):
    lab, student, root = opened(own)
    root.get_by_role("button", name="Clear").click()
    box = root.locator(".mmcviz-drawing").bounding_box()
    mouse = student.page.mouse
    mouse.move(box["x"] + 64, box["y"] + 64)
    mouse.down()
    mouse.move(box["x"] + 192, box["y"] + 64, steps=4)
    mouse.up()
    student.page.wait_for_timeout(500)
    code = "from mmc_viz.widgets.draw_digit import from_hex; d = from_hex(drawing.drawing); "
    ink = json.loads(lab.ask(f"{code}print([bool(d[8, x]) for x in (2, 9, 15, 22, 29)])").lower())
    assert ink == [False, True, True, True, False]
    assert student.errors == []
