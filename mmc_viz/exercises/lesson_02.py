"""Exercises on the smallest angle, the simplex, and why nothing beats it."""

import math
from typing import Any

import torch
from torch import Tensor

from mmc_viz.centers import geometry, max_mahalanobis_centers, random_centers
from mmc_viz.exercises.exercise import Exercise, Wrong, number, returned

_SETS = 300  # random sets on which an identity is tried
_CLOSE = 0.01  # degrees, and the like


def _draw(num_classes: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return random_centers(num_classes, dim, radius=1.0, generator=generator, dtype=torch.float64)


def _check_angle(answer: Any) -> str:
    for seed, (count, dim) in enumerate([(3, 2), (5, 3), (10, 64)]):
        # Of other norms too: an angle does not depend on them.
        length = torch.linspace(0.5, 3, count, dtype=torch.float64)[:, None]
        centers = _draw(count, dim, seed) * length
        value = number(returned(answer, centers))
        truth = geometry(centers).smallest_angle
        if abs(value - truth) < _CLOSE:
            continue
        if abs(math.degrees(value) - truth) < _CLOSE:
            raise Wrong("Those are radians; degrees are wanted: multiply by 180/π.")
        if abs(value) < _CLOSE:
            raise Wrong("It says 0: a center meets itself on the diagonal, and must not count.")
        raise Wrong(
            f"For {count} random centers in {dim} dimensions it says {value:.2f}; the smallest "
            f"angle is {truth:.2f}. Were the centers brought to length 1?"
        )
    return "That one number is what the whole lesson tries to make large."


def _check_triangle(answer: Any) -> str:
    try:
        centers = torch.as_tensor(answer, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("Three rows of two numbers are wanted, [[x, y], [x, y], [x, y]].") from None
    if centers.shape != (3, 2):
        raise Wrong(f"Three rows of two numbers are wanted; got the shape {tuple(centers.shape)}.")
    norms = centers.norm(dim=1)
    if not torch.allclose(norms, torch.full_like(norms, 10.0), atol=0.01):
        lengths = ", ".join(f"{norm:.2f}" for norm in norms.tolist())
        raise Wrong(f"All three must have norm 10; yours have {lengths}.")
    angle = geometry(centers).smallest_angle
    if angle < 120 - _CLOSE:
        raise Wrong(f"Their smallest angle is {angle:.2f} degrees. More is possible.")
    return "Their sum is the zero vector, and all three cosines are −1/2 = −1/(L − 1)."


def _check_sum(answer: Any) -> str:
    best, bound = 0.0, geometry(max_mahalanobis_centers(4, 3)).simplex_angle
    for seed in range(_SETS):
        centers = _draw(4, 3, seed)
        value = number(returned(answer, centers))
        cosines = centers @ centers.T
        truth = float(cosines.sum() - cosines.trace())
        if abs(value - truth) > 1e-6:
            hint = ""
            if abs(value - truth / 2) < 1e-6:
                hint = " Each pair counts twice, as (i, j) and as (j, i)."
            elif abs(value - float(cosines.sum())) < 1e-6:
                hint = " The diagonal must not count."
            raise Wrong(f"For one random set it says {value:.4f}; it should say {truth:.4f}.{hint}")
        if value < -4 - 1e-6:
            raise Wrong("It fell below −L, which cannot be.")
        best = max(best, geometry(centers).smallest_angle)
    return (
        f"In {_SETS} random sets of 4 it never fell below −4, so never were all 12 cosines below "
        f"−1/3; the best of these sets had a smallest angle of {best:.1f} degrees, and none can "
        f"have more than {bound:.1f}."
    )


EXERCISES = [
    Exercise(
        "02.1",
        "The smallest angle",
        6,
        2,
        "Write the function that the gauge above shows: the smallest angle between any two "
        "different rows of <code>centers</code>, in degrees. Rows may have any length.",
        "def smallest_angle(centers): ...  # your code",
        "smallest_angle",
        "def smallest_angle(centers):\n"
        "    units = centers / centers.norm(dim=1, keepdim=True)\n"
        "    cosines = units @ units.T\n"
        "    cosines.fill_diagonal_(-1)  # a center beside itself does not count\n"
        "    return cosines.max().clamp(-1, 1).arccos().rad2deg().item()",
        (
            "Bring every row to length 1: `centers / centers.norm(dim=1, keepdim=True)`.",
            "Then `units @ units.T` holds all cosines. The smallest angle has the largest of them.",
            "The diagonal is 1. Put −1 there before you take the maximum, "
            "then `.arccos().rad2deg()`.",
        ),
        _check_angle,
    ),
    Exercise(
        "02.2",
        "Three centers by hand",
        5,
        1,
        "Write down the Max-Mahalanobis centers for L = 3 classes in d = 2 dimensions with norm "
        "C<sub>MM</sub> = 10: three points [x, y] whose smallest angle is as large as can be.",
        "centers = None  # [[x, y], [x, y], [x, y]]",
        "centers",
        "from math import cos, pi, sin\n\n"
        "centers = [[10 * cos(2 * pi * k / 3), 10 * sin(2 * pi * k / 3)] for k in range(3)]",
        (
            "Where do three points of a circle stand that are as far apart as possible?",
            "At 0, 120 and 240 degrees. The first is [10, 0].",
            "A point at the angle t is [10 cos t, 10 sin t]; Python's cos and sin want radians.",
        ),
        _check_triangle,
    ),
    Exercise(
        "02.3",
        "Why nothing beats the simplex",
        8,
        2,
        "The proof says that the cosines of all ordered pairs i ≠ j of L directions sum to at "
        "least −L. Write that sum for rows of length 1; the checker draws 300 random sets of four "
        "and looks whether it ever falls below.",
        "def sum_of_cosines(units): ...  # your code",
        "sum_of_cosines",
        "def sum_of_cosines(units):\n"
        "    total = units.sum(dim=0)\n"
        "    return (total @ total - len(units)).item()",
        (
            "The sum over all pairs, the diagonal with it, is the sum of all of `units @ units.T`.",
            "The diagonal holds L ones. Take them away.",
            "In one step: ‖Σ u_i‖² is the sum of all entries, so the answer is ‖Σ u_i‖² − L.",
        ),
        _check_sum,
    ),
]
