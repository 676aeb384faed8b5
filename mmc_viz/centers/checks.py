"""What all placements of centers ask of their arguments."""

import math


def check_arguments(num_classes: int, radius: float | int) -> None:
    """Refuse fewer than two classes, and a radius that is no length.

    Raises
    ------
    ValueError
        If `num_classes` < 2, or `radius` is not positive and finite.
    """
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2; got {num_classes}.")
    if not (radius > 0 and math.isfinite(radius)):
        raise ValueError(f"`radius` must be positive and finite; got {radius}.")
