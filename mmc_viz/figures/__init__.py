"""Plotly figures of results: one function each, from a result object to a `Figure`.

A figure computes nothing. Each number in it stands in the object it is made from, which can be
saved as CSV or JSON. All functions take `theme`: `both`, the default, can be read on light and on
dark pages; `light` and `dark` have more contrast, on their own kind of page. `description(figure)`
says in one sentence, made from its numbers, what a figure shows.
"""

from mmc_viz.figures.ablations import ablation as ablation
from mmc_viz.figures.cards import audit_card as audit_card
from mmc_viz.figures.centers import centers_3d as centers_3d
from mmc_viz.figures.centers import gram as gram
from mmc_viz.figures.claims import claims as claims
from mmc_viz.figures.climbs import attack_trajectory as attack_trajectory
from mmc_viz.figures.collapses import collapse_over_training as collapse_over_training
from mmc_viz.figures.contours import feature_scatter_2d as feature_scatter_2d
from mmc_viz.figures.contours import loss_surface as loss_surface
from mmc_viz.figures.contours import loss_volume as loss_volume
from mmc_viz.figures.convergences import convergence as convergence
from mmc_viz.figures.curves import robustness_curves as robustness_curves
from mmc_viz.figures.densities import density_vs_distance as density_vs_distance
from mmc_viz.figures.densities import density_vs_loss as density_vs_loss
from mmc_viz.figures.efforts import effort as effort
from mmc_viz.figures.maps import embedding as embedding
from mmc_viz.figures.matrices import attack_matrix as attack_matrix
from mmc_viz.figures.pages import Exhibit as Exhibit
from mmc_viz.figures.pages import save as save
from mmc_viz.figures.pages import write_page as write_page
from mmc_viz.figures.standings import standings as standings
from mmc_viz.figures.style import description as description
from mmc_viz.figures.tracks import trajectories as trajectories
