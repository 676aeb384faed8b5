"""A kernel that is run cell by cell and disturbed, and what a page would show of it."""

import copy
import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import nbformat
from jupyter_client import KernelManager

VIEW = "application/vnd.jupyter.widget-view+json"
#: What is the same for all widgets, or says nothing of what they show.
BESIDE = ("_esm", "_css", "layout", "tooltip", "tabbable")
THREADS = "[one.name for one in threading.enumerate() if one.name.endswith('-work')]"

#: How many threads there are, as `Kernel.value` takes it, without tqdm's: it keeps one for each of
#: its classes, and whether for one or for two depends on which was used first.
THREAD_COUNT = "sum(one.name != 'tqdm_monitor' for one in threading.enumerate())"


def code_cells(path):
    """The code cells of a notebook, from the top."""
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@dataclass
class Ran:
    """What came of a piece of code: how it ended, the error's name, and all that it showed."""

    status: str
    error: str
    outputs: list = field(default_factory=list)

    @property
    def text(self):
        return "".join(one["text"] for one in self.outputs if one.get("name") == "stdout")


class Kernel:
    """A kernel of its own, and all that its widgets have told a page so far."""

    def __init__(self, manager, folder):
        self.manager, self.folder = manager, folder
        self.client = manager.client()
        self.connect()
        self.states = {}  # model id to state

    def connect(self):
        # Without a heartbeat: its thread, stopped before it has begun, opens sockets for ever.
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=120)

    def restart(self):
        """Restart it, as a student does from the menu."""
        self.client.stop_channels()
        self.manager.restart_kernel()
        self.client = self.manager.client()
        self.connect()
        self.states = {}

    def begin(self, code, *, cell_id=None):
        """Ask for code to be run; do not wait for it. Give the id of the request."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        metadata = {"cellId": cell_id} if cell_id else {}  # as JupyterLab does
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def run(self, code, *, cell_id=None, interrupt_after=None):
        """Run code to its end; interrupt it after so many seconds."""
        return self.finish(self.begin(code, cell_id=cell_id), interrupt_after=interrupt_after)

    def finish(self, request, *, interrupt_after=None, seconds=240):
        """Wait until what was asked for has run, and give what came of it."""
        found, begin = Ran("", ""), time.monotonic()
        wait = seconds if interrupt_after is None else interrupt_after
        while True:  # the page hears all of it before the kernel is idle
            try:
                said = self.client.get_iopub_msg(timeout=max(0, begin + wait - time.monotonic()))
            except queue.Empty:
                if wait == seconds and interrupt_after is None:
                    raise
                if wait == seconds:
                    break  # the interrupt came when all was done
                self.manager.interrupt_kernel()
                wait = seconds
                continue
            self._hear(said)
            if said["parent_header"].get("msg_id") != request:
                continue
            kind, content = said["msg_type"], said["content"]
            if kind in ("stream", "display_data", "execute_result", "error"):
                found.outputs.append(content)
            if kind == "status" and content["execution_state"] == "idle":
                break
        # Not from the reply: an interrupt that comes when all is done may swallow it.
        found.error = next((one["ename"] for one in found.outputs if "ename" in one), "")
        found.status = "error" if found.error else "ok"
        return found

    def cell(self, cell, **how):
        """Run a cell of a notebook."""
        return self.run(cell.source, cell_id=cell.id, **how)

    def value(self, expression):
        """The value of an expression; it must fit into JSON."""
        found = self.run(f"import json, threading; print(json.dumps({expression}))")
        assert found.status == "ok", found
        return json.loads(found.text)

    def say(self, model, **content):
        """Say something to a widget, as its page does: `do="start"`."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": model, "data": data})
        self.client.shell_channel.send(message)

    def hear_until(self, condition, seconds=120):
        """Hear what comes without being asked for, until a condition holds."""
        until = time.monotonic() + seconds
        while not condition():
            self._hear(self.client.get_iopub_msg(timeout=until - time.monotonic()))

    def _hear(self, said):
        content = said["content"]
        if said["msg_type"] == "comm_close":
            self.states.pop(content["comm_id"], None)
        if said["msg_type"] not in ("comm_open", "comm_msg"):
            return
        data = content["data"]
        if said["msg_type"] == "comm_msg" and data.get("method") not in ("update", "echo_update"):
            return
        state = copy.deepcopy(data["state"])
        for way, buffer in zip(data.get("buffer_paths", ()), said["buffers"], strict=True):
            *steps, last = way
            place = state
            for step in steps:
                place = place[step]
            place[last] = "bytes " + hashlib.sha256(buffer).hexdigest()
        self.states.setdefault(content["comm_id"], {}).update(state)

    def shown(self, ran):
        """What a page shows of a cell: texts, figures, and the whole state of each widget."""
        seen = []
        for output in ran.outputs:
            if "ename" in output:
                seen.append(output["ename"])
            elif "text" in output:
                if output["name"] == "stdout":
                    seen.append(output["text"])
            else:
                data = dict(output["data"])
                if VIEW in data:
                    state = self.states[data[VIEW]["model_id"]]
                    kept = {k: v for k, v in state.items() if k not in BESIDE}
                    seen.append({k: _plain(v) if type(v) is str else v for k, v in kept.items()})
                else:
                    seen.append(_plain(json.dumps(data, sort_keys=True)))
        texts = "".join(one for one in seen if isinstance(one, str))
        rest = [one for one in seen if not isinstance(one, str)]
        # A bar of progress is drawn over itself; how often says nothing.
        lines = (line.rpartition("\r")[2] for line in texts.split("\n"))
        return ["\n".join(lines), *rest]


def _plain(text):
    """A text without what another run names otherwise: addresses of objects, temporary folders."""
    return re.sub(r"0x[0-9a-f]+|(?<=[/F]tmp)[a-z0-9_]{8}", "", text)


@contextmanager
def kernel(folder, **environment):
    """Start a kernel in a folder; its environment is ours and what is given here."""
    manager = KernelManager(kernel_name="python3")
    own = {"MMC_VIZ_DATA": str(folder), "OMP_NUM_THREADS": "1", **environment}
    manager.start_kernel(
        cwd=str(folder), env=os.environ | own, stdout=sys.stderr, stderr=subprocess.DEVNULL
    )
    started = None
    try:
        started = Kernel(manager, folder)
        yield started
    finally:
        if started is not None:
            started.client.stop_channels()
        manager.shutdown_kernel(now=True)
