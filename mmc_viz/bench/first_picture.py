"""Where the time goes until lesson 01 shows its first picture; a part of the topic `profile`.

What the first cells do is done in fresh processes without a page, and timed part by part. What is
left of the time that a student waits, from Run All on with the kernel warm, is JupyterLab's and the
browser's: messages, the widget's JavaScript, the drawing.
"""

from mmc_viz.bench.processes import answer_of
from mmc_viz.bench.timing import Measurement, measured
from mmc_viz.bench.ui import first_pictures

ROUNDS = 3
THREADS = 2

#: The first cells of the lesson. Each function that the widget calls for a part of its work is
#: wrapped so that its seconds are counted; the widget's own are what is left of the cell.
CELLS = """
import json, time
parts, start = {}, time.perf_counter()

def lap(name, since):
    parts[name] = parts.get(name, 0.0) + time.perf_counter() - since

import torch
lap("import torch", start)
start = time.perf_counter()
from mmc_viz import exercises
from mmc_viz.widgets import EpsilonExplorer, Prediction, about, epsilon_explorer
lap("import mmc_viz", start)

def timed(name, function):
    def run(*arguments, **settings):
        start = time.perf_counter()
        try:
            return function(*arguments, **settings)
        finally:
            lap(name, start)
    return run

for function, name in {
    "find_images": "load the images",
    "find_models": "load the model",
    "compare": "compute the path",
    "pack": "pack it for the page",
}.items():
    setattr(epsilon_explorer, function, timed(name, getattr(epsilon_explorer, function)))
start, before = time.perf_counter(), sum(parts.values())
about()
EpsilonExplorer.of(models=["fashion-sce"], objectives=["cross_entropy"])
parts["the rest of the cells"] = time.perf_counter() - start - (sum(parts.values()) - before)
print(json.dumps(parts))
"""


def measure() -> list[Measurement]:
    """Seconds of each part, and what the page adds where there is a browser."""
    rounds = [answer_of(CELLS, threads=THREADS) for _ in range(ROUNDS)]
    note = f"fresh process, {THREADS} threads, median of {ROUNDS}"
    rows = [
        measured(f"first picture: {name}", [parts[name] for parts in rounds], "s", note)
        for name in rounds[0]
    ]
    return rows + _page(sum(row.value for row in rows))


def _page(computed: float) -> list[Measurement]:
    """Give what is left of the time until the picture is there; nothing without a browser."""
    try:
        waited = first_pictures(ROUNDS)
    except ValueError as error:
        print(f"  the page is left out: {error}", flush=True)
        return []
    left = [seconds - computed for seconds in waited]
    note = f"of the time from Run All; a process had the rest done in {computed:.2f} s"
    return [measured("first picture: JupyterLab and the page", left, "s", note)]
