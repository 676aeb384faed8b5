"""Figures on their way out: one HTML file for many, or a picture for one.

The page needs no network and no kernel. It holds every figure for light and for dark and shows
those that suit the reader's system, or the other ones at the press of a button. A figure is drawn
when it comes into view, so a page with more 3-D figures than a browser has contexts for still
opens; under each stand its one-sentence description and buttons that save it as PNG or SVG.
"""

import html
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from mmc_viz.figures import style
from mmc_viz.files import write_whole

FORMATS = ("png", "svg", "html")


@dataclass(frozen=True)
class Exhibit:
    """A figure that can be drawn for any kind of page.

    Attributes
    ----------
    name : str
        What it is called in links and file names.
    draw : callable
        From `light` or `dark` to the figure.
    note : str
        How its numbers came about, in plain text.
    """

    name: str
    draw: Callable[[str], go.Figure]
    note: str = ""

    @property
    def description(self) -> str:
        """The sentence that says what the figure shows, as plain text."""
        return html.unescape(style.description(self.draw("light")))


def write_page(
    exhibits: Sequence[Exhibit], path: str | Path, *, title: str, introduction: str = ""
) -> None:
    """Write one self-contained HTML file of figures, about 5 MB of it plotly.

    Parameters
    ----------
    exhibits : sequence of Exhibit
        In the order of the page.
    path : str or Path
        The file; an older one is replaced.
    title, introduction : str
        Plain text at its head.

    Raises
    ------
    ValueError
        If there is no exhibit, or two share a name.
    """
    names = [exhibit.name for exhibit in exhibits]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`exhibits` must be at least one, each with a name of its own; got {names}."
        )
    links = "".join(f'<a href="#{_text(name)}">{_text(name)}</a> ' for name in names)
    values = {
        "TITLE": _text(title),
        "INTRODUCTION": _text(introduction),
        "LINKS": links,
        "FIGURES": "\n".join(_section(exhibit) for exhibit in exhibits),
        "PLOTLY": get_plotlyjs(),
    }
    # In one pass: what is put in may hold any of these words.
    page = re.sub("|".join(values), lambda found: values[found.group()], _PAGE)
    write_whole(path, page)


def save(figure: go.Figure, path: str | Path, *, width: int = 900, scale: float | int = 2) -> None:
    """Save a figure as PNG, SVG or HTML, by the ending of the path.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Its background becomes that of the page that its theme is for; `both` stays transparent.
    path : str or Path
        Ends in `.png`, `.svg` or `.html`.
    width : int
        Of the picture in pixels; its height is that of the figure.
    scale : float
        Pixels of a PNG for one of the figure.

    Raises
    ------
    ValueError
        If the ending is another one, or what makes pictures is not installed.
    """
    kind = Path(path).suffix.removeprefix(".")
    if kind not in FORMATS:
        raise ValueError(f"`path` must end in {', '.join('.' + f for f in FORMATS)}; got {path}.")
    if kind == "html":
        figure.write_html(path)
        return
    if importlib.util.find_spec("kaleido") is None:
        raise ValueError(
            f"`path` ends in .{kind}, and pictures need the extra `images`: pip install "
            "'mmc-viz[images]' (and a Chromium); the camera above a figure saves a PNG without."
        )
    papers = {colours.text: style.PAPERS.get(name) for name, colours in style.THEMES.items()}
    shown = go.Figure(figure)
    shown.layout.paper_bgcolor = papers.get(figure.layout.font.color) or style.CLEAR
    shown.write_image(path, width=width, scale=scale)


def _section(exhibit: Exhibit) -> str:
    name = _text(exhibit.name)
    drawn = {theme: exhibit.draw(theme) for theme in style.PAPERS}
    words = _text(html.unescape(style.description(drawn["light"])))
    data = "".join(
        # In a script nothing is escaped but "<", which could end it.
        f'<script type="application/json" data-theme="{theme}">'
        f"{figure.to_json().replace('<', chr(92) + 'u003c')}</script>"
        for theme, figure in drawn.items()
    )
    buttons = "".join(f'<button data-format="{f}">{f.upper()}</button>' for f in ("png", "svg"))
    height = int(drawn["light"].layout.height)
    return (
        f'<figure id="{name}"><div class="plot" role="img" aria-label="{words}" '
        f'style="height:{height}px"></div><figcaption><b>{name}.</b> {words} '
        f"<small>{_text(exhibit.note)}</small> <span>{buttons}</span></figcaption>{data}</figure>"
    )


def _text(words: str) -> str:
    return html.escape(words, quote=True)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>TITLE</title>
<style>
:root { --paper: #ffffff; --ink: #222222; --line: #cccccc; color-scheme: light; }
:root.dark { --paper: #111111; --ink: #e6e6e6; --line: #444444; color-scheme: dark; }
body { margin: 0 auto; padding: 1rem; max-width: 960px; background: var(--paper);
       color: var(--ink); font: 17px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
a { color: inherit; margin-right: 0.6em; }
figure { margin: 2.5rem 0; border-top: 1px solid var(--line); padding-top: 1rem; }
figcaption { padding: 0.5rem 1rem; }
small { opacity: 0.8; }
button { font: inherit; font-size: 15px; margin-left: 0.3em; }
#theme { position: fixed; top: 0.6rem; right: 0.8rem; z-index: 2; }
</style>
<script>PLOTLY</script></head>
<body><button id="theme">light / dark</button>
<h1>TITLE</h1><p>INTRODUCTION</p><nav>LINKS</nav>
FIGURES
<script>
const root = document.documentElement;
const theme = () => (root.classList.contains("dark") ? "dark" : "light");
const read = (figure) =>
  JSON.parse(figure.querySelector(`script[data-theme=${theme()}]`).textContent);
const plot = (figure) => figure.querySelector(".plot");
const config = { responsive: true, displaylogo: false };

function draw(figure) {
  const { data, layout, frames } = read(figure);
  // From nothing, because a 3-D scene keeps colours of the theme before.
  Plotly.purge(plot(figure));
  Plotly.newPlot(plot(figure), data, layout, config)
    .then((there) => frames && Plotly.addFrames(there, frames))
    .then(() => { figure.dataset.drawn = theme(); });
}

async function save(figure, format) {
  const { data, layout } = read(figure);
  layout.paper_bgcolor = getComputedStyle(root).getPropertyValue("--paper").trim();
  const { width, height } = plot(figure).getBoundingClientRect();
  const url = await Plotly.toImage({ data, layout }, { format, width, height, scale: 2 });
  Object.assign(document.createElement("a"), { href: url, download: `${figure.id}.${format}` })
    .click();
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && target.dataset.drawn !== theme()) draw(target);
    // Out of sight it gives back what it holds of the graphics card.
    if (!isIntersecting && target.dataset.drawn) {
      Plotly.purge(plot(target));
      delete target.dataset.drawn;
    }
  }
}, { rootMargin: "600px" });
for (const figure of document.querySelectorAll("figure")) {
  seen.observe(figure);
  for (const button of figure.querySelectorAll("button"))
    button.onclick = () => save(figure, button.dataset.format);
}
function choose(dark) {
  root.classList.toggle("dark", dark);
  for (const figure of document.querySelectorAll("figure[data-drawn]")) draw(figure);
}
document.getElementById("theme").onclick = () => choose(theme() === "light");
choose(matchMedia("(prefers-color-scheme: dark)").matches);
</script></body></html>
"""
