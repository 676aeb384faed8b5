"""MMC with centers that know which classes belong together."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mmc_viz.centers import hierarchical_centers
from mmc_viz.heads._base import check_sizes, register, shown
from mmc_viz.heads.mmc import MaxMahalanobisCenter


@register("hmc")
class HierarchicalCenter(MaxMahalanobisCenter):
    r"""The loss of `mmc`, $\tfrac12 \lVert z - \mu_y \rVert^2$, to centers placed by superclass.

    $\mu_y = r (\sqrt{s_1}\, u_{g(y)} + \sqrt{s_2}\, v_y)$ with the superclass $g(y)$, the unit
    vectors $u$ spread over superclasses and the unit vectors $v$ over the classes of one; both lie
    in coordinates of their own, so all centers have the norm $r$. Classes of one superclass are
    closer to each other than to any other class (`mmc_viz.centers.hierarchical_centers`). With one
    superclass, or with one class in each, the geometry is that of `mmc`.

    Parameters
    ----------
    dim, num_classes : int
        Sizes $d$ and $L$.
    radius : float
        Norm of each center, in feature units, not squared.
    generator : torch.Generator, optional
        Unused: nothing here is random.
    preset : Float[Tensor, "num_classes dim"], optional
        Centers to use instead.
    groups : list of int, optional
        Superclass of each class, whole numbers in 0 .. L - 1. None: blocks of consecutive labels,
        as equal as can be and $\sqrt L$ of them, rounded; fewer where `dim` is too small for so
        many, down to a single one, as for 10 classes in the plane. That says nothing about the
        classes: it is a default to try the loss with, not a hierarchy to believe in. On CIFAR-100
        training gives the official superclasses instead (`mmc_viz.datasets.superclasses`).

    Raises
    ------
    ValueError
        If `groups` has another length or numbers out of range, or `dim` is too small for it.

    References
    ----------
    The idea is the hierarchical MMC of Pang et al., ICLR 2020, https://arxiv.org/abs/1905.10626, as
    a sum of centers of superclasses and of classes within one. Its details are not published in
    code; separate coordinates and the shares $s$ are ours.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        radius: float | int = 10.0,
        generator: torch.Generator | None = None,
        preset: Float[Tensor, "..."] | None = None,
        groups: Sequence[int] | None = None,
    ):
        check_sizes(dim, num_classes)
        if groups is None:
            groups = default_groups(num_classes, dim)
        if len(groups) != num_classes:
            raise ValueError(
                f"`groups` must hold one superclass for each of the {num_classes} classes; "
                f"got {len(groups)}."
            )
        wrong = [group for group in groups if not 0 <= group < num_classes]
        if wrong:
            raise ValueError(f"`groups` must be in 0 .. {num_classes - 1}; got {shown(wrong[0])}.")
        if preset is None:
            members: dict[int, list[int]] = {}
            for label, group in enumerate(groups):
                members.setdefault(group, []).append(label)
            tree = [members[group] for group in sorted(members)]
            preset = hierarchical_centers(tree, dim, radius=radius)
        super().__init__(dim, num_classes, preset=preset)


def default_groups(num_classes: int, dim: int) -> list[int]:
    r"""Cut the labels into about $\sqrt L$ blocks, or as many as have room in `dim` dimensions."""
    for count in range(round(math.sqrt(num_classes)), 1, -1):
        largest = math.ceil(num_classes / count)
        # The least that two levels of centers need: a line for two, a plane for more.
        if min(count - 1, 2) + min(largest - 1, 2) <= dim:
            return [label * count // num_classes for label in range(num_classes)]
    return [0] * num_classes
