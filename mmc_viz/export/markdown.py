"""The text of a lesson: Markdown, with formulas, to HTML.

As JupyterLab does, formulas are taken out before the Markdown is read, so that an underscore or a
bar in one means what it means in TeX, and put back after it. Raw HTML passes through. Links to
notebooks lead to the pages of these; pictures that lie beside the notebook go into the page.
"""

import base64
import html
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import mistune

from mmc_viz.export.formulas import to_mathml
from mmc_viz.export.highlighting import highlight

_MATH = re.compile(
    r"""
    (?P<code> (?P<fence>^[ ]{0,3}(?:```+|~~~+)) .*? (?:^[ ]{0,3}(?P=fence)|\Z)
            | (?P<ticks>`+) (?!`) .+? (?<!`) (?P=ticks) (?!`) )
    | (?P<dollar> \\\$ )
    | \$\$ (?P<display> .+? ) \$\$
    | (?P<environment> \\begin\{(?P<name>[a-z]+\*?)\} .+? \\end\{(?P=name)\} )
    | \$ (?P<inline> (?: [^$\\\n] | \\. | \n(?!\s*\n) )+ ) \$
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_MARKUP = re.compile(
    r"(<(?:pre|code|script|style)\b.*?</(?:pre|code|script|style)>|<[^<>]*>)", re.DOTALL
)
_PLACE = re.compile("\ue000(\\d+)\ue001")


@dataclass
class Reader:
    """Turns the Markdown of one notebook into HTML.

    Attributes
    ----------
    folder : Path
        Where the notebook lies; its pictures are looked for there.
    page_of : callable
        From the file name of a notebook to that of its page; None if it has none on this site.
    headings : list of (int, str, str)
        Level, id and plain text of the headings so far.
    raw : bool
        Whether HTML in the text passes through.
    """

    folder: Path
    page_of: Callable[[str], str | None] = lambda name: None
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    raw: bool = True

    def read(self, source: str, attachments: dict[str, dict[str, str]] | None = None) -> str:
        """Give the HTML of a cell; `attachments` are the pictures that it carries.

        Raises
        ------
        ValueError
            If a formula cannot be converted, or a picture is not there.
        """
        formulas: list[str] = []

        def take(found: re.Match[str]) -> str:
            if found["code"]:
                return found["code"]
            if found["dollar"]:
                return "$"
            tex = found["display"] or found["environment"]
            formula = to_mathml((tex or found["inline"]).strip(), display=bool(tex))
            formulas.append(formula)
            return f"\ue000{len(formulas) - 1}\ue001"

        renderer = _Renderer(self, attachments or {})
        plugins = ["table", "strikethrough", "url"]
        markdown = mistune.create_markdown(renderer=renderer, plugins=plugins)
        page = str(markdown(_MATH.sub(take, source)))
        # A table keeps its own width, and the box about it that of the column.
        page = page.replace("<table>", '<div class="table"><table>')
        page = page.replace("</table>", "</table></div>")
        return _PLACE.sub(lambda found: formulas[int(found[1])], page)


class _Renderer(mistune.HTMLRenderer):
    def __init__(self, reader: Reader, attachments: dict[str, dict[str, str]]):
        super().__init__(escape=not reader.raw)
        self.reader = reader
        self.attachments = attachments

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        plain = _PLACE.sub("", re.sub(r"<[^>]+>", "", text)).strip()
        name = re.sub(r"\s+", "-", plain)  # as JupyterLab names it
        self.reader.headings.append((level, name, plain))
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        path, sharp, place = url.partition("#")
        if path and not re.match(r"[a-z][a-z0-9+.-]*:", url, re.IGNORECASE):
            page = self.reader.page_of(unquote(path)) if path.endswith(".ipynb") else None
            if page is None:
                return text  # what it leads to is not on this site
            url = page + sharp + place
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, self.inlined(url), title)

    def safe_url(self, url: str) -> str:
        # A picture in the page is an address too; mistune lets few kinds of it pass.
        return mistune.escape(url) if url.startswith("data:image/") else super().safe_url(url)

    def block_code(self, code: str, info: str | None = None) -> str:
        language = (info or "").split(" ")[0]
        return f'<pre class="code">{highlight(code, language)}</pre>\n'

    def inlined(self, url: str) -> str:
        if url.startswith("data:"):
            return url
        if url.startswith("attachment:"):
            kinds = self.attachments.get(unquote(url.removeprefix("attachment:")))
            if kinds:
                kind, data = next(iter(kinds.items()))
                return f"data:{kind};base64,{data}"
        path = self.reader.folder / unquote(url)
        if "://" in url or not path.is_file():
            raise ValueError(f"The picture {url!r} is not there; a page needs it beside the text.")
        kind = mimetypes.guess_type(path.name)[0] or "image/png"
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def typeset(page: str) -> str:
    """Convert the formulas in HTML, as JupyterLab does in what code has shown; none in code."""

    def convert(found: re.Match[str]) -> str:
        if found["code"] or found["dollar"]:
            return found["code"] or "$"
        tex = found["display"] or found["environment"]
        source = html.unescape(tex or found["inline"]).strip()
        return to_mathml(source, display=bool(tex))

    parts = _MARKUP.split(page)
    # Every second part is markup, or code with all that is in it.
    return "".join(part if i % 2 else _MATH.sub(convert, part) for i, part in enumerate(parts))


def read_line(markdown: str) -> str:
    """Give the HTML of one line, such as a title, without an element of its own about it."""
    return re.sub(r"^<p>|</p>$", "", Reader(Path(), raw=False).read(markdown).strip())


def plain(markdown: str) -> str:
    """Give one line of Markdown without any marks, escaped for HTML."""
    return re.sub(r"<[^>]+>", "", read_line(markdown))
