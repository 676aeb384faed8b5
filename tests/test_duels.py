import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmc_viz.collapse import neural_collapse
from mmc_viz.datasets import load_dataset
from mmc_viz.duels import Duel, make_duel, pack
from mmc_viz.duels.packing import NUMBERS
from mmc_viz.networks import outputs
from mmc_viz.training import TrainConfig, train
from mmc_viz.training.course import Course
from mmc_viz.training.threads import one_thread

HEADS = ("sce", "mmc")


@pytest.fixture(scope="module")
def few():
    """300 digits: three batches an epoch."""
    return load_dataset("digits", "train", limit=300)


def make(few, digits, *, heads=HEADS, epochs=2, **settings):
    configs = [TrainConfig(head=head, epochs=epochs, **settings) for head in heads]
    return Duel(configs, few, digits)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


def finish(duel):
    while not duel.over:
        duel.step()
    return duel


# ---- the same training ---------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"dim": 2}, {"adversarial": "pgd", "attack_steps": 2}])
def test_stepping_gives_the_weights_of_a_run_in_one_go_bit_for_bit(few, digits, settings):
    duel = finish(make(few, digits, **settings))
    for config, model, side in zip(
        duel.configs, duel.models(), duel.history[-1].sides, strict=True
    ):
        run = train(config, few, digits, device="cpu", progress=False)
        assert equal(model.state_dict(), run.model.state_dict())
        assert side.accuracy == run.history[-1]["accuracy"]
        assert side.train_loss == run.history[-1]["loss"]


def test_looking_at_every_batch_changes_nothing(few, digits):
    watched = make(few, digits, dim=9)
    while not watched.over:
        watched.step()
        watched.look()
    assert watched.fingerprint() == finish(make(few, digits, dim=9)).fingerprint()


def test_another_thread_comes_to_the_same_weights_and_threads_are_given_back(few, digits):
    before = torch.get_num_threads()
    duel = make(few, digits, dim=2)
    thread = threading.Thread(target=finish, args=[duel])
    thread.start()
    thread.join()
    assert duel.fingerprint() == finish(make(few, digits, dim=2)).fingerprint()
    assert torch.get_num_threads() == before


def test_one_thread_is_one_thread_and_then_as_many_as_before():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_all_sides_start_from_the_same_backbone_and_see_the_same_batches(few, digits, monkeypatch):
    duel = make(few, digits, heads=("sce", "mmc", "emc"), dim=9)
    first, *others = [model.backbone.state_dict() for model in duel.models()]
    assert all(equal(first, other) for other in others)
    seen = []

    def watch(images, indices, **settings):
        seen.append(indices.tolist())
        return images

    monkeypatch.setattr("mmc_viz.training.course.augment", watch)
    duel.step()
    assert len(seen) == 3 and seen[0] == seen[1] == seen[2]


def test_rewinding_gives_the_first_weights_and_the_same_way_again(few, digits):
    duel = make(few, digits, dim=2)
    first, start = duel.fingerprint(), duel.history[0]
    finish(duel)
    last, history = duel.fingerprint(), duel.history
    duel.rewind()
    assert (duel.taken, duel.fingerprint()) == (0, first)
    assert torch.equal(duel.history[0].sides[1].points, start.sides[1].points)
    assert finish(duel).fingerprint() == last != first
    assert pack(duel.history)[1] == pack(history)[1]


def test_after_an_interruption_no_side_is_ahead(few, digits, monkeypatch):
    duel = make(few, digits, dim=2)
    advance = Course.advance

    def interrupted(course):
        if course.config.head == "mmc":
            raise KeyboardInterrupt
        advance(course)

    with monkeypatch.context() as patch:
        patch.setattr(Course, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            duel.step()
    assert duel.taken == 0
    assert finish(duel).fingerprint() == finish(make(few, digits, dim=2)).fingerprint()


# ---- what is seen --------------------------------------------------------------------------------


def test_a_moment_is_noted_at_the_start_and_at_each_epochs_end(few, digits):
    duel = make(few, digits, dim=2)
    assert [moment.taken for moment in duel.history] == [0]
    duel.step()
    assert [moment.taken for moment in duel.history] == [0]
    assert duel.look().taken == 1
    finish(duel)
    assert (duel.steps_per_epoch, duel.steps) == (3, 6)
    assert [moment.taken for moment in duel.history] == [0, 3, 6]
    assert duel.look() is duel.history[-1]
    with pytest.raises(ValueError, match="the run is over"):
        duel.step()


def test_a_side_states_what_the_model_does(few, digits):
    duel = make(few, digits, dim=2)
    duel.step()
    for model, side in zip(duel.models(), duel.look().sides, strict=True):
        logits, features = outputs(model, digits.inputs())
        measured = neural_collapse(features, digits.labels, model.head)
        assert torch.equal(side.points, features)
        assert torch.equal(side.predictions, logits.argmax(dim=1))
        assert side.loss == pytest.approx(model.head(features, digits.labels).mean().item())
        assert side.nc1_ratio == measured.nc1_ratio
        assert side.distance_to_best == measured.distance_to_best
        assert side.reach == pytest.approx(features.square().sum(dim=1).max().item() ** 0.5)
        for k in range(10):
            mean = features[digits.labels == k].mean(dim=0)
            torch.testing.assert_close(side.means[k], mean, atol=1e-4, rtol=1e-4)
    sce, mmc = duel.look().sides
    assert sce.centers is None
    torch.testing.assert_close(mmc.centers, duel.models()[1].head.centers)


def test_regions_say_which_class_wins_at_any_point_of_the_plane(few, digits):
    duel = make(few, digits, heads=("sce", "mmc", "lgm", "mmlda", "cosface"), dim=2)
    duel.step()
    z = 20 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    for model, side in zip(duel.models(), duel.look().sides, strict=True):
        if model.head.name == "cosface":
            assert side.regions is None
            continue
        m, s, b = side.regions[:, :2], side.regions[:, 2], side.regions[:, 3]
        score = b - s * (z[:, None] - m).square().sum(dim=2)
        top = score.topk(2, dim=1)
        clear = top.values[:, 0] - top.values[:, 1] > 1e-3
        assert clear.sum() > 300
        with torch.no_grad():
            assert torch.equal(top.indices[clear, 0], model.head.logits(z[clear]).argmax(dim=1))


def test_maps_of_more_dimensions_are_turned_towards_the_map_before(few, digits):
    duel = finish(make(few, digits, dim=9))
    for before, after in zip(duel.history, duel.history[1:], strict=False):
        for one, other in zip(before.sides, after.sides, strict=True):
            apart = (other.points - one.points).square().sum()
            for turn in torch.linspace(0, 6, 13):
                c, s = turn.cos(), turn.sin()
                for mirror in (1.0, -1.0):
                    matrix = torch.tensor([[c, -s], [mirror * s, mirror * c]])
                    turned = other.points @ matrix.T
                    assert (turned - one.points).square().sum() >= apart * (1 - 1e-4)
    side, model = duel.history[-1].sides[0], duel.models()[0]
    _, features = outputs(model, digits.inputs())
    variance = torch.pca_lowrank(features, 6)[1][:2].square().sum()
    assert side.points.square().sum().item() == pytest.approx(variance.item(), rel=1e-3)


def test_features_that_are_no_numbers_end_it_in_one_line(few, digits):
    duel = Duel([TrainConfig(head="mmc", epochs=2, lr=1e6, dim=2)], few, digits)
    with pytest.raises(FloatingPointError, match="mmc: .*; a smaller learning rate usually helps"):
        finish(duel)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "`configs` must agree in `seed`"),
        ({"dim": 3}, "`configs` must agree in `dim`"),
    ],
)
def test_an_unfair_duel_is_refused(few, digits, change, words):
    config = TrainConfig(head="sce", dim=2)
    with pytest.raises(ValueError, match=words):
        Duel([config, replace(config, head="mmc", **change)], few, digits)
    with pytest.raises(ValueError, match="at least one side"):
        Duel([], few, digits)


# ---- from plain settings, and to a page ----------------------------------------------------------


def test_plain_settings_reach_the_runs():
    duel = make_duel(("mmc", "sce"), dim=3, epochs=7, learning_rate=0.5, radius=4, seed=5)
    mmc, sce = duel.configs
    assert (mmc.head, mmc.lr, mmc.radius) == ("mmc", 0.015, 4)
    assert (sce.head, sce.lr) == ("sce", 0.05)
    assert {(one.dim, one.epochs, one.seed) for one in duel.configs} == {(3, 7, 5)}
    np.testing.assert_allclose(duel.models()[0].head.centers.norm(dim=1), 4, rtol=1e-5)
    assert len(duel.test_set) == 360


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heads": ("sce", "prayer")}, "`heads` must be names from .*mmc.*'prayer'"),
        ({"heads": ("sce", "sce")}, "each once"),
        ({"dim": 1}, "`dim` must be at least 2"),
        ({"learning_rate": 0}, "`learning_rate` must be above 0; got 0"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"dataset": "nothing"}, "nothing"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        make_duel(**settings)


def test_packed_moments_hold_every_number(few, digits):
    duel = finish(make(few, digits, dim=2))
    numbers, maps = pack(duel.history)
    values = np.frombuffer(maps, "<f4").reshape(3, 2, -1)
    for k, moment in enumerate(duel.history):
        assert numbers[k]["taken"] == moment.taken
        for i, side in enumerate(moment.sides):
            for name in NUMBERS:
                value = getattr(side, name)
                found = numbers[k]["sides"][i][name]
                assert found == value or (found is None and math.isnan(value))
            points, predictions, rest = np.split(values[k, i], [720, 1080])
            np.testing.assert_array_equal(points.reshape(360, 2), side.points)
            np.testing.assert_array_equal(predictions, side.predictions)
            means, centers, regions = np.split(rest, [20, 40])
            np.testing.assert_array_equal(means.reshape(10, 2), side.means)
            assert np.isnan(centers).all() == (side.centers is None)
            np.testing.assert_array_equal(regions.reshape(10, 4), side.regions)


def test_the_loss_before_the_first_batch_is_that_of_a_guess(few, digits):
    """Ten classes, no knowledge: about ln 10 nats; and MMC starts half a squared radius away."""
    sce, mmc = make(few, digits, dim=64).history[0].sides
    uniform = functional.cross_entropy(torch.zeros(1, 10), torch.tensor([0])).item()
    assert sce.loss == pytest.approx(uniform, rel=0.1)
    assert mmc.loss == pytest.approx(10**2 / 2, rel=0.1)
