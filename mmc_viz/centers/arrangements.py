r"""Arrangements of centers to begin with, ready at once: the best known one, and worse ones.

A search for the best spherical code takes seconds. What `spread_centers` found in three dimensions
for up to 20 centers therefore lies in `data/samples/spread_centers_3d.json`; everything else here
is placed by a rule. All centers have norm 1.
"""

import functools
import json

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers.drawing import random_centers
from mmc_viz.centers.simplex import max_mahalanobis_centers
from mmc_viz.centers.spreading import spread_centers
from mmc_viz.locations import SAMPLES_DIR

#: Each arrangement to what it is, in a few words.
ARRANGEMENTS: dict[str, str] = {
    "spread": "as far apart as is known to be possible",
    "random": "each drawn from the whole sphere",
    "axes": "one axis each, then its other end",
    "crowded": "side by side on a quarter of a circle",
}
FILE = SAMPLES_DIR / "spread_centers_3d.json"


def arrangement(
    name: str, num_classes: int, dim: int, *, seed: int = 0
) -> Float[Tensor, "num_classes dim"] | None:
    """Place centers by the name of an arrangement.

    Parameters
    ----------
    name : str
        One of `ARRANGEMENTS`.
    num_classes : int
        Number of centers, at least 2.
    dim : int
        Dimension, at least 1.
    seed : int
        Of `random`; the others ignore it.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"] or None
        Of norm 1, float64. None where the rule does not reach so many centers: `axes` has two ends
        for each dimension, and `random` and `crowded` need two dimensions.

    Raises
    ------
    ValueError
        If the name is unknown, or `spread_centers` refuses the numbers.
    """
    if name not in ARRANGEMENTS:
        raise ValueError(f"`name` must be one of {', '.join(ARRANGEMENTS)}; got {name!r}.")
    if name == "spread":
        return _spread(num_classes, dim)
    if name == "axes":
        axes = torch.eye(dim, dtype=torch.float64)
        return torch.cat([axes, -axes])[:num_classes] if num_classes <= 2 * dim else None
    if dim < 2:
        return None
    if name == "random":
        generator = torch.Generator().manual_seed(seed)
        return random_centers(
            num_classes, dim, radius=1.0, generator=generator, dtype=torch.float64
        )
    angle = torch.linspace(0, torch.pi / 2, num_classes, dtype=torch.float64)
    centers = torch.zeros(num_classes, dim, dtype=torch.float64)
    centers[:, 0], centers[:, 1] = angle.cos(), angle.sin()
    return centers


def _spread(num_classes: int, dim: int) -> Float[Tensor, "num_classes dim"]:
    if dim >= num_classes - 1:
        return max_mahalanobis_centers(num_classes, dim, radius=1.0, dtype=torch.float64)
    if dim == 3 and str(num_classes) in _shipped():
        return torch.tensor(_shipped()[str(num_classes)], dtype=torch.float64)
    return spread_centers(num_classes, dim, radius=1.0, dtype=torch.float64)


@functools.cache
def _shipped() -> dict[str, list[list[float]]]:
    return json.loads(FILE.read_text(encoding="utf-8"))["centers"]
