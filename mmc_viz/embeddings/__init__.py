"""Maps of features: many dimensions drawn in two, and how far the drawing can be believed.

`fit` draws a map and `FeatureMap.place` puts further features into it without moving it. `assess`
says what it keeps of the true space. `compare_maps` does both for several models, and `map_path`
follows images through a map as an attacker's budget grows. No map of many dimensions is faithful,
so each result carries its measure and, in `note`, a sentence on what it distorts.
"""

from mmc_viz.embeddings.comparison import compare_maps as compare_maps
from mmc_viz.embeddings.maps import METHODS as METHODS
from mmc_viz.embeddings.maps import NOTES as NOTES
from mmc_viz.embeddings.maps import FeatureMap as FeatureMap
from mmc_viz.embeddings.maps import fit as fit
from mmc_viz.embeddings.quality import MapQuality as MapQuality
from mmc_viz.embeddings.quality import assess as assess
from mmc_viz.embeddings.tracks import MapTrajectories as MapTrajectories
from mmc_viz.embeddings.tracks import map_path as map_path
from mmc_viz.embeddings.views import Embedding as Embedding
from mmc_viz.embeddings.views import MapView as MapView
from mmc_viz.embeddings.views import Placed as Placed
from mmc_viz.embeddings.views import view_map as view_map
