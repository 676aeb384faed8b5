"""Every figure of the library, made from the shipped models: what `mmc-viz gallery` writes.

`MAKERS` maps the name of each figure to a function that computes its results, once, and gives an
`Exhibit`, which draws them for light and for dark pages. The note of an exhibit says how its
numbers came about.
"""

from collections.abc import Callable

from mmc_viz.figures import Exhibit
from mmc_viz.gallery import attacking, evidence, feature_space, training
from mmc_viz.gallery.scene import Scene as Scene

#: In the order of the page.
MAKERS: dict[str, Callable[[Scene, str], Exhibit]] = {
    "centers": feature_space.centers,
    "gram": feature_space.gram,
    "feature-contours": feature_space.feature_contours,
    "plane-of-centers": feature_space.plane_of_centers,
    "loss-volume": feature_space.volume,
    "density-loss-2d": feature_space.density_in_the_plane,
    "density-loss-64d": feature_space.density_in_64_dimensions,
    "density-distance": feature_space.density_distance,
    "map-pca": feature_space.map_by("pca"),
    "map-umap": feature_space.map_by("umap"),
    "map-tsne": feature_space.map_by("tsne"),
    "trajectories": feature_space.travels,
    "loss-surface": attacking.surface,
    "loss-surface-3d": attacking.surface_3d,
    "collapse": training.collapse,
    "collapse-all-heads": training.collapse_of_all,
    "convergence": training.converging,
    "robustness": attacking.robustness,
    "attack-trajectory": attacking.climb,
    "effort": attacking.exhausted,
    "transfer": attacking.transfer,
    "audit": attacking.audited,
    **evidence.MAKERS,
}
