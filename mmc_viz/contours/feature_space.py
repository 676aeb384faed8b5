r"""The loss of a head over a plane of feature space, or over a space of three dimensions.

For one true class $y$ the loss $L(z, y)$ is a function of the feature alone, and its level sets say
what training asks for: any feature on one of them is as good as any other. A head that measures
distances asks for a place; softmax cross-entropy asks for a direction. Without a class the loss
drawn is the least over all of them, $\min_y L(z, y)$: what the feature would cost at its best.

The grid is evaluated in float64, in a few large batches, on a copy of the head.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.contours.feature_contours import FeatureContours
from mmc_viz.contours.losses import Loss, loss_function
from mmc_viz.contours.planes import Plane, Projection, check_features, plane_of, whole
from mmc_viz.contours.theorem import in_float64
from mmc_viz.heads import Head
from mmc_viz.objectives import Objective

_CHUNK = 8192  # points a batch: some heads hold a difference for every point, class and dimension


def loss_on_plane(
    head: Head,
    label: int | None,
    plane: Plane | None = None,
    *,
    loss: str | Objective = "training",
    rival: int | None = None,
    features: Float[Tensor, "batch dim"] | None = None,
    labels: Int[Tensor, " batch"] | None = None,
    class_names: list[str] | None = None,
    extent: tuple[tuple[float | int, float | int], ...] | None = None,
    resolution: int = 201,
) -> FeatureContours:
    """Compute a head's loss on a square grid over a plane of its feature space.

    Parameters
    ----------
    head : Head
        From features to logits and to a loss; it stays as it is.
    label : int or None
        The true class; None for the least loss over all classes.
    plane : Plane, optional
        None: the whole feature space if it has two dimensions, else the plane that `plane_of` finds
        through the first three centers.
    loss : str or callable
        `training`, the head's own; `two_class`, the softmax loss against one rival,
        log(1 + exp(h_t - h_y)), of which the theorem speaks; or an objective, such as
        `cross_entropy`, which is then computed without loss of digits.
    rival : int, optional
        For `two_class`; None: the strongest wrong class at each point.
    features, labels : tensors, optional
        Features to show on the plane, and their true classes.
    class_names : list of str, optional
        None: the numbers of the classes.
    extent : tuple of pairs, optional
        Lowest and highest coordinate along each axis. None: a square about the centers and the
        middle 99 % of the features.
    resolution : int
        Points along each axis, at least 2.

    Returns
    -------
    contours : FeatureContours

    Raises
    ------
    ValueError
        If a class, the loss, the plane or the extent does not fit the head, there is nothing to
        find an extent from, or the loss is not finite.
    """
    if plane is None:
        plane = whole(2) if head.dim == 2 else plane_of(head, features=features, labels=labels)
    if len(plane.axes) != 2:
        raise ValueError("`plane` must have two axes; got three. Use `loss_in_space`.")
    return _on_grid(
        head, label, plane, loss, rival, features, labels, class_names, extent, resolution
    )


def loss_in_space(
    head: Head,
    label: int | None,
    space: Plane | None = None,
    *,
    loss: str | Objective = "training",
    rival: int | None = None,
    features: Float[Tensor, "batch dim"] | None = None,
    labels: Int[Tensor, " batch"] | None = None,
    class_names: list[str] | None = None,
    extent: tuple[tuple[float | int, float | int], ...] | None = None,
    resolution: int = 27,
) -> FeatureContours:
    """Compute a head's loss on a cubic grid, over three dimensions of its feature space.

    The arguments are those of `loss_on_plane`; without `space` it is the whole feature space if it
    has three dimensions, else the space through the first four centers.

    Raises
    ------
    ValueError
        As `loss_on_plane`.
    """
    if space is None:
        space = (
            whole(3)
            if head.dim == 3
            else plane_of(head, range(4), features=features, labels=labels)
        )
    if len(space.axes) != 3:
        raise ValueError("`space` must have three axes; got two. Use `loss_on_plane`.")
    return _on_grid(
        head, label, space, loss, rival, features, labels, class_names, extent, resolution
    )


def _on_grid(
    head: Head,
    label: int | None,
    plane: Plane,
    loss: str | Objective,
    rival: int | None,
    features: Tensor | None,
    labels: Tensor | None,
    class_names: list[str] | None,
    extent: tuple[tuple[float | int, float | int], ...] | None,
    resolution: int,
) -> FeatureContours:
    if label is not None and not 0 <= label < head.num_classes:
        raise ValueError(f"`label` must be in 0 .. {head.num_classes - 1}; got {label}.")
    if plane.axes.shape[1] != head.dim:
        raise ValueError(
            f"`plane` must lie in the {head.dim} dimensions of the head's features; got one of "
            f"{plane.axes.shape[1]}."
        )
    if resolution < 2:
        raise ValueError(f"`resolution` must be at least 2; got {resolution}.")
    names = [str(k) for k in range(head.num_classes)] if class_names is None else class_names
    if len(names) != head.num_classes:
        raise ValueError(f"`class_names` must be {head.num_classes}; got {len(names)}.")
    wide = in_float64(head)
    function = loss_function(wide, loss, rival)
    shown = losses = None
    if features is not None:
        check_features(features, labels, head.dim)
        if int(labels.min()) < 0 or int(labels.max()) >= head.num_classes:
            raise ValueError(
                f"`labels` must be in 0 .. {head.num_classes - 1}; got values from "
                f"{int(labels.min())} to {int(labels.max())}."
            )
        shown = plane.project(features, labels)
        losses = _own_losses(function, features.detach().cpu().double(), shown.labels)
    centers, centers_are = _centers(wide, plane, features, shown)
    ticks = _ticks(plane, centers, shown, extent, resolution)
    grid = torch.stack(torch.meshgrid(*reversed(ticks), indexing="ij")[::-1], dim=-1)
    values, predicted = [], []
    with torch.no_grad():
        for points in grid.reshape(-1, len(ticks)).split(_CHUNK):
            points = plane.lift(points)
            predicted.append(wide.logits(points).argmax(dim=1))
            values.append(_one_or_least(function, points, label, head.num_classes))
    values = torch.cat(values).reshape(grid.shape[:-1])
    broken = int((~values.isfinite()).sum())
    if broken:
        raise ValueError(f"The loss must be finite; it is not at {broken} points of the grid.")
    return FeatureContours(
        plane,
        label,
        loss if isinstance(loss, str) else getattr(loss, "__name__", "objective"),
        rival,
        ticks,
        values,
        torch.cat(predicted).reshape(grid.shape[:-1]),
        shown,
        losses,
        centers,
        centers_are,
        tuple(names),
    )


def _one_or_least(function: Loss, points: Tensor, label: int | None, num_classes: int) -> Tensor:
    if label is not None:
        return function(points, label)
    return torch.stack([function(points, k) for k in range(num_classes)]).amin(dim=0)


def _own_losses(function: Loss, features: Tensor, labels: Tensor) -> Float[Tensor, " batch"]:
    losses = torch.empty(len(features), dtype=torch.float64)
    with torch.no_grad():
        for k in labels.unique().tolist():
            losses[labels == k] = function(features[labels == k], k).double()
    return losses


def _centers(
    head: Head, plane: Plane, features: Tensor | None, shown: Projection | None
) -> tuple[Projection | None, str]:
    """Place the class centers, or else the class means of the features, on the plane."""
    classes = torch.tensor(plane.classes or range(head.num_classes))
    if getattr(head, "centers", None) is not None:
        return plane.project(head.centers[classes], classes), "centers"
    if shown is None:
        return None, ""
    present = classes[torch.isin(classes, shown.labels)]
    if len(present) == 0:
        return None, ""
    wide = features.detach().cpu().double()
    means = torch.stack([wide[shown.labels == k].mean(dim=0) for k in present])
    return plane.project(means, present), "class means"


def _ticks(
    plane: Plane,
    centers: Projection | None,
    shown: Projection | None,
    extent: tuple[tuple[float | int, float | int], ...] | None,
    resolution: int,
) -> tuple[Float[Tensor, " _"], ...]:
    if extent is None:
        extent = _extent(centers, shown)
    if len(extent) != len(plane.axes):
        raise ValueError(f"`extent` must be {len(plane.axes)} pairs; got {len(extent)}.")
    for low, high in extent:
        if not low < high < float("inf") or not low > -float("inf"):
            raise ValueError(f"`extent` must be pairs that rise and are finite; got {extent}.")
    return tuple(
        torch.linspace(float(low), float(high), resolution, dtype=torch.float64)
        for low, high in extent
    )


def _extent(
    centers: Projection | None, shown: Projection | None
) -> tuple[tuple[float, float], ...]:
    """Give a square, or cube, about the centers and all but the outermost features."""
    ends = []
    if centers is not None:
        ends += [centers.coordinates.amin(dim=0), centers.coordinates.amax(dim=0)]
    if shown is not None:
        tails = torch.tensor([0.005, 0.995], dtype=torch.float64)
        ends += list(shown.coordinates.quantile(tails, dim=0))
    if not ends:
        raise ValueError(
            "`extent` must be given for a head without centers; or pass `features` and `labels`."
        )
    low, high = torch.stack(ends).amin(dim=0), torch.stack(ends).amax(dim=0)
    middle, half = (low + high) / 2, 0.6 * float((high - low).amax())
    half = half or 1.0  # one point alone
    return tuple((m - half, m + half) for m in middle.tolist())
