"""Sample density: against the loss, and against the distance to the nearest adversarial image."""

from mmc_viz.figures.densities.distances import density_vs_distance as density_vs_distance
from mmc_viz.figures.densities.losses import density_vs_loss as density_vs_loss
