"""What a caller can get wrong when asking about features, said in one line each."""

import torch
from torch import Tensor


def check_features(name: str, features: Tensor, *, least: int = 1) -> Tensor:
    """Give features as float64 without gradient, where they are; on the CPU if that has none.

    Raises
    ------
    ValueError
        For a wrong shape or type, too few rows, or values that are not finite.
    """
    if features.dim() != 2 or not features.is_floating_point():
        raise ValueError(
            f"`{name}` must be floating point [batch, dim]; got {features.dtype} "
            f"{list(features.shape)}. `outputs(model, images)[1]` gives them so."
        )
    if features.shape[1] < 1:
        raise ValueError(
            f"`{name}` must have at least one dimension; got {list(features.shape)}. A model "
            "without a method `features` gives none."
        )
    if len(features) < least:
        raise ValueError(f"`{name}` must hold at least {least} features; got {len(features)}.")
    broken = int((~features.isfinite()).any(dim=1).sum())
    if broken:
        raise ValueError(f"`{name}` must be finite; {broken} of {len(features)} rows are not.")
    features = features.detach()
    return (features.cpu() if features.device.type == "mps" else features).double()


def check_labels(name: str, labels: Tensor, features: Tensor) -> Tensor:
    """Give labels where the features are.

    Raises
    ------
    ValueError
        Unless they are int64, from 0 on, one for each feature.
    """
    if labels.shape != features.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"`{name}` must be int64 [{len(features)}], one for each feature; got {labels.dtype} "
            f"{list(labels.shape)}."
        )
    if len(labels) and int(labels.min()) < 0:
        raise ValueError(f"`{name}` must be at least 0; got {int(labels.min())}.")
    return labels.to(features.device)


def check_same_dim(name: str, features: Tensor, dim: int, *, of: str) -> None:
    """Refuse features that live in another space.

    Raises
    ------
    ValueError
        With both dimensions.
    """
    if features.shape[1] != dim:
        raise ValueError(
            f"`{name}` must have the dimension of {of}, {dim}; got {features.shape[1]}."
        )
