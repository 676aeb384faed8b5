"""What the tests of lessons in JupyterLab do alike: look at a widget, wait for it, guess."""

from pixels import FINGERPRINT


def assert_clean(student):
    """No cell raised an error, every widget is shown, and the console says nothing."""
    assert student.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert "Error displaying widget" not in student.page.locator(".jp-Notebook").inner_text()
    assert student.errors == []


def own_errors(student):
    """What the console says of our scripts, which the browser knows as blobs, without a kernel.

    JupyterLab and ipywidgets complain then that nobody listens any more; the latter also with a
    stack that leads through our scripts.
    """
    theirs = "Could not send widget sync message"
    return [error for error in student.errors if "blob:" in error and theirs not in error]


def place_of(student, selector):
    """Which code cell, from 0, first shows what a selector finds; -1 if none does."""
    return student.page.evaluate(
        "(selector) => [...document.querySelectorAll('.jp-CodeCell')]"
        ".findIndex((cell) => cell.querySelector(selector))",
        selector,
    )


def pictures(root, selector="canvas"):
    """Fingerprints of all canvases in an element: they differ where the pixels do."""
    return root.evaluate(f"(root, s) => [...root.querySelectorAll(s)].map({FINGERPRINT})", selector)


def said(root):
    """The sentence under a figure."""
    return root.locator(".mmcviz-say").inner_text()


def until(root, *, seconds=60, **wanted):
    """Wait until an element is there and its data attributes are these."""
    root.page.wait_for_function(
        "([root, wanted]) => Object.entries(wanted).every(([k, v]) => root.dataset[k] === v)",
        arg=[root.element_handle(), {name: str(value) for name, value in wanted.items()}],
        timeout=1000 * seconds,
        polling=50,
    )


def until_still(root, selector="canvas"):
    """Wait until nothing in an element's canvases moves, and give their fingerprints."""
    before = None
    while (now := pictures(root, selector)) != before:
        before = now
        root.page.wait_for_timeout(300)
    return now


def bring_into_view(root):
    """Scroll to an element and wait until it is drawn: what is off the screen has no inner text."""
    root.scroll_into_view_if_needed()
    root.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def show_numbers(root):
    """Open the table under a figure, wait until it is filled, and give its rows."""
    root.get_by_text("Show the numbers").click()
    rows = root.locator(".mmcviz-table tbody tr")
    rows.first.wait_for()
    return rows


def commit(box, *numbers):
    """Make a prediction, of these numbers or of any, and give its verdicts."""
    fields = box.locator("input[type=number]").all()
    for field, number in zip(fields, numbers or [1] * len(fields), strict=True):
        field.fill(str(number))
    for row in box.locator("fieldset.mmcviz-choices").all():
        row.locator("input[type=radio]").first.check()
    box.get_by_role("button", name="Commit").click()
    return verdicts(box)


def verdicts(box):
    """Wait until a prediction has been judged, and give what is said of it."""
    until(box, committed="true", seconds=120)
    return box.locator(".mmcviz-verdict, .mmcviz-verdicts li").all_inner_texts()


def in_both_themes(student, root, selector="canvas"):
    """What a widget shows in the light theme, in the dark one, and in the light one again."""
    shown = []
    for theme in ("light", "dark", "light"):
        student.use_theme(dark=theme == "dark")
        until(root, theme=theme)
        shown.append(until_still(root, selector))
    return shown


def all_differ(before, after):
    """Whether each of several pictures has changed."""
    return all(old != new for old, new in zip(before, after, strict=True))
