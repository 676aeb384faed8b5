"""Saving and loading models: a folder with `model.safetensors` and `card.json`.

The weights file holds tensors and nothing else, so loading a stranger's model runs none of their
code. The card says what the weights are of, how they were made and what was measured, and it holds
their checksum: a model whose weights were changed is refused.

`cards` has the description, `folders` the whole, and `progress` what is kept beside it of a run
that is not over yet.
"""

from mmc_viz.checkpoints.cards import CARD as CARD
from mmc_viz.checkpoints.cards import Card as Card
from mmc_viz.checkpoints.cards import find_model as find_model
from mmc_viz.checkpoints.cards import load_card as load_card
from mmc_viz.checkpoints.cards import record_measurement as record_measurement
from mmc_viz.checkpoints.cards import shipped_models as shipped_models
from mmc_viz.checkpoints.cards import software_versions as software_versions
from mmc_viz.checkpoints.folders import WEIGHTS as WEIGHTS
from mmc_viz.checkpoints.folders import check_writable as check_writable
from mmc_viz.checkpoints.folders import load_model as load_model
from mmc_viz.checkpoints.folders import save_model as save_model
from mmc_viz.checkpoints.progress import has_progress as has_progress
from mmc_viz.checkpoints.progress import load_progress as load_progress
from mmc_viz.checkpoints.progress import remove_progress as remove_progress
from mmc_viz.checkpoints.progress import save_progress as save_progress
