"""Duels: the same network trained side by side on two losses, one batch at a time.

A duel is fair in all that the loss does not decide. Its models start from the same weights of the
backbone, and at each step they see the same images, shifted alike. Each head keeps its own learning
rate, for a loss measured in nats and one measured in squared distances need different ones.

    duel = make_duel(["sce", "mmc"], dim=2)
    duel.step()         one batch for each
    duel.history        a `Moment` for the start and for each epoch so far
    duel.rewind()       back to the very same weights

A finished duel has the weights that `mmc_viz.training.train` gives for its configurations, bit for
bit, for both take their steps from the same `Course`.
"""

from mmc_viz.duels.duel import Duel as Duel
from mmc_viz.duels.looking import MEASURES as MEASURES
from mmc_viz.duels.looking import Moment as Moment
from mmc_viz.duels.looking import Side as Side
from mmc_viz.duels.making import make_duel as make_duel
from mmc_viz.duels.packing import pack as pack
