"""What a student waits for: the first picture, the repaint after a key press, an answer.

All is measured in the page, in JupyterLab in a headless Chromium: on lesson 01, and on a notebook
made here that holds one widget of each kind, as its default settings make it.
"""

import json
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from mmc_viz.bench.timing import Measurement, measured
from mmc_viz.browser import Lab, Visit, find_chromium, jupyter_lab, visit

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "01_slide_epsilon.ipynb"
PRESSES = 25
ASKS = 5
LESSONS = 3
AIM = 2.0  # milliseconds from key press to the end of the draw call, where no kernel is asked
AIM_BEYOND = 200.0  # milliseconds beyond the computation, where one is

# What a reader is told that an input is.
_NAME = """(input) => (input.ariaLabel
  || input.labels[0]?.querySelector(".mmcviz-name")?.textContent || "").trim()"""


def measure() -> list[Measurement]:
    """Time the first picture, the sliders of all widgets, and an attack at the student's wish.

    Raises
    ------
    ValueError
        If there is no browser.
    """
    check_browser()
    return [*_lesson(), *_widgets()]


def check_browser() -> None:
    """Make sure that pages can be looked at.

    Raises
    ------
    ValueError
        If Playwright or a Chromium is missing.
    """
    if find_spec("playwright") is None or find_chromium() is None:
        raise ValueError(
            "A page needs Playwright (the extra `test`) and a Chromium (MMC_VIZ_CHROMIUM names it)."
        )


def _lesson() -> list[Measurement]:
    """Time lesson 01 from Run All."""
    pictures, whole = zip(*(_run_lesson() for _ in range(LESSONS)), strict=True)
    note = f"{LESSONS} times, kernel warm; aim 15 s"
    return [
        measured("Run All to first picture", pictures, "s", note),
        measured("Run All to last cell", whole, "s", f"lesson 01, {LESSONS} times"),
    ]


def first_pictures(times: int) -> list[float]:
    """Give the seconds from Run All to the first picture of lesson 01, in so many JupyterLabs."""
    check_browser()
    return [_run_lesson(to_the_end=False)[0] for _ in range(times)]


def _run_lesson(*, to_the_end: bool = True) -> tuple[float, float]:
    """Run lesson 01 in a JupyterLab of its own; give the seconds to its first picture and all."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(LESSON, folder)
        with jupyter_lab(Path(folder)) as lab, visit() as student:
            student.open_notebook(lab, LESSON.name)
            start = time.perf_counter()
            student.run_all()
            student.page.wait_for_selector('.mmcviz-explorer[data-ready="true"]', timeout=120_000)
            first_picture = time.perf_counter() - start
            if to_the_end:
                student.wait_until_idle(240)
            return first_picture, time.perf_counter() - start


def _widgets() -> list[Measurement]:
    """Time the sliders of every kind of widget, and what the kernel adds to an attack."""
    from mmc_viz.widgets import kinds

    classes = {kind: widget.__name__ for kind, widget in kinds().items()}
    with tempfile.TemporaryDirectory() as folder:
        cells = [_open(kind, name, i) for i, (kind, name) in enumerate(classes.items())]
        (Path(folder) / "widgets.ipynb").write_text(_notebook(cells), encoding="utf-8")
        with jupyter_lab(Path(folder)) as lab, visit() as student:
            student.open_notebook(lab, "widgets.ipynb")
            student.run_all()
            student.wait_until_idle(600)
            found = [one for i, kind in enumerate(classes) for one in _sliders(student, kind, i)]
            explorer = list(classes).index("epsilon-explorer")
            return [*found, _beyond(lab, student, explorer)]


def _open(kind: str, name: str, place: int) -> str:
    """Write the cell that makes and shows one widget."""
    made = f"from mmc_viz.widgets import {name}\nshown_{place} = {name}.of()"
    if kind == "live-trainer":  # one that has learned nothing has nothing to look back on
        made += f"\nshown_{place}.train(epochs=3)"
    return f"{made}\nshown_{place}"


def _notebook(sources: list[str]) -> str:
    """Write a notebook of code cells."""
    empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**empty, "id": f"cell-{i}", "source": one} for i, one in enumerate(sources)]
    # Without a kernel's name JupyterLab would ask for one.
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    form = {"metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps({"cells": cells, **form})


def _sliders(student: Visit, kind: str, place: int) -> list[Measurement]:
    """Press arrow keys on each slider of a widget; the page counts to the end of the draw call."""
    root = student.page.locator(".mmcviz").nth(place)
    root.scroll_into_view_if_needed()
    found = []
    for number in range(root.locator('input[type="range"]').count()):
        slider = root.locator('input[type="range"]').nth(number)
        if not slider.is_visible() or slider.is_disabled():
            continue
        slider.focus()
        times = []
        for press in range(PRESSES + 3):
            slider.press("ArrowRight" if press % 4 < 3 else "ArrowLeft")
            times.append(float(root.get_attribute("data-draw-ms")))
        times = times[3:]  # the first ones warm up
        label = slider.evaluate(_NAME) or f"slider {number + 1}"
        note = f"{PRESSES} presses, {min(times):.1f} to {max(times):.1f} ms; aim {AIM:g} ms"
        name = f"{kind}, {label.lower()}: key press to repaint, no kernel"
        found.append(measured(name, times, "ms", note))
    return found


def _beyond(lab: Lab, student: Visit, place: int) -> Measurement:
    """Time "Attack now" from the click to the picture, less what the attack itself took."""
    root = student.page.locator(".mmcviz").nth(place)
    beyond = []
    for steps in range(10, 10 + ASKS):
        root.locator('.mmcviz-own input[type="number"]').nth(1).fill(str(steps))
        waited = root.evaluate(
            """(root, steps) => new Promise((resolve) => {
              const start = performance.now();
              const seen = new MutationObserver(() => {
                if (!root.dataset.run.endsWith(`${steps} steps`)) return;
                seen.disconnect();
                resolve(performance.now() - start);
              });
              seen.observe(root, { attributeFilter: ["data-run"] });
              root.querySelector(".mmcviz-own button").click();
            })""",
            steps,
        )
        root.locator("text=/Computed on/").wait_for()
        beyond.append(waited - 1000 * float(lab.ask(f"print(shown_{place}.seconds)")))
    note = f"{ASKS} attacks, {min(beyond):.0f} to {max(beyond):.0f} ms; aim {AIM_BEYOND:g} ms"
    name = "epsilon-explorer, attack now: click to picture, beyond the attack itself"
    return measured(name, beyond, "ms", note)
