"""Every notebook: its form, and that it runs from top to bottom in a fresh kernel."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def test_is_stored_without_outputs_and_small(notebook, path):
    assert path.stat().st_size < 300_000
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_cells_are_short_and_define_nothing(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines = cell.source.strip().split("\n")
            assert len(lines) <= 12, cell.source
            assert not any(line.lstrip().startswith(("def ", "class ")) for line in lines)


def test_runs_in_a_fresh_kernel(notebook, tmp_path):
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=os.environ | {"MMC_VIZ_DATA": str(tmp_path)})  # no data but what is shipped
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert all(output.output_type != "error" for output in cell.outputs)
            noise = [o.text for o in cell.outputs if o.get("name") == "stderr"]
            assert not any("Warning" in text for text in noise), noise
