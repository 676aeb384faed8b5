"""A duel from a few plain settings."""

from collections.abc import Sequence

from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.duels.duel import Duel
from mmc_viz.heads import HEADS
from mmc_viz.training import TrainConfig

MOST_SHOWN = 400  # test images that are measured and drawn


def make_duel(
    heads: Sequence[str] = ("sce", "mmc"),
    *,
    dataset: str = "digits",
    dim: int = 2,
    epochs: int = 30,
    learning_rate: float | int = 1.0,
    radius: float | int = 10.0,
    seed: int = 0,
) -> Duel:
    """Prepare a duel between heads; nothing is trained yet.

    Parameters
    ----------
    heads : sequence of str
        Names from `mmc_viz.heads.HEADS`, each once.
    dataset : str
        Name of the data set; its training split must be there.
    dim : int
        Of the features, at least 2.
    epochs : int
        Length of the run. The learning rate rises for its first quarter and then falls to 0.
    learning_rate : float
        Peak, times each head's own (`peak_lr`).
    radius : float
        Norm of the class centers, for heads that have centers.
    seed : int
        Of first weights, order and augmentation.

    Raises
    ------
    ValueError
        If a setting is impossible.
    """
    unknown = [head for head in heads if head not in HEADS]
    if unknown or not heads or len(set(heads)) < len(heads):
        raise ValueError(
            f"`heads` must be names from {', '.join(sorted(HEADS))}, each once; got {list(heads)}."
        )
    if dim < 2:
        raise ValueError(f"`dim` must be at least 2, or there is no plane to draw; got {dim}.")
    if not learning_rate > 0:
        raise ValueError(f"`learning_rate` must be above 0; got {learning_rate}.")
    configs = [
        TrainConfig(
            dataset=dataset,
            head=head,
            dim=dim,
            epochs=epochs,
            lr=learning_rate * HEADS[head].peak_lr,
            radius=radius,
            seed=seed,
        )
        for head in heads
    ]
    train_set, test_set = load_dataset(dataset, "train"), load_dataset(dataset, limit=MOST_SHOWN)
    return Duel(configs, train_set, _two_of_each(test_set))


def _two_of_each(test_set: Dataset) -> Dataset:
    """Refuse a test set in which the scatter of a class would be unknown."""
    counts = test_set.labels.bincount(minlength=len(test_set.class_names))
    if counts.min() < 2:
        raise ValueError(
            f"`dataset` must have two of each class among its first {MOST_SHOWN} test images; "
            f"{test_set.class_names[int(counts.argmin())]!r} has {int(counts.min())}."
        )
    return test_set
