"""What is put into a page so that it does no harm there, and is not read before its time.

Data stand in script elements that the browser does not run. Nothing is escaped in these but `<`,
which could end them. What may not be read yet is sealed: deflated and written in base64, so that
neither the page nor its source shows it to somebody who looks; it is no secret to one who decodes
it, and need not be.
"""

import base64
import html
import json
import zlib
from typing import Any


def text(words: str) -> str:
    """Escape text for an element or a quoted attribute."""
    return html.escape(words, quote=True)


def data_script(value: Any, **attributes: str) -> str:
    """Put a JSON-able value into a script element; read it with `JSON.parse(textContent)`.

    Parameters
    ----------
    value : Any
        What JSON can say.
    **attributes : str
        Of the element; `id`, or `kind` for its class.
    """
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Two lines of JavaScript that JSON allows and old browsers do not, and the end of the script.
    written = written.replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return _script("application/json", written, attributes)


def sealed_script(words: str, **attributes: str) -> str:
    """Put text into a script element, deflated: smaller, and not to be read at a glance."""
    return _script("application/octet-stream", deflate(words.encode()), attributes)


def deflate(data: bytes) -> str:
    """Deflate as the browser's `DecompressionStream("deflate")` undoes it; in base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def _script(kind: str, content: str, attributes: dict[str, str]) -> str:
    names = {"kind": "class"}
    written = "".join(f' {names.get(k, k)}="{text(v)}"' for k, v in attributes.items())
    return f'<script type="{kind}"{written}>{content}</script>'
