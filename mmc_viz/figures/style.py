"""How all figures look: colours that stay apart for colour-blind eyes, and text for a projector.

A figure does not know on what page it will stand, and pages change their theme. So paper and plot
have no colour of their own. The theme `both` takes greys and hues that keep a contrast of at least
3 to 1 for lines and 4 to 1 for text on white as well as on JupyterLab's dark #111. Where the page
is known, `light` and `dark` read better.

Blue means right and vermilion means wrong, as in the epsilon explorer. The hues are Okabe and Ito's
(https://jfly.uni-koeln.de/color/), shifted in lightness where a page would swallow them.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go


@dataclass(frozen=True)
class Theme:
    """Colours for one kind of page.

    Attributes
    ----------
    text, grid : str
        Of letters; of thin lines behind the data.
    right, wrong, doubtful : str
        What these verdicts are drawn in.
    series : tuple of str
        One after the other, for models or attacks.
    classes : tuple of str
        One after the other, for the classes of a data set; where these are points, `CLASS_SYMBOLS`
        go with them, so that colour is not alone in telling them apart. Any two are at least 6
        apart in Lab also for eyes without red, green or blue cones (8 in `light` and `dark`).
    """

    text: str
    grid: str
    right: str
    wrong: str
    doubtful: str
    series: tuple[str, ...]
    classes: tuple[str, ...]


_GRID = "rgba(128,128,128,0.3)"
THEMES: dict[str, Theme] = {
    "both": Theme(
        "#787878",
        _GRID,
        "#1a86c7",
        "#d55e00",
        "#b8860b",
        ("#1a86c7", "#d55e00", "#009e73", "#c05f9a", "#b8860b", "#787878"),
        (
            "#1a86c7",
            "#d55e00",
            "#16a275",
            "#bf619c",
            "#ba8921",
            "#806dd4",
            "#a05f3b",
            "#1d96a4",
            "#71922d",
            "#787877",
        ),
    ),
    "light": Theme(
        "#222222",
        _GRID,
        "#0072b2",
        "#d55e00",
        "#a87400",
        ("#0072b2", "#d55e00", "#009e73", "#c05f9a", "#a87400", "#5c5c5c"),
        (
            "#0072b2",
            "#d55e00",
            "#17a075",
            "#be5e9a",
            "#bc8628",
            "#6c4ebf",
            "#8b4928",
            "#008898",
            "#698931",
            "#595c5c",
        ),
    ),
    "dark": Theme(
        "#e6e6e6",
        _GRID,
        "#56b4e9",
        "#d55e00",
        "#e69f00",
        ("#56b4e9", "#d55e00", "#00b884", "#cc79a7", "#e69f00", "#b0b0b0"),
        (
            "#56b4e9",
            "#e8702a",
            "#19b884",
            "#cd78a8",
            "#e5b800",
            "#9f92ef",
            "#ca8c67",
            "#55d3e0",
            "#a5ca4e",
            "#b1b1b0",
        ),
    ),
}

#: What the pages of two themes are painted with.
PAPERS = {"light": "#ffffff", "dark": "#111111"}
#: From low to high: even in lightness, for colour-blind eyes and for a grey print alike.
SCALE = "Cividis"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
CLASS_SYMBOLS = (*SYMBOLS, "star", "triangle-down", "pentagon", "hourglass")
CLEAR = "rgba(0,0,0,0)"
TEXT_SIZE, TITLE_SIZE = 16, 21  # pixels

_TITLE_LINE, _SUBTITLE_LINE = 28, 21  # pixels
_TITLE_WIDTH, _SUBTITLE_WIDTH = 54, 80  # characters that fit into 760 pixels


def resolve(theme: str) -> Theme:
    """Give the theme of a name.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the names.
    """
    if theme not in THEMES:
        raise ValueError(f"`theme` must be one of {', '.join(THEMES)}; got {theme!r}.")
    return THEMES[theme]


def layout(theme: Theme, *, title: str, subtitle: str = "", height: int) -> dict[str, Any]:
    """Give what the layouts of all figures share; the plot itself gets `height` pixels."""
    heading, small = wrap(title, _TITLE_WIDTH), wrap(subtitle, _SUBTITLE_WIDTH)
    top = 58 + _TITLE_LINE * len(heading) + _SUBTITLE_LINE * len(small)
    text = "<br>".join(f"<b>{line}</b>" for line in heading)
    if small:
        # A line of the title, because plotly's own subtitle may cover a title of two lines.
        text += f'<br><span style="font-size:{TEXT_SIZE - 1}px">{"<br>".join(small)}</span>'
    return {
        "template": {},
        "height": height + top,
        "margin": {"t": top, "l": 90, "r": 30, "b": 20},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"size": TEXT_SIZE, "color": theme.text, "family": FONT},
        "title": {
            "text": text,
            "font": {"size": TITLE_SIZE},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 44, "l": 20},  # below the tool bar
        },
        "hoverlabel": {
            "bgcolor": "#262626",
            "bordercolor": "#262626",
            "align": "left",
            "font": {"color": "#ffffff", "size": TEXT_SIZE - 1, "family": FONT},
        },
        "modebar": {"bgcolor": CLEAR, "color": theme.text, "activecolor": theme.right},
    }


FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"


def axis(theme: Theme, title: str = "", **settings: Any) -> dict[str, Any]:
    """Give the settings that all axes with numbers share."""
    return {
        "title": {"text": title, "standoff": 10},
        "automargin": True,
        "gridcolor": theme.grid,
        "linecolor": theme.text,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": theme.text,
        **settings,
    }


def describe(figure: go.Figure, sentence: str) -> go.Figure:
    """Give a figure the one sentence that says what it shows; it travels in `layout.meta`."""
    figure.update_layout(meta={"description": sentence})
    return figure


def description(figure: go.Figure) -> str:
    """Give the sentence that says what a figure shows, made from its numbers; "" if it has none."""
    return (figure.layout.meta or {}).get("description", "")


def faint(colour: str, opacity: float) -> str:
    """Give a colour `#rrggbb` with an opacity, as plotly writes it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def at(items: Sequence[str], place: int) -> str:
    """Give the item at a place, from the first again where they run out."""
    return items[place % len(items)]


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` characters; no line for no text."""
    return textwrap.wrap(text, width)


def percent(share: float | int) -> str:
    """Write a share, 0..1, in percent, to a tenth where that is not 0."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def quote(text: str) -> str:
    """Keep characters of a name from being read as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def legend_below() -> dict[str, Any]:
    """Give a legend that runs along the bottom edge."""
    return {
        "orientation": "h",
        "x": 0,
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "bgcolor": CLEAR,
        "font": {"size": TEXT_SIZE},
    }
