"""The cells of a notebook as the body of a page, with what may not be read yet under seal."""

import ast
from itertools import groupby
from typing import Any

import nbformat

from mmc_viz.export.embedding import data_script, sealed_script, text
from mmc_viz.export.executing import Executed, waits_for
from mmc_viz.export.highlighting import highlight
from mmc_viz.export.markdown import Reader
from mmc_viz.export.models import Models
from mmc_viz.export.outputs import WIDGET, render_output

SHORT = 3  # code of so few lines is not folded away


def render_cells(executed: Executed, reader: Reader, models: Models) -> str:
    """Give the HTML of all cells.

    Cells that wait for a prediction, with all that only they show, come as a sealed part; the
    page opens it when the prediction is committed.

    Raises
    ------
    ValueError
        If a cell waits for a prediction that no view shows before it.
    """
    cells = executed.notebook.cells
    # A model that the open part shows too is no secret of a sealed one.
    in_the_open = [cell for cell in cells if waits_for(cell) is None]
    records = models.take(model for cell in in_the_open for model in _views(cell, models))
    parts = [data_script(records, kind="models")]
    for name, group in groupby(cells, waits_for):
        members = list(group)
        if name is None:
            parts += [render_cell(cell, reader, models) for cell in members]
        else:
            parts.append(_seal(members, executed.predictions[name], name, reader, models))
    return "\n".join(filter(None, parts))


def render_cell(cell: nbformat.NotebookNode, reader: Reader, models: Models) -> str:
    """Give the HTML of one cell."""
    if cell.cell_type == "raw":
        return ""
    name = text(cell.get("id", ""))
    if cell.cell_type == "markdown":
        words = reader.read(cell.source, cell.get("attachments"))
        return f'<div class="cell words" id="{name}">\n{words}</div>'
    outputs = _outputs(cell, reader, models)
    shown = f'\n<div class="outputs">\n{outputs}\n</div>' if outputs else ""
    return f'<div class="cell program" id="{name}">\n{_code(cell.source)}{shown}</div>'


def _outputs(cell: nbformat.NotebookNode, reader: Reader, models: Models) -> str:
    if "exercises.check(" in cell.source:  # it has checked an answer that nobody has given yet
        return '<p class="note">The notebook checks your answer.</p>'
    shown = (render_output(output, reader, models) for output in _joined(cell.outputs))
    return "\n".join(filter(None, shown))


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join what follows each other on one stream: a carriage return may undo an earlier piece."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" == last.get("output_type") and (
            output.get("name") == last.get("name")
        ):
            joined[-1] = {**last, "text": "".join(last["text"]) + "".join(output["text"])}
        else:
            joined.append(output)
    return joined


def _code(source: str) -> str:
    if not source.strip():
        return ""
    program = f'<pre class="code">{highlight(source)}</pre>'
    lines = source.strip().count("\n") + 1
    if lines <= SHORT or _asks_for_code(source):
        return program
    return f'<details class="fold"><summary>Code, {lines} lines</summary>{program}</details>'


def _asks_for_code(source: str) -> bool:
    """Whether a cell leaves something for the reader to write, so that it stays in sight."""
    try:
        return any(isinstance(node, ast.FunctionDef) for node in ast.parse(source).body)
    except SyntaxError:  # a magic command of IPython
        return False


def _seal(
    cells: list[nbformat.NotebookNode], model: str, name: str, reader: Reader, models: Models
) -> str:
    views = [view for cell in cells for view in _views(cell, models)]
    if not models.was_given(model):
        raise ValueError(
            f"A cell waits for the prediction {name!r}, which nothing shows before it."
        )
    records = data_script(models.take(views), kind="models")
    headings = len(reader.headings)
    words = "\n".join([records, *(render_cell(cell, reader, models) for cell in cells)])
    del reader.headings[headings:]  # these would give it away in the table of contents
    return (
        f'<section class="sealed" data-after="{models.name(model)}" aria-label="The next part">\n'
        '<p class="waiting">Commit your prediction above to go on.</p>'
        f"{sealed_script(words, kind='seal')}</section>"
    )


def _views(cell: nbformat.NotebookNode, models: Models) -> list[str]:
    """Ids of the models that the outputs of a cell show."""
    views = [output.get("data", {}).get(WIDGET) for output in cell.get("outputs", [])]
    return [view["model_id"] for view in views if view and models.can_show(view["model_id"])]
