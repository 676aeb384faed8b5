r"""Where class centers stand.

A classifier that measures distances needs one point of feature space for each class. The farther
apart these points, the more a feature may move before it lies nearer to a wrong one. On a sphere of
radius $r$, $L$ points $\mu_1, \dots, \mu_L$ cannot all be farther apart than the vertices of a
regular simplex: from

$$0 \le \Big\lVert \sum_i \mu_i \Big\rVert^2 = L r^2 + \sum_{i \ne j} \langle \mu_i, \mu_j \rangle$$

the largest inner product of two of them is at least $-r^2 / (L - 1)$, with equality only where all
pairs share that value, and $L - 1$ dimensions are enough to reach it. Pang et al. call these points
the Max-Mahalanobis centers. In fewer dimensions no regular simplex exists and the best arrangement
is a spherical code; in the plane it is the regular polygon.
"""

from mmc_viz.centers.arrangements import ARRANGEMENTS as ARRANGEMENTS
from mmc_viz.centers.arrangements import arrangement as arrangement
from mmc_viz.centers.drawing import random_centers as random_centers
from mmc_viz.centers.geometry import Geometry as Geometry
from mmc_viz.centers.geometry import geometry as geometry
from mmc_viz.centers.hierarchy import hierarchical_centers as hierarchical_centers
from mmc_viz.centers.packings import Packing as Packing
from mmc_viz.centers.packings import PackingTable as PackingTable
from mmc_viz.centers.packings import packing_table as packing_table
from mmc_viz.centers.simplex import max_mahalanobis_centers as max_mahalanobis_centers
from mmc_viz.centers.spreading import spread_centers as spread_centers
