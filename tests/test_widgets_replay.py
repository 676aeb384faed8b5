"""The replay code of every widget restores its situation in another kernel, bit for bit."""

import json
import subprocess
import sys

import pytest

from mmc_viz.widgets import kinds

DIGITS = {"models": ("digits-sce", "digits-mmc"), "dataset": "digits"}
#: Small settings for each kind, and a view that is none of the defaults.
SMALL = {
    "attack-microscope": (
        {**DIGITS, "image": 2, "steps": 4, "restarts": 2, "eps": 0.1},
        {"objective": "margin", "restart": 1, "step": 3},
    ),
    "audit-card": ({**DIGITS, "images": range(8), "eps": 0.1}, {}),
    "center-workbench": ({}, {}),
    "contour-film": ({"heads": ("sce", "mmc"), "epochs": 2, "at": (0, 1, 2)}, {"step": 1}),
    "density-shells": ({"count": 60}, {"label": 2}),
    "draw-digit": ({"count": 4}, {}),
    "epsilon-explorer": (
        {**DIGITS, "images": range(6), "steps": 3, "count": 4},
        {"run": "margin", "step": 2, "perturbation": True},
    ),
    "feature-view": (
        {**DIGITS, "images": range(12), "steps": 3, "count": 4, "maps": ("pca",), "background": 40},
        {"step": 2, "chosen": [1, 5]},
    ),
    "live-trainer": ({"epochs": 3}, {}),
    "noise-bench": ({**DIGITS, "images": range(6), "sigmas": 3, "angles": 3}, {"noise": 1}),
    "prediction-curve": ({**DIGITS, "images": range(8), "steps": 3}, {}),
    "temperature-slider": (
        {**DIGITS, "images": range(6), "steps": 3, "temperatures": (0.1, 1.0, 10.0)},
        {"step": 2},
    ),
}
DIGEST = """
import hashlib, json, sys
from mmc_viz.widgets import replay
elsewhere = {"_esm", "_css", "_dom_classes", "layout", "tabbable", "tooltip", "status", "controls"}
def digest(value):
    plain = bytes(value) if isinstance(value, bytes | memoryview) else json.dumps(value).encode()
    return hashlib.sha256(plain).hexdigest()
def digests(widget):
    state = widget.get_state()
    return {name: digest(value) for name, value in state.items() if name not in elsewhere}
"""
RESTORE = """
for code in sys.argv[1:]:
    widget = replay(code, controls=False)
    print(json.dumps([widget.code, digests(widget), widget.controls]))
"""


@pytest.fixture(scope="module")
def shown():
    """One widget of each kind, in a situation of its own."""
    widgets = {}
    for kind, (settings, view) in SMALL.items():
        widgets[kind] = kinds()[kind].of(**settings)
        if "train" in dir(widgets[kind]):
            widgets[kind].train(epochs=2)
        for name, value in view.items():
            setattr(widgets[kind], name, value)
    return widgets


@pytest.fixture(scope="module")
def restored(shown):
    """Code, digests of the state and controls of each, restored in another process."""
    codes = [widget.code for widget in shown.values()]
    done = subprocess.run(
        [sys.executable, "-c", DIGEST + RESTORE, *codes], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    return {kind: json.loads(line) for kind, line in zip(shown, lines, strict=True)}


def test_every_kind_is_tried():
    """A new widget has to be added above."""
    assert SMALL.keys() == kinds().keys()


@pytest.mark.parametrize("kind", SMALL)
def test_a_code_restores_everything_in_another_process_with_the_controls_hidden(
    kind, shown, restored
):
    scope = {}
    exec(DIGEST, scope)
    code, digests, controls = restored[kind]
    assert code == shown[kind].code and code.startswith(f"{kind}?")
    assert digests == scope["digests"](shown[kind])
    assert controls is False
