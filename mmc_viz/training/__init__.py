"""Training: the configuration of a run, recipes, augmentation, the loop, and what is kept of it.

`config` and `recipes` say what is trained. `course` takes a run one step at a time, with what
`augmentation`, `adversary` and `precision` make of a batch. `loop` takes all steps and has the
model measured after each epoch (`testing`); it goes on with a run that was put aside (`keeping`)
and ends one whose numbers are none (`divergence`). `snapshots` keep features along the way, and
`threads` lets what must come out bit for bit run in one thread.
"""

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
