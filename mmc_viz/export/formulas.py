r"""Formulas: from TeX to MathML, which browsers draw without a library or a network.

latex2mathml does the conversion. What it leaves for the reader to guess is mended here: which bar
of a norm opens and which closes, function names that are words and not products of letters, letters
of other alphabets, colours that suit a light and a dark page. A formula that cannot be converted is
an error and no gap in the page.

Colours are written as for MathJax: `\textcolor{#0072b2}{z}`, or `{\color{#0072b2} z}`, a switch
that holds until its group ends.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

_ALPHABETS = {
    "bold": "BOLD",
    "bold-italic": "BOLD ITALIC",
    "italic": "ITALIC",
    "sans-serif": "SANS-SERIF",
    "monospace": "MONOSPACE",
}
_OPENING, _CLOSING = "⟨([{⌊⌈", "⟩)]}⌋⌉"
_PARTS = dict.fromkeys(("mfrac", "msub", "msup", "munder", "mover", "mroot"), 2) | dict.fromkeys(
    ("msubsup", "munderover"), 3
)
#: What latex2mathml does not know, in terms of what it does.
_REWRITTEN = {
    r"\\arg(?![a-zA-Z])": r"\\operatorname{arg}\\,",
    r"\\operatorname\*?\s*\{": r"\\mathrm{",
    r"\\begin\{(?:aligned|align\*?|split)\}": r"\\begin{array}{rlrl}",
    r"\\end\{(?:aligned|align\*?|split)\}": r"\\end{array}",
    r"\\!": "",
    # Brackets of a given size do not grow with what stands in them; those of \left and \right do.
    r"\\[bB]igg?l?\s*(?=\(|\[|\\\{|\\(?:l[vV]ert|langle|lfloor|lceil)(?![a-zA-Z]))": r"\\left",
    r"\\[bB]igg?r?\s*(?=\)|\]|\\\}|\\(?:r[vV]ert|rangle|rfloor|rceil)(?![a-zA-Z]))": r"\\right",
    r"\\[bB]igg?l\s*(?=\||\\\|)": r"\\left",
    r"\\[bB]igg?r\s*(?=\||\\\|)": r"\\right",
}
#: These take their index below them where there is room, and beside them within a line.
_LIMITS = ("max", "min", "sup", "inf", "lim", "∑", "∏")
_UNDER = {"msub": "munder", "msubsup": "munderover"}
_THIN = "0.167em"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}|[a-zA-Z]+")


def to_mathml(tex: str, *, display: bool = False) -> str:
    r"""Convert a formula.

    Parameters
    ----------
    tex : str
        What stands between the dollar signs.
    display : bool
        Whether it stands on a line of its own.

    Returns
    -------
    mathml : str
        One `<math>` element.

    Raises
    ------
    ValueError
        If it is no formula, or has a command that is not known.
    """
    source = tex
    for pattern, instead in _REWRITTEN.items():
        source = re.sub(pattern, instead, source)
    try:
        root = convert_to_element(source, display="block" if display else "inline")
    except Exception as error:  # it has a dozen kinds of its own
        reason = f"{type(error).__name__} {error}".strip()
        raise ValueError(f"The formula {tex!r} cannot be converted ({reason}).") from None
    for element in root.iter():
        element.text = html.unescape(element.text or "")
        if "\\" in element.text:
            raise ValueError(f"The formula {tex!r} has an unknown command, {element.text}.")
        if len(element) != _PARTS.get(element.tag, len(element)):
            raise ValueError(f"The formula {tex!r} is not complete: a part of it is missing.")
        _mend_letter(element)
        _mend_colour(element, tex)
        if "columnalign" in element.attrib:  # browsers know the style sheet's word alone
            _align(element, element.attrib.pop("columnalign").split())
    for element in list(root.iter()):
        if element.tag in _UNDER and element[0].text in _LIMITS:
            element.tag = _UNDER[element.tag]
            element[0].set("movablelimits", "true")
        _join_letters(element)
    _pair_bars(root)
    for element in root.iter():
        _space_names(element)
        _space_signs(element)
    return ElementTree.tostring(root, encoding="unicode")


def _align(element: Element, ways: list[str]) -> None:
    """Align the columns of a table, or a single cell."""
    for row in element if element.tag == "mtable" else []:
        for cell, way in zip(row, ways, strict=False):
            cell.set("style", f"text-align: {way}")
    if element.tag == "mtd":
        element.set("style", f"text-align: {ways[0]}")


def _mend_letter(element: Element) -> None:
    """Name the letters of other alphabets: browsers know the attribute's value `normal` alone."""
    variant = element.get("mathvariant", "normal")
    if variant in _ALPHABETS:
        element.text = "".join(_letter(character, variant) for character in element.text or "")
        del element.attrib["mathvariant"]
    text = element.text or ""
    if element.tag == "mi" and text.isupper() and unicodedata.name(text[0]).startswith("GREEK"):
        element.set("mathvariant", "normal")  # TeX writes them upright
    if element.tag == "mi" and len(text) == 1 and text not in "∞∂∇":
        if unicodedata.category(text) in ("Sm", "Ps", "Pe"):  # a sign or a bracket
            element.tag = "mo"
    if element.tag == "mo" and text and text in "⟨⟩⌊⌋⌈⌉":
        _turn(element, opens=text in _OPENING)


def _letter(character: str, variant: str) -> str:
    # "GREEK SMALL LETTER MU" and "LATIN SMALL LETTER X" become the "... SMALL MU" of mathematics.
    name = re.sub(r"(GREEK|LATIN) (SMALL|CAPITAL) LETTER", r"\2", unicodedata.name(character, ""))
    name = name.replace("DIGIT", "BOLD DIGIT" if "bold" in variant else "DIGIT")
    alphabet = "" if "DIGIT" in name else f"{_ALPHABETS[variant]} "
    try:
        return unicodedata.lookup(f"MATHEMATICAL {alphabet}{name}")
    except KeyError:
        return character


def _mend_colour(element: Element, tex: str) -> None:
    """Hand colours to the style sheet, which knows their partners on a dark page."""
    colour = element.attrib.pop("mathcolor", None)
    if colour is None:
        return
    if not _COLOUR.fullmatch(colour):
        raise ValueError(f"The formula {tex!r} has a colour that is none: {colour!r}.")
    name = colour.lower().removeprefix("#")
    element.set("style", f"color: var(--tex-{name}, {colour})")


def _join_letters(row: Element) -> None:
    """Make one word of upright letters that follow each other."""
    before = None
    for element in list(row):
        upright = element.tag == "mi" and element.get("mathvariant") == "normal"
        if upright and before is not None:
            before.text += element.text
            row.remove(element)
        else:
            before = element if upright else None


def _pair_bars(root: Element) -> None:
    """Let bars of a norm open and close in turn; without that the browser has to guess."""
    bars = [e for e in root.iter() if e.tag == "mo" and e.text in ("‖", "|") and not e.get("form")]
    for bar in ("‖", "|"):
        same = [element for element in bars if element.text == bar]
        if len(same) % 2:  # a single bar is a condition, p(y | x)
            continue
        for place, element in enumerate(same):
            _turn(element, opens=place % 2 == 0)


def _turn(bracket: Element, *, opens: bool) -> None:
    bracket.set("form", "prefix" if opens else "postfix")
    bracket.set("stretchy", "false")


def _space_names(row: Element) -> None:
    """Set names of functions as TeX does: a thin space about them, none before a bracket."""
    siblings = list(row)
    for place, element in enumerate(siblings):
        core = next(_cores(element))
        word = core.text or ""
        if core.tag not in ("mi", "mo") or len(word) < 2 or not word.isalpha():
            continue
        if core.tag == "mi" and core.get("mathvariant") == "normal":
            continue  # \mathrm is a name; it brings no space along
        if row.tag not in ("mrow", "math", "mstyle", "mtd"):
            continue
        core.tag = "mo"
        core.set("form", "prefix")
        after = siblings[place + 1] if place + 1 < len(siblings) else None
        bare = after is None or (next(_cores(after)).text or " ")[0] in _OPENING
        core.set("rspace", "0" if bare else _THIN)
        first = place == 0 or next(_cores(siblings[place - 1])).tag == "mo"
        closed = place > 0 and (next(_cores(siblings[place - 1])).text or " ")[0] in _CLOSING
        core.set("lspace", _THIN if closed or not first else "0")


def _space_signs(row: Element) -> None:
    """Keep a sign at its number, as in (-1), and a slash at both of its own."""
    before: Element | None = None
    for element in row:
        text = element.text if element.tag == "mo" else ""
        if text == "/":
            element.set("lspace", "0")
            element.set("rspace", "0")
        ended = before is None or before.tag != "mo" or before.get("form") == "postfix"
        if text in ("+", "−", "±") and not ended and before.text not in ("!", *_CLOSING):
            element.set("form", "prefix")
        before = element


def _cores(element: Element) -> Iterator[Element]:
    """Go down from an element with indices to what bears them."""
    while element.tag in ("msub", "msup", "msubsup", "munder", "mover", "munderover") and len(
        element
    ):
        element = element[0]
    yield element
