"""Training that `tests/test_distributed.py` runs alone and under torchrun, to be compared."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from mmc_viz.datasets import load_dataset
from mmc_viz.distributed import ALONE, joined
from mmc_viz.training import Keeping, State, Stopped, TrainConfig, train
from mmc_viz.training.testing import examine

#: 85 images in batches of 21: the last of an epoch has one, fewer than there are ranks.
BASE = TrainConfig(network="plain_cnn", epochs=3, batch_size=21, limit=85, float64=True)
CONFIGS = {
    "mmc": BASE,
    "sce": replace(BASE, head="sce", momentum=0.0, schedule="steps"),
    "learned centers": replace(BASE, head="lgm"),
    "adversarial": replace(BASE, adversarial="pgd", attack_steps=2, attack_targets="random"),
    "batch norm": replace(BASE, network="small_cnn", batch_size=20),
}
#: Steps taken; after one with batch norms, what they saw of the first batch can be compared.
STEPS = dict.fromkeys(CONFIGS, 10) | {"batch norm": 1}


def after(config, steps, ranks=ALONE):
    """The state of a run after so many steps."""
    data = load_dataset("digits", "train", limit=config.limit)
    states: list[State] = []
    taken = 0

    def stop():
        nonlocal taken
        taken += 1
        return taken == steps

    keeping = Keeping(states.append, every=1e9, stop=stop)
    try:
        train(config, data, data, device="cpu", progress=False, keeping=keeping, ranks=ranks)
    except Stopped:
        pass
    return states[0] if states else None


def examined(ranks=ALONE):
    """What is measured after an epoch, of a model and 1,000 images: three batches."""
    from mmc_viz.checkpoints import load_model

    return examine(load_model("fashion-mmc"), load_dataset("fashion_mnist"), ranks=ranks)


def main(folder: Path) -> None:
    """Write what the ranks of this job come to."""
    with joined(torch.device("cpu")) as ranks:
        assert ranks.size == int(os.environ["WORLD_SIZE"])
        for name, config in CONFIGS.items():
            state = after(config, STEPS[name], ranks)
            if ranks.first:
                save_file(state.tensors, folder / f"{name}.safetensors")
        found = {key: torch.tensor(value) for key, value in examined(ranks).items()}
        found["gathered"] = torch.tensor(ranks.gather(10 + ranks.rank))
        found["anyone"] = torch.tensor([ranks.any(ranks.rank == 1), ranks.any(ranks.rank == 5)])
        found["from first"] = torch.tensor(ranks.from_first(lambda: ranks.rank + 7))
        save_file(found, folder / f"rank {ranks.rank}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
