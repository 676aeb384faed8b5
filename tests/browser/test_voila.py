"""A lesson as an app under Voila: pictures, sliders, and a kernel that answers."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from lessons import pictures

from mmc_viz.browser import visit

pytestmark = pytest.mark.browser
LESSON = Path(__file__).parents[2] / "notebooks" / "02_class_centers.ipynb"

# Holds back what the kernel says of its widgets, and what follows, until almost two seconds after
# the first of them has begun to load. ipywidgets 8.1.9 waits so long for a widget, then looks no
# more, and loses for good those that come in between (all, or whichever a busy page begins with).
LATE = """
let began = null;
const looking = new MutationObserver(() => {
  if (!document.body?.textContent.includes("Loading widget")) return;
  began = performance.now();
  looking.disconnect();
});
looking.observe(document, { subtree: true, childList: true });
const isLate = () => began !== null && performance.now() > began + 1980;
const textOf = (data) => (typeof data === "string" ? data : new TextDecoder().decode(data));
window.WebSocket = class extends window.WebSocket {
  set onmessage(handle) {
    const held = [];
    super.onmessage = (event) => {
      if (held.length || textOf(event.data).includes("update_states")) held.push(event);
      else handle(event);
    };
    setInterval(() => isLate() && held.splice(0).forEach(handle), 5);
  }
};
"""


@contextmanager
def voila(notebook, folder):
    """Serve a notebook by Voila, with settings and runtime files set apart; give its address."""
    pytest.importorskip("voila")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copy(notebook, folder)
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "RUNTIME")}
    command = [sys.executable, "-m", "voila", notebook.name, "--no-browser", f"--port={port}"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until_it_answers(url + "voila/static/main.js", server, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_until_it_answers(url, server, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=10)
            return
        except urllib.error.HTTPError:
            return  # not this file, but an answer
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"Voila did not answer:\n{log.read_text(errors='replace')[-2000:]}")


def test_the_lesson_is_an_app(chromium, tmp_path):
    refused = []
    with voila(LESSON, tmp_path) as url, visit() as reader:
        web = reader.page

        def filter_request(route):
            ours = route.request.url.startswith(url)
            if not ours:
                refused.append(route.request.url)
            return route.continue_() if ours else route.abort()

        web.route("**/*", filter_request)
        web.add_init_script(LATE)
        web.goto(url, timeout=240_000)
        benches = web.locator(".mmcviz-workbench")
        page = web.locator("body")
        for waited in ("attached", "detached"):
            page.get_by_text("Loading widget").first.wait_for(state=waited, timeout=240_000)
        assert "Error displaying widget" not in page.inner_text()
        web.wait_for_selector('.mmcviz-workbench[data-ready="true"]')

        # The kernel is there: it takes a guess, and sends what was locked.
        waiting = '.mmcviz-workbench[data-locked="true"]'
        locked = web.locator(waiting).count()
        assert locked > 0
        guess = web.locator(".mmcviz-prediction").first
        for number in guess.locator("input[type=number]").all():
            number.fill("10")
        guess.get_by_role("button", name="Commit").click()
        web.wait_for_selector(".mmcviz-prediction[data-committed=true]", timeout=60_000)
        web.wait_for_function(
            "([waiting, n]) => document.querySelectorAll(waiting).length < n", arg=[waiting, locked]
        )
        bench = benches.nth(1)
        bench.locator(".mmcviz-sphere").wait_for()
        before, count = pictures(bench), bench.get_attribute("data-count")
        bench.get_by_label("Centers L").press("End")
        assert pictures(bench) != before and bench.get_attribute("data-count") != count

        # Figures are drawn. Plotly's extension would also keep a PNG of each, in a way that Voila
        # does not know, and says so.
        web.locator(".js-plotly-plot .main-svg").first.wait_for()
        errors = [error for error in reader.errors if "setData is not a function" not in error]

        # Voila asks a server of others for its icons, and gets along without.
        missed = [error for error in errors if error.startswith("Failed to load resource")]
        assert all("fontawesome" in address for address in refused)
        assert len(missed) <= len(refused) and errors == missed
