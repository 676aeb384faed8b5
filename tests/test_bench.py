"""The benchmark's own arithmetic; nothing is timed here."""

import json
import sys
from functools import partial

import pytest
import torch
from torch import nn

from mmc_viz.attacks import apgd, frozen, pgd
from mmc_viz.bench import TOPICS, attacks, features, libraries, path, training
from mmc_viz.bench.comparing import read_report
from mmc_viz.bench.passes import Passes, count_passes, paid_in_full
from mmc_viz.bench.timing import Measurement, measured, ratio, take_turns
from mmc_viz.commands import bench

# foolbox takes a filter from a place that SciPy 2 will not have any more; that is its affair.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")


@pytest.fixture
def scene():
    """Eight images that the attacks of the benchmark cannot fool."""
    return attacks.make_scene("small_cnn", 1, 8, batch=8)


@pytest.fixture
def alone(monkeypatch):
    """A machine without any of the other libraries."""
    for name in libraries.INSTALL:
        for module in [name, *(m for m in sys.modules if m.startswith(f"{name}."))]:
            monkeypatch.setitem(sys.modules, module, None)


def test_contestants_take_turns_and_every_round_is_kept():
    order, now = [], [0.0]
    # What each run of a contestant takes: the warm-up first, then the rounds.
    takes = {"a": iter([100.0, 1.0, 9.0, 2.0]), "b": iter([100.0, 4.0, 5.0, 50.0])}

    def run(name):
        def contestant():
            order.append(name)
            now[0] += next(takes[name])

        return contestant

    contestants = {name: run(name) for name in takes}
    seconds = take_turns(contestants, rounds=3, clock=lambda: now[0])
    assert order == ["a", "b"] * 4
    assert seconds == {"a": [1, 9, 2], "b": [4, 5, 50]}
    assert measured("a", seconds["a"], "s") == Measurement("a", 2.0, "s", "", (1.0, 9.0, 2.0))
    found = ratio("a / b", seconds["a"], seconds["b"], "in turn")
    assert found.value == 2 / 5  # of the medians
    assert found.rounds == (1 / 4, 9 / 5, 2 / 50)
    assert found.to_json() == {
        "name": "a / b",
        "value": 0.4,
        "unit": "ratio",
        "note": "in turn",
        "rounds": (0.25, 1.8, 0.04),
        "noise": found.noise,
    }


def test_unknown_topics_are_named(monkeypatch):
    import argparse

    with pytest.raises(ValueError, match=f"one of {', '.join(TOPICS)}; got 'speed'"):
        bench.run(argparse.Namespace(topics=["speed"], json=None))


def test_the_topics_that_were_measured_are_kept_when_a_later_one_fails(monkeypatch, run, tmp_path):
    figures = [Measurement("import", 1.0, "s")]
    monkeypatch.setattr("mmc_viz.bench.imports.measure", lambda: figures)

    def fail():
        raise RuntimeError("the machine went down")

    monkeypatch.setattr("mmc_viz.bench.path.measure", fail)
    with pytest.raises(RuntimeError, match="went down"):
        run("bench", "imports", "path", "--json", tmp_path / "new.json")
    assert read_report(tmp_path / "new.json").figures == {"import": figures[0]}


@pytest.mark.parametrize(("network", "published"), [("resnet20", 40.8e6), ("resnet32", 69.1e6)])
def test_a_training_step_is_three_passes_of_the_published_multiply_adds(network, published):
    assert training.operations(network) == pytest.approx(3 * 2 * published, rel=0.01)


def test_a_share_of_the_peak_is_given_where_the_peak_is_known(monkeypatch):
    assert training._share_of_peak(1e4, torch.device("cpu")) is None
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some other card")
    assert training._share_of_peak(1e4, gpu) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    share = training._share_of_peak(1e5, gpu)
    assert share == pytest.approx(1e5 * 6 * 69e6 / 989e12, rel=0.01)


# --- what is paid for ---------------------------------------------------------------------------


def test_passes_are_counted_with_and_without_gradient():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())

    def run():
        for size in (3, 5):
            point = torch.zeros(size, 1, 4, 4, requires_grad=True)
            model(point).sum().backward()
        with torch.no_grad():
            model(torch.zeros(7, 1, 4, 4))

    assert count_passes(model, run) == Passes(gradients=8, forwards=7)
    before = count_passes(model, lambda: None)
    assert before == Passes(0, 0) and not model[0]._forward_pre_hooks


@pytest.mark.parametrize("steps", [1, 4])
def test_passes_through_folded_copies_are_counted(scene, steps):
    model, images, labels = scene.model, scene.images, scene.labels
    with frozen(model, images) as view:
        assert view.fast is not view.exact

    settings = {"eps": 1e-4, "steps": steps, "objective": "cross_entropy"}
    size = 1e-4 / (4 * steps)
    by_pgd = count_passes(model, lambda: pgd(model, images, labels, step_size=size, **settings))
    by_apgd = count_passes(model, lambda: apgd(model, images, labels, **settings))
    assert by_pgd.gradients == by_apgd.gradients == steps * len(images)
    # The clean images are looked at without, and four to see that folding changes nothing.
    assert by_pgd.forwards >= len(images) + 4


def test_only_a_last_iterate_that_may_matter_is_looked_at(scene):
    model, images, labels = scene.model, scene.images, scene.labels

    def forwards(**settings):
        run = partial(pgd, model, images, labels, eps=1e-4, objective="cross_entropy", **settings)
        return count_passes(model, run).forwards

    assert forwards(steps=4) == len(images) + 4
    # How far one step leads is not known from the steps before.
    assert forwards(steps=1) >= 2 * len(images) + 4
    # Whoever tries again must know whom.
    assert forwards(steps=4, restarts=2) == 2 * len(images) + 4
    assert forwards(steps=4, trace=lambda *values: None) == 2 * len(images) + 4


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_an_image_that_leaves_early_is_noticed(scene, attack):
    model, images = scene.model, scene.images
    settings = {"images": len(images), "steps": 4}

    def run(labels):
        return lambda: attack(model, images, labels, eps=1e-4, steps=4, objective="margin")

    wrong = scene.labels.clone()
    wrong[2] = (wrong[2] + 1) % 10
    with pytest.raises(RuntimeError, match="a thing: an image left the batch early .28 gradients"):
        paid_in_full("a thing", model, run(wrong), **settings)


# --- the ratios ---------------------------------------------------------------------------------


def once(contestants, rounds):
    """Let each run once, and say that the first took 1 s, the second 2 s, and so on."""
    for run in contestants.values():
        run()
    return {name: [float(i)] for i, name in enumerate(contestants, start=1)}


@pytest.mark.parametrize("compare", [attacks.compare_pgd, attacks.compare_apgd])
def test_each_attack_is_set_against_the_floor(scene, compare, monkeypatch):
    monkeypatch.setattr(attacks, "take_turns", once)
    ours, *others = compare(scene, steps=2, rounds=1, aim="0.5")
    assert ours.value == 2 and ours.name.endswith("PGD-2 / floor, small_cnn")
    assert "each image pays 2 gradients" in ours.note and ours.note.endswith("aim 0.5")
    assert [other.value for other in others] == [3.0 + i for i in range(len(others))]
    assert not any("aim" in other.note for other in others)
    assert len(compare(scene, steps=2, rounds=1, rivals=False)) == 1


def test_handing_a_model_over_changes_nothing_but_what_is_frozen(scene):
    given = attacks.as_handed_over(scene)
    assert all(parameter.requires_grad for parameter in given.model.parameters())
    assert not any(parameter.requires_grad for parameter in scene.model.parameters())
    assert torch.equal(given.model(scene.images), scene.model(scene.images))


def test_each_comparison_runs_in_a_process_of_its_own(monkeypatch):
    settings = {"steps": 1, "rounds": 1, "rivals": False}
    alone = attacks.Comparison("pgd", ("small_cnn", 1, 28), settings, handed_over=True)
    monkeypatch.setattr(attacks, "COMPARISONS", (alone,))
    monkeypatch.setattr(attacks, "take_turns", once)  # which another process does not know of
    (row,) = attacks.measure()
    assert row.name == "PGD-1 / floor, small_cnn, parameters not frozen" and row.value != 2
    assert alone.run()[0].value == 2


@pytest.mark.usefixtures("alone")
def test_missing_libraries_are_named_and_left_out(monkeypatch, capsys):
    assert sorted(libraries.missing()) == sorted(libraries.INSTALL)
    assert libraries.pgd_of_others(eps=0.1, steps=2, step_size=0.1) == {}
    assert libraries.apgd_of_others(eps=0.1, steps=2) == {}
    monkeypatch.setattr(attacks, "COMPARISONS", ())
    assert attacks.measure() == []
    printed = capsys.readouterr().out
    for name, command in libraries.INSTALL.items():
        assert f"{name} is left out" in printed and command in printed


def test_other_libraries_keep_the_global_random_state_and_the_ball(scene):
    others = libraries.pgd_of_others(eps=0.1, steps=2, step_size=0.05).items()
    others = [*others, *libraries.apgd_of_others(eps=0.1, steps=2, objective="dlr").items()]
    if not others:
        pytest.skip("no other library is installed")
    before = torch.get_rng_state()
    for name, attack in others:
        found = attack(scene.model, scene.images, scene.labels)
        again = attack(scene.model, scene.images, scene.labels)
        assert torch.equal(found, again), name
        assert (found - scene.images).abs().max() <= 0.1 + 1e-6, name
        assert found.min() >= 0 and found.max() <= 1, name
    assert torch.equal(torch.get_rng_state(), before)


def test_a_path_is_set_against_runs_in_both_ways(monkeypatch):
    monkeypatch.setattr(path, "take_turns", once)
    runs, full = path.path_against_runs("digits-sce", images=6, budgets=3)
    assert (runs.value, full.value) == (1 / 2, 1 / (3 * 3))
    assert "3 runs" in runs.name and "digits-sce" in runs.name
    assert "paying for all steps" in full.name


@pytest.mark.parametrize("task", [task for task in features.TASKS if task != "umap"])
def test_what_features_cost_is_printed_by_a_process_of_its_own(task, capsys, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    size = 12 if "centers" in task else 11 if task.startswith("loss") else 300
    features.report(task, size, rounds=2)
    values = json.loads(capsys.readouterr().out)
    assert values.keys() == {"seconds", "before", "peak"}
    assert len(values["seconds"]) == 2 and min(values["seconds"]) > 0
    # The kernel adds up pages lazily, so that two readings of the same memory differ a little.
    assert 0 < values["before"] <= values["peak"] + 5


def test_a_fresh_process_tells_seconds_and_memory():
    rows = features.in_a_fresh_process("pca", 250, 1, "aim 5 s")
    assert [row.unit for row in rows] == ["s", "MB"]
    assert rows[0].name == "pca, 250" and rows[0].note.endswith("aim 5 s")
    assert rows[1].value > 50  # an interpreter with torch


def test_more_features_than_images_are_those_of_moved_images():
    values, labels = features.features_of(1100)
    assert values.shape == (1100, 64) and labels.shape == (1100,)
    assert torch.equal(labels[1000:], labels[:100])
    assert not torch.equal(values[1000:], values[:100])
