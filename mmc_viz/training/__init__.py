"""Training: the configuration of a run, augmentation, and the loop."""

from mmc_viz.training.config import TrainConfig as TrainConfig
from mmc_viz.training.loop import TrainingRun as TrainingRun
from mmc_viz.training.loop import train as train
