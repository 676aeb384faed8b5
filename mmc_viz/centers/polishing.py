r"""Spherical codes, second half: from near a locally best arrangement to full precision.

The task, minimise $s$ so that $\langle x_i, x_j \rangle \le s$ for all pairs and
$\lVert x_i \rVert = 1$, is linear but for the bends of inner product and sphere. Two steps follow
one another.

A linear program finds out which pairs matter. Let $x_i$ move along its tangents by at most a trust
radius; to first order $\langle x_i, x_j \rangle$ grows by
$\langle \delta_i, x_j \rangle + \langle x_i, \delta_j \rangle$. The solution comes with
multipliers $\lambda_{ij} \ge 0$, which tell the tight pairs: a framework of struts whose stresses
$\lambda_{ij}$ balance each other at every point.

Newton's method then solves the balance itself, on these pairs alone:

$$\Big(\sum_j \lambda_{ij} x_j\Big)_{\text{tangential}} = 0, \qquad \langle x_i, x_j \rangle = s,
\qquad \sum \lambda_{ij} = 1,$$

which doubles the digits with every step. Rotations, points without stress, and stresses that are
not unique make the system singular; a tiny regularisation chooses small steps there. What it gives
is taken only if it is better, and the next linear program has the last word: where it finds no
direction that separates all tight pairs further, the arrangement is stationary.

Points without any stress (rattlers) may sit anywhere in their cage. They are put where they are
farthest from the others.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

_LINEAR_STEPS = 60
_REGULARISATION = 1e-10
#: How far the inner product of a tight pair may lie from the largest.
PRECISION = 1e-13
#: No direction in which the largest inner product falls faster than this, per unit of movement,
#: which is above the noise of the linear programs: the arrangement is stationary.
_STATIONARY = 1e-6
_MANY_VARIABLES = 300  # from here on interior points solve a linear program faster

Points = Float[ndarray, "num_classes dim"]
Pairs = tuple[Int[ndarray, " pairs"], Int[ndarray, " pairs"]]


def polish(points: Points) -> Points:
    """Give the locally best arrangement close to one that nearly is, exact to about 1e-13."""
    points, stress = _approach(points, np.ones(len(points), dtype=bool))
    loose = stress <= 1e-9
    if loose.any() and not loose.all():
        points, _ = _approach(points, loose)
    return points


def _approach(
    points: Points, movable: Bool[ndarray, " num_classes"]
) -> tuple[Points, Float[ndarray, " num_classes"]]:
    """Move some of the points so that the closest pair they take part in is farthest apart.

    Returns the points and the stress at each, the sum of the multipliers of its pairs.
    """
    one, other = _pairs(movable)
    dim = points.shape[1]
    largest = _cosines(points, one, other).max()
    radius = 0.02 * np.sqrt(2 - 2 * largest)
    stress = np.zeros(len(points))
    for _ in range(_LINEAR_STEPS):
        cosines = _cosines(points, one, other)
        # No inner product changes by more than this, so pairs farther apart cannot matter.
        near = cosines >= largest - 4 * radius * np.sqrt(dim - 1)
        pairs = one[near], other[near]
        step, rate, multipliers = _linear_step(
            points, movable, pairs, largest - cosines[near], radius
        )
        stress = np.bincount(pairs[0], multipliers, len(points))
        stress += np.bincount(pairs[1], multipliers, len(points))
        if rate < _STATIONARY or radius < PRECISION:
            break
        moved = _normalised(points + step)
        reached = _cosines(moved, one, other).max()
        kept = (largest - reached) / (rate * radius)
        if reached < largest:
            points, largest = moved, reached
        if kept < 0.25:
            radius = np.abs(step).max() / 4
        elif kept > 0.75:
            radius *= 2
        if movable.all() and rate * radius < 1e-3:
            solved = _balance(points, pairs, multipliers)
            if solved is not None and (reached := _cosines(solved, one, other).max()) < largest:
                points, largest = solved, reached
    return points, stress


def _linear_step(
    points: Points,
    movable: Bool[ndarray, " num_classes"],
    pairs: Pairs,
    slack: Float[ndarray, " pairs"],
    radius: float,
) -> tuple[Points, float, Float[ndarray, " pairs"]]:
    """Give the best step within a trust radius, to first order.

    Returns the step, how fast the largest inner product falls, and the multipliers.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    slopes = _slopes(points, pairs, movable)
    count, free = slopes.shape
    rows = sparse.hstack([slopes, sparse.csr_array(-np.ones((count, 1)))], format="csr")
    cost = np.zeros(free + 1)
    cost[-1] = 1
    # In units of the radius, so that the solver's tolerances stay far below what is solved for.
    solution = linprog(
        cost,
        A_ub=rows,
        b_ub=slack / radius,
        bounds=[(-1, 1)] * free + [(None, None)],
        method="highs-ipm" if free > _MANY_VARIABLES else "highs-ds",
    )
    step = np.zeros_like(points)
    if solution.x is None:
        return step, 0.0, np.zeros(count)
    along = solution.x[:-1].reshape(-1, points.shape[1] - 1)
    step[movable] = radius * np.einsum("nk,nkd->nd", along, _tangents(points[movable]))
    return step, -solution.x[-1], np.maximum(-solution.ineqlin.marginals, 0)


def _balance(points: Points, pairs: Pairs, multipliers: Float[ndarray, " pairs"]) -> Points | None:
    """Solve for equal inner products and balanced stresses; None where that leads nowhere."""
    chosen = multipliers > 1e-9
    for _ in range(4):
        found = _newton(points, (pairs[0][chosen], pairs[1][chosen]), multipliers[chosen])
        if found is None:
            return None
        solved, cosine = found
        closer = _cosines(solved, *pairs) > cosine + PRECISION
        if not closer.any():
            return solved
        chosen |= closer  # where many pairs are tight, a vertex of the program names but some
    return None


def _newton(
    points: Points, pairs: Pairs, multipliers: Float[ndarray, " pairs"]
) -> tuple[Points, float] | None:
    count, dim = points.shape
    one, other = pairs
    free, tight = count * (dim - 1), len(one)
    stresses = multipliers / multipliers.sum()
    cosine = _cosines(points, one, other).mean()
    everywhere = np.ones(count, dtype=bool)
    for _ in range(12):
        tangents = _tangents(points)
        cosines = _cosines(points, one, other)
        slopes = _slopes(points, pairs, everywhere).toarray()
        residual = np.concatenate([slopes.T @ stresses, [1 - stresses.sum()], cosines - cosine])
        if np.abs(residual).max() < 1e-15:
            break
        # The Lagrangian's second derivatives, along the tangents.
        bend = np.zeros((count, dim - 1, count, dim - 1))
        mixed = stresses[:, None, None] * np.einsum("nkd,nld->nkl", tangents[one], tangents[other])
        bend[one, :, other, :] = mixed
        bend[other, :, one, :] = mixed.transpose(0, 2, 1)
        pull = np.bincount(one, stresses * cosines, count)
        pull += np.bincount(other, stresses * cosines, count)
        bend[np.arange(count), :, np.arange(count), :] = -pull[:, None, None] * np.eye(dim - 1)
        system = np.zeros((free + 1 + tight, free + 1 + tight))
        system[:free, :free] = bend.reshape(free, free)
        system[:free, free + 1 :] = slopes.T
        system[free + 1 :, :free] = slopes
        system[free, free + 1 :] = system[free + 1 :, free] = -1
        signs = np.concatenate([np.ones(free), [0], -np.ones(tight)])
        system[np.diag_indices_from(system)] += _REGULARISATION * signs
        try:
            change = np.linalg.solve(system, -residual)
        except np.linalg.LinAlgError:
            return None
        if not np.abs(change[:free]).max() < 0.1:
            return None
        step = np.einsum("nk,nkd->nd", change[:free].reshape(count, dim - 1), tangents)
        points = _normalised(points + step)
        cosine += change[free]
        stresses = stresses + change[free + 1 :]
    if np.abs(_cosines(points, one, other) - cosine).max() > PRECISION:
        return None
    return points, cosine


def _pairs(movable: Bool[ndarray, " num_classes"]) -> Pairs:
    """All pairs with at least one point that moves."""
    one, other = np.triu_indices(len(movable), 1)
    moves = movable[one] | movable[other]
    return one[moves], other[moves]


def _cosines(
    points: Points, one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"]
) -> Float[ndarray, " pairs"]:
    return (points @ points.T)[one, other]


def _normalised(points: Points) -> Points:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _tangents(points: Points) -> Float[ndarray, "num_classes dim-1 dim"]:
    """Orthonormal directions along the sphere, at each point."""
    return np.linalg.svd(points[:, None, :])[2][:, 1:]


def _slopes(points: Points, pairs: Pairs, movable: Bool[ndarray, " num_classes"]):
    """Derive the inner products of pairs along the tangents of the points that move."""
    from scipy import sparse

    one, other = pairs
    width = points.shape[1] - 1
    tangents = np.zeros((len(points), width, width + 1))
    tangents[movable] = _tangents(points[movable])
    place = np.cumsum(movable) - 1
    shape = (len(one), int(movable.sum()) * width)
    slopes = sparse.csr_array(shape)
    for moved, fixed in ((one, other), (other, one)):
        row = np.flatnonzero(movable[moved])
        values = np.einsum("nkd,nd->nk", tangents[moved[row]], points[fixed[row]])
        columns = place[moved[row]][:, None] * width + np.arange(width)
        rows = np.broadcast_to(row[:, None], columns.shape)
        slopes = slopes + sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape)
    return slopes
