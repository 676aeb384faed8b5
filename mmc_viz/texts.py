"""What strangers wrote, such as the names of classes: what of it may be printed and drawn as it is.

A line break would forge lines of our own, the escape character commands a terminal, a sign that
turns the direction of writing hides what stands there, and half a character cannot be written at
all. Whoever reads a file refuses them, so that nobody further on has to think of them.
"""

import math
import unicodedata
from typing import Any

#: Unicode's categories of what is no text of one line: controls, halves of a character, and ends of
#: lines and paragraphs. Joiners, which many scripts need, are none of these.
_ODD = {"Cc", "Cs", "Zl", "Zp"}
#: Signs that turn the direction of writing by force, and end that.
_TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DEEPEST = 16  # lists and objects within each other; our own files have five


def is_plain(text: str) -> bool:
    """Whether a text is of one line and holds nothing that acts instead of being seen."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(sign) in _ODD or sign in _TURNS for sign in text)


def check_json(value: Any) -> None:
    """Refuse what JSON can say and we could not write again, compare or print.

    Parameters
    ----------
    value : Any
        As `json.loads` gives it.

    Raises
    ------
    ValueError
        If a text or name in it is not plain, a number is not finite or too large for a computer's
        own, or lists and objects lie in each other too deeply.
    """
    left: list[tuple[Any, int]] = [(value, 0)]
    while left:
        one, depth = left.pop()
        inner: list[Any] = []
        if isinstance(one, dict):
            inner = [*one, *one.values()]
        elif isinstance(one, list):
            inner = one
        elif isinstance(one, str) and not is_plain(one):
            said = shorten(repr(one), 60)
            raise ValueError(f"it holds a text with a line break or another sign that acts: {said}")
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"{one} is no number that JSON knows")
        elif isinstance(one, int) and abs(one) >= 2**63:
            raise ValueError(f"it holds a whole number of {one.bit_length()} bits")
        if inner and depth == _DEEPEST:
            raise ValueError("it is nested too deeply")
        left += [(member, depth + 1) for member in inner]


def shorten(text: str, most: int = 300) -> str:
    """Cut a text after so many characters; three dots say so."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: Exception, most: int = 300) -> str:
    """Give the first line of an error's message, cut if need be; its name where it has none."""
    return shorten((str(error).splitlines() or [type(error).__name__])[0], most)
