r"""The way of each image through a map, as the attacker's budget grows.

An epsilon path that tracks (`follow="track"`) attacks every image anew at each budget, also those
already fooled, so its features move on. They are placed into one fixed map. A line on a map bends
and stretches as the map does, so the true length stands beside it: how far each feature has moved
in feature space, $\lVert z(x_\epsilon) - z(x) \rVert$, and how far it is from every fitted one.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmc_viz import tables
from mmc_viz.embeddings.maps import FeatureMap
from mmc_viz.embeddings.views import MapView, nearest_distance
from mmc_viz.paths import EpsilonPath


@dataclass(frozen=True)
class MapTrajectories:
    """Where the images of an epsilon path lie on a map, at each budget.

    Attributes
    ----------
    map : FeatureMap
        The fixed map.
    positions : Float[Tensor, "steps batch 2"]
        On the map.
    epsilons : Float[Tensor, "steps"]
        Budgets in the unit of the images, rising.
    labels : Int[Tensor, "batch"]
        True classes.
    predictions : Int[Tensor, "steps batch"]
        Class that the model gives the image at this budget.
    success : Bool[Tensor, "steps batch"]
        Whether this budget or a smaller one fooled the model; a clean error counts.
    moved : Float[Tensor, "steps batch"]
        Distance of the feature from that at the first budget, in feature space.
    nearest : Float[Tensor, "steps batch"]
        Distance of the feature to the nearest fitted one, in feature space.
    class_names : list[str]
        Name of each class.
    map_labels : Int[Tensor, "fitted"], optional
        True classes of the map's own points.
    images : UInt8[Tensor, "steps batch channels height width"], optional
        As drawn.
    """

    map: FeatureMap
    positions: Float[Tensor, "steps batch 2"]
    epsilons: Float[Tensor, " steps"]
    labels: Int[Tensor, " batch"]
    predictions: Int[Tensor, "steps batch"]
    success: Bool[Tensor, "steps batch"]
    moved: Float[Tensor, "steps batch"]
    nearest: Float[Tensor, "steps batch"]
    class_names: list[str]
    map_labels: Int[Tensor, " fitted"] | None = None
    images: UInt8[Tensor, "steps batch channels height width"] | None = None

    @property
    def fooled(self) -> Int[Tensor, " steps"]:
        """How many images this budget or a smaller one has fooled."""
        return self.success.sum(dim=1)

    @property
    def median_moved(self) -> Float[Tensor, " steps"]:
        """Median distance that features have moved, in feature space, at each budget."""
        return self.moved.quantile(0.5, dim=1)

    @property
    def remoteness(self) -> list[float | None]:
        """How far the features are from all fitted ones, at each budget.

        Median distance to the nearest, over the median distance of a fitted one to its nearest
        other; None where the fitted ones coincide.
        """
        spacing = self.map.spacing
        return [
            None if spacing == 0 else float(row.quantile(0.5)) / spacing for row in self.nearest
        ]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all numbers, without pictures and features, as JSON; write it if `path` is given."""
        values = {
            "method": self.map.method,
            "seed": self.map.seed,
            "settings": self.map.settings,
            "note": self.map.note,
            "class_names": self.class_names,
            "epsilons": _short(self.epsilons),
            "fooled": self.fooled.tolist(),
            "median_moved": self.median_moved.tolist(),
            "remoteness": self.remoteness,
            "labels": self.labels.tolist(),
            "positions": self.positions.tolist(),
            "predictions": self.predictions.tolist(),
            "success": self.success.tolist(),
            "moved": self.moved.tolist(),
            "nearest": self.nearest.tolist(),
        }
        return tables.to_json(values, path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each budget and image as CSV; write it too if `path` is given."""
        positions, predictions = self.positions.tolist(), self.predictions.tolist()
        success, moved, nearest = (
            self.success.int().tolist(),
            self.moved.tolist(),
            self.nearest.tolist(),
        )
        rows = [
            {
                "epsilon": epsilon,
                "image": n,
                "x": positions[k][n][0],
                "y": positions[k][n][1],
                "label": label,
                "prediction": predictions[k][n],
                "fooled": success[k][n],
                "moved": moved[k][n],
                "nearest": nearest[k][n],
            }
            for k, epsilon in enumerate(_short(self.epsilons))
            for n, label in enumerate(self.labels.tolist())
        ]
        return tables.to_csv(rows, path)


def map_path(
    drawn: FeatureMap | MapView,
    path: EpsilonPath,
    *,
    map_labels: Int[Tensor, " fitted"] | None = None,
    class_names: list[str] | None = None,
) -> MapTrajectories:
    """Place an epsilon path into a map.

    Parameters
    ----------
    drawn : FeatureMap or MapView
        The map, of the same model's features; a view knows the classes of its points too.
    path : EpsilonPath
        From `paths.epsilon_path(..., follow="track")`; one that holds its images stands still after
        the first success. A budget of 0 in front makes lines begin at the clean images.
    map_labels : Int[Tensor, "fitted"], optional
        True classes of the map's own points, if `drawn` does not know them.
    class_names : list[str], optional
        None: the classes' numbers.

    Returns
    -------
    trajectories : MapTrajectories

    Raises
    ------
    ValueError
        If the map cannot place, or the features are not finite or of another dimension.
    """
    fixed = drawn.map if isinstance(drawn, MapView) else drawn
    if isinstance(drawn, MapView) and map_labels is None and not drawn.joint:
        map_labels = drawn.labels
    if map_labels is not None and len(map_labels) != len(fixed.positions):
        raise ValueError(
            f"`map_labels` must be of the map's {len(fixed.positions)} points; got "
            f"{len(map_labels)}."
        )
    steps, batch, dim = path.features.shape
    if not dim:
        raise ValueError("`path` must hold features; that of a model without features has none.")
    positions = fixed.place(path.features.reshape(steps * batch, dim)).reshape(steps, batch, 2)
    predictions = path.logits.argmax(dim=2)
    largest = max(path.logits.shape[2], 0 if map_labels is None else int(map_labels.max()) + 1)
    names = class_names or [str(label) for label in range(largest)]
    if len(names) < largest:
        raise ValueError(f"`class_names` must name {largest} classes; got {len(names)}.")
    features = path.features.double()
    return MapTrajectories(
        fixed,
        positions,
        path.epsilons,
        path.labels,
        predictions,
        path.success,
        (features - features[0]).norm(dim=2),
        nearest_distance(features, fixed.features),
        names,
        None if map_labels is None else map_labels.cpu(),
        path.images,
    )


def _short(epsilons: Float[Tensor, " steps"]) -> list[float]:
    return [float(f"{epsilon:.6g}") for epsilon in epsilons.tolist()]
