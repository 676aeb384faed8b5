"""What a figure of features on contours says in words, all from the results' own numbers."""

from mmc_viz.contours import ContourDifference, FeatureContours
from mmc_viz.figures import style

_ROUNDING = 1e-9  # a distance below it is called none


def title(named: dict[str, FeatureContours]) -> str:
    """Say what is drawn."""
    ones = list(named.values())
    if all(one.label is None for one in ones):
        return "What a feature costs at best: its least loss"
    names = {one.class_names[one.label] for one in ones if one.label is not None}
    if len(names) == 1:
        return f"Where the loss of class “{style.quote(names.pop())}” is the same"
    return "Where the loss of a class is the same, and where the features lie"


def subtitle(
    named: dict[str, FeatureContours], compared: dict[str, list[ContourDifference]]
) -> str:
    """Say the decisive numbers of all panels."""
    parts = []
    errors = {name: _error(differences) for name, differences in compared.items()}
    if any(errors.values()):
        parts.append(
            "The theorem's contours: "
            + "; ".join(
                error + (f" ({style.quote(name)})" if name else "")
                for name, error in errors.items()
                if error
            )
        )
    off = [
        style.percent(one.features.variance_left_out)
        for one in named.values()
        if one.features is not None and not one.plane.is_whole
    ]
    if off:
        parts.append(f"Off this plane: {' and '.join(off)} of the variance")
    outside = sum(one.left_outside for one in named.values())
    if outside:
        parts.append(f"Outside the picture: {outside} feature{'s' if outside > 1 else ''}")
    return ". ".join(parts)


def _error(differences: list[ContourDifference]) -> str:
    rows = [row for difference in differences for row in difference.rows()]
    if not rows:
        return ""
    away = [row["max_distance"] for row in rows if row["max_distance"] is not None]
    shapes = " and ".join(dict.fromkeys(row["shape"] for row in rows))
    if not away:
        return f"{shapes} here"
    if max(away) < _ROUNDING:
        return f"{shapes}, exact"
    return f"{shapes}, up to {max(away):.2g} from the true level set"


def sentence(
    named: dict[str, FeatureContours], compared: dict[str, list[ContourDifference]]
) -> str:
    """Say in a sentence or two what the figure shows."""
    parts = []
    for name, one in named.items():
        which = (
            "the least loss over all classes"
            if one.label is None
            else f"the loss of class {style.quote(one.class_names[one.label])}"
        )
        lowest, highest = one.range
        start = f"{style.quote(name)}: " if name else ""
        part = f"{start}contours of {which}, from {lowest:.3g} to {highest:.3g}"
        if one.features is not None:
            part += f", under {len(one.features.labels)} features"
        parts.append(part)
    more = subtitle(named, compared)
    return ". ".join([*parts, *([more] if more else [])]) + "."
