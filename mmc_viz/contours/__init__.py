"""Where the loss is the same: in feature space, where theory knows it, and about an image.

In feature space: `planes` chooses a flat piece to look at, `feature_space` computes the loss of a
head (`losses`) over it into what `feature_contours` describes. `theorem` has the contours in closed
form, `levels` finds the true ones on a grid, and `comparing` and `reading` hold the two against
each other, on a plane and in all dimensions. About an image: `input_space` computes what an attack
sees into what `input_surface` describes.
"""

from mmc_viz.contours.comparing import ContourDifference as ContourDifference
from mmc_viz.contours.comparing import compare as compare
from mmc_viz.contours.feature_contours import FeatureContours as FeatureContours
from mmc_viz.contours.feature_space import loss_in_space as loss_in_space
from mmc_viz.contours.feature_space import loss_on_plane as loss_on_plane
from mmc_viz.contours.input_space import loss_surface as loss_surface
from mmc_viz.contours.input_space import surfaces as surfaces
from mmc_viz.contours.input_surface import AttackPath as AttackPath
from mmc_viz.contours.input_surface import InputSurface as InputSurface
from mmc_viz.contours.planes import Plane as Plane
from mmc_viz.contours.planes import Projection as Projection
from mmc_viz.contours.planes import plane_of as plane_of
from mmc_viz.contours.planes import whole as whole
from mmc_viz.contours.reading import LossOnContours as LossOnContours
from mmc_viz.contours.reading import loss_on_contours as loss_on_contours
from mmc_viz.contours.theorem import Hyperplane as Hyperplane
from mmc_viz.contours.theorem import Hypersphere as Hypersphere
from mmc_viz.contours.theorem import contour_of as contour_of
from mmc_viz.contours.theorem import distance_contour as distance_contour
from mmc_viz.contours.theorem import two_class_contour as two_class_contour
