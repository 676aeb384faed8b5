"""The explorer's page says what Python says, and what looks at pages sees what is wrong."""

import pytest
from exported import commit_all, findings, open_page, out_of_reach
from lessons import pictures, until

from mmc_viz.widgets import replay

pytestmark = pytest.mark.browser


@pytest.mark.usefixtures("unchecked")
def test_the_explorer_shows_from_disk_what_python_has_at_every_step_of_every_run(page_of, chromium):
    with open_page(page_of("01_slide_epsilon.ipynb")) as seen:
        commit_all(seen.page)
        root = seen.page.locator(".mmcviz-explorer").last
        widget = replay(root.locator(".mmcviz-codetext").first.input_value())
        assert len(widget.runs) == 3
        slider = root.locator(".mmcviz-slider")
        for run in widget.runs:
            root.locator(".mmcviz-run").select_option(run)
            widget.run, before = run, []
            paths = widget.runs[run].panels.values()
            for step in range(widget.settings.count):
                slider.fill(str(step))
                widget.step = step
                until(root, run=run, step=step)
                sentences = root.locator(".mmcviz-sentence").all_inner_texts()
                assert sentences == list(widget.sentences.values())
                now = pictures(root, ".mmcviz-canvas")
                if step > 0:  # an image that fools a model stays as it is from then on
                    moved = [bool((p.images[step] != p.images[step - 1]).any()) for p in paths]
                    assert [old != new for old, new in zip(before, now, strict=True)] == moved
                before = now
        assert seen.errors == []


def test_what_is_serious_would_be_found(page_of, chromium):
    with open_page(page_of("00_start_here.ipynb")) as seen:
        seen.page.evaluate(
            "document.querySelector('main').insertAdjacentHTML('beforeend',"
            " '<button></button><p style=\"color:#999;background:#fff\">faint</p>')"
        )
        assert {rule for rule, *_ in findings(seen.page)} == {"button-name", "color-contrast"}


def test_what_tab_does_not_come_to_would_be_missed(page_of, chromium):
    with open_page(page_of("00_start_here.ipynb")) as seen:
        seen.page.evaluate(
            "document.querySelector('.mmcviz').insertAdjacentHTML('beforeend',"
            " '<button tabindex=\"-1\">out of the way</button><button>near</button>')"
        )
        (missed,) = out_of_reach(seen.page)
        assert "out of the way" in missed
