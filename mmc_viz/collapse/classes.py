"""Features sorted by class: what is refused, how many each class has, and their means."""

from jaxtyping import Float, Int
from torch import Tensor


def check_features(features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]) -> None:
    """Refuse features that are no finite numbers, and labels that do not go with them."""
    if features.dim() != 2 or 0 in features.shape:
        raise ValueError(
            f"`features` must be at least one row, [N, d]; got the shape {tuple(features.shape)}."
        )
    if len(labels) != len(features):
        raise ValueError(
            f"`labels` must be one for each of the {len(features)} features; got {len(labels)}."
        )
    if labels.min() < 0:
        raise ValueError(f"`labels` must be from 0 on; got {int(labels.min())}.")
    bad = (~features.isfinite()).any(dim=1)
    if bad.any():
        place = int(bad.int().argmax())
        raise ValueError(
            f"`features` must be finite; {int(bad.sum())} of {len(features)} are not, the first is "
            f"number {place}. Leave these out."
        )


def counts(labels: Int[Tensor, " batch"], num_classes: int) -> Int[Tensor, " num_classes"]:
    """Count the features of each class; refuse a class with fewer than two."""
    if num_classes < 2:
        raise ValueError("`labels` must be of at least two classes; got one.")
    if labels.max() >= num_classes:
        raise ValueError(
            f"`labels` must be in 0 .. {num_classes - 1}, the classes of the head; "
            f"got {int(labels.max())}."
        )
    count = labels.bincount(minlength=num_classes)
    least = int(count.argmin())
    if count[least] < 2:
        raise ValueError(
            "`labels` must hold every class at least twice, or its scatter is unknown; "
            f"got {int(count[least])} of class {least}."
        )
    return count


def class_means(
    features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], num_classes: int
) -> Float[Tensor, "num_classes dim"]:
    """Mean feature of each class; NaN for a class without features."""
    sums = features.new_zeros(num_classes, features.shape[1]).index_add_(0, labels, features)
    return sums / labels.bincount(minlength=num_classes)[:, None]
