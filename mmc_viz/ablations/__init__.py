"""One thing changed, the rest kept: the comparisons that the paper makes or implies.

An ablation is a list of training configurations that differ in what is asked about. `definitions`
lists them, `results` holds what came out; `racing` trains side by side where the question is one of
time. `mmc-viz ablate NAME` trains and measures; `shipped` finds what it found here.
"""

from mmc_viz.ablations.definitions import ABLATIONS as ABLATIONS
from mmc_viz.ablations.definitions import RACE as RACE
from mmc_viz.ablations.definitions import Ablation as Ablation
from mmc_viz.ablations.definitions import Variant as Variant
from mmc_viz.ablations.racing import race as race
from mmc_viz.ablations.results import AblationResult as AblationResult
from mmc_viz.ablations.results import Outcome as Outcome
from mmc_viz.ablations.results import load_result as load_result
from mmc_viz.ablations.results import measure as measure
from mmc_viz.ablations.shipped import load_race as load_race
from mmc_viz.ablations.shipped import path_of as path_of
from mmc_viz.ablations.shipped import shipped_race as shipped_race
from mmc_viz.ablations.shipped import shipped_results as shipped_results
