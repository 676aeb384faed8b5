import json
import zlib

import numpy as np
import pytest
import torch

from mmc_viz.contours import loss_on_plane
from mmc_viz.datasets import load_dataset
from mmc_viz.films import make_film, pack_film
from mmc_viz.films.packing import CEILING, FLOOR, SCALE
from mmc_viz.training import Snapshots, TrainConfig, train

HEADS = ("sce", "mmlda", "lgm", "mmc")
IMAGES = tuple(range(0, 120))
SETTINGS = {"epochs": 2, "at": (0, 2), "batch_size": 256, "images": IMAGES, "resolution": 12}


@pytest.fixture(scope="session")
def film():
    return make_film(HEADS, progress=False, **SETTINGS)


def test_a_reel_is_what_training_gives(film):
    """Of one head, made again by hand."""
    train_set, test_set = (load_dataset("digits", split) for split in ("train", "test"))
    taken = Snapshots(test_set.images[:120], test_set.labels[:120], at=(0, 2))
    config = TrainConfig(head="lgm", dim=2, epochs=2, batch_size=256)
    train(config, train_set, test_set, device="cpu", progress=False, probe=taken)
    reel = film.reels[2]
    assert reel.title == "L-GM"
    for k, one in enumerate(taken.taken):
        assert torch.equal(reel.features[k], one.features)
        assert torch.equal(reel.places[k], one.head.centers)
        torch.testing.assert_close(reel.losses[k], one.head(one.features, one.labels))
        logits = one.head.logits(one.features)
        assert torch.equal(reel.predicted[k], logits.argmax(dim=1))
        left, right, bottom, top = reel.extent
        extent = ((left, right), (bottom, top))
        contours = loss_on_plane(one.head, 3, extent=extent, resolution=12)
        torch.testing.assert_close(reel.log10[k, 3], contours.log10, equal_nan=True)


def test_rows_count_what_the_reels_hold(film):
    rows = film.rows()
    assert [row["title"] for row in rows] == [
        t for t in ("SCE", "MMLDA", "L-GM", "MMC") for _ in "ab"
    ]
    for row, (reel, k) in zip(rows, [(r, k) for r in film.reels for k in (0, 1)], strict=True):
        right = sum(int(a == b) for a, b in zip(reel.predicted[k], film.labels, strict=True))
        assert row["right"] == right and row["images"] == 120
        assert row["median_loss"] == pytest.approx(float(np.median(reel.losses[k].numpy())))
        x, y = reel.features[k].T
        left, right, bottom, top = reel.extent
        assert row["outside"] == int(((x < left) | (x > right) | (y < bottom) | (y > top)).sum())
    assert film.last["MMC"] == rows[-1]
    assert len(film.to_csv().splitlines()) == len(rows) + 1
    assert json.loads(film.to_json()) == rows


def test_scatter_stretch_and_away_of_features_that_are_known():
    """Four points about each of two places, twice as long as wide."""
    from mmc_viz.films.making import _shape
    from mmc_viz.heads import make_head
    from mmc_viz.training.snapshots import Snapshot

    places = torch.tensor([[10.0, 0.0], [-10.0, 0.0]])
    cross = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    features = torch.cat([place + cross for place in places])
    labels = torch.tensor([0] * 4 + [1] * 4)
    head = make_head("mmc", 2, 2)
    scatter, stretch, away = _shape(Snapshot(1, features, labels, head), places)
    assert stretch == pytest.approx(2)
    assert away == pytest.approx(0.15)  # the middle of 0.1 and 0.2
    assert scatter == pytest.approx(2.5 / 100)


def test_heads_with_centers_show_them_and_others_their_class_means(film):
    assert [reel.places_are for reel in film.reels] == ["class means", *["centers"] * 3]
    sce = film.reels[0]
    means = sce.features[1][film.labels == 4].mean(dim=0)
    torch.testing.assert_close(sce.places[1, 4], means)


def test_the_bytes_hold_the_film(film):
    block = zlib.decompress(pack_film(film))
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    assert header["rows"] == film.rows() and header["labels"] == film.labels.tolist()
    at = 4 + length + -length % 4

    def take(count):
        nonlocal at
        part, at = block[at : at + count], at + count + -count % 4
        return part

    assert take(120 * 64) == film.images.numpy().tobytes()
    for reel in film.reels:
        for values in (reel.features, reel.places, reel.losses):
            sent = np.frombuffer(take(4 * values.numel()), "<f4").reshape(values.shape)
            assert np.array_equal(sent, values.numpy())
        assert np.array_equal(
            np.frombuffer(take(2 * 120), "u1").reshape(2, 120), reel.predicted.numpy()
        )
        count = reel.log10.numel()
        low, high = np.frombuffer(take(2 * count), "u1").reshape(2, count).astype("u2")
        whole = (low | (high << 8)).astype("i2").reshape(reel.log10.shape)
        for _ in range(2):
            whole = np.add.accumulate(whole, axis=-1, dtype="i2")
        truth = reel.log10.clamp(FLOOR, CEILING).numpy()
        known = ~np.isnan(truth)
        assert np.abs(whole / SCALE - truth)[known].max() <= 0.5 / SCALE + 1e-9
        assert (whole[~known] < -3 * SCALE).all()  # a loss below 0 is drawn as the lowest
    assert at == len(block)


def test_the_work_reports_and_can_be_ended():
    told = []

    def report(share, words):
        told.append((share, words))
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_film(("sce", "mmc"), progress=False, report=report, **SETTINGS)
    assert told == [
        (0.25, "sce: epoch 1 of 2"),
        (0.5, "sce: epoch 2 of 2"),
        (0.75, "mmc: epoch 1 of 2"),
    ]


@pytest.mark.parametrize(
    ("heads", "change", "words"),
    [
        ((), {}, "`heads` must name at least one"),
        (("mmc",), {"at": (2, 0)}, "`at` must rise"),
        (("mmc",), {"at": ()}, "`at` must rise"),
        (("mmc",), {"at": (0, 3)}, "at most 2"),
        (("mmc",), {"images": (400,)}, "`images` must be places in 0 .. 359"),
        (("nobody",), {}, "`head` must be one of"),
    ],
)
def test_what_cannot_be_made_is_refused(heads, change, words):
    with pytest.raises(ValueError, match=words):
        make_film(heads, progress=False, **SETTINGS | change)
