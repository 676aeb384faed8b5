"""The worst case at several budgets, for little more than the price of the largest.

Most of what a worst case costs is spent on images that withstand everything. One that has withstood
an ensemble in a large ball will hardly be fooled in a small one, so there it meets the ensemble
`quick` alone, and is fooled if that fools it after all. In the other direction nothing is a matter
of trust: what fools a model in a small ball lies in every larger one.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks.checks import check_epsilons
from mmc_viz.evaluation.ensemble import WorstCase, worst_case


def worst_cases(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    epsilons: Sequence[float | int],
    *,
    norm: str = "linf",
    budget: str = "standard",
    seed: int = 0,
    progress: bool = False,
) -> list[WorstCase]:
    """Run the ensemble at each budget, from the largest down.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is, and it decides what is right.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    epsilons : sequence of float
        Budgets in the unit of the images, rising.
    norm, budget, seed, progress
        As for `worst_case`. `budget` is what an image meets until it has withstood it once.

    Returns
    -------
    results : list[WorstCase]
        One for each budget, in the order of `epsilons`. An image robust at one is robust at all
        smaller ones. `seconds` are of the attacks that ran at this budget.

    Raises
    ------
    ValueError
        If the budgets do not rise, or an argument is out of range.
    """
    check_epsilons(torch.tensor(epsilons, dtype=torch.float64))
    results: list[WorstCase] = []
    withstood = torch.zeros(len(images), dtype=torch.bool)
    for eps in reversed(epsilons):
        shared = {"eps": eps, "norm": norm, "seed": seed, "progress": progress}
        parts = [
            (rows, worst_case(model, images[rows], labels[rows], budget=name, **shared))
            for rows, name in ((~withstood, budget), (withstood, "quick"))
            if rows.any()
        ]
        results.insert(0, _joined(parts, budget))
        withstood = results[0].robust
    return _falling(results)


def _joined(parts: list[tuple[Bool[Tensor, " batch"], WorstCase]], budget: str) -> WorstCase:
    """Put results on parts of the images together."""
    mask, first = parts[0]
    robust, flat = torch.zeros_like(mask), torch.zeros_like(mask)
    broken_by: list[str | None] = [None] * len(mask)
    seconds: dict[str, float] = {}
    for rows, result in parts:
        robust[rows], flat[rows] = result.robust, result.zero_gradient.cpu()
        for row, name in zip(rows.nonzero()[:, 0].tolist(), result.broken_by, strict=True):
            broken_by[row] = name
        for name, time in result.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + time
    return replace(
        first,
        robust=robust,
        zero_gradient=flat,
        broken_by=broken_by,
        seconds=seconds,
        budget=budget,
    )


def _falling(results: list[WorstCase]) -> list[WorstCase]:
    """Let what was fooled at a budget count as fooled at all larger ones."""
    kept = results[:1]
    for result in results[1:]:
        before = kept[-1]
        broken_by = [
            name or still for name, still in zip(result.broken_by, before.broken_by, strict=True)
        ]
        kept.append(replace(result, robust=result.robust & before.robust, broken_by=broken_by))
    return kept
