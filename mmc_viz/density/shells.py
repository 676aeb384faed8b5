r"""Sample density as a function of the loss: counted, and as the theorems predict it.

The sample density at a place is the number of mapped points in a small region about it, divided by
the volume of the region. Pang et al. take for the region the shell between two level sets of the
loss, $c \le \mathcal L < c + dc$. Of the $N$ points of a class a share $p(c) \, dc$ lies there, so

$$\mathrm{SD}(c) = \frac{N \, p(c)}{dV / dc}.$$

**Half the squared distance** (MMC). With $dV/dc = A_d (2c)^{(d-2)/2}$ of
`mmc_viz.density.level_sets`,

$$\log \mathrm{SD} = \log N + \log p(c) - \log A_d - \tfrac{d-2}{2} \log 2c.$$

The paper's statement, as it is recalled here, has $\mathrm{SD} \propto N p(c) / c^{(d-1)/2}$: the
shell as if it were of one thickness everywhere. But shells of equal $dc$ get thinner outward,
$dr/dc = 1/r$, which takes one power of the radius away: $d - 2$ and not $d - 1$.

**The two-class loss** with unequal scales. As recalled, $\mathrm{SD} \propto N p(c) / r^{d-1}$;
exactly, $N p(c) \cdot 2 |s_k - s_t| (1 - e^{-c}) / (A_d r^{d-2})$. Here a class is split by its
strongest rival $t$, and the shells are counted whole although $t$ is the strongest rival only in a
part of them: the densities are those of points spread over the whole shell, too low if anything.
With equal scales the shells have infinite volume, and there is a gap with that reason.

A proportionality has no level. The paper's curve is drawn so that it meets the exact one at the
median loss; elsewhere the two differ by $r / r_{\mathrm{median}}$, and by the factor
$1 - e^{-c}$ where the loss has one.

**What is separated.** $\log \mathrm{SD}$ is a sum of what the data contribute, $\log N p(c)$, and
of what geometry contributes, $-\log dV/dc$. "Denser towards the center" is true of the second
alone; $p(c)$ falls to 0 there, and for any bounded density of features it does so as fast as the
geometry rises. For $d = 2$ and half a squared distance geometry contributes a constant.

**What is independent.** The points of a class are parted at random in two halves. One gives $p(c)$
and the edges of the shells, the other is counted in them. So the agreement of the counted densities
with the predicted curve is a finding, not an identity. A counted value is the mean over its shell
and is put at the loss whose $dV/dc$ is the mean one; between the edges of a shell in 64 dimensions
the density may change a hundredfold.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.density.central import CentralDensity, central_density
from mmc_viz.density.checks import check_features, check_labels, check_same_dim
from mmc_viz.density.distributions import LossDistribution, count_interval, loss_distribution
from mmc_viz.density.level_sets import (
    DistanceSpheres,
    LevelSets,
    level_sets_of,
    log_shell,
    strongest_rivals,
)
from mmc_viz.density.profiles import ClassShells, Prediction, ShellDensity, Shells
from mmc_viz.heads import Head

LEAST = 20  # points of a class, ten for each half
_GRID = 201
UNBOUNDED = "level sets are unbounded planes: a shell has infinite volume"


def shell_density(
    features: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    head: Head,
    *,
    classes: list[int] | None = None,
    bins: int | None = None,
    seed: int = 0,
) -> ShellDensity:
    """Count the density of features in shells of their loss, and predict it.

    Parameters
    ----------
    features : Float[Tensor, "batch dim"]
        Any device; computed in float64 on the CPU.
    labels : Int[Tensor, "batch"]
        True classes. For a two-class loss they also decide who is a rival.
    head : Head
        Its loss is half the squared distance to the center of the class (`loss_form` `distance`; a
        constant of the class that some heads add is left out), or its logits are of the generalized
        softmax form.
    classes : list[int], optional
        None: all.
    bins : int, optional
        Shells for each class. None: one for each 10 counted points, at least 4 and at most 24.
    seed : int
        Of the split into halves.

    Returns
    -------
    density : ShellDensity
        With a gap, and its reason, for a class with fewer than 20 points, for one whose losses are
        all the same, and where level sets are unbounded.

    Raises
    ------
    ValueError
        If the head has neither form, a label is out of its range, or an argument is.
    """
    dim = head.dim
    points = check_features("features", features).cpu()
    check_same_dim("features", points, dim, of="`head`")
    labels = check_labels("labels", labels, points)
    wanted = range(head.num_classes) if classes is None else classes
    for name, worst in (("labels", int(labels.max())), ("classes", max(wanted, default=0))):
        if worst >= head.num_classes:
            raise ValueError(f"`{name}` must be in 0 .. {head.num_classes - 1}; got {worst}.")
    if bins is not None and bins < 1:
        raise ValueError(f"`bins` must be at least 1; got {bins}.")

    generator = torch.Generator().manual_seed(seed)
    found = []
    if head.loss_form == "distance":
        for label in wanted:
            some = points[labels == label]
            found.append(_one(some, level_sets_of(head, label), label, None, dim, bins, generator))
        return ShellDensity(found, "distance", dim)
    form = head.generalized_sce()
    if form is None:
        raise ValueError(
            "`head` must have a squared distance as its loss, or logits of the generalized softmax "
            f"form; {type(head).__name__} has neither. `neighbour_density` asks for no loss."
        )
    rivals = strongest_rivals(form, points, labels)
    for label in wanted:
        own = labels == label
        present = [t for t in range(head.num_classes) if bool((own & (rivals == t)).any())]
        if not present:
            found.append(_gap(label, None, 0, dim, "no points"))
        for rival in present:
            sets = level_sets_of(head, label, rival=rival)
            some = points[own & (rivals == rival)]
            found.append(_one(some, sets, label, rival, dim, bins, generator))
    return ShellDensity(found, "two-class", dim)


def _gap(label: int, rival: int | None, count: int, dim: int, why: str) -> ClassShells:
    return ClassShells(label, rival, count, dim, None, None, None, why)


def _one(
    points: Tensor,
    sets: LevelSets | None,
    label: int,
    rival: int | None,
    dim: int,
    bins: int | None,
    generator: torch.Generator,
) -> ClassShells:
    """Measure and predict one class."""
    count = len(points)
    # Drawn for every class, so that a gap in one does not change the others.
    order = torch.randperm(count, generator=generator)
    if sets is None:
        return _gap(label, rival, count, dim, UNBOUNDED)
    if count < LEAST:
        few = "no points" if count == 0 else f"{count} points, fewer than {LEAST}"
        return _gap(label, rival, count, dim, few)
    log_loss = sets.log_loss(points)
    placed = order[log_loss[order].isfinite()]  # at the center itself there is no logarithm
    if len(placed) < LEAST:
        return _gap(label, rival, count, dim, f"{count - len(placed)} points at the very center")
    half = (len(placed) + 1) // 2
    known, counted = log_loss[placed[:half]], log_loss[placed[half:]]
    # Half a power of a billionth: what rounding makes of one and the same distance.
    if float(known.max() - known.min()) < 1e-9 or float(counted.max() - counted.min()) < 1e-9:
        return _gap(label, rival, count, dim, "all points have one loss")
    distribution = loss_distribution(known)
    central = None
    if isinstance(sets, DistanceSpheres):
        central = central_density(points, sets.center)
    number = len(placed)
    predicted = _predict(distribution, sets, number, central)
    bins = bins or min(max(len(counted) // 10, 4), 24)
    measured = _count(counted, distribution, sets, number, predicted, bins)
    return ClassShells(label, rival, count, dim, measured, predicted, central, "")


def _edges(distribution: LossDistribution, bins: int) -> Float[Tensor, " edges"]:
    """Losses that part the known half evenly, each once."""
    levels = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    return distribution.places.quantile(levels).unique()


def _predict(
    distribution: LossDistribution, sets: LevelSets, count: int, central: CentralDensity | None
) -> Prediction:
    places = distribution.places
    grid = torch.linspace(float(places.min()), float(places.max()), _GRID, dtype=torch.float64)
    anchor = places.median()[None]

    def parts(at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        room = (sets.dim - 1) * sets.log_radius(at)  # what the paper's form divides by
        return distribution.log_p(at), sets.log_growth(at), room

    log_p, growth, room = parts(grid)
    p_there, growth_there, room_there = parts(anchor)
    from_p, from_geometry = log_p - p_there, growth_there - growth
    from_paper = room_there - room
    level = math.log(count) + p_there - growth_there
    return Prediction(
        log_loss=grid,
        log_p=log_p,
        log_growth=growth,
        log_exact=math.log(count) + log_p - growth,
        log_paper=level + from_p + from_paper,
        log_gauss=None if central is None else central.at(grid.exp()),
        from_p=from_p,
        from_geometry=from_geometry,
        from_paper_geometry=from_paper,
        log_anchor=float(anchor),
        log_at_anchor=float(level),
        bandwidth=distribution.bandwidth,
    )


def _count(
    counted: Float[Tensor, " batch"],
    distribution: LossDistribution,
    sets: LevelSets,
    count: int,
    predicted: Prediction,
    bins: int,
) -> Shells:
    """Count one half of the points in shells, and hold the predictions against them."""
    edges = _edges(distribution, bins)
    volume = log_shell(sets, edges)
    counts = torch.histogram(counted, edges).hist.long()
    low, high = count_interval(counts)
    scale = math.log(count / len(counted))

    # Inside each shell on a fine grid of losses: where its mean dV/dc is, and what the two forms
    # make of the distribution there.
    steps = torch.linspace(0, 1, 65, dtype=torch.float64)
    fine = edges[:-1, None] + steps * edges.diff()[:, None]
    loss = fine.exp()
    growth = sets.log_growth(fine.flatten()).reshape(fine.shape)
    mean_growth = volume - loss[:, -1].sub(loss[:, 0]).log()
    if sets.dim == 2 and isinstance(sets, DistanceSpheres):
        place = fine[:, 32]  # all losses have the same dV/dc
    else:
        nearest = (growth - mean_growth[:, None]).abs().argmin(dim=1, keepdim=True)
        place = fine.gather(1, nearest)[:, 0]
    share = distribution.share_below(fine.flatten()).reshape(fine.shape)
    exact = math.log(count) + (share[:, -1] - share[:, 0]).log()
    # The paper's form over the exact one, averaged over the shell by volume: sum of p dc times it.
    room = (sets.dim - 1) * sets.log_radius(fine.flatten()).reshape(fine.shape)
    anchor = torch.tensor([predicted.log_anchor], dtype=torch.float64)
    offset = (sets.dim - 1) * sets.log_radius(anchor) - sets.log_growth(anchor)
    ratio = growth - room + offset
    ratio = (ratio[:, 1:] + ratio[:, :-1]) / 2
    paper = math.log(count) + (share.diff(dim=1).log() + ratio).logsumexp(dim=1)
    return Shells(
        log_edges=edges,
        log_loss=place,
        counts=counts,
        log_volume=volume,
        log_density=counts.double().log() + scale - volume,
        low=low.log() + scale - volume,
        high=high.log() + scale - volume,
        log_exact=exact - volume,
        log_paper=paper - volume,
        counted=len(counted),
        outside=len(counted) - int(counts.sum()),
    )
