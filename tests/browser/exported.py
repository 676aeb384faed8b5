"""An exported page in a browser: opened from disk with the network off, used in every way."""

from contextlib import contextmanager

from pixels import FINGERPRINT

from mmc_viz.browser import visit

#: All that a reader can see or hear of a widget.
FACE = f"""(root) => [...root.querySelectorAll("canvas")].map({FINGERPRINT}).join()
  + root.innerText + [...root.querySelectorAll("[aria-label]")].map((e) => e.ariaLabel).join()"""

#: The controls of all widgets that can be seen and used, numbered from the top: number to HTML.
#: Of radio buttons that belong together Tab comes to one: the checked one, or else the first.
NUMBER_CONTROLS = """() => {
  for (const one of document.querySelectorAll("[data-control]")) delete one.dataset.control;
  const radios = (one) => [...document.querySelectorAll(`input[name="${CSS.escape(one.name)}"]`)];
  const controls = "button, input, select, textarea, summary, [tabindex='0']";
  return [...document.querySelectorAll(`.mmcviz :is(${controls})`)]
    .filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }))
    .filter((one) => one.type !== "radio"
      || one === (radios(one).find((other) => other.checked) ?? radios(one)[0]))
    .map((one, number) => {
      one.dataset.control = number;
      return one.outerHTML.slice(0, 200);
    });
}"""
#: Note from now on, in `came`, all that gets the focus.
NOTE_FOCUS = """() => {
  const name = (one) => (one.matches("a.skip") ? "the top" : one.dataset.control ?? "another");
  if (!window.came) document.addEventListener("focusin", (event) => came.push(name(event.target)));
  document.activeElement.blur();
  window.came = [];
}"""
#: What a canvas leaves to the page, such as End, would scroll it, past figures that take seconds.
STAY = """(canvas) => canvas.addEventListener("keydown", (event) => event.preventDefault())"""
#: So many times Tab is pressed before it is asked whether the page has begun again.
TABS = 20


@contextmanager
def open_page(path, *, width=1400):
    """Open a page from disk and give what `visit` sees of it, and the addresses it asked for."""
    with visit(width=width) as seen:
        seen.page.emulate_media(color_scheme="light")
        seen.page.context.set_offline(True)
        seen.asked = []
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.goto(path.as_uri())
        seen.page.wait_for_selector("html[data-ready=true]", timeout=60_000)
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
    page.wait_for_function("() => !document.querySelector('.sealed')")
    page.wait_for_function("""() => !document.querySelector('.mmcviz[data-locked="true"]')""")
    page.wait_for_function("() => !document.querySelector('.mmcviz:not([data-ready=true])')")
    return count


def findings(page, *rules):
    """What axe-core calls serious or critical: rule, element, and what is wrong with it.

    All its rules are asked, or only those that are named. The rows of a widget's table are alike;
    it is shown the first of them.
    """
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    short = page.add_style_tag(content=".mmcviz tbody tr:nth-child(n + 6) { display: none; }")
    found = Axe().run(page, options=options).response["violations"]
    short.evaluate("(style) => style.remove()")
    return [
        (rule["id"], node["target"], node["failureSummary"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def out_of_reach(page):
    """Press Tab from the top of a page to its end; give the controls that it does not come to.

    What it comes to must follow in the order of the page.
    """
    controls = page.evaluate(NUMBER_CONTROLS)
    page.evaluate(NOTE_FOCUS)
    page.focus("a.skip")
    for _ in range(2000 // TABS):
        for _ in range(TABS):
            page.keyboard.press("Tab")
        if page.evaluate("came.filter((one) => one === 'the top').length > 1"):
            break
    came = page.evaluate("came")
    assert came.count("the top") > 1, "Tab does not come back to the top."
    came = came[: came.index("the top", 1)]
    numbers = [int(number) for number in came if number.isdecimal()]
    assert numbers == sorted(numbers)
    return [control for number, control in enumerate(controls) if number not in numbers]


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
            control.evaluate(STAY)
            faces = {widget.evaluate(FACE)}
            for key in ("ArrowRight", "ArrowDown", "Home", "End", "ArrowLeft", "ArrowUp"):
                control.press(key)
                faces.add(widget.evaluate(FACE))
            assert len(faces) > 1, control.get_attribute("aria-label")
            moves += 1
    for control in widget.locator("button:enabled").all():
        if control.is_visible() and control.is_enabled():
            control.click()
            if "Pause" in control.inner_text():  # it plays, which takes its time
                control.click()
    return moves
