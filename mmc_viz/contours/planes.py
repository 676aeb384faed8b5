r"""A flat piece of feature space to look at, and what looking at it leaves out.

A picture has two dimensions, or three that turn. A feature space of two is shown whole. Of a larger
one we show the plane through three class centers (or the space through four): with an origin $o$
and orthonormal axes, the rows of $A$,

$$u = A (z - o), \qquad z = o + A^\top u + \text{rest}.$$

The rest is orthogonal to the plane. Its length is how far a feature really lies from where the
picture shows it, so `Projection` always carries it along.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.heads import Head


@dataclass(frozen=True)
class Plane:
    """A plane in feature space, or a space of three dimensions in it; float64, on the CPU.

    Attributes
    ----------
    origin : Float[Tensor, "dim"]
        Where the coordinates are 0.
    axes : Float[Tensor, "axes dim"]
        Two or three orthonormal directions, one a row.
    classes : tuple of int
        Whose centers or means span it; empty for a whole space.
    spanned_by : str
        `centers`, `class means` or `points`; empty for a whole space.
    """

    origin: Float[Tensor, " dim"]
    axes: Float[Tensor, "axes dim"]
    classes: tuple[int, ...] = ()
    spanned_by: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing lies outside it."""
        return self.axes.shape[0] == self.axes.shape[1]

    def place(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch axes"]:
        """Coordinates of the foot of each point."""
        return (points.detach().cpu().double() - self.origin) @ self.axes.T

    def lift(self, coordinates: Float[Tensor, "batch axes"]) -> Float[Tensor, "batch dim"]:
        """Give the points of feature space that lie at these coordinates."""
        return self.origin + coordinates.double() @ self.axes

    def distance(self, points: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """How far each point lies from the plane, in feature units."""
        rest = points.detach().cpu().double() - self.lift(self.place(points))
        return rest.norm(dim=1)

    def project(
        self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> "Projection":
        """Show features on the plane, and say what that leaves out.

        Raises
        ------
        ValueError
            If there is none, they are not finite, or they have another dimension.
        """
        check_features(features, labels, self.axes.shape[1])
        centered = features.detach().cpu().double()
        centered = centered - centered.mean(dim=0)
        total = float(centered.square().sum())
        inside = float((centered @ self.axes.T).square().sum())
        return Projection(
            self.place(features),
            self.distance(features),
            labels.detach().cpu(),
            0.0 if total == 0 or self.is_whole else max(0.0, 1 - inside / total),
        )


@dataclass(frozen=True)
class Projection:
    """Features as a plane shows them; float64, on the CPU.

    Attributes
    ----------
    coordinates : Float[Tensor, "batch axes"]
        Of the foot of each feature.
    distance : Float[Tensor, "batch"]
        Of each feature from the plane, in feature units.
    labels : Int[Tensor, "batch"]
        True classes.
    variance_left_out : float
        Share, 0..1, of the total variance of the features that lies across the plane.
    """

    coordinates: Float[Tensor, "batch axes"]
    distance: Float[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    variance_left_out: float

    @property
    def mean_distance(self) -> float:
        """Mean distance of the features from the plane, in feature units."""
        return float(self.distance.mean())


def plane_of(
    source: Head | Tensor,
    classes: Sequence[int] | None = None,
    *,
    features: Float[Tensor, "batch dim"] | None = None,
    labels: Int[Tensor, " batch"] | None = None,
) -> Plane:
    """Find the plane through three class centers, or the space through four.

    Parameters
    ----------
    source : Head or Float[Tensor, "points dim"]
        A head, or points in place of its centers, one a class.
    classes : sequence of int, optional
        Three for a plane, four for a space. None: the first three. Where the feature space has no
        more dimensions than that, it is given whole, whatever the classes.
    features, labels : tensors, optional
        For a head without centers: the means of these features by class stand in for them.

    Returns
    -------
    plane : Plane
        Its origin is the middle of the centers, its first axis runs from the first to the second.

    Raises
    ------
    ValueError
        If a head has no centers and no features are given, a class has no feature, there are not
        three or four different classes, or their centers do not span a plane.
    """
    chosen = tuple(range(3)) if classes is None else tuple(classes)
    if len(chosen) not in (3, 4) or len(set(chosen)) != len(chosen):
        raise ValueError(f"`classes` must be three or four different classes; got {chosen}.")
    dim = source.dim if isinstance(source, Head) else source.shape[1]
    if dim == len(chosen) - 1:
        return whole(dim)
    if dim < len(chosen):
        raise ValueError(
            f"`classes` must be no more than the {dim} dimensions of the features allow; "
            f"got {len(chosen)} for a space of {len(chosen) - 1}."
        )
    if not isinstance(source, Head):
        points, spanned_by = source.detach().cpu().double(), "points"
        _check_classes(chosen, len(points))
    elif getattr(source, "centers", None) is not None:
        points, spanned_by = source.centers.detach().cpu().double(), "centers"
        _check_classes(chosen, len(points))
    else:
        _check_classes(chosen, source.num_classes)
        points, spanned_by = _class_means(source, chosen, features, labels), "class means"
    corners = points[list(chosen)]
    if not corners.isfinite().all():
        raise ValueError("The centers must be finite; some are not.")
    axes: list[Tensor] = []
    for corner in corners[1:]:
        direction = corner - corners[0]
        length = direction.norm()
        for _ in range(2):  # twice, so that the axes are orthogonal to the last digit
            for axis in axes:
                direction = direction - (direction @ axis) * axis
        if not direction.norm() > 1e-9 * length:
            raise ValueError(
                f"`classes` must have centers that span {len(chosen) - 1} dimensions; those of "
                f"{chosen} do not. Choose others."
            )
        axes.append(direction / direction.norm())
    return Plane(corners.mean(dim=0), torch.stack(axes), chosen, spanned_by)


def whole(dim: int) -> Plane:
    """Give the whole of a feature space of two or three dimensions as a plane.

    Raises
    ------
    ValueError
        If there are more dimensions, or one.
    """
    if dim not in (2, 3):
        raise ValueError(f"`dim` must be 2 or 3; got {dim}. Use `plane_of` to choose a plane.")
    return Plane(
        torch.zeros(dim, dtype=torch.float64),
        torch.eye(dim, dtype=torch.float64),
    )


def check_features(features: Tensor, labels: Tensor | None, dim: int) -> None:
    """Refuse features that are none, not finite, of another dimension, or without labels.

    Raises
    ------
    ValueError
        With the count or the shape.
    """
    if features.dim() != 2 or features.shape[1] != dim or len(features) == 0:
        raise ValueError(
            f"`features` must be [batch, {dim}] with at least one; got {list(features.shape)}."
        )
    broken = int((~features.isfinite()).any(dim=1).sum())
    if broken:
        raise ValueError(f"`features` must be finite; {broken} of {len(features)} are not.")
    if labels is None or labels.shape != features.shape[:1]:
        shape = None if labels is None else list(labels.shape)
        raise ValueError(f"`labels` must be [{len(features)}], one for each feature; got {shape}.")


def _check_classes(chosen: tuple[int, ...], num_classes: int) -> None:
    if min(chosen) < 0 or max(chosen) >= num_classes:
        raise ValueError(f"`classes` must be in 0 .. {num_classes - 1}; got {chosen}.")


def _class_means(
    head: Head, chosen: tuple[int, ...], features: Tensor | None, labels: Tensor | None
) -> Float[Tensor, "num_classes dim"]:
    """Give the means of the chosen classes, in the rows of these classes."""
    if features is None:
        raise ValueError(
            f"`features` must be given: {type(head).__name__} has no centers, so the plane goes "
            "through the class means of features. Pass `features` and `labels`, or points."
        )
    check_features(features, labels, head.dim)
    features, labels = features.detach().cpu().double(), labels.cpu()
    means = torch.zeros(head.num_classes, head.dim, dtype=torch.float64)
    for k in chosen:
        if not (labels == k).any():
            raise ValueError(f"`features` must have class {k}; there is no sample of it.")
        means[k] = features[labels == k].mean(dim=0)
    return means
