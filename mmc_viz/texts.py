"""Text that strangers wrote, such as the names of classes: what may be printed and drawn as it is.

A line break would forge lines of our own, the escape character commands a terminal, a sign that
turns the direction of writing hides what stands there, and half a character cannot be written at
all. Whoever reads a file refuses them, so that nobody further on has to think of them.
"""

import unicodedata

#: Unicode's categories of what is no text of one line: controls, halves of a character, and ends of
#: lines and paragraphs. Joiners, which many scripts need, are none of these.
_ODD = {"Cc", "Cs", "Zl", "Zp"}
#: Signs that turn the direction of writing by force, and end that.
_TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_plain(text: str) -> bool:
    """Whether a text is of one line and holds nothing that acts instead of being seen."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(sign) in _ODD or sign in _TURNS for sign in text)


def shorten(text: str, most: int = 300) -> str:
    """Cut a text after so many characters; three dots say so."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
