"""Run a notebook from top to bottom in a fresh kernel and keep all that it shows.

The kernel sends the state of its widgets as it would to a browser; a hidden piece of code at the
end asks for what a page without a kernel needs beside it: the sealed data of locked widgets, and
which prediction a cell waits for.
"""

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from mmc_viz.export.lessons import read_notebook

SECONDS_A_CELL = 180
WAITS = "after:"  # a cell with the tag after:NAME waits for the prediction NAME

_COLLECT = """
def _collect(names):
    import json, sys
    from IPython.display import display
    base = sys.modules.get("mmc_viz.widgets.base")
    found = {name: getattr(globals().get(name), "model_id", None) for name in names}
    answer = {"offline": base.offline_states() if base else {}, "predictions": found}
    display({"application/json": json.loads(json.dumps(answer))}, raw=True)
_collect(%s)
"""


@dataclass(frozen=True)
class Executed:
    """A notebook that has run.

    Attributes
    ----------
    path : Path
        Where it was read from.
    notebook : nbformat.NotebookNode
        With its outputs.
    states : dict from model id to dict
        Synced state of each widget, with bytes as `{"bytes": base64}`.
    offline : dict from model id to dict
        What a page needs beside it, see `mmc_viz.widgets.base.offline_states`.
    predictions : dict from name to model id
        Of the predictions that cells wait for.
    """

    path: Path
    notebook: nbformat.NotebookNode
    states: dict[str, dict[str, Any]]
    offline: dict[str, dict[str, Any]]
    predictions: dict[str, str]


def waits_for(cell: nbformat.NotebookNode) -> str | None:
    """Name the prediction that a cell waits for; None if it waits for none."""
    tags = cell.metadata.get("tags", [])
    return next((tag.removeprefix(WAITS) for tag in tags if tag.startswith(WAITS)), None)


def execute(
    path: str | Path,
    *,
    seconds: int = SECONDS_A_CELL,
    shipped_only: bool = True,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Executed:
    """Run a notebook in a fresh kernel.

    Parameters
    ----------
    path : str or Path
        The notebook; the file stays as it is.
    seconds : int
        How long a cell may take.
    shipped_only : bool
        Run it in an empty folder, and with no data but what is shipped, so that the result is the
        same on every machine. Otherwise it runs in its own folder, with the data sets at hand.
    report : callable
        Told after each cell how many are done, and of how many.

    Returns
    -------
    executed : Executed

    Raises
    ------
    ValueError
        If the file is no notebook, a cell fails or takes too long, or a cell waits for a
        prediction that is not there.
    """
    path = Path(path)
    notebook = read_notebook(path)
    with ExitStack() as stack:
        folder, environment = path.resolve().parent, dict(os.environ)
        if shipped_only:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mmc-viz-run-")))
            environment |= {"MMC_VIZ_DATA": str(folder)}
        client = NotebookClient(
            notebook,
            timeout=seconds,
            kernel_name="python3",
            store_widget_state=True,
            resources={"metadata": {"path": str(folder)}},
        )
        # What a kernel says on its own account is no output of a cell, and nobody waits for it.
        start = {"env": environment, "cwd": str(folder), "stderr": subprocess.DEVNULL}
        stack.enter_context(client.setup_kernel(**start))
        total = len(notebook.cells)
        for index, cell in enumerate(notebook.cells):
            _run(client, cell, index, path)
            report(index + 1, total)
        names = sorted({name for cell in notebook.cells if (name := waits_for(cell))})
        notebook.cells.append(nbformat.v4.new_code_cell(_COLLECT % names))
        _run(client, notebook.cells[total], total, path)
        hidden = notebook.cells.pop()
    answer = next(o.data["application/json"] for o in hidden.outputs if "data" in o)
    missing = [name for name, model in answer["predictions"].items() if model is None]
    if missing:
        raise ValueError(f"{path.name}: a cell waits for {missing[0]!r}, which is no prediction.")
    states = {model: _state_of(client, model) for model in client.widget_state}
    notebook.metadata.pop("widgets", None)
    return Executed(path, notebook, states, answer["offline"], answer["predictions"])


def _run(client: NotebookClient, cell: nbformat.NotebookNode, index: int, path: Path) -> None:
    where = f"{path.name}, cell {cell.get('id', index)}"
    try:
        client.execute_cell(cell, index, store_history=True)
    except CellExecutionError as error:
        raise ValueError(f"{where}: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise ValueError(f"{where} did not end within {client.timeout} seconds.") from None
    except DeadKernelError:
        raise ValueError(f"{where}: the kernel died.") from None


def _state_of(client: NotebookClient, model: str) -> dict[str, Any]:
    """Put the bytes of a widget back into their places in its state."""
    state = json.loads(json.dumps(client.widget_state[model]))
    for buffer in client.widget_buffers.get(model, {}).values():
        *way, last = buffer["path"]
        place = state
        for step in way:
            place = place[step]
        place[last] = {"bytes": base64.b64encode(base64.b64decode(buffer["data"])).decode()}
    return state
