r"""Shells of the loss in a feature space of two dimensions: how many features, how much room.

A shell holds the places where the loss of a class lies between $C$ and $2C$. For half a squared
distance it is a ring of the area $\pi (r_2^2 - r_1^2)$ with $r^2 = 2c$, so of $2 \pi C$. For a
softmax cross-entropy it goes on for ever; all that can be measured is how much of it lies in a
frame, and that depends on the frame. So three frames are taken, each twice as wide as the one
before, and the room is counted on a grid.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.density.checks import check_features, check_labels
from mmc_viz.heads import Head

FRAMES = (1, 2, 4)  # widths, in widths of the first
LOWEST, HIGHEST = -12, 5  # powers of two between which there are shells
_GRID = 400  # points along each side of a frame


@dataclass(frozen=True)
class FlatShells:
    """Counted features and room of each shell; on the CPU.

    Attributes
    ----------
    edges : Float[Tensor, "edges"]
        Losses between which is counted, float64: powers of two.
    counts : Int[Tensor, "num_classes shells"]
        Features of each class with a loss in each shell, the lower end included.
    below : Int[Tensor, "num_classes"]
        Features of each class with a loss below all shells.
    totals : Int[Tensor, "num_classes"]
        Features of each class.
    room : Float[Tensor, "frames num_classes shells"]
        Area of each shell in each frame, in squared feature units; of the whole ring, whatever the
        frame, where `bounded`.
    bounded : bool
        Whether shells are rings of a known area.
    half : float
        Half the width of the first frame, which is a square about 0.
    """

    edges: Float[Tensor, " edges"]
    counts: Int[Tensor, "num_classes shells"]
    below: Int[Tensor, " num_classes"]
    totals: Int[Tensor, " num_classes"]
    room: Float[Tensor, "frames num_classes shells"]
    bounded: bool
    half: float


def flat_shells(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], head: Head
) -> FlatShells:
    """Count features in shells of their loss, and measure the shells.

    Parameters
    ----------
    features : Float[Tensor, "batch 2"]
        In two dimensions.
    labels : Int[Tensor, "batch"]
        True classes.
    head : Head
        Whose loss it is; of two dimensions.

    Raises
    ------
    ValueError
        If features or head have other than two dimensions.
    """
    points = check_features("features", features).cpu()
    if points.shape[1] != 2 or head.dim != 2:
        raise ValueError(
            f"`features` and `head` must have 2 dimensions; got {points.shape[1]} and {head.dim}. "
            "`shell_density` takes any number."
        )
    labels = check_labels("labels", labels, points)
    classes = head.num_classes
    edges = 2.0 ** torch.arange(LOWEST, HIGHEST + 1, dtype=torch.float64)
    losses = _losses(head, points, labels)
    place = torch.bucketize(losses, edges, right=True)  # 0 below all, as many as edges above all
    table = torch.zeros(classes, len(edges) + 1, dtype=torch.int64)
    table.index_put_((labels, place), torch.ones_like(labels), accumulate=True)
    half = math.ceil(1.1 * float(points.norm(dim=1).max()))
    bounded = head.loss_form == "distance"
    if bounded:
        rings = 2 * math.pi * edges[:-1]
        room = rings.expand(len(FRAMES), classes, -1).clone()
    else:
        room = torch.stack([_room(head, times * half, edges) for times in FRAMES])
    return FlatShells(
        edges, table[:, 1:-1], table[:, 0], table.sum(dim=1), room, bounded, float(half)
    )


def _losses(
    head: Head, points: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    where = next(head.buffers(), next(head.parameters(), torch.zeros(()))).device
    with torch.no_grad():
        found = head(points.float().to(where), labels.to(where))
    return found.cpu().double()


def _room(
    head: Head, half: float | int, edges: Float[Tensor, " edges"]
) -> Float[Tensor, "num_classes shells"]:
    """Count the points of a grid in each shell of each class."""
    side = 2 * half / _GRID
    middles = (torch.arange(_GRID, dtype=torch.float64) + 0.5) * side - half
    grid = torch.cartesian_prod(middles, middles)
    found = []
    for label in range(head.num_classes):
        losses = _losses(head, grid, torch.full((len(grid),), label))
        place = torch.bucketize(losses, edges, right=True)
        found.append(torch.bincount(place, minlength=len(edges) + 1)[1:-1])
    return torch.stack(found).double() * side**2
