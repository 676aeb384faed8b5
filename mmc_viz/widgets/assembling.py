"""The browser's side of a widget, put together from several files into one.

Jupyter hands a widget's JavaScript to the browser as one text, in which a relative import would
find nothing. The files in `js/` are ordinary modules that import from each other; `assemble` joins
the imported ones and the widget's own, each once, in the order of their imports. All top-level
names then share one scope and must differ; the browser would refuse a module in which they do not.
"""

import re
from pathlib import Path

JS = Path(__file__).parent / "js"
CSS = Path(__file__).parent / "css"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|const|let|class)\b)", re.MULTILINE)


def assemble(name: str) -> str:
    """Join a widget's module in `js/` and all that it imports into one module.

    Parameters
    ----------
    name : str
        Of the file, such as `epsilon_explorer.js`; it ends in `export default { render };`.

    Returns
    -------
    source : str
        A module without imports.

    Raises
    ------
    ValueError
        If a module imports a name that the other does not export.
    """
    parts: dict[str, str] = {}

    def add(file: str) -> str:
        source = (JS / file).read_text(encoding="utf-8")
        for names, other in _IMPORT.findall(source):
            exported = add(other)
            for word in re.findall(r"\w+", names):
                if not re.search(rf"^export .*\b{word}\b", exported, re.MULTILINE):
                    raise ValueError(f"{file} imports `{word}`, which {other} does not export.")
        own = _IMPORT.sub("", source)
        parts.setdefault(file, own if file == name else _EXPORT.sub("", own))
        return source

    add(name)
    return "\n".join(parts.values())


def style(*names: str) -> str:
    """Join the style sheet of all widgets and those in `css/` that are named."""
    return "\n".join((CSS / file).read_text(encoding="utf-8") for file in ("base.css", *names))
