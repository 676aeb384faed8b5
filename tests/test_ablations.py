import argparse
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmc_viz.ablations import (
    ABLATIONS,
    RACE,
    AblationResult,
    Outcome,
    Variant,
    load_result,
    measure,
    race,
)
from mmc_viz.attacks import pgd
from mmc_viz.checkpoints import load_card, load_model
from mmc_viz.commands import ablate
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import accuracy
from mmc_viz.heads import make_head
from mmc_viz.locations import DATA_DIR
from mmc_viz.training import TrainConfig, train


def differences(variants):
    """Which settings differ between these configurations."""
    values = [vars(variant.config.resolved()) for variant in variants]
    return {key for key in values[0] if any(v[key] != values[0][key] for v in values)}


@pytest.fixture(scope="module")
def few():
    return load_dataset("digits", "train", limit=100)


# --- definitions --------------------------------------------------------------------------------


def test_the_command_knows_every_ablation():
    assert ablate.NAMES == (*ABLATIONS, "convergence")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("radius", {"radius", "lr"}),
        ("centers", {"seed"}),
        ("depth", {"network"}),
        ("size", {"limit", "epochs"}),
        ("form", {"head", "head_options", "lr"}),
    ],
)
def test_within_a_line_one_thing_changes(name, changed):
    ablation = ABLATIONS[name]
    assert ablation.name == name and ablation.question.endswith("?")
    names = [variant.name for variant in ablation.variants]
    assert len(set(names)) == len(names)
    groups = {variant.group for variant in ablation.variants}
    assert groups == ablation.eps.keys()
    for group in groups:
        line = [variant for variant in ablation.variants if variant.group == group]
        assert differences(line) == changed


@pytest.mark.parametrize("name", ["centers", "depth", "size"])
def test_between_two_lines_the_head_alone_changes(name):
    variants = ABLATIONS[name].variants
    for x in {variant.x for variant in variants}:
        pair = [variant for variant in variants if variant.x == x]
        assert len(pair) == 2
        # SCE and MMC have gradients of another size, and each its own rate.
        assert {"head"} <= differences(pair) <= {"head", "lr"}


def test_the_forms_of_the_distance_are_those_they_are_called():
    features = 20 * torch.rand(50, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 4
    for variant in ABLATIONS["form"].variants:
        head = make_head(variant.config.head, 8, 4, **variant.config.head_options)
        r = (features - head.centers[labels]).norm(dim=1)
        huber = torch.where(r < 5, r**2 / 10, r - 2.5)
        expected = {"r": r, "Huber, knee 5": huber, "r^2 / 2": r**2 / 2}[variant.x]
        torch.testing.assert_close(head(features, labels), expected)


# --- training in turns --------------------------------------------------------------------------


def test_runs_in_turns_are_the_runs_alone(few):
    configs = {
        head: TrainConfig(head=head, epochs=epochs, batch_size=50)
        for head, epochs in (("sce", 3), ("mmc", 2))
    }
    found = race(configs, few, few, device="cpu")
    assert list(found) == ["sce", "mmc"]
    for name, config in configs.items():
        alone = train(config, few, few, device="cpu", progress=False).history
        assert [{k: v for k, v in e.items() if k != "seconds"} for e in alone] == [
            {k: v for k, v in e.items() if k != "seconds"} for e in found[name]
        ]


def test_the_turns_alternate(few, monkeypatch):
    order = []

    def noting(config, *sets, on_epoch, **more):
        def note(entry):
            order.append((config.head, entry["epoch"], threading.current_thread().name))
            on_epoch(entry)

        return train(config, *sets, on_epoch=note, **more)

    monkeypatch.setattr("mmc_viz.ablations.racing.train", noting)
    configs = {h: TrainConfig(head=h, epochs=3, batch_size=50) for h in ("sce", "mmc")}
    race(configs, few, few, device="cpu")
    assert order == [(head, epoch, head) for epoch in (1, 2, 3) for head in ("sce", "mmc")]


def test_a_run_that_fails_lets_the_others_end_and_is_reported(few):
    configs = {
        "good": TrainConfig(head="sce", epochs=2, batch_size=50),
        "bad": TrainConfig(head="mmc", epochs=2, batch_size=50, lr=1e20),
    }
    with pytest.raises(FloatingPointError, match="stopped being finite"):
        race(configs, few, few, device="cpu")
    assert not [t for t in threading.enumerate() if t.name in configs]


# --- measuring ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
def test_what_is_measured_agrees_with_the_attacks_themselves():
    model, data = load_model("digits-mmc"), load_dataset("digits", limit=20)
    images, labels = data.inputs(), data.labels
    found = measure(model, images, labels, eps=0.1)
    attacked = pgd(model, images, labels, eps=0.1, steps=50, objective="cross_entropy")
    assert found["clean"] == accuracy(model, images, labels)
    assert found["usual"] == pytest.approx(accuracy(model, attacked, labels))
    assert found["worst"] < found["usual"]
    assert found["low"] <= found["worst"] <= found["high"]
    assert (found["images"], found["eps"], found["budget"]) == (20, 0.1, "quick")


def outcome(group="MMC", x="1", **changes):
    known = dict(
        test_accuracy=0.9,
        clean=0.91,
        usual=0.8,
        worst=0.1,
        low=0.08,
        high=0.13,
        eps=0.03,
        images=500,
        budget="quick",
        epochs=20,
        seconds=3.0,
        weights_sha256="0",
    )
    return Outcome(group, x, **(known | changes))


def test_a_result_is_written_and_read_again(tmp_path):
    result = AblationResult("n", "Why?", "axis", "images", [outcome(), outcome(x="10")])
    result.to_json(tmp_path / "a.json")
    assert load_result(tmp_path / "a.json") == result
    assert result.to_csv().splitlines()[0].startswith("group,x,test_accuracy,clean,usual,worst")
    (tmp_path / "b.json").write_text('{"outcomes": 3}')
    for name in ("b.json", "c.json"):
        with pytest.raises(ValueError, match="holds no result of an ablation"):
            load_result(tmp_path / name)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """The ablation of the radius, on digits, for an epoch."""
    ablation = ABLATIONS["radius"]
    variants = [
        replace(v, config=replace(v.config, dataset="digits", epochs=1, limit=100))
        for v in ablation.variants[:2]
    ]
    monkeypatch.setitem(ABLATIONS, "radius", replace(ablation, variants=variants))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.usefixtures("small")
def test_the_command_trains_measures_and_goes_on(run, tmp_path, monkeypatch):
    words = [
        "ablate",
        "radius",
        "--limit",
        10,
        "--out",
        tmp_path / "m",
        "--quiet",
        "--device",
        "cpu",
    ]
    words += ["--json", tmp_path / "r.json"]
    status, out, err = run(*words, "--figure", tmp_path / "f.html")
    assert (status, err) == (0, "") and out.startswith(ABLATIONS["radius"].question)
    result = load_result(tmp_path / "r.json")
    assert [(one.group, one.x) for one in result.outcomes] == [("MMC", "1"), ("MMC", "10")]
    assert "plotly" in (tmp_path / "f.html").read_text()
    for one, radius in zip(result.outcomes, (1, 10), strict=True):
        folder = tmp_path / "m" / "radius" / f"mmc-{radius}"
        card = load_card(folder)
        assert card.config["radius"] == radius and card.command == "mmc-viz ablate radius"
        assert one.weights_sha256 == card.weights_sha256
        norms = load_model(folder).head.centers.norm(dim=1)
        torch.testing.assert_close(norms, torch.full((10,), float(radius)))

    def forbidden(*arguments, **more):
        raise AssertionError("done again")

    # What is known behind a gap stays, and the gap is filled.
    replace(result, outcomes=result.outcomes[1:]).to_json(tmp_path / "r.json")
    assert run(*words, "--resume")[0] == 0
    again = load_result(tmp_path / "r.json")
    assert [one.x for one in again.outcomes] == ["1", "10"]
    assert again.outcomes[1] == result.outcomes[1]
    assert again == result
    monkeypatch.setattr("mmc_viz.commands.training_run.train_and_save", forbidden)
    monkeypatch.setattr("mmc_viz.ablations.measure", forbidden)
    assert run(*words, "--resume")[0] == 0
    assert load_result(tmp_path / "r.json") == result


@pytest.mark.parametrize(
    ("name", "group", "x", "shipped"),
    [
        ("radius", "MMC", "10", "fashion-mmc"),
        ("centers", "optimal centers", "seed 0", "fashion-mmc"),
        ("size", "SCE", "100 %", "fashion-sce"),
        ("form", "plain training", "r^2 / 2", "fashion-mmc"),
    ],
)
def test_a_shipped_model_of_the_same_configuration_is_not_trained_again(name, group, x, shipped):
    variant = next(v for v in ABLATIONS[name].variants if (v.group, v.x) == (group, x))
    # Neither arguments nor a device are needed where nothing is to be trained.
    assert ablate._model(variant, Path("nowhere"), argparse.Namespace(), None) == shipped


def test_the_race_is_run_and_drawn_by_the_same_command(run, tmp_path, monkeypatch, few):
    for name in RACE:
        monkeypatch.setitem(RACE, name, replace(RACE[name], dataset="digits", epochs=2, limit=100))
    words = ["ablate", "convergence", "--json", tmp_path / "r.json", "--quiet", "--device", "cpu"]
    status, out, err = run(*words, "--figure", tmp_path / "f.html")
    assert (status, err) == (0, "") and out.startswith("How fast does MMC train")
    histories = json.loads((tmp_path / "r.json").read_text())["histories"]
    assert {name: len(history) for name, history in histories.items()} == {"SCE": 2, "MMC": 2}
    assert "plotly" in (tmp_path / "f.html").read_text()


# --- what is stored -----------------------------------------------------------------------------

STORED = sorted((DATA_DIR / "ablations").glob("*.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_results_are_of_the_ablations_as_they_are_defined(path):
    if path.stem == "convergence":
        histories = json.loads(path.read_text())["histories"]
        assert {n: len(h) for n, h in histories.items()} == {n: c.epochs for n, c in RACE.items()}
        return
    ablation, result = ABLATIONS[path.stem], load_result(path)
    assert (result.question, result.axis) == (ablation.question, ablation.axis)
    assert [(one.group, one.x, one.epochs, one.eps) for one in result.outcomes] == [
        (v.group, v.x, v.config.epochs, ablation.eps[v.group]) for v in ablation.variants
    ]


def test_names_of_variants_make_folders():
    assert Variant("adversarial training", "r^2 / 2", TrainConfig()).name.count("/") == 0
