"""An exported page in a browser: opened from disk with the network off, its predictions made."""

from contextlib import contextmanager

from mmc_viz.browser import visit


@contextmanager
def open_page(path, *, width=1400, dark=False):
    """Open a page from disk and give what `visit` sees of it, and the addresses it asked for."""
    with visit(width=width) as seen:
        seen.page.emulate_media(color_scheme="dark" if dark else "light")
        seen.page.context.set_offline(True)
        asked = []
        seen.page.on("request", lambda request: asked.append(request.url))
        seen.page.goto(path.as_uri())
        seen.page.wait_for_selector("html[data-ready=true]", timeout=60_000)
        seen.asked = asked
        yield seen


def commit_all(page):
    """Make every prediction of a page, in order, with the keyboard and the Commit button."""
    boxes = '.mmcviz:is([class*="mmcviz-prediction"])[data-locked="false"]'
    count = 0
    while (box := page.locator(f'{boxes}[data-committed="false"]').first).count():
        for number in box.locator(".mmcviz-row input[type=number]").all():
            low, high = (float(number.get_attribute(end)) for end in ("min", "max"))
            number.fill(f"{(low + high) // 2:g}")
        for row in box.locator("fieldset.mmcviz-choices").all():
            row.locator("input[type=radio]").first.check()
        for series in box.locator(".mmcviz-serie input").all():
            series.check()
            box.locator("canvas.mmcviz-plot").press("PageDown")
        before = page.locator('.mmcviz[data-committed="true"]').count()
        box.get_by_role("button", name="Commit").click()
        page.wait_for_function(
            "(n) => document.querySelectorAll('.mmcviz[data-committed=\"true\"]').length > n",
            arg=before,
        )
        count += 1
    if count:
        page.wait_for_function("() => !document.querySelector('.sealed')")
        page.wait_for_function("""() => !document.querySelector('.mmcviz[data-locked="true"]')""")
    return count
