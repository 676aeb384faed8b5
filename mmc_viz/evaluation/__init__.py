"""How often a model is right: on clean images, under one attack, under the strongest of many.

A label that is wrong on the clean image counts as not robust, so robust accuracy never exceeds
clean accuracy. Every share in a result comes with a Wilson interval (`intervals`).

`judging` asks a model about images as they are, `curves` under one attack as its budget grows,
`ensemble` under many at one budget and `falling` at several. `transfers` asks about images that
were made to fool another model, `detection` whether attacked images can be told from clean ones.
"""

from mmc_viz.attacks import zero_gradient as zero_gradient
from mmc_viz.evaluation.curves import RobustnessCurve as RobustnessCurve
from mmc_viz.evaluation.curves import robustness_curve as robustness_curve
from mmc_viz.evaluation.detection import Detection as Detection
from mmc_viz.evaluation.detection import detection as detection
from mmc_viz.evaluation.ensemble import BUDGETS as BUDGETS
from mmc_viz.evaluation.ensemble import WorstCase as WorstCase
from mmc_viz.evaluation.ensemble import worst_case as worst_case
from mmc_viz.evaluation.falling import worst_cases as worst_cases
from mmc_viz.evaluation.intervals import wilson_interval as wilson_interval
from mmc_viz.evaluation.judging import accuracy as accuracy
from mmc_viz.evaluation.judging import correct as correct
from mmc_viz.evaluation.transfers import TransferMatrix as TransferMatrix
from mmc_viz.evaluation.transfers import transfer_matrix as transfer_matrix
