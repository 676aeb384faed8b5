"""Words and colours that all pictures of a surface of images share."""

from mmc_viz.contours import AttackPath, InputSurface
from mmc_viz.figures import style

_WORDS = {
    "cross_entropy": "cross-entropy",
    "cross_entropy_float64": "cross-entropy (float64)",
    "distance": "minus the true logit",
    "margin": "margin",
    "dlr": "difference of logits ratio",
    "targeted_margin": "margin",
}
FLAT = "its gradient is exactly 0"
GREY = "#9a9a9a"


def panel_titles(named: dict[str, InputSurface], chosen: list[str]) -> list[str]:
    """Name each panel, row by row."""
    return [
        f"<b>{style.quote(name)}</b>{': ' if name else ''}{word(objective)}"
        for objective in chosen
        for name in named
    ]


def word(objective: str) -> str:
    """Give the plain word for an objective."""
    return _WORDS.get(objective, style.quote(objective))


def along(one: InputSurface) -> str:
    """Name the first direction."""
    return "along the given direction" if one.spanned_by == "given" else "along the attack"


def fate(path: AttackPath) -> str:
    """Say in a legend how an attack ended."""
    if path.first_fooled is not None:
        return "path of an attack that fools"
    return "an attack that never moves" if path.stands_still else "path of an attack that fails"


def steps(path: AttackPath, objective: str) -> list[str]:
    """Say each iterate in words."""
    return [
        f"step {step}<br>{word(objective)} {value:.4g}<br>{away:.2g} off this plane (l2)"
        + ("<br>fooled" if fooled else "")
        for step, (value, away, fooled) in enumerate(
            zip(
                path.values[objective].tolist(),
                path.distance.tolist(),
                path.fooled.tolist(),
                strict=True,
            )
        )
    ]


def shorts(values: list[float]) -> list[float]:
    """Round numbers to what a picture shows."""
    return [float(f"{value:.4g}") for value in values]
