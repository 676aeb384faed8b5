"""Training: the configuration of a run, recipes, augmentation, the loop, and what is kept of it."""

from mmc_viz.training.config import TrainConfig as TrainConfig
from mmc_viz.training.divergence import Diverged as Diverged
from mmc_viz.training.keeping import Keeping as Keeping
from mmc_viz.training.keeping import State as State
from mmc_viz.training.keeping import Stopped as Stopped
from mmc_viz.training.loop import TrainingRun as TrainingRun
from mmc_viz.training.loop import train as train
from mmc_viz.training.recipes import recipe as recipe
from mmc_viz.training.snapshots import Snapshot as Snapshot
from mmc_viz.training.snapshots import Snapshots as Snapshots
