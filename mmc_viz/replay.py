"""Replay codes: a situation of a widget as one line of text that can be read, sent and pasted.

    epsilon-explorer?models=fashion-sce,fashion-mmc&images=0-29&steps=20&weights=3f2a91b0&step=6

Before the question mark stands the kind of widget, then the settings (what is computed: models,
images, attack, budget, seed), then the view (what is shown of it). The settings are a frozen
dataclass whose fields are text, whole numbers, numbers, yes or no, or tuples of these; whole
numbers in a row are written as ranges. The view is written by the browser too, so it holds nothing
that Python and JavaScript would write differently: text, whole numbers, yes or no, and lists of
whole numbers.

A code comes from strangers: whatever it holds is read as values, never run, and refused in one line
where it fits no field or asks for more than `MOST` of anything.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote

Settings = TypeVar("Settings")
Plain = str | int | float | bool | Sequence[Any]

LONGEST = 20_000  # characters of a code
MOST = 20_000  # numbers that ranges may stand for, and things that a setting may ask for
_KIND = re.compile(r"[a-z][a-z0-9-]*")
_WHOLE = re.compile(r"-?\d{1,15}")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


def write(kind: str, settings: Any, view: Mapping[str, Plain] | None = None) -> str:
    """Write a situation as one line.

    Parameters
    ----------
    kind : str
        Of the widget: small letters, digits and hyphens.
    settings : dataclass
        What is computed.
    view : mapping, optional
        What is shown of it: name to text, whole number, yes or no, or whole numbers.

    Returns
    -------
    code : str
        It has no space and no line break.
    """
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    pairs = [f"{name}={_text(value)}" for name, value in {**values, **(view or {})}.items()]
    return f"{kind}?{'&'.join(pairs)}"


def split(code: str) -> tuple[str, dict[str, str]]:
    """Take a code apart into its kind and the text of each field.

    Raises
    ------
    ValueError
        If it is no code.
    """
    code = "".join(code.split())  # mail programs break long lines
    kind, mark, rest = code.partition("?")
    if len(code) > LONGEST or not mark or not _KIND.fullmatch(kind):
        raise ValueError(
            f"`code` must be a replay code, kind?name=value&name=value; got {code[:40]!r}."
        )
    fields: dict[str, str] = {}
    for pair in filter(None, rest.split("&")):
        name, mark, text = pair.partition("=")
        if not mark or not name.isidentifier() or name in fields:
            raise ValueError(f"`code` must hold each name once, as name=value; got {pair[:40]!r}.")
        fields[name] = text
    return kind, fields


def read(cls: type[Settings], fields: dict[str, str]) -> tuple[Settings, dict[str, str]]:
    """Read the settings out of the fields of a code.

    Parameters
    ----------
    cls : type
        A dataclass; a field that the code leaves out keeps its default.
    fields : dict[str, str]
        As `split` gives them.

    Returns
    -------
    settings : dataclass
    rest : dict[str, str]
        The fields that are no settings.

    Raises
    ------
    ValueError
        If a value is not of its field's kind, or a number of things is more than `MOST`.
    """
    wanted = typing.get_type_hints(cls)
    values = {
        name: value_of(name, wanted[name], text) for name, text in fields.items() if name in wanted
    }
    for name, value in values.items():
        # Of steps, budgets, images: lists of that length would be made. A seed counts nothing.
        if type(value) is int and name != "seed" and value > MOST:
            raise ValueError(f"`{name}` of a replay code must be at most {MOST:,}; got {value:,}.")
    rest = {name: text for name, text in fields.items() if name not in wanted}
    return cls(**values), rest


def value_of(name: str, wanted: Any, text: str) -> Any:
    """Read one value; `wanted` is its type, such as `int` or `tuple[str, ...]`."""
    arguments = typing.get_args(wanted)
    if wanted in (list, tuple):  # of a view
        arguments = (int,)
    if isinstance(wanted, types.UnionType) or typing.get_origin(wanted) is typing.Union:
        # `float | int` is what the type checker of the tests wants for a number.
        return value_of(name, float if float in arguments else arguments[0], text)
    if not arguments:
        return _one(name, wanted, text)
    if not text:
        return ()
    if arguments[0] is int:
        return tuple(number for part in text.split(",") for number in _numbers(name, part))
    return tuple(_one(name, arguments[0], part) for part in text.split(","))


def _one(name: str, wanted: type, text: str) -> Any:
    """Read a single text, number, or yes or no."""
    if wanted is str:
        return unquote(text, errors="strict")
    if wanted is bool and text in ("true", "false"):
        return text == "true"
    if wanted is int and _WHOLE.fullmatch(text):
        return int(text)
    if wanted is float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if abs(value) < float("inf"):
            return value
    words = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
    raise ValueError(f"`{name}` of a replay code must be {words}; got {text[:40]!r}.")


def _numbers(name: str, text: str) -> Sequence[int]:
    """Read a whole number or a range such as 0-29."""
    found = _RANGE.fullmatch(text)
    if not found:
        return [_one(name, int, text)]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MOST:
        raise ValueError(
            f"`{name}` of a replay code must hold rising ranges of at most {MOST} numbers; "
            f"got {text!r}."
        )
    return range(first, last + 1)


def _text(value: Plain) -> str:
    """Write a value; texts as JavaScript's encodeURIComponent does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value, safe="!*'()")
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    if all(type(item) is int for item in value):
        return ",".join(_ranges(list(value)))
    return ",".join(_text(item) for item in value)


def _ranges(numbers: list[int]) -> list[str]:
    """Write whole numbers, three and more in a row as a range."""
    parts: list[str] = []
    start = 0
    for i in range(1, len(numbers) + 1):
        if i < len(numbers) and numbers[i] == numbers[i - 1] + 1 and numbers[start] >= 0:
            continue
        row = numbers[start:i]
        parts += [f"{row[0]}-{row[-1]}"] if len(row) > 2 else [str(number) for number in row]
        start = i
    return parts
