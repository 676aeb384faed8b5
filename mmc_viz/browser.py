"""JupyterLab in a headless Chromium: how the tests and `mmc-viz bench ui` see what a student sees.

It needs Playwright (the extra `test`) and a Chromium that is already on the machine; nothing is
downloaded.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Without a sandbox, because root cannot have one; without its own talk to the network.
_CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Milliseconds from one look at the page to the next. Playwright would look at each frame, and have
# the browser draw sixty of them a second while the kernel needs the processor.
_POLLING = 200


def find_chromium() -> str | None:
    """Path of a Chromium on this machine: `MMC_VIZ_CHROMIUM`, else the first one on the path."""
    named = os.environ.get("MMC_VIZ_CHROMIUM")
    if named:
        return named
    return next((path for name in _CHROMIUM_NAMES if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Attributes
    ----------
    url : str
        Where it listens, on the loopback address.
    token : str
        The secret it asks for.
    runtime : Path
        Where it keeps the connection files of its kernels.
    """

    url: str
    token: str
    runtime: Path

    def kernels(self) -> list[str]:
        """Ids of the kernels that run."""
        return [kernel["id"] for kernel in json.loads(self.request("api/kernels"))]

    def shut_down_kernels(self) -> None:
        """End all kernels."""
        for kernel in self.kernels():
            self.request(f"api/kernels/{kernel}", method="DELETE")

    def ask(self, code: str) -> str:
        """Run code in the kernel that runs, and give what it prints.

        Raises
        ------
        RuntimeError
            If the code raises an error.
        """
        from jupyter_client import BlockingKernelClient

        client = BlockingKernelClient()
        client.load_connection_file(str(self.runtime / f"kernel-{self.kernels()[0]}.json"))
        # Without a heartbeat: its thread, stopped before it has begun, opens sockets for ever.
        client.start_channels(stdin=False, hb=False, control=False)
        printed = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        try:
            reply = client.execute_interactive(code, output_hook=keep, timeout=60)
        finally:
            client.stop_channels()
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{reply['content']['ename']}: {reply['content']['evalue']}")
        return "".join(printed)

    def value(self, expression: str) -> Any:
        """Give the value of an expression in the kernel that runs; it must fit into JSON."""
        return json.loads(self.ask(f"import json; print(json.dumps({expression}))"))

    def request(self, path: str, *, method: str = "GET") -> bytes:
        """Ask the server's REST interface, for instance for `api/kernels`."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


@contextmanager
def jupyter_lab(folder: Path, *, seconds: float | int = 60) -> Iterator[Lab]:
    """Serve `folder` by a JupyterLab of its own, with settings and runtime files set apart.

    Parameters
    ----------
    folder : Path
        Root of the file browser.
    seconds : float
        How long the server may take to answer.

    Raises
    ------
    RuntimeError
        If it does not; the message holds the end of its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="mmc-viz-lab-") as scratch:
        names = ("CONFIG_DIR", "RUNTIME_DIR")
        own = {f"JUPYTER_{name}": f"{scratch}/{name.lower()}" for name in names}
        own |= {
            "JUPYTERLAB_SETTINGS_DIR": f"{scratch}/settings",
            "JUPYTERLAB_WORKSPACES_DIR": f"{scratch}/workspaces",
        }
        _ask_for_no_news(Path(own["JUPYTERLAB_SETTINGS_DIR"]))
        log = Path(scratch) / "log"
        command = [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={token}",
            "--LabApp.expose_app_in_browser=True",
        ]
        with log.open("wb") as file:
            server = subprocess.Popen(
                command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT
            )
        lab = Lab(f"http://127.0.0.1:{port}/", token, Path(own["JUPYTER_RUNTIME_DIR"]))
        try:
            _wait_until_it_answers(lab, server, seconds, log)
            yield lab
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _ask_for_no_news(settings: Path) -> None:
    """Keep JupyterLab from asking, in a box over the notebook, whether it may fetch news."""
    file = settings / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text('{"fetchNews": "false", "checkForUpdates": false}')


def _wait_until_it_answers(
    lab: Lab, server: subprocess.Popen, seconds: float | int, log: Path
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            lab.request("api/status")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not answer:\n{log.read_text(errors='replace')[-2000:]}")


@dataclass
class Visit:
    """A page in the browser, and what its console complained of.

    Attributes
    ----------
    page : playwright.sync_api.Page
    errors : list[str]
        Console messages of level error, and uncaught exceptions with their stack, so far.
    """

    page: Any
    errors: list[str] = field(default_factory=list)

    def open_notebook(self, lab: Lab, name: str) -> None:
        """Open a notebook alone and wait for its kernel.

        Where the page shows this JupyterLab already, the notebook is opened in it, in place of the
        one before; else JupyterLab is loaded, with a fresh workspace.
        """
        if self.page.url.startswith(lab.url):
            self.close_notebook()
            self.page.evaluate(
                "(path) => { window.jupyterapp.commands.execute('docmanager:open', { path }) }",
                name,
            )
        else:
            desk = f"{lab.url}lab/workspaces/{secrets.token_hex(4)}"
            self.page.goto(f"{desk}/tree/{name}?token={lab.token}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'",
            timeout=60_000,
            polling=_POLLING,
        )

    def close_notebook(self) -> None:
        """Close what is open, without saving; kernels go on."""
        self.page.evaluate(
            """() => {
              for (const tab of [...(window.jupyterapp?.shell.widgets("main") ?? [])]) {
                if (tab.context) tab.context.model.dirty = false;  // else it would ask first
                tab.dispose();
              }
            }"""
        )

    def run_all(self) -> None:
        """Start all cells; do not wait for them."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")

    def wait_until_idle(self, seconds: float | int) -> None:
        """Wait until every code cell has run."""
        self.page.wait_for_function(
            """() => {
              const cells = window.jupyterapp.shell.currentWidget.content.widgets
                .filter((cell) => cell.model.type === "code" && cell.model.sharedModel.source);
              const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
              return kernel?.status === "idle"
                && cells.every((cell) => cell.model.executionCount !== null);
            }""",
            timeout=seconds * 1000,
            polling=_POLLING,
        )

    def wait_for_kernel(self) -> None:
        """Wait until the kernel has heard all that the widgets have told it so far.

        ipywidgets keeps a change back while the kernel works at the one before, so it takes two
        questions whose answers come after those to the widgets.
        """
        self.page.evaluate(
            """async () => {
              const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
              for (let question = 0; question < 2; question += 1)
                await kernel.requestExecute({ code: "", silent: true }).done;
            }"""
        )

    def use_theme(self, *, dark: bool) -> None:
        """Switch JupyterLab to its dark or its light theme."""
        theme = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
            theme,
        )
        light = "false" if dark else "true"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")


@contextmanager
def visit(*, width: int = 1400, height: int = 1000) -> Iterator[Visit]:
    """Open an empty page in a headless Chromium.

    Raises
    ------
    RuntimeError
        If there is no Chromium on this machine.
    """
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        raise RuntimeError(
            "No Chromium was found. Install one (Debian: the package `chromium`), or name it in "
            "MMC_VIZ_CHROMIUM."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_CHROMIUM_FLAGS))
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            seen = Visit(page)
            page.on("pageerror", lambda error: seen.errors.append(f"{error}\n{error.stack}"))
            page.on(
                "console",
                lambda message: message.type == "error" and seen.errors.append(message.text),
            )
            yield seen
        finally:
            browser.close()
