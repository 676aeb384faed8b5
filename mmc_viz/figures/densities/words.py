"""What figures of density share: names of classes, and numbers given by their logarithms."""

import math
from collections.abc import Sequence

from mmc_viz.figures import style

DECADE = math.log(10)  # results hold natural logarithms, axes show powers of ten


def class_name(label: int, names: Sequence[str] | None) -> str:
    """Name a class; by its label where the caller gave no names."""
    return style.quote(names[label]) if names is not None else f"class {label}"


def power(log: float) -> str:
    """Write a number given by its natural logarithm, however large."""
    if not math.isfinite(log):
        return "0"
    decades = log / DECADE
    if abs(decades) < 4:
        return f"{math.exp(log):.3g}"
    whole = math.floor(decades)
    return f"{10 ** (decades - whole):.2f} x 10<sup>{whole}</sup>"


def power_ticks(low: float, high: float) -> tuple[list[float | int], list[str]]:
    """Choose a few places on an axis of logarithms to base ten, and what to write there."""
    step = next((s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if (high - low) / s <= 5), 1000)
    marks = list(range(step * math.floor(low / step), step * math.ceil(high / step) + 1, step))
    if high - low >= 2.5:
        return marks, [f"10<sup>{mark}</sup>" for mark in marks]
    between = (1, 3) if high - low > 1 else (1, 2, 5)
    numbers = [times * 10.0**mark for mark in marks for times in between]
    return [math.log10(number) for number in numbers], [f"{number:g}" for number in numbers]
