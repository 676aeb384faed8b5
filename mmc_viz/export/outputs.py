"""What code has printed and shown: the outputs of a cell, as HTML.

Of several forms of one output the richest is taken: a widget, a plotly figure, HTML, a picture,
text. Widgets and figures are left as places with data, which the scripts of the page fill.
"""

import html
import re
from typing import Any

from mmc_viz.export.embedding import data_script, text
from mmc_viz.export.markdown import Reader, typeset
from mmc_viz.export.models import Models

WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BAR = re.compile(r"^.*\d+%\|.*\[.*\].*$|^\d+it \[.*\]$")  # what tqdm writes to a terminal


def render_output(output: dict[str, Any], reader: Reader, models: Models) -> str:
    """Give the HTML of one output, "" for one that shows nothing.

    Parameters
    ----------
    output : dict
        As nbformat has it.
    reader : Reader
        For Markdown.
    models : Models
        Of the notebook; a view of one that a page cannot show is left out.
    """
    kind = output["output_type"]
    if kind == "stream":
        return _stream(output["text"], output.get("name", "stdout"))
    if kind == "error":
        return _stream("\n".join(output["traceback"]), "stderr")
    data = output["data"]
    if WIDGET in data:
        model = data[WIDGET]["model_id"]
        if not models.can_show(model):
            return ""
        return f'<div class="widget" data-model="{models.name(model)}"></div>'
    if PLOTLY in data:
        return _figure(data[PLOTLY])
    if "text/html" in data:
        return f'<div class="rich">{typeset("".join(data["text/html"]))}</div>'
    if "text/markdown" in data:
        return f'<div class="rich">{reader.read("".join(data["text/markdown"]))}</div>'
    if "image/svg+xml" in data:
        return f'<div class="picture">{"".join(data["image/svg+xml"])}</div>'
    for picture in ("image/png", "image/jpeg"):
        if picture in data:
            words = "".join(data.get("text/plain", ""))
            alt = "Picture that the code above draws" if words.startswith("<") else words
            source = "".join(data[picture].split())
            return f'<img class="picture" alt="{text(alt)}" src="data:{picture};base64,{source}">'
    return _stream("".join(data.get("text/plain", "")), "stdout")


def _stream(words: str, name: str) -> str:
    """Give text as a terminal would leave it: colours apart, a carriage return begins anew."""
    lines = [line.rstrip("\r").split("\r")[-1] for line in _ANSI.sub("", words).split("\n")]
    left = "\n".join(line for line in lines if not _BAR.match(line)).strip("\n")
    return f'<pre class="stream {text(name)}">{text(left)}</pre>' if left.strip() else ""


def _figure(figure: dict[str, Any]) -> str:
    layout = figure.get("layout", {})
    # A description is written as plotly reads it, with &lt; for <.
    words = text(html.unescape((layout.get("meta") or {}).get("description", "")))
    height = int(layout.get("height") or 450)
    label = words or "Interactive figure"
    caption = f"<figcaption>{words}</figcaption>" if words else ""
    parts = {name: figure.get(name) for name in ("data", "layout", "frames")}
    return (
        # A group and no picture, for its tools can be reached with the keyboard.
        f'<figure class="plotly"><div class="plot" role="group" aria-label="{label}" '
        f'style="height:{height}px"></div>{caption}{data_script(parts)}</figure>'
    )
