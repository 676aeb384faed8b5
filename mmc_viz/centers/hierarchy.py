r"""Centers that know which classes belong together.

Classes come in groups, groups in larger ones: a tree whose leaves are the classes. The center of a
class is a sum of one vector for each choice on the way down to it,

$$\mu_y = r \sum_k \sqrt{s_k}\, u_k(y), \qquad \lVert u_k(y) \rVert = 1, \quad \sum_k s_k = 1,$$

and every level $k$ has a block of coordinates of its own. So the parts are orthogonal and all
centers have norm $r$: the nearest center is still the one with the largest inner product. The
children of one node stand at the vertices of a regular simplex in the block of their level, or, if
it has too few coordinates, where `spread_centers` puts them.

Where there is nothing to choose, below a class that ends early and at an only child, the share of
the level goes to the choice before it, which keeps the norm.

How the shares order the distances. Take two classes that part at level $k$, let $c_k$ be the
largest inner product of two siblings in that level, and write $S_k = \sum_{j \ge k} s_j$. All that
stands above is the same for both. At level $k$ they differ; below, they may agree. This leaves

$$2 s_k (1 - c_k) \le \lVert \mu_a - \mu_b \rVert^2 / r^2 \le 4 S_k .$$

So classes that part at a deeper level are closer than all that part higher up as soon as
$s_k (1 - c_k) > 2 S_{k+1}$. A simplex has $c_k < 0$. The shares that are taken unless the caller
gives others keep a margin of one half: $s_k (1 - \max(c_k, 0)) = 3 S_{k+1}$, which for simplices
means that each level takes three quarters of what the levels above have left.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers.checks import check_arguments
from mmc_viz.centers.simplex import max_mahalanobis_centers
from mmc_viz.centers.spreading import spread_centers

#: The way down to a class: at each level which child was taken, of how many.
Path = tuple[tuple[int, int], ...]


def hierarchical_centers(
    tree: Sequence[Any],
    dim: int,
    *,
    radius: float | int = 10.0,
    shares: Sequence[float | int] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "num_classes dim"]:
    r"""Place class centers by a tree of classes: relatives stand closer than strangers.

    Parameters
    ----------
    tree : sequence
        Nested sequences whose leaves are the labels 0 .. L - 1, each once, in any order and of any
        depth: `[[0, 2, 4], [1], [3, 5]]` puts six classes into three groups. A tree within a single
        pair of extra brackets is the tree itself.
    dim : int
        Dimension $d$ of the feature space. For simplices everywhere the sum, over the levels, of
        the largest number of children less 1. With less, the upper levels get what they need first;
        2 for each level (1 where no node has more than 2 children) is the least.
    radius : float
        Euclidean norm $r$ of each center, in feature units (not squared).
    shares : sequence of float, optional
        Of the squared norm, for each level from the top: positive, their sum is 1. None: such that
        classes that part at a deeper level are always closer, with three quarters of what is left
        for each level of simplices.
    seed : int
        Of `spread_centers`, where it has to search.
    device : torch.device or str, optional
        Where to put the result.
    dtype : torch.dtype
        Floating-point type of the result; it is computed in float64 first.

    Returns
    -------
    centers : Float[Tensor, "num_classes dim"]
        The center of class y in row y, without gradient. Unused coordinates are 0.

    Raises
    ------
    ValueError
        If a label is missing, doubled or no whole number, a group is empty, there are fewer than 2
        classes, `dim` is too small, the shares do not fit the tree, or `radius` is not positive and
        finite.

    Notes
    -----
    For two levels of simplices with $n$ groups, two classes of the same group of $m$ are
    $r \sqrt{2 s_2 m / (m - 1)}$ apart, and classes of different groups at least
    $r \sqrt{2 s_1 n / (n - 1)}$, where they stand at the same place of their groups. With shares of
    the caller's, relatives are closer than strangers only if these say so: see the module's
    docstring for the condition.

    References
    ----------
    The idea, centers of superclasses plus centers of classes within them, is the hierarchical MMC
    of Pang et al., ICLR 2020, https://arxiv.org/abs/1905.10626. Blocks of coordinates, which make
    all norms equal, trees of any depth and the shares are ours.

    Examples
    --------
    >>> hierarchical_centers([[0, 1], [2, 3]], 2, radius=2.0)
    tensor([[ 1.7321,  1.0000],
            [ 1.7321, -1.0000],
            [-1.7321,  1.0000],
            [-1.7321, -1.0000]])
    """
    paths = _paths(tree)
    check_arguments(len(paths), radius)
    depth = max(map(len, paths.values()))
    most = [
        max(count for path in paths.values() if len(path) > level for _, count in [path[level]])
        for level in range(depth)
    ]
    widths = _widths(most, dim)
    levels = [
        {
            count: _siblings(count, width, seed)
            for count in {path[level][1] for path in paths.values() if len(path) > level}
        }
        for level, width in enumerate(widths)
    ]
    share = _default_shares(levels) if shares is None else _check_shares(shares, depth)

    centers = torch.zeros(len(paths), dim, dtype=torch.float64)
    starts = [sum(widths[:level]) for level in range(depth)]
    for label, path in paths.items():
        chosen = [level for level, (_, count) in enumerate(path) if count > 1]
        # The root has at least two children, so the first level is always among the chosen.
        for level, following in zip(chosen, [*chosen[1:], depth], strict=True):
            child, count = path[level]
            length = math.sqrt(sum(share[level:following]))
            block = slice(starts[level], starts[level] + widths[level])
            centers[label, block] = length * levels[level][count][child]
    return (radius * centers).to(device=device, dtype=dtype)


def _paths(tree: Sequence[Any]) -> dict[int, Path]:
    """Give the way to each label, and make sure that the labels are 0 .. L - 1, each once."""
    while len(tree) == 1 and _is_group(tree[0]):
        tree = tree[0]
    found: dict[int, Path] = {}
    waiting: list[tuple[Any, Path]] = [(tree, ())]
    while waiting:
        node, path = waiting.pop()
        if _is_group(node):
            if not node:
                raise ValueError(
                    "Each group of `tree` must hold at least one class; got an empty one. "
                    "Leave it out."
                )
            waiting += [(child, (*path, (i, len(node)))) for i, child in enumerate(node)]
            continue
        label = _label(node)
        if label in found:
            raise ValueError(
                f"`tree` must hold each label once; got {label} twice. Give it to one group alone."
            )
        found[label] = path
    if len(found) < 2:
        raise ValueError(f"`tree` must hold at least 2 classes; got {len(found)}.")
    wrong = sorted(label for label in found if not 0 <= label < len(found))
    if wrong:
        missing = sorted(set(range(len(found))) - found.keys())
        raise ValueError(
            f"`tree` must hold the labels 0 .. {len(found) - 1}, since it has {len(found)}; got "
            f"{wrong[0]}, while {missing[0]} is missing."
        )
    return found


def _is_group(node: Any) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, str | bytes)


def _label(node: Any) -> int:
    try:
        if isinstance(node, bool):
            raise TypeError
        return operator.index(node)
    except TypeError:
        raise ValueError(
            f"The leaves of `tree` must be labels, whole numbers from 0 on; got {node!r}. "
            "Groups are lists or tuples."
        ) from None


def _widths(most: list[int], dim: int) -> list[int]:
    """Share out the coordinates: the least to each level, then the rest from the top on."""
    widths = [min(count - 1, 2) for count in most]
    if dim < sum(widths):
        raise ValueError(
            f"`dim` must be at least {sum(widths)} for a tree whose groups have up to "
            f"{' and '.join(map(str, most))} members, level by level; got {dim}. With "
            f"{sum(count - 1 for count in most)} every group is a regular simplex."
        )
    left = dim - sum(widths)
    for level, count in enumerate(most):
        more = min(left, count - 1 - widths[level])
        widths[level] += more
        left -= more
    return widths


def _siblings(count: int, width: int, seed: int) -> Float[Tensor, "count width"]:
    """Place the children of one node on the unit sphere of their level; an only child has none."""
    if count == 1:
        return torch.zeros(1, width, dtype=torch.float64)
    if width >= count - 1:
        return max_mahalanobis_centers(count, width, radius=1.0, dtype=torch.float64)
    return spread_centers(count, width, radius=1.0, seed=seed, dtype=torch.float64)


def _default_shares(levels: list[dict[int, Tensor]]) -> list[float]:
    """Let each level outweigh all that lie below it; they are filled from below."""
    weights: list[float] = []
    for siblings in reversed(levels):
        closest = max((_largest_cosine(placed) for placed in siblings.values()), default=0.0)
        below = sum(weights)
        weights.insert(0, 3 * below / (1 - max(closest, 0.0)) if below else 1.0)
    return [weight / sum(weights) for weight in weights]


def _largest_cosine(placed: Float[Tensor, "count width"]) -> float:
    """Largest inner product of two siblings; an only child has no sibling to be close to."""
    if len(placed) < 2:
        return 0.0
    gram = placed @ placed.T
    return gram.fill_diagonal_(-1.0).max().item()


def _check_shares(shares: Sequence[float | int], depth: int) -> list[float]:
    values = [float(value) for value in shares]
    if len(values) != depth:
        raise ValueError(
            f"`shares` must hold one share for each of the {depth} levels of the tree; "
            f"got {len(values)}."
        )
    if not all(value > 0 and math.isfinite(value) for value in values):
        raise ValueError(f"`shares` must be positive and finite; got {values}.")
    if abs(sum(values) - 1) > 1e-6:
        raise ValueError(
            f"`shares` must add up to 1, the squared norm; got {values}, which add up to "
            f"{sum(values):g}. Divide them by their sum."
        )
    return [value / sum(values) for value in values]
