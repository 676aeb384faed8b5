"""Contours of a loss: over features, in two dimensions and three, and about an image."""

from mmc_viz.figures.contours.features import feature_scatter_2d as feature_scatter_2d
from mmc_viz.figures.contours.surfaces import loss_surface as loss_surface
from mmc_viz.figures.contours.volumes import loss_volume as loss_volume
