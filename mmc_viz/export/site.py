"""A folder of pages: one for each lesson, and an index that lists them.

A page is written, complete or not at all, as soon as it is done, so an interrupted export keeps
what it has. Each says from what it was made; a later run with `resume` makes only those anew whose
notebook has changed.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from mmc_viz.export.executing import SECONDS_A_CELL, Executed, execute
from mmc_viz.export.lessons import NOTEBOOKS, Lesson, course
from mmc_viz.export.page import INDEX, STAMP, render_index, render_lesson
from mmc_viz.files import write_whole

_INTRODUCTION = (
    "<p>Does shaping the feature space make a network robust, or does it only make attacks fail? "
    "Each lesson below is one page that works without a network: move its sliders, make your "
    "predictions, and see what comes out. To attack, train and change things yourself, open its "
    "notebook in JupyterLab.</p>"
)


def write_site(
    lessons: Sequence[Lesson],
    folder: Path,
    *,
    index: bool = True,
    seconds: int = SECONDS_A_CELL,
    resume: bool = False,
    run: Callable[..., Executed] = execute,
    report: Callable[[Lesson, int, int], None] = lambda lesson, done, total: None,
) -> list[Path]:
    """Run lessons and write their pages.

    Parameters
    ----------
    lessons : sequence of Lesson
        In the order of the course.
    folder : Path
        Where to write; made where it is missing.
    index : bool
        Whether to write `index.html` too.
    seconds : int
        How long a cell may take.
    resume : bool
        Leave pages as they are that were made from the same notebook by the same version.
    run : callable
        Stands in for `execute`.
    report : callable
        Told of each lesson how many cells are done, and of how many.

    Returns
    -------
    paths : list of Path
        The pages, in the order of the lessons, and the index.

    Raises
    ------
    ValueError
        If a lesson cannot be run or shown; the pages before it are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    site = {lesson.path.name: lesson for lesson in lessons}
    if not index and lessons[0].path.resolve().parent == NOTEBOOKS:
        site = {
            lesson.path.name: lesson
            for lesson in course()
            if lesson in lessons or (folder / lesson.page).is_file()
        }
    paths = []
    if index:
        write_whole(folder / INDEX, render_index(site, _INTRODUCTION))
        paths.append(folder / INDEX)
    home = (folder / INDEX).is_file()
    for lesson in lessons:
        target = folder / lesson.page
        stamp = _source(lesson)
        if resume and _stamp_of(target) == stamp:
            paths.append(target)
            continue
        executed = run(
            lesson.path,
            seconds=seconds,
            shipped_only=lesson.path.resolve().parent == NOTEBOOKS,
            report=lambda done, total, lesson=lesson: report(lesson, done, total),
        )
        write_whole(target, render_lesson(executed, lesson, site, home=home, stamp=stamp))
        paths.append(target)
    return paths


def _stamp_of(path: Path) -> str:
    """Read from what a page was made; "" where there is no page."""
    if not path.is_file():
        return ""
    found = re.search(f'<meta name="{STAMP}" content="([^"]*)">', path.read_text(encoding="utf-8"))
    return found[1] if found else ""


def _source(lesson: Lesson) -> str:
    """Name what a page is made from."""
    digest = hashlib.sha256(lesson.path.read_bytes()).hexdigest()[:16]
    return f"{version('mmc-viz')} {digest}"
