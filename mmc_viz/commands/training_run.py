"""A training run from its data to its model folder: what is written on the card, and when."""

from pathlib import Path
from typing import Any

from mmc_viz.commands.resuming import Kept


def train_and_save(
    config: Any,
    train_set: Any,
    test_set: Any,
    out: Path,
    device: Any,
    *,
    command: str,
    progress: bool,
    keeping: Any = None,
    kept: Kept | None = None,
    ranks: Any = None,
) -> Any:
    """Train, save the model with its card, and give the card; only the first rank saves.

    Parameters
    ----------
    config : TrainConfig
        The run.
    train_set, test_set : Dataset
        Images to learn from, and to measure on.
    out : Path
        The model folder.
    device : torch.device
        Where to compute.
    command : str
        What the card says of how to do it again.
    progress : bool
        Whether to show a bar.
    keeping : Keeping, optional
        How the run is kept while it trains.
    kept : Kept, optional
        What the run was computed with so far; it decides whether the card calls it reproducible.
    ranks : Ranks, optional
        The processes that take part.

    Returns
    -------
    card : Card or None
        None on all ranks but the first.

    Raises
    ------
    OSError
        If the model cannot be saved; the message says what is kept.
    """
    from mmc_viz.checkpoints import Card, has_progress, save_model, software_versions
    from mmc_viz.distributed import ALONE
    from mmc_viz.training import train
    from mmc_viz.training.testing import examine

    ranks = ranks or ALONE
    result = train(
        config,
        train_set,
        test_set,
        device=device,
        progress=progress and ranks.first,
        keeping=keeping,
        ranks=ranks,
    )
    if not ranks.first:
        return None
    accuracy = result.history[-1]["accuracy"]
    if config.float64:  # what is saved are float32 weights, so these are measured
        accuracy = examine(result.model.float(), test_set)["accuracy"]
    versions = software_versions(device)
    if ranks.size > 1:
        norms = "over all processes" if device.type == "cuda" else "in each process"
        versions |= {"processes": ranks.size, "batch norm": f"statistics are taken {norms}"}
    if kept is not None and len(kept.parts) > 1:
        versions |= {"parts": kept.parts}
    card = Card(
        network=config.network,
        head=config.head,
        in_channels=train_set.images.shape[1],
        num_classes=len(train_set.class_names),
        dim=result.model.backbone.dim,
        class_names=train_set.class_names,
        dataset={
            "name": train_set.name,
            "sha256": train_set.sha256,
            "image_size": train_set.images.shape[-1],
        },
        config=result.config.to_json(),  # with what the data decided
        seed=config.seed,
        history=result.history,
        measured=[
            {
                "attack": "none",
                "dataset": test_set.name,
                "images": len(test_set),
                "correct": round(accuracy * len(test_set)),
                "accuracy": accuracy,
            }
        ],
        versions=versions,
        reproducible=(device.type == "cpu" or config.deterministic)
        and (kept is None or kept.uniform),
        command=command,
    )
    try:
        return save_model(out, result.model, card)
    except OSError as error:
        left = (
            "`--resume` goes on from what is kept there" if has_progress(out) else "nothing is kept"
        )
        raise OSError(
            f"The model cannot be saved in {out} ({error.strerror}). Make room; {left}."
        ) from None
