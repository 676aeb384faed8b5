"""What is said of density against the loss: in subtitles, and in the sentence of the figure."""

import math
from collections.abc import Sequence

from mmc_viz.density import ClassShells
from mmc_viz.figures import style
from mmc_viz.figures.densities.words import class_name


def outcome(one: ClassShells, names: Sequence[str] | None) -> str:
    """Say what came out for one class, with its dimension."""
    who = class_name(one.label, names)
    if one.rival is not None:
        who += f" against {class_name(one.rival, names)}"
    start = f"{who}, N = {one.count:,}, d = {one.dim}"
    if one.measured is None:
        return f"{start}: no density, {one.gap}"
    m = one.measured
    if m.off_exact is None:
        return f"{start}: every shell is empty"
    text = (
        f"{start}: counts are off the exact form by a factor of {math.exp(m.off_exact):.2f}, "
        f"off the paper's by {math.exp(m.off_paper):.2f} (rms); {m.within} of {len(m.counts)} "
        "intervals hold the exact form"
    )
    return text + (f"; {m.empty} empty shells are left out" if m.empty else "")


def subtitle(chosen: dict[str, list[ClassShells]], names: Sequence[str] | None) -> str:
    """Say how far counts and forms are apart; in full if there is one class, else in figures."""
    if sum(map(len, chosen.values())) == 1:
        return "; ".join(outcome(one, names) for some in chosen.values() for one in some)
    parts = []
    for name, some in chosen.items():
        found = []
        for one in some:
            who = class_name(one.label, names)
            m = one.measured
            if m is None or m.off_exact is None:
                found.append(f"{who} nothing counted")
                continue
            ratio = f"{math.exp(m.off_exact):.2f} / {math.exp(m.off_paper):.2f}"
            found.append(f"{who} (N = {one.count:,}) {ratio}")
        start = f"{style.quote(name)}, " if name else ""
        parts.append(f"{start}d = {some[0].dim}: {', '.join(found)}")
    return "Factor (rms) by which counts are off the exact form / the paper's. " + "; ".join(parts)


def describe_profiles(words: dict[str, list[str]]) -> str:
    """Say in one sentence what came out for each class of each result."""
    parts = [
        f"{style.quote(name) + ', ' if name else ''}{said}"
        for name, some in words.items()
        for said in some
    ]
    return (
        "Density of features against their loss, counted in shells and predicted: "
        + "; ".join(parts)
        + "."
    )
