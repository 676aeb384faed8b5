"""What a student waits for: the first picture, and the repaint after a key press.

Both are measured in the page, in JupyterLab in a headless Chromium, on the first notebook.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from mmc_viz.bench.timing import Measurement
from mmc_viz.browser import Visit, jupyter_lab, visit

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_slide_epsilon.ipynb"
PRESSES = 25


def measure() -> list[Measurement]:
    """Time from Run All to the first picture, and from key press to the end of the draw call."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(NOTEBOOK, folder)
        with jupyter_lab(Path(folder)) as lab, visit() as student:
            student.open_notebook(lab, NOTEBOOK.name)
            start = time.perf_counter()
            student.run_all()
            student.page.wait_for_selector('.mmcviz-explorer[data-ready="true"]', timeout=120_000)
            first_picture = time.perf_counter() - start
            student.wait_until_idle(120)
            notebook = time.perf_counter() - start
            lab.shut_down_kernels()
            repaints = _repaints(student)
    note = f"{PRESSES} presses, {min(repaints):.1f} to {max(repaints):.1f} ms; aim 2 ms"
    return [
        Measurement("Run All to first picture", first_picture, "s", "once, kernel warm; aim 15 s"),
        Measurement("Run All to last cell", notebook, "s", "once"),
        Measurement("key press to repaint, no kernel", statistics.median(repaints), "ms", note),
    ]


def _repaints(student: Visit) -> list[float]:
    """Milliseconds that the page itself counted for each key press, after a few to warm up."""
    slider = student.page.locator(".mmcviz-slider").first
    slider.focus()
    root = student.page.locator(".mmcviz-explorer").first
    times = []
    for press in range(PRESSES + 3):
        slider.press("ArrowRight" if press < PRESSES else "ArrowLeft")
        times.append(float(root.get_attribute("data-draw-ms")))
    return times[3:]
