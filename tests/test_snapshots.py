import copy

import numpy as np
import pytest
import torch

from mmc_viz.datasets import load_dataset
from mmc_viz.heads import HEADS
from mmc_viz.training import Snapshots, TrainConfig, train


@pytest.fixture(scope="module")
def few():
    return load_dataset("digits", "train", limit=120)


def quick(config, *sets, **more):
    return train(config, *sets, device="cpu", progress=False, **more)


def equal(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_run_with_snapshots_gives_the_same_bits_as_one_without(head, few):
    config = TrainConfig(head=head, epochs=3, batch_size=50)
    snapshots = Snapshots(few.images, few.labels)
    with_probe = quick(config, few, few, probe=snapshots)
    without = quick(config, few, few)
    assert len(snapshots.taken) == 4
    assert equal(with_probe.model.state_dict(), without.model.state_dict())
    for one, other in zip(with_probe.history, without.history, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_a_snapshot_holds_the_features_and_the_head_of_its_moment(few, digits):
    models = []

    def probe(model, epoch):
        models.append(copy.deepcopy(model).eval())
        snapshots(model, epoch)

    snapshots = Snapshots(digits.images, digits.labels)
    run = quick(TrainConfig(head="sce", epochs=3), few, few, probe=probe)
    assert [one.epoch for one in snapshots.taken] == [0, 1, 2, 3]
    assert equal(models[-1].state_dict(), run.model.state_dict())
    for model, taken in zip(models, snapshots.taken, strict=True):
        with torch.no_grad():
            features = model.features(digits.inputs())
            logits = model.head.logits(features)
        torch.testing.assert_close(taken.features, features, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(taken.head.logits(taken.features), logits, rtol=1e-5, atol=1e-5)
        assert equal(taken.head.state_dict(), model.head.state_dict())
        assert torch.equal(taken.labels, digits.labels)
    first, last = snapshots.taken[0], snapshots.taken[-1]
    assert not torch.equal(first.head.linear.weight, last.head.linear.weight)
    assert (first.features - last.features).abs().max() > 0.1


def test_a_snapshot_stands_on_its_own(few):
    """On the CPU, in evaluation mode, without gradients, apart from the model that trains on."""
    snapshots = Snapshots(few.images, few.labels, at=[1])
    run = quick(TrainConfig(head="sce", epochs=1), few, few, probe=snapshots)
    (taken,) = snapshots.taken
    assert taken.features.dtype == torch.float32 and taken.features.shape == (120, 64)
    tensors = [taken.features, taken.labels, *taken.head.parameters(), *taken.head.buffers()]
    assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in tensors)
    assert not any(module.training for module in taken.head.modules())
    kept = taken.head.linear.weight.clone()
    with torch.no_grad():
        run.model.head.linear.weight.add_(1)
    assert torch.equal(taken.head.linear.weight, kept)


def test_the_model_stays_as_it_is_in_mode_statistics_and_gradients(few):
    seen = []

    def probe(model, epoch):
        model.train()
        model.backbone.eval()
        before = [module.training for module in model.modules()]
        state = copy.deepcopy(model.state_dict())
        grads = [None if w.grad is None else w.grad.clone() for w in model.parameters()]
        snapshots(model, epoch)
        assert [module.training for module in model.modules()] == before
        assert equal(model.state_dict(), state)
        for weight, grad in zip(model.parameters(), grads, strict=True):
            assert weight.grad is None if grad is None else torch.equal(weight.grad, grad)
            assert weight.requires_grad
        seen.append(epoch)

    snapshots = Snapshots(few.images, few.labels)
    quick(TrainConfig(head="sce", epochs=2), few, few, probe=probe)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"every": 2}, [0, 2, 4]),
        ({"every": 5}, [0, 5]),
        ({"every": 9}, [0]),
        ({"at": [5, 1]}, [1, 5]),
        ({"at": range(2)}, [0, 1]),
        ({"every": 2, "at": [3]}, [3]),
    ],
)
def test_snapshots_are_taken_when_they_are_due(settings, epochs, few):
    snapshots = Snapshots(few.images[:4], few.labels[:4], **settings)
    quick(TrainConfig(epochs=5, batch_size=120), few, few, probe=snapshots)
    assert [one.epoch for one in snapshots.taken] == epochs


def test_bytes_and_floats_give_the_same_features(few):
    bytes_, floats = Snapshots(few.images, few.labels), Snapshots(few.inputs(), few.labels)

    def probe(model, epoch):
        bytes_(model, epoch)
        floats(model, epoch)

    quick(TrainConfig(epochs=1), few, few, probe=probe)
    assert torch.equal(bytes_.taken[1].features, floats.taken[1].features)


def test_more_images_than_a_batch_holds(few):
    many = load_dataset("digits", "train")
    snapshots = Snapshots(many.images, many.labels, at=[1])
    run = quick(TrainConfig(epochs=1), few, few, probe=snapshots)
    with torch.no_grad():
        features = run.model.features(many.inputs())
    torch.testing.assert_close(snapshots.taken[0].features, features, rtol=1e-4, atol=1e-4)


def test_the_global_random_state_is_neither_read_nor_written(few):
    snapshots = Snapshots(few.images, few.labels)
    numpy_before = np.random.get_state()[1].copy()
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        quick(TrainConfig(epochs=1), few, few, probe=snapshots)
        assert torch.equal(torch.get_rng_state(), before)
        assert np.array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": torch.zeros(0, 1, 8, 8)}, r"`images` must be at least one image.*\(0, 1, 8"),
        ({"images": torch.zeros(4, 64)}, r"`images` must be .*\[N, C, H, W\]; got .*\(4, 64\)"),
        ({"images": torch.zeros(4, 1, 8, 8).long()}, "`images` must be uint8, or .*torch.int64"),
        ({"labels": torch.zeros(3).long()}, "`labels` must be one for each of the 4 images; got 3"),
        ({"every": 0}, "`every` must be at least 1; got 0"),
        ({"at": [3, -2]}, "`at` must hold epochs from 0 on; got -2"),
    ],
)
def test_what_cannot_be_taken_is_refused(change, words, few):
    settings = {"images": few.images[:4], "labels": few.labels[:4]} | change
    with pytest.raises(ValueError, match=words):
        Snapshots(**settings)
