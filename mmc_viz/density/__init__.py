r"""How densely a model packs its features, and whether that has to do with robustness.

The *sample density* at a place of feature space is the number of mapped points in a small region
about it, divided by the volume of the region. Two ways to take the region are built here.

*Shells of the loss*, as Pang et al. do (`shells`): the theorems speak of these, so counted and
predicted densities can be drawn into one picture, and what the data contribute parted from what
geometry contributes. They need level sets of finite volume: spheres, as MMC's loss has them, not
the planes of the softmax cross-entropy. About the center itself all shells are empty in many
dimensions; there a radial fit follows the density inward (`central`).

*Balls about the place itself*, out to its $k$-th neighbour (`neighbours`): no loss is asked for, so
all models can be held against each other, class by class and set by set (`classes`), and each image
against its distance to the nearest adversarial image (`robustness`).

Densities are held as natural logarithms, in float64: in 64 dimensions they span hundreds of powers
of ten. Pairs that are compared should be of one dimension and one unit of length.

References
----------
Pang et al., "Rethinking Softmax Cross-Entropy Loss for Adversarial Robustness", ICLR 2020,
https://arxiv.org/abs/1905.10626.
"""

from mmc_viz.density.boundaries import NearestAdversarial as NearestAdversarial
from mmc_viz.density.boundaries import nearest_adversarial as nearest_adversarial
from mmc_viz.density.central import CentralDensity as CentralDensity
from mmc_viz.density.central import central_density as central_density
from mmc_viz.density.central import gaussian_log_density as gaussian_log_density
from mmc_viz.density.classes import ClassDensity as ClassDensity
from mmc_viz.density.classes import DensityTable as DensityTable
from mmc_viz.density.classes import compare_densities as compare_densities
from mmc_viz.density.classes import densities_along_training as densities_along_training
from mmc_viz.density.correlation import Correlation as Correlation
from mmc_viz.density.correlation import Correlations as Correlations
from mmc_viz.density.correlation import correlate as correlate
from mmc_viz.density.correlation import partial_correlation as partial_correlation
from mmc_viz.density.correlation import spearman as spearman
from mmc_viz.density.neighbours import NeighbourDensity as NeighbourDensity
from mmc_viz.density.neighbours import neighbour_density as neighbour_density
from mmc_viz.density.profiles import ClassShells as ClassShells
from mmc_viz.density.profiles import Prediction as Prediction
from mmc_viz.density.profiles import ShellDensity as ShellDensity
from mmc_viz.density.profiles import Shells as Shells
from mmc_viz.density.robustness import DensityDistance as DensityDistance
from mmc_viz.density.robustness import density_against_distance as density_against_distance
from mmc_viz.density.shells import shell_density as shell_density
