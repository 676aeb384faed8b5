"""Program text in colour; the style sheet of the page holds the colours of its two themes."""

from functools import cache

from pygments import highlight as _highlight
from pygments.formatter import Formatter
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_FORMATTER: Formatter = HtmlFormatter(nowrap=True)


def highlight(code: str, language: str = "python") -> str:
    """Give program text as HTML for a `<pre class="code">`; plain where the language is unknown."""
    return f"<code>{_highlight(code.rstrip(), _lexer(language), _FORMATTER).rstrip()}</code>"


@cache
def _lexer(language: str) -> Lexer:
    try:
        return get_lexer_by_name(language or "text")
    except ClassNotFound:
        return get_lexer_by_name("text")
