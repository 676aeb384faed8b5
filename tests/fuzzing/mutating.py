"""How a file is changed: bytes blindly, JSON by its structure, text by what parsers stumble over.

A mutator takes the content of a file and a `random.Random`, and gives another content.
"""

import copy
import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Mutator = Callable[[bytes, Random], bytes]

#: Numbers at which sizes overflow, signs turn and memory runs out.
EXTREMES = (0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
EXTREMES += (2**40, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)

#: Texts that have gone wrong somewhere before.
TEXTS = (
    *("", " ", "\n", "a\nb", "\r\n", "\0", "\x1b[2J", "\x7f", "\u2028", "\u202egnp.x", "\u200b"),
    *("\ud800", "\ufeff", "é", "e\u0301", "ﬁ", "İ", "ß", "１２", "٣", "💥", "Z" + "\u0300" * 50),
    *("../../etc/passwd", "/dev/zero", "~", ".", "..", "a/b", "a\\b", "C:\\x", "file:///etc"),
    *("<img src=x onerror=alert(1)>", "</script>", "<!--", "&lt;b&gt;", '"', "'", "`", "|", "$x$"),
    *("%s%n", "{0}", "${x}", "$(x)", "nan", "inf", "-inf", "1e999", "None", "null", "true", "0x10"),
    *("A" * 5_000, "9" * 4_000, "9" * 5_000, "[" * 3_000),
)


def deep(depth: int, inner: Any = 0) -> Any:
    """Nest lists in each other."""
    for _ in range(depth):
        inner = [inner]
    return inner


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e300, -1e300, 1e18, 10**30, -(10**30)),
    *(float("nan"), float("inf"), float("-inf"), 10**400, *EXTREMES),
    *([], {}, [[]], {"": 0}, [0] * 1_000, ["a", 1, None], [None], {"a": {"a": {"a": []}}}),
    *(deep(50), deep(200), *TEXTS),
)


# ---- bytes


def flip_bit(data: bytes, draw: Random) -> bytes:
    """Flip one bit."""
    if not data:
        return b"\0"
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def set_byte(data: bytes, draw: Random) -> bytes:
    """Set one byte near the beginning, where headers are, or anywhere."""
    if not data:
        return b"\xff"
    at = draw.randrange(min(len(data), draw.choice([16, 64, 512, len(data)])))
    return data[:at] + bytes([draw.choice([0, 1, 10, 127, 128, 254, 255])]) + data[at + 1 :]


def set_number(data: bytes, draw: Random) -> bytes:
    """Write an extreme number over some bytes."""
    form = draw.choice(["<H", ">H", "<I", ">I", "<Q", ">Q"])
    size = struct.calcsize(form)
    number = struct.pack(form, draw.choice(EXTREMES) % 256**size)
    at = draw.randrange(min(max(1, len(data) - size), draw.choice([8, 32, 256, 10**9])))
    return data[:at] + number + data[at + size :]


def cut(data: bytes, draw: Random) -> bytes:
    """Cut off the end, or the beginning."""
    at = draw.randrange(len(data) + 1)
    return draw.choice([data[:at], data[: len(data) - draw.randrange(1, 9)], data[at:]])


def insert(data: bytes, draw: Random) -> bytes:
    """Put something in, also behind the end."""
    at = draw.choice([0, len(data), draw.randrange(len(data) + 1)])
    size = draw.choice([1, 2, 7, 64, 4_096])
    return data[:at] + draw.choice([draw.randbytes(size), bytes(size), b"\xff" * size]) + data[at:]


def slices(data: bytes, draw: Random) -> tuple[int, int]:
    """Choose where a slice begins and ends."""
    begin = draw.randrange(len(data) + 1)
    return begin, min(len(data), begin + draw.choice([1, 4, 16, 100, 1_000]))


def delete_slice(data: bytes, draw: Random) -> bytes:
    """Take a slice out."""
    begin, end = slices(data, draw)
    return data[:begin] + data[end:]


def double_slice(data: bytes, draw: Random) -> bytes:
    """Write a slice twice, or many times."""
    begin, end = slices(data, draw)
    return data[:end] + data[begin:end] * draw.choice([1, 1, 2, 50]) + data[end:]


def swap_slices(data: bytes, draw: Random) -> bytes:
    """Let two slices that follow each other change places."""
    begin, end = slices(data, draw)
    far = min(len(data), end + (end - begin))
    return data[:begin] + data[end:far] + data[begin:end] + data[far:]


def fill_slice(data: bytes, draw: Random) -> bytes:
    """Write one byte, or noise, over a slice."""
    begin, end = slices(data, draw)
    size = end - begin
    return (
        data[:begin] + draw.choice([bytes(size), b"\xff" * size, draw.randbytes(size)]) + data[end:]
    )


BYTES: tuple[Mutator, ...] = (
    *(flip_bit, flip_bit, set_byte, set_number, set_number, cut, insert),
    *(delete_slice, double_slice, swap_slices, fill_slice),
)


# ---- JSON


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every value inside a value, itself first."""
    yield way
    inner = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else inner:
        yield from places(one, (*way, key))


def change_json(value: Any, draw: Random) -> Any:
    """Change one place of a JSON value: put in another, take it out, rename or double it."""
    value = copy.deepcopy(value)
    ways = list(places(value))
    # Evenly by depth first: a table of thousands would hide the rest.
    depth = draw.choice(sorted({len(way) for way in ways}))
    way = draw.choice([one for one in ways if len(one) == depth])
    if not way:
        return draw.choice([draw.choice(VALUES), [value], {"a": value}])
    parent = value
    for key in way[:-1]:
        parent = parent[key]
    key, old = way[-1], parent[way[-1]]
    deed = draw.choice(["put", "put", "put", "near", "near", "drop", "double", "swap", "rename"])
    if deed == "put":
        parent[key] = copy.deepcopy(draw.choice(VALUES))
    elif deed == "near":
        parent[key] = _near(old, draw)
    elif deed == "drop":
        del parent[key]
    elif deed == "swap":
        other = (
            draw.choice(list(parent)) if isinstance(parent, dict) else draw.randrange(len(parent))
        )
        parent[key], parent[other] = parent[other], parent[key]
    elif isinstance(parent, list):
        parent[key:key] = [copy.deepcopy(old)] * draw.choice([1, 1, 3, 1_000])
    else:
        parent[draw.choice(TEXTS)] = parent.pop(key) if deed == "rename" else copy.deepcopy(old)
    return value


def _near(old: Any, draw: Random) -> Any:
    """Give a value of the same type, or of one that is easily taken for it."""
    if isinstance(old, bool):
        return draw.choice([not old, int(old), str(old).lower()])
    if isinstance(old, int | float):
        return draw.choice(
            [old + 1, old - 1, -old, 2 * old, float(old), str(old), bool(old), [old]]
        )
    if isinstance(old, str):
        return draw.choice([old + " ", old.upper(), old[:-1], old * 2, old + "\n", [old], len(old)])
    if isinstance(old, list):
        return draw.choice([old[::-1], old[:-1], old * 2, dict(enumerate(map(str, old))), [old]])
    return draw.choice([list(old or {}), [old], str(old)])


def change_text(text: str, draw: Random) -> bytes:
    """Write what a JSON library would not."""
    begin, end = slices(text.encode(errors="replace"), draw)
    deed = draw.randrange(8)
    if deed == 0:  # a number that is no finite one, or a very long one
        number = draw.choice(
            ["1e999", "-1e999", "9" * 5_000, "1" + "0" * 4_000, "1.", "0x1", "NaN"]
        )
        return text.replace(draw.choice("0123456789"), number, 1).encode(errors="replace")
    if deed == 1:
        return b"\xef\xbb\xbf" + text.encode(errors="replace")
    if deed == 2:
        return text.encode(draw.choice(["utf-16", "utf-32", "utf-8"]), errors="replace")
    if deed == 3:
        return text.replace("{", "{" + draw.choice(['"format": 1,', '"a": 1, "a": 2,']), 1).encode()
    if deed == 4:
        depth = draw.choice([100, 200, 100_000])  # none near Python's limit, which moves
        return (text[:begin] + "[" * depth + "]" * depth + text[begin:]).encode(errors="replace")
    if deed == 5:
        return text.replace('"', draw.choice(["'", '"\\ud800', '\\"', '"\\u0000']), 2).encode()
    if deed == 6:
        return (text + draw.choice([text, " ", "\0", "//", "}", ","])).encode(errors="replace")
    return (text[:begin] + text[end:]).encode(errors="replace")


def change_json_file(data: bytes, draw: Random) -> bytes:
    """Change a JSON file: mostly by its structure, sometimes as text."""
    try:
        value = json.loads(data)
        if draw.random() < 0.2:
            return change_text(json.dumps(value), draw)
        return json.dumps(change_json(value, draw)).encode()
    except (ValueError, RecursionError):  # what was changed before cannot be read or walked
        return flip_bit(data, draw)


JSON: tuple[Mutator, ...] = (change_json_file,) * 12 + BYTES


# ---- one format inside another


def inside(
    unwrap: Callable[[bytes], bytes],
    wrap: Callable[[bytes, bytes], bytes],
    mutators: tuple[Mutator, ...],
) -> Mutator:
    """Change what a file holds: `unwrap(file)` gives it, `wrap(file, changed)` puts it back.

    What was damaged before, so that nothing can be unwrapped, is changed as bytes.
    """

    def mutate(data: bytes, draw: Random) -> bytes:
        try:
            inner = unwrap(data)
        except Exception:
            return flip_bit(data, draw)
        return wrap(data, draw.choice(mutators)(inner, draw))

    return mutate
