"""Every lesson as an exported page: it answers from disk, with neither network nor kernel."""

import base64
import json
import re
import zlib

import pytest
from exported import commit_all, open_page

from mmc_viz.export import course
from mmc_viz.export.executing import waits_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("name", [lesson.path.name for lesson in course()]),
]

#: All that a reader can see or hear of a widget.
FACE = """(root) => [...root.querySelectorAll("canvas")].map((c) => c.toDataURL()).join()
  + root.innerText + [...root.querySelectorAll("[aria-label]")].map((e) => e.ariaLabel).join()"""


def test_the_page_is_small_and_names_no_address_that_it_would_fetch(page_of, name, chromium):
    path = page_of(name)
    assert path.stat().st_size < 8_000_000
    html = path.read_text(encoding="utf-8")
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)', html)


def test_answers_are_absent_until_the_prediction_is_committed(page_of, executed, name, chromium):
    lesson = executed(course_path(name))
    html = page_of(name).read_text(encoding="utf-8")
    for model, record in lesson.offline.items():
        if lesson.states[model].get("committed") is False:
            assert not lesson.states[model]["answers"]
        if "sealed" not in record:
            continue
        sealed = json.loads(zlib.decompress(base64.b64decode(record["sealed"])))
        # What an open widget shows as well, such as the true classes of the same pictures, is none.
        open_ones = [state for state in lesson.states.values() if state.get("locked") is False]
        for trait, value in sealed.items():
            if any(state.get(trait) == value for state in open_ones):
                continue
            text = value["bytes"] if isinstance(value, dict) and "bytes" in value else value
            if isinstance(text, str) and len(text) > 20:
                assert text not in html, trait
    hidden = [cell for cell in lesson.notebook.cells if waits_for(cell)]
    lines = [line.strip() for cell in hidden for line in cell.source.split("\n")]
    for line in lines:
        # A line without marks stands in HTML as it stands in Markdown.
        if len(line) > 30 and not re.search(r"[$*`<>&\[\]|'\"#=(]", line):
            assert line not in html
    if not hidden:
        return
    with open_page(page_of(name)) as seen:
        assert seen.page.locator(".sealed .waiting").count() > 0
        shown = seen.page.locator("main").inner_text()
        plain = [line for line in lines if len(line) > 30 and line.replace(" ", "").isalpha()]
        assert not any(line in shown for line in plain)
        assert commit_all(seen.page) > 0
        opened = seen.page.locator("main").inner_text()
        assert len(opened) > len(shown)
        assert all(line in opened for line in plain)


def test_every_control_works_from_disk_without_network_or_kernel(page_of, name, chromium):
    with open_page(page_of(name)) as seen:
        commit_all(seen.page)
        seen.page.wait_for_function(
            "() => !document.querySelector('.mmcviz:not([data-ready=true])')"
        )
        moved = 0
        for widget in seen.page.locator(".mmcviz").all():
            moved += operate(widget)
        assert moved > 0 or not seen.page.locator(".mmcviz canvas").count()
        for details in seen.page.locator("details:not([open]) > summary").all():
            if details.is_visible():
                details.click()
        assert seen.errors == []
        assert {url.split(":")[0] for url in seen.asked} <= {"file", "blob", "data"}
        assert sum(url.startswith("file:") for url in seen.asked) == 1


def course_path(name):
    return next(lesson.path for lesson in course() if lesson.path.name == name)


def operate(widget):
    """Use every control of a widget; sliders and canvases must answer to keys. Count these."""
    moves = 0
    for control in widget.locator("input[type=range]:enabled").all():
        if not control.is_visible():
            continue
        low, high = (float(control.get_attribute(end) or 0) for end in ("min", "max"))
        if high <= low:
            continue
        before = widget.evaluate(FACE)
        control.press("End" if float(control.input_value()) < high else "Home")
        assert widget.evaluate(FACE) != before, control.evaluate("e => e.outerHTML")
        control.press("ArrowLeft")
        moves += 1
    for control in widget.locator("select:enabled").all():
        if control.is_visible():
            chosen = control.input_value()
            for option in control.locator("option:enabled").all():
                control.select_option(option.get_attribute("value") or option.inner_text())
            control.select_option(chosen)
    for control in widget.locator("input[type=checkbox]:enabled").all():
        if control.is_visible():
            control.click()
            control.click()
    for control in widget.locator("canvas[tabindex='0']").all():
        if control.is_visible():
            faces = {widget.evaluate(FACE)}
            for key in ("ArrowRight", "ArrowDown", "Home", "End", "ArrowLeft", "ArrowUp"):
                control.press(key)
                faces.add(widget.evaluate(FACE))
            assert len(faces) > 1, control.get_attribute("aria-label")
            moves += 1
    for control in widget.locator("button:enabled").all():
        if control.is_visible() and control.is_enabled():
            control.click()
    return moves
