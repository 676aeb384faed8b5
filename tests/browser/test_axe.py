"""axe-core finds nothing serious in the exported pages, in light and dark, with all of it open."""

import pytest
from exported import commit_all, open_page

from mmc_viz.export import course

pytestmark = pytest.mark.browser
LESSONS = [lesson.path.name for lesson in course()]


def findings(page):
    """Serious and critical violations: rule, element, and what is wrong with it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], node["target"], node["failureSummary"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("name", LESSONS)
def test_nothing_serious_is_found_in_a_lesson(page_of, name, chromium):
    with open_page(page_of(name)) as seen:
        assert findings(seen.page) == []  # before a prediction is made
        commit_all(seen.page)
        seen.page.evaluate(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
        for theme in ("light", "dark"):
            if seen.page.evaluate("document.documentElement.dataset.theme") != theme:
                seen.page.click("#theme")
            seen.page.wait_for_timeout(500)  # a theme arrives in two steps
            assert findings(seen.page) == [], theme


def test_what_is_serious_would_be_found(page_of, chromium):
    with open_page(page_of(LESSONS[0])) as seen:
        seen.page.evaluate(
            "document.querySelector('main').insertAdjacentHTML('beforeend',"
            " '<button></button><p style=\"color:#999;background:#fff\">faint</p>')"
        )
        assert {rule for rule, *_ in findings(seen.page)} == {"button-name", "color-contrast"}
