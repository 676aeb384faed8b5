"""The explorer in a page from disk: no Jupyter, no kernel, no network."""

import base64
import json

import pytest

from mmc_viz.browser import visit
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.paths import compare
from mmc_viz.widgets import EpsilonExplorer

pytestmark = pytest.mark.browser

#: A host that is not Jupyter: the widget's module, style and bytes, and a model of four methods.
PAGE = """<!doctype html><meta charset="utf-8"><style>%(css)s</style><body>
<script type="module">
const source = new TextDecoder().decode(Uint8Array.from(atob("%(esm)s"), (c) => c.charCodeAt(0)));
const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const state = %(state)s;
state.bundle = new DataView(Uint8Array.from(atob(state.bundle), (c) => c.charCodeAt(0)).buffer);
const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; },
                on: () => {}, save_changes: () => {} };
(await import(url)).default.render({ model, el: document.body });
</script>"""


def test_the_same_module_works_in_a_page_from_disk_without_any_network(chromium, tmp_path):
    models = {"SCE": load_model("digits-sce"), "MMC": load_model("digits-mmc")}
    data = load_dataset("digits", limit=12)
    epsilons = [0.0, 0.1, 0.2]
    runs = compare(
        models, data.inputs(), data.labels, epsilons, steps=5, device="cpu", progress=False
    )
    widget = EpsilonExplorer(runs, data.class_names)
    state = {"bundle": base64.b64encode(widget.bundle).decode(), "run": widget.run, "step": 0}
    page = PAGE % {
        "css": widget._css,
        "esm": base64.b64encode(widget._esm.encode()).decode(),
        "state": json.dumps(state),
    }
    (tmp_path / "page.html").write_text(page, encoding="utf-8")

    def pictures():
        return reader.page.evaluate(
            "() => [...document.querySelectorAll('.mmcviz-canvas')].map((c) => c.toDataURL())"
        )

    with visit(width=900) as reader:
        reader.page.context.set_offline(True)
        reader.page.goto((tmp_path / "page.html").as_uri())
        reader.page.wait_for_selector('.mmcviz-explorer[data-ready="true"]')
        for run in runs:
            reader.page.locator(".mmcviz-run").select_option(run)
            reader.page.locator(".mmcviz-slider").press("Home")
            widget.run, before = run, None
            for widget.step in range(len(epsilons)):
                assert reader.page.locator(".mmcviz-sentence").all_inner_texts() == list(
                    widget.sentences.values()
                )
                now = pictures()
                assert now != before
                before = now
                reader.page.locator(".mmcviz-slider").press("ArrowRight")
        assert reader.errors == []
