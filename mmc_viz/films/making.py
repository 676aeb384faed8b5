"""Train small models with features in the plane, one a head, and keep what a film shows."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from mmc_viz.collapse import neural_collapse
from mmc_viz.contours import loss_on_plane, whole
from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.films.film import Film, Reel
from mmc_viz.training import Snapshots, TrainConfig, train
from mmc_viz.training.snapshots import Snapshot

_TAIL = 0.02  # share of the features that a picture may leave out along each axis, at each end
_PAD = 1.15  # of the half width, for a margin around what is shown


def make_film(
    heads: Sequence[str],
    dataset: str = "digits",
    *,
    epochs: int = 10,
    at: Sequence[int] = (0, 1, 2, 3, 4, 5, 6, 8, 10),
    batch_size: int = 64,
    seed: int = 0,
    images: Sequence[int] | None = None,
    resolution: int = 45,
    progress: bool = True,
    report: Callable[[float, str], None] | None = None,
) -> Film:
    """Train a small network with each head and watch the features of test images.

    All models have the same network, data, order of the images, and number of steps; they begin
    with the same weights but for those of the head.

    Parameters
    ----------
    heads : sequence of str
        Names of heads.
    dataset : str
        Name of a data set with a train and a test split.
    epochs : int
        Passes over the training images.
    at : sequence of int
        Epochs to keep, rising, from 0 to `epochs`.
    batch_size : int
        Images a step.
    seed : int
        Of weights and order.
    images : sequence of int, optional
        Places of the test images to watch, in stored order. None: all.
    resolution : int
        Points of the grid along each axis.
    progress : bool
        Whether to show a bar.
    report : callable, optional
        Called after every epoch with the share done, 0 .. 1, and a line of words; what it raises
        ends the work.

    Returns
    -------
    film : Film

    Raises
    ------
    ValueError
        If there is no head, the epochs to keep do not rise or are out of range, or an image is not
        there.
    """
    if not heads:
        raise ValueError("`heads` must name at least one head.")
    if not at or list(at) != sorted(set(at)) or at[0] < 0 or at[-1] > epochs:
        raise ValueError(f"`at` must rise from 0 or more to at most {epochs}; got {tuple(at)}.")
    train_set, test_set = (load_dataset(dataset, split) for split in ("train", "test"))
    rows = _rows(images, test_set)
    watched, labels = test_set.images[rows], test_set.labels[rows]
    reels = []
    with tqdm(total=len(heads) * epochs, unit="epoch", disable=not progress, leave=False) as bar:
        for head in heads:

            def after_epoch(entry: dict, head: str = head) -> None:
                bar.set_postfix(head=head)
                bar.update()
                if report is not None:
                    share = (len(reels) + entry["epoch"] / epochs) / len(heads)
                    report(share, f"{head}: epoch {entry['epoch']} of {epochs}")

            snapshots = Snapshots(watched, labels, at=at)
            config = TrainConfig(
                dataset=dataset, head=head, dim=2, epochs=epochs, batch_size=batch_size, seed=seed
            )
            train(
                config,
                train_set,
                test_set,
                device="cpu",
                progress=False,
                on_epoch=after_epoch,
                probe=snapshots,
            )
            reels.append(_reel(head, snapshots.taken, resolution))
    return Film(tuple(reels), tuple(at), watched, labels, tuple(test_set.class_names))


def _rows(images: Sequence[int] | None, data: Dataset) -> Tensor:
    if images is None:
        return torch.arange(len(data))
    if not len(images) or not 0 <= min(images) <= max(images) < len(data):
        raise ValueError(f"`images` must be places in 0 .. {len(data) - 1}, at least one.")
    return torch.tensor(list(images))


def _reel(head: str, taken: list[Snapshot], resolution: int) -> Reel:
    places, places_are = zip(*(_places(one) for one in taken), strict=True)
    extent = _extent([one.features for one in taken], torch.cat(places))
    left, right, bottom, top = extent
    grids, losses, shapes = [], [], []
    for one, own in zip(taken, places, strict=True):
        extents = ((left, right), (bottom, top))
        found = [
            loss_on_plane(one.head, label, whole(2), extent=extents, resolution=resolution)
            for label in range(one.head.num_classes)
        ]
        grids.append(torch.stack([contours.log10 for contours in found]))
        losses.append(one.head(one.features, one.labels))
        shapes.append(_shape(one, own))
    scatter, stretch, away = torch.tensor(shapes, dtype=torch.float64).unbind(dim=1)
    return Reel(
        head=head,
        features=torch.stack([one.features for one in taken]),
        predicted=torch.stack([one.head.logits(one.features).argmax(dim=1) for one in taken]),
        losses=torch.stack(losses),
        places=torch.stack(places),
        places_are=places_are[0],
        extent=extent,
        log10=torch.stack(grids),
        scatter=scatter,
        stretch=stretch,
        away=away,
    )


def _shape(one: Snapshot, places: Float[Tensor, "num_classes 2"]) -> tuple[float, float, float]:
    """Measure scatter, stretch and distance from the places; see `Reel`."""
    points, labels = one.features.double(), one.labels
    means = torch.stack([points[labels == k].mean(dim=0) for k in range(len(places))])
    outwards = torch.nn.functional.normalize(means - means.mean(dim=0), dim=1)
    across = torch.stack([-outwards[:, 1], outwards[:, 0]], dim=1)
    rest = points - means[labels]
    along = [((rest * axes[labels]).sum(dim=1)).square() for axes in (outwards, across)]
    length, width = (
        torch.stack([part[labels == k].mean() for k in range(len(places))]).sqrt() for part in along
    )
    distance = (points - places[labels].double()).norm(dim=1) / places.double().norm(dim=1).mean()
    return (
        neural_collapse(one.features, labels).nc1_ratio,
        float((length / width).quantile(0.5)),
        float(distance.quantile(0.5)),
    )


def _places(one: Snapshot) -> tuple[Float[Tensor, "num_classes 2"], str]:
    """Give the class centers, or else the class means of the features."""
    if getattr(one.head, "centers", None) is not None:
        return one.head.centers.detach().clone(), "centers"
    means = [one.features[one.labels == k].mean(dim=0) for k in range(one.head.num_classes)]
    return torch.stack(means), "class means"


def _extent(
    features: list[Float[Tensor, "batch 2"]], places: Float[Tensor, "places 2"]
) -> tuple[float, float, float, float]:
    """Give a square about all places and, in the second half of the film, most of the features.

    In the first epochs features overshoot, and a picture of all of them would show little else.
    """
    late = torch.cat(features[len(features) // 2 :])
    tails = torch.tensor([_TAIL, 1 - _TAIL])
    ends = torch.cat([late.quantile(tails, dim=0), places])
    low, high = ends.amin(dim=0), ends.amax(dim=0)
    half = _PAD * float((high - low).amax()) / 2 or 1.0
    x, y = ((low + high) / 2).tolist()
    return x - half, x + half, y - half, y + half
