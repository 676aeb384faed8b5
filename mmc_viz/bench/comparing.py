"""What got slower from one run of the benchmark to the next, beyond the noise that was measured.

A number changed if its two values differ by more than the noise of both, squared and added, and
three percent, which another process makes of the same code by its place in memory alone. What was
measured once has no noise of its own: it must differ by a third, and memory by a tenth.

Files are read from anywhere, also those of earlier versions, in which every number counts as
measured once. Numbers of two machines, of two versions of Python or torch, or of different numbers
of threads are set side by side and not judged.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmc_viz.bench.timing import Measurement
from mmc_viz.files import read_json

#: Whether more is better; a unit that is not here is a count, of which neither is.
MORE_IS_BETTER = {"images/s": True, "share": True} | dict.fromkeys(
    ("ratio", "ms", "s", "MB"), False
)
#: What every pair of runs may differ by, as a share.
FLOOR = 0.03
#: The same where there is no noise: measured once. Memory hardly depends on the hour.
ONCE, ONCE_IN_MEMORY = 1 / 3, 0.1
#: The finest step of the clock behind a unit; the browser's counts tenths of a millisecond.
TICK = {"ms": 0.1, "s": 1e-3}

SLOWER, FASTER, LARGER, SMALLER = "slower", "faster", "larger", "smaller"
WITHIN, CHANGED, APART = "within noise", "changed", "not comparable"
ONLY_OLD, ONLY_NEW = "only in OLD", "only in NEW"
#: Verdicts that are bad news.
WORSE = (SLOWER, LARGER)


@dataclass(frozen=True)
class Report:
    """What a run of the benchmark wrote.

    Attributes
    ----------
    setting : dict[str, str]
        Versions, machine and threads, in words.
    figures : dict[str, Measurement]
        By their names.
    """

    setting: dict[str, str]
    figures: dict[str, Measurement]


@dataclass(frozen=True)
class Comparison:
    """One number of two runs.

    Attributes
    ----------
    name, unit : str
        What was measured, and in what.
    old, new : float or None
        None where a run does not have it.
    limit : float or None
        What the new may differ by as a share of the old, and mean nothing. None where nothing was
        compared.
    verdict : str
        One of the words above.
    """

    name: str
    unit: str
    old: float | None
    new: float | None
    limit: float | None
    verdict: str

    @property
    def change(self) -> float | None:
        """By what share the new value is larger than the old."""
        return self.new / self.old - 1 if self.old and self.new is not None else None


def compare(old: Report, new: Report) -> list[Comparison]:
    """Set the numbers of two runs side by side, in the order of the new one."""
    apart = bool(differences(old, new))
    names = [*new.figures, *(name for name in old.figures if name not in new.figures)]
    return [_compare(old.figures.get(name), new.figures.get(name), apart) for name in names]


def differences(old: Report, new: Report) -> list[str]:
    """Say what differs in machine, versions or threads; what only one of them says does not."""
    return [
        f"{name} was {old.setting[name]} and is {new.setting[name]}"
        for name in old.setting
        if name in new.setting and old.setting[name] != new.setting[name]
    ]


def _compare(old: Measurement | None, new: Measurement | None, apart: bool) -> Comparison:
    if old is None or new is None:
        there = new or old
        values = (None, new.value) if new else (old.value, None)
        return Comparison(there.name, there.unit, *values, None, ONLY_NEW if new else ONLY_OLD)
    pair = (new.name, new.unit, old.value, new.value)
    if old.unit != new.unit or apart:
        return Comparison(*pair, None, APART)
    if new.unit not in MORE_IS_BETTER:
        return Comparison(*pair, 0.0, WITHIN if old.value == new.value else CHANGED)
    if min(old.value, new.value) <= 0:  # time beyond something else can be next to nothing
        return Comparison(*pair, None, APART)
    limit = _limit(old, new)
    return Comparison(*pair, limit, _judge(new.value / old.value, limit, new.unit))


def _limit(old: Measurement, new: Measurement) -> float:
    """Say what two measurements of the same thing may differ by, as a share."""
    tick = TICK.get(new.unit, 0.0) / old.value
    if old.noise is None or new.noise is None:
        return tick + (ONCE_IN_MEMORY if new.unit == "MB" else ONCE)
    return tick + FLOOR + math.hypot(old.noise, new.noise)


def _judge(quotient: float, limit: float, unit: str) -> str:
    if 1 / (1 + limit) <= quotient <= 1 + limit:
        return WITHIN
    if unit == "MB":
        return LARGER if quotient > 1 else SMALLER
    return FASTER if (quotient > 1) == MORE_IS_BETTER[unit] else SLOWER


# --- reading ------------------------------------------------------------------------------------


def read_report(path: str | Path) -> Report:
    """Read what `mmc-viz bench --json` wrote.

    Raises
    ------
    ValueError
        If the file cannot be read, or is not one of those.
    """
    try:
        values = read_json(path)
    except OSError as error:
        raise ValueError(f"The file {path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ValueError(f"The file {path} is no JSON that can be read ({error}).") from None
    why = _fault(values)
    if why:
        raise ValueError(
            f"The file {path} is not what `mmc-viz bench --json` writes: {why}; measure again."
        )
    figures = [_figure(figure) for figure in values["figures"]]
    setting = values["versions"] | values.get("machine", {})
    return Report(
        {name: str(value) for name, value in setting.items()},
        {figure.name: figure for figure in figures},
    )


def _figure(values: dict[str, Any]) -> Measurement:
    return Measurement(
        values["name"],
        float(values["value"]),
        values["unit"],
        values["note"],
        tuple(map(float, values.get("rounds", ()))),
    )


def _fault(values: Any) -> str:
    """Say what is wrong with the content of a file; empty where it is right."""
    if type(values) is not dict:
        return "it is no JSON object"
    for key in ("versions", "machine"):
        setting = values.get(key, {} if key == "machine" else None)
        if type(setting) is not dict or not all(map(_is_word, setting)):
            return f"`{key}` must be an object"
        if not all(_is_word(value) or _is_number(value) for value in setting.values()):
            return f"`{key}` must hold printable words and numbers"
    figures = values.get("figures")
    if type(figures) is not list:
        return "`figures` must be a list"
    for place, figure in enumerate(figures):
        why = _fault_of_figure(figure)
        if why:
            return f"in `figures`, entry {place}: {why}"
    names = [figure["name"] for figure in figures]
    if len(set(names)) < len(names):
        return f"{next(name for name in names if names.count(name) > 1)!r} is there twice"
    return ""


def _fault_of_figure(figure: Any) -> str:
    if type(figure) is not dict:
        return "it is no object"
    for key in ("name", "unit", "note"):
        if not _is_word(figure.get(key)):
            return f"`{key}` must be printable text"
    if not _is_number(figure.get("value")):
        return "`value` must be a number"
    rounds = figure.get("rounds", [])
    if type(rounds) is not list or not all(map(_is_number, rounds)):
        return "`rounds` must be a list of numbers"
    return ""


def _is_number(value: Any) -> bool:
    """Whether it can be reckoned with; a whole number may be too long for that."""
    return type(value) in (int, float) and abs(value) < 1e100


def _is_word(value: Any) -> bool:
    """Whether it can be printed in one line, and moves no cursor."""
    return type(value) is str and value.isprintable()
