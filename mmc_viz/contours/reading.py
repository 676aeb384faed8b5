r"""The true loss on the theorem's contours, in all dimensions, next to a model's features.

On the plane of a picture the theorem can be looked at; what it is worth where a model's features
lie is a question of all dimensions. So each feature is moved to the nearest point of the contour
for its class and its strongest rival, and the true loss is read there. The theorem's two-class loss
is $c$ at all these points. The true one is larger by what all other rivals add.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.contours.comparing import or_none
from mmc_viz.contours.losses import loss_function, strongest_rival
from mmc_viz.contours.planes import check_features
from mmc_viz.contours.theorem import contour_of, in_float64
from mmc_viz.heads import Head


@dataclass(frozen=True)
class LossOnContours:
    """The true loss where the theorem says that it is $c$, next to a model's features.

    Attributes
    ----------
    levels : Float[Tensor, "levels"]
        Values $c$ of the loss.
    counts : Int[Tensor, "levels"]
        Features for which there is such a contour.
    two_class_error : Float[Tensor, "levels"]
        Largest error of the two-class loss there, relative to $c$; for a squared distance of that
        loss. Rounding alone, or the theorem is wrong.
    median_loss, max_loss : Float[Tensor, "levels"]
        The true loss there.
    still_strongest : Float[Tensor, "levels"]
        Share, 0..1, of the places at which the rival is still the strongest.
    """

    levels: Float[Tensor, " levels"]
    counts: Int[Tensor, " levels"]
    two_class_error: Float[Tensor, " levels"]
    median_loss: Float[Tensor, " levels"]
    max_loss: Float[Tensor, " levels"]
    still_strongest: Float[Tensor, " levels"]

    def rows(self) -> list[dict]:
        """Give one row for each value; None where no feature has such a contour."""
        columns = ("two_class_error", "median_loss", "max_loss", "still_strongest")
        return [
            {"level": level, "count": int(self.counts[i])}
            | {name: or_none(getattr(self, name)[i]) for name in columns}
            for i, level in enumerate(self.levels.tolist())
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the table as JSON; write it too if `path` is given."""
        return tables.to_json(self.rows(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each value of the loss as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)


def loss_on_contours(
    head: Head,
    features: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    levels: list[float] | tuple[float, ...] = (0.1, 1.0),
) -> LossOnContours:
    """Read the true loss on the theorem's contours, in all dimensions, next to real features.

    Each feature is moved to the nearest point of the contour for its class and its strongest rival.

    Parameters
    ----------
    head : Head
        With a closed form.
    features, labels : tensors
        Of a model with this head.
    levels : sequence of float
        Values of the loss, positive.

    Raises
    ------
    ValueError
        If the head has no closed form, the features do not fit it, or a value is not positive.
    """
    check_features(features, labels, head.dim)
    wide, features, labels = in_float64(head), features.detach().cpu().double(), labels.cpu()
    by_distance = wide.loss_form == "distance"
    true = loss_function(wide, "training" if by_distance else "cross_entropy")
    counts, numbers = [], []
    with torch.no_grad():
        logits = wide.logits(features)
        for level in levels:
            errors, reached, still = [], [], []
            for k in labels.unique().tolist():
                rows = (labels == k).nonzero()[:, 0]
                rivals = strongest_rival(logits[rows], k)
                for t in [-1] if by_distance else rivals.unique().tolist():
                    contour = contour_of(wide, k, level, rival=None if by_distance else t)
                    if contour is None:
                        continue
                    feet = contour.foot(features[rows if by_distance else rows[rivals == t]])
                    feet = feet[feet.isfinite().all(dim=1)]
                    reached.append(true(feet, k))
                    if by_distance:
                        ideal = reached[-1]
                        still.append(torch.ones(len(feet), dtype=torch.bool))
                    else:
                        ideal = loss_function(wide, "two_class", t)(feet, k)
                        still.append(strongest_rival(wide.logits(feet), k) == t)
                    errors.append((ideal - level).abs() / level)
            counts.append(sum(len(part) for part in reached))
            if counts[-1] == 0:
                numbers.append([torch.nan] * 4)
                continue
            losses, share = torch.cat(reached), float(torch.cat(still).double().mean())
            worst = float(torch.cat(errors).amax())
            numbers.append([worst, float(losses.quantile(0.5)), float(losses.amax()), share])
    table = torch.tensor(numbers, dtype=torch.float64)
    return LossOnContours(
        torch.tensor(levels, dtype=torch.float64), torch.tensor(counts), *table.unbind(dim=1)
    )
