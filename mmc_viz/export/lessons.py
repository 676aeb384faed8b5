"""The lessons of the course: where they lie, in what order, and what they say of themselves."""

import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mmc_viz.files import read_json
from mmc_viz.locations import DATA_DIR
from mmc_viz.texts import first_line

NOTEBOOKS = DATA_DIR.parent / "notebooks"


@dataclass(frozen=True)
class Lesson:
    """What a list of lessons says of one.

    Attributes
    ----------
    path : Path
        The notebook.
    title, promise, time : str
        Markdown of one line; empty where the notebook does not say it.
    """

    path: Path
    title: str
    promise: str
    time: str

    @property
    def page(self) -> str:
        """File name of its page."""
        return f"{self.path.stem}.html"


def course() -> list[Lesson]:
    """Give all lessons in their order.

    Raises
    ------
    ValueError
        If the notebooks are not there, as where only the package is installed.
    """
    found = sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: (not path.stem[0].isdigit(), path))
    if not found:
        raise ValueError(
            f"There are no lessons in {NOTEBOOKS}; they come with the repository. Name a notebook."
        )
    return [read_lesson(path) for path in found]


def find_lesson(name: str) -> Lesson:
    """Find a notebook by its path, or a lesson by its name or number.

    Raises
    ------
    ValueError
        If there is none.
    """
    path = Path(name).expanduser()
    if path.suffix == ".ipynb":
        if not path.is_file():
            raise ValueError(f"There is no notebook {path}.")
        return read_lesson(path)
    lessons = course()
    number = f"{int(name):02}" if name.isdecimal() else name
    found = [lesson for lesson in lessons if number in (lesson.path.stem, lesson.path.stem[:2])]
    if len(found) != 1:
        known = ", ".join(lesson.path.stem for lesson in lessons)
        raise ValueError(f"`NOTEBOOK` must be a file, all, or one of {known}; got {name!r}.")
    return found[0]


def read_lesson(path: Path) -> Lesson:
    """Read what a notebook says of itself in its text.

    Raises
    ------
    ValueError
        If the file is no notebook.
    """
    notebook = read_notebook(path)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")

    def first(pattern: str) -> str:
        found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        return " ".join(found[1].split()) if found else ""

    title = first(r"^# ([^\n]+)") or path.stem
    return Lesson(path, title, first(r"^\*\*(.+?)\*\*$"), first(r"^Time: (.+?)(?:\n\s*\n|\Z)"))


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook.

    Raises
    ------
    ValueError
        If the file is none.
    """
    try:
        values = read_json(path)
        # Asked beforehand: nbformat looks into cells without asking what they are.
        if type(values) is not dict or values.get("nbformat") not in (3, 4):
            raise ValueError("its `nbformat` is neither 3 nor 4")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on cells without ids of their own; they get some
            notebook = nbformat.reads(json.dumps(values), as_version=4)
            nbformat.validate(notebook)
    except Exception as error:  # on what is no notebook, nbformat raises what it likes
        raise ValueError(f"{path} cannot be read as a notebook ({first_line(error)}).") from None
    return notebook
