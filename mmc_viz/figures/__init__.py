"""Plotly figures of results: one function each, from a result object to a `Figure`.

A figure computes nothing. Each number in it stands in the object it is made from, which can be
saved as CSV or JSON. All functions take `theme`: `both`, the default, can be read on light and on
dark pages; `light` and `dark` have more contrast, on their own kind of page. `description(figure)`
says in one sentence, made from its numbers, what a figure shows.
"""

from mmc_viz.figures.cards import audit_card as audit_card
from mmc_viz.figures.climbs import attack_trajectory as attack_trajectory
from mmc_viz.figures.curves import robustness_curves as robustness_curves
from mmc_viz.figures.matrices import attack_matrix as attack_matrix
from mmc_viz.figures.pages import Exhibit as Exhibit
from mmc_viz.figures.pages import save as save
from mmc_viz.figures.pages import write_page as write_page
from mmc_viz.figures.style import description as description
