"""One lesson as one HTML file, which needs neither a network nor a kernel."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mmc_viz.export.cells import render_cells
from mmc_viz.export.embedding import data_script, sealed_script, text
from mmc_viz.export.executing import Executed
from mmc_viz.export.lessons import Lesson
from mmc_viz.export.markdown import Reader, plain, read_line
from mmc_viz.export.models import Models
from mmc_viz.export.outputs import PLOTLY

INDEX = "index.html"
COURSE = "Feature space and robustness"
STAMP = "mmc-viz-source"
MOST_BYTES = 8_000_000
_STYLES = ("themes.css", "lesson.css", "page.css")
_HERE = Path(__file__).parent


def render_lesson(
    executed: Executed, lesson: Lesson, site: Mapping[str, Lesson], *, home: bool, stamp: str
) -> str:
    """Give the page of a lesson that has run.

    Parameters
    ----------
    executed : Executed
        Its notebook.
    lesson : Lesson
        What it says of itself.
    site : mapping from notebook's file name to Lesson
        The lessons that stand beside it, in their order; links lead to these alone.
    home : bool
        Whether an index stands beside it.
    stamp : str
        What the page is made from, for its head.

    Returns
    -------
    html : str

    Raises
    ------
    ValueError
        If a part of the notebook cannot be shown, or the page would be too large.
    """
    pages = {name: other.page for name, other in site.items()}
    reader = Reader(executed.path.parent, pages.get)
    models = Models(executed)
    body = render_cells(executed, reader, models)
    outputs = [o for cell in executed.notebook.cells for o in cell.get("outputs", [])]
    has_figures = any(PLOTLY in output.get("data", {}) for output in outputs)
    data = {"esm": models.modules, "css": models.styles, "links": models.links()}
    end = [data_script(data, id="modules"), _plotly() if has_figures else ""]
    page = render_page(
        title=plain(lesson.title),
        bar=_bar(lesson, site, reader, home=home, folds='class="fold"' in body),
        main=f"{body}\n{_turn(lesson, site)}",
        foot=f"Made with mmc_viz {version('mmc-viz')} from the notebook {text(lesson.path.name)}. "
        "All numbers were computed when the page was made. It needs no network; what has to be "
        "computed anew needs the notebook in JupyterLab.",
        stamp=stamp,
        end="".join(end) + _script("theme.js", "host.js", "figures.js", "page.js"),
    )
    size = len(page.encode())
    if size > MOST_BYTES:
        raise ValueError(
            f"The page of {lesson.path.name} would have {size / 1e6:.1f} MB, more than "
            f"{MOST_BYTES / 1e6:.0f} MB; show fewer images or figures in it."
        )
    return page


def render_index(site: Mapping[str, Lesson], introduction: str) -> str:
    """Give the page that lists all lessons of a site; `introduction` is HTML."""
    entries = "\n".join(
        f'<li><a href="{text(lesson.page)}"><h2>{read_line(lesson.title)}</h2>'
        f'<p>{read_line(lesson.promise)}</p><p class="time">{read_line(lesson.time)}</p></a></li>'
        for lesson in site.values()
    )
    return render_page(
        title=COURSE,
        bar=f'<nav aria-label="Course"><a href="{INDEX}" aria-current="page">{COURSE}</a></nav>',
        main=f'<div class="intro"><h1>{COURSE}</h1>{introduction}</div>'
        f'<ol class="lessons">\n{entries}\n</ol>',
        foot=f"Made with mmc_viz {version('mmc-viz')}. No page needs a network.",
        end=_script("theme.js"),
    )


def render_page(*, title: str, bar: str, main: str, foot: str, end: str, stamp: str = "") -> str:
    """Give a page; all parts are HTML."""
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{f'<meta name="{STAMP}" content="{text(stamp)}">' if stamp else ""}
<title>{title}</title>
<style>
{"".join(map(_read, _STYLES))}</style>
<script>
{_read("early.js")}</script>
</head>
<body>
<a class="skip" href="#lesson">Skip to the text</a>
<header class="bar">
{bar}
<button type="button" id="theme">Light or dark</button>
</header>
<main id="lesson" tabindex="-1">
{main}
</main>
<footer><p>{foot}</p><noscript><p>Pictures that move need JavaScript.</p></noscript></footer>
<p id="news" class="quiet" role="status"></p>
{end}
</body>
</html>
"""


def _bar(
    lesson: Lesson, site: Mapping[str, Lesson], reader: Reader, *, home: bool, folds: bool
) -> str:
    before, after = _neighbours(lesson, site)
    links = [f'<a href="{INDEX}">{COURSE}</a>' if home else f"<b>{COURSE}</b>"]
    if before:
        links.append(f'<a href="{text(before.page)}" rel="prev">Previous</a>')
    if after:
        links.append(f'<a href="{text(after.page)}" rel="next">Next</a>')
    items = "".join(
        f'<li class="level-{level}"><a href="#{text(name)}">{text(words)}</a></li>'
        for level, name, words in reader.headings
        if level in (2, 3)
    )
    contents = (
        '<details class="contents"><summary>On this page</summary>'
        f'<nav aria-label="On this page"><ol>{items}</ol></nav></details>'
        if items
        else ""
    )
    code = '<button type="button" id="code" aria-pressed="false">Show all code</button>'
    return f'<nav aria-label="Course">{" ".join(links)}</nav>{contents}{code if folds else ""}'


def _turn(lesson: Lesson, site: Mapping[str, Lesson]) -> str:
    """Links at the end of a lesson."""
    cards = [
        f'<a class="{kind}" rel="{kind}" href="{text(other.page)}"><span>{word}</span>'
        f"{read_line(other.title)}</a>"
        for kind, word, other in zip(
            ("prev", "next"), ("Previous", "Next"), _neighbours(lesson, site), strict=True
        )
        if other
    ]
    return f'<nav class="turn" aria-label="Lessons">{"".join(cards)}</nav>' if cards else ""


def _neighbours(lesson: Lesson, site: Mapping[str, Lesson]) -> tuple[Lesson | None, Lesson | None]:
    row = list(site.values())
    if lesson not in row:
        return None, None
    at = row.index(lesson)
    return (row[at - 1] if at else None), (row[at + 1] if at + 1 < len(row) else None)


def _script(*names: str) -> str:
    return '<script type="module">\n' + "\n".join(map(_read, names)) + "</script>"


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return sealed_script(get_plotlyjs(), id="plotly")
