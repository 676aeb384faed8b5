"""Every lesson as an exported page: it answers from disk, with neither network nor kernel.

Each page is opened once, and its tests follow one another, from before the first prediction on.
"""

import base64
import json
import re
import zlib

import pytest
from exported import commit_all, findings, open_page, operate, out_of_reach

from mmc_viz.export import course
from mmc_viz.export.executing import waits_for

pytestmark = pytest.mark.browser
LESSONS = {lesson.path.name: lesson for lesson in course()}


@pytest.fixture(scope="module", params=LESSONS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def lesson(name, executed):
    return executed(LESSONS[name].path)


@pytest.fixture(scope="module")
def html(name, page_of):
    return page_of(name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(name, page_of, chromium):
    with open_page(page_of(name)) as seen:
        yield seen


@pytest.fixture
def page(seen):
    """The page once all predictions have been made."""
    commit_all(seen.page)
    return seen.page


@pytest.fixture(scope="module")
def lines(lesson):
    """What stands in the cells that wait for a prediction."""
    hidden = [cell for cell in lesson.notebook.cells if waits_for(cell)]
    return [line.strip() for cell in hidden for line in cell.source.split("\n")]


def test_the_page_is_small_and_names_no_address_that_it_would_fetch(name, page_of, html):
    assert page_of(name).stat().st_size < 8_000_000
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)', html)


def test_the_page_holds_no_answer_that_could_be_read(lesson, html, lines):
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
    for line in lines:
        # A line without marks stands in HTML as it stands in Markdown.
        if len(line) > 30 and not re.search(r"[$*`<>&\[\]|'\"#=(]", line):
            assert line not in html


def test_before_a_prediction_nothing_serious_keeps_people_out(seen):
    assert findings(seen.page) == []
    assert out_of_reach(seen.page) == []


def test_what_waits_for_a_prediction_comes_with_it(seen, lines):
    shown = seen.page.locator("main").inner_text()
    plain = [line for line in lines if len(line) > 30 and line.replace(" ", "").isalpha()]
    assert not any(line in shown for line in plain)
    waiting = seen.page.locator(".sealed .waiting").count()
    assert bool(waiting) == bool(lines)
    committed = commit_all(seen.page)
    opened = seen.page.locator("main").inner_text()
    assert all(line in opened for line in plain)
    if waiting:
        assert committed > 0 and len(opened) > len(shown)


def test_with_all_of_it_open_nothing_serious_keeps_people_out(page):
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    # Of all that axe asks, only the contrast can differ in another theme.
    for theme, rules in (("light", ()), ("dark", ("color-contrast",))):
        if page.evaluate("document.documentElement.dataset.theme") != theme:
            page.click("#theme")
        page.wait_for_timeout(500)  # a theme arrives in two steps
        assert findings(page, *rules) == [], theme
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; })")


def test_tab_comes_to_every_control_of_every_widget(page):
    assert out_of_reach(page) == []


def test_every_control_works_from_disk_without_network_or_kernel(seen, page):
    moved = 0
    for widget in page.locator(".mmcviz").all():
        moved += operate(widget)
    assert moved > 0 or not page.locator(".mmcviz canvas").count()
    for details in page.locator("details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    assert seen.errors == []
    assert {url.split(":")[0] for url in seen.asked} <= {"file", "blob", "data"}
    assert sum(url.startswith("file:") for url in seen.asked) == 1
