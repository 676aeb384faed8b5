"""The command line, mostly in this process: `run(...)` gives exit status, output and errors."""

import errno
import json
import os
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mmc_viz
from mmc_viz.__main__ import COMMANDS, main
from mmc_viz.attacks import FIXED_BUDGET
from mmc_viz.checkpoints import cards, load_card, load_model, shipped_models
from mmc_viz.commands.arguments import parse_eps, parse_seed, print_table
from mmc_viz.commands.train import head_names
from mmc_viz.datasets import DATASETS, load_dataset
from mmc_viz.heads import HEADS
from mmc_viz.networks import NETWORKS
from mmc_viz.objectives import OBJECTIVES

TINY = ["--epochs", "1", "--limit", "150", "--device", "cpu", "--quiet"]
LEARNED = ["--head", "sce", "--epochs", "4", "--batch-size", "64", "--device", "cpu", "--quiet"]
HEAVY = {"torch", "plotly", "ipywidgets", "anywidget", "sklearn", "umap", "torchvision", "numpy"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, without a network and without other data sets."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("MMC_VIZ_DATA", str(tmp_path))

    def unreachable(*arguments, **more):
        raise urllib.error.URLError("no network in the tests")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    return work


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of the command line that has learned something."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(["train", *LEARNED, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Tiny pictures of two classes, light and dark, 12 a class and split."""
    root = tmp_path_factory.mktemp("pictures") / "moods"
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, level in (("dark", 60), ("light", 190)):
            (root / split / name).mkdir(parents=True)
            for number in range(12):
                pixels = random.integers(level - 50, level + 50, (14, 11, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture
def broken_pictures(pictures, tmp_path):
    root = tmp_path / "broken"
    shutil.copytree(pictures, root)
    (root / "test" / "light" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return root


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def subprocess_of(*command, **more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, **more
    )


# --- what loads, and when -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import mmc_viz; dir(mmc_viz)",
        "from mmc_viz.__main__ import main; main(['--help'])",
        "from mmc_viz.__main__ import main; main(['train', '--help'])",
        "from mmc_viz.__main__ import main; main(['evaluate', 'x', '--eps', 'much'])",
    ],
)
def test_help_and_import_wait_for_nothing_heavy(code):
    script = f"import sys\ntry:\n {code}\nexcept SystemExit: pass\nprint(*sys.modules, sep='\\n')"
    loaded = subprocess_of("-c", script).stdout.split()
    assert "mmc_viz" in loaded and not HEAVY & set(loaded)


def test_the_installed_command_and_the_module_give_the_same_help():
    command = Path(sys.executable).with_name("mmc-viz")
    helps = [subprocess.run([command, "--help"], capture_output=True, text=True)]
    helps.append(subprocess_of("-m", "mmc_viz", "--help"))
    assert helps[0].stdout == helps[1].stdout
    for end in helps:
        assert end.returncode == 0 and end.stderr == ""
        assert all(name in end.stdout for name in COMMANDS)


def test_names_are_found_lazily_and_wrong_ones_are_not():
    for name in mmc_viz._MODULES:
        assert getattr(mmc_viz, name).__name__ == f"mmc_viz.{name}"
        assert name in dir(mmc_viz)
    assert mmc_viz.load_model is load_model and mmc_viz.load_dataset is load_dataset
    with pytest.raises(AttributeError, match="module 'mmc_viz' has no attribute 'nothing'"):
        _ = mmc_viz.nothing


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, run):
    status, out, err = run(command, "--help")
    assert status == 0 and err == "" and f"usage: mmc-viz {command}" in out


def test_the_version_is_told(run):
    assert run("--version") == (0, f"mmc-viz {mmc_viz.__version__}\n", "")


# --- numbers as they are typed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "eps"),
    [("8/255", 8 / 255), ("0.1", 0.1), ("0", 0), (" 8 / 255 ", 8 / 255), ("1e-3", 1e-3), ("1", 1)],
)
def test_a_budget_is_a_number_or_a_fraction(text, eps):
    assert parse_eps(text) == eps


@pytest.mark.parametrize("text", ["much", "", "1/0", "8/", "/255", "1/2/3", "nan", "inf", "1e999"])
def test_what_is_no_budget_is_refused(text, run):
    status, out, err = run("evaluate", "digits-mmc", f"--eps={text}")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert f"must be a number or a fraction such as 8/255; got {text!r}" in err


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "", str(2**32), "9" * 5000])
def test_what_is_no_seed_is_refused(text, run):
    status, _, err = run("evaluate", "digits-mmc", f"--seed={text}")
    assert status == 2 and err.count("\n") == 1 and "must be in 0 .. 2^32 - 1" in err
    assert parse_seed(str(2**32 - 1)) == 2**32 - 1


def test_a_tables_columns_line_up(capsys):
    print_table(["a", "long name"], [["wide cell", "1"], ["", "22"]])
    lines = ["a          long name", "---------  ---------", "wide cell  1", "           22"]
    assert capsys.readouterr().out.splitlines() == lines


# --- train, evaluate, models --------------------------------------------------------------------


def test_training_makes_a_model_that_its_card_describes(elsewhere, run, digits):
    words = ["train", *TINY, "--head", "sce", "--dim", "12", "--seed", "5", "--epochs", "2"]
    status, out, err = run(*words, "--out", "m", "--json", "card.json")
    assert (status, err) == (0, "")
    assert {path.name for path in elsewhere.iterdir()} == {"m", "card.json"}
    card, model = load_card("m"), load_model("m")
    assert json.loads(Path("card.json").read_text()) == card.to_json()
    assert (card.network, card.head, card.dim, card.seed) == ("small_cnn", "sce", 12, 5)
    assert card.dataset["name"] == "digits" and card.dataset["image_size"] == 8
    assert card.dataset["sha256"] == load_dataset("digits", "train").sha256
    assert card.config["limit"] == 150 and len(card.history) == card.config["epochs"] == 2
    assert card.reproducible and card.versions["torch"] == torch.__version__
    assert card.command == f"mmc-viz {' '.join(words)} --out m --json card.json"
    with torch.no_grad():
        right = (model(digits.inputs()).argmax(dim=1) == digits.labels).sum().item()
    (clean,) = card.measured
    assert (clean["attack"], clean["images"], clean["correct"]) == ("none", 360, right)
    assert clean["accuracy"] == right / 360 == card.history[-1]["accuracy"]
    assert f"{right / 360:.2%} of 360 test images" in out and card.weights_sha256 in out


def test_options_of_the_head_reach_the_model_the_card_and_the_list(elsewhere, run, monkeypatch):
    groups = "0,1,1,0,0,1,1,0,0,1"
    words = ["train", *TINY, "--head", "hmc", "--head-option", f"groups={groups}"]
    assert run(*words, "--out", "shipped/grouped")[0] == 0
    card = load_card("shipped/grouped")
    assert card.config["head_options"] == {"groups": [int(part) for part in groups.split(",")]}
    assert card.command == f"mmc-viz {' '.join(words)} --out shipped/grouped"
    centers = load_model("shipped/grouped").head.centers
    assert (centers[0] - centers[3]).norm() < (centers[0] - centers[1]).norm()
    options = ["--head-option", "margin=2", "--head-option", "least_sigma=.5"]
    words = ["train", *TINY, "--head", "lgm", *options, "--out", "shipped/gauss"]
    assert run(*words)[0] == 0
    head = load_model("shipped/gauss").head
    assert (head.margin, head.least_sigma, head.weight) == (2, 0.5, 0.01)
    monkeypatch.setattr(cards, "MODELS_DIR", Path("shipped"))
    out = run("models")[1]
    assert "lgm margin=2 weight=0.01 least_sigma=0.5" in out and f"hmc groups={groups}" in out


def test_help_lists_the_heads(run):
    text = " ".join(run("train", "--help")[1].split())
    assert f"training objective: {', '.join(head_names())} (mmc)" in text
    assert {name for name, head in HEADS.items() if "mmc_viz" in head.__module__} == {*head_names()}


def test_the_same_command_gives_the_same_bytes(elsewhere, run):
    for name in ("one", "two"):
        assert run("train", *TINY, "--out", name)[0] == 0
    assert run("train", *TINY, "--out", "three", "--seed", "1")[0] == 0
    one, two, three = (Path(n, "model.safetensors").read_bytes() for n in ("one", "two", "three"))
    assert one == two != three


def test_a_process_of_its_own_gives_the_same_bytes_and_a_clean_stderr(elsewhere, trained):
    words = ["train", *LEARNED, "--out", "again"]
    threads = f"import torch; torch.set_num_threads({torch.get_num_threads()})"
    script = f"{threads}; from mmc_viz.__main__ import main; raise SystemExit(main({words}))"
    end = subprocess_of("-c", script)
    assert (end.returncode, end.stderr) == (0, "")
    again = Path("again", "model.safetensors").read_bytes()
    assert again == (trained / "model.safetensors").read_bytes()


def test_a_model_goes_to_runs_unless_told_otherwise(elsewhere, run, pictures):
    assert run("train", *TINY, "--head", "sce")[0] == 0
    assert load_card("runs/digits-sce").head == "sce"
    shutil.copytree(pictures, "moods")
    assert run("train", *TINY, "--dataset", "folder:moods", "--image-size", "8")[0] == 0
    assert {path.name for path in Path("runs").iterdir()} == {"digits-sce", "moods-mmc"}


def test_the_place_of_the_data_does_not_enter_the_card(elsewhere, run, tmp_path):
    for number, words in enumerate((["--data-root", tmp_path], [f"--data-root={tmp_path}"])):
        assert run("train", *TINY, *words, "--out", f"m{number}")[0] == 0
        assert str(tmp_path) not in Path(f"m{number}", "card.json").read_text()
        assert load_card(f"m{number}").command == f"mmc-viz train {' '.join(TINY)} --out m{number}"


@pytest.mark.parametrize(("attack", "norm"), [("pgd", "linf"), ("pgd", "l2"), ("fgsm", "linf")])
def test_evaluation_gives_what_the_library_gives(attack, norm, elsewhere, run, trained, digits):
    eps = {"linf": 20 / 255, "l2": 0.5}[norm]
    words = ["--eps", {"linf": "20/255", "l2": "0.5"}[norm], "--norm", norm, "--attack", attack]
    words += ["--objective", "cross_entropy"]
    words += ["--steps", "4", "--restarts", "2"] if attack == "pgd" else []
    words += ["--limit", "60", "--seed", "3", "--device", "cpu", "--json", "out.json", "--quiet"]
    status, out, err = run("evaluate", trained, *words)
    assert (status, err) == (0, "")
    found = json.loads(Path("out.json").read_text())

    model, images, labels = load_model(trained), digits.inputs()[:60], digits.labels[:60]
    settings = {"eps": eps, "norm": norm, "objective": "cross_entropy"}
    if attack == "pgd":
        settings |= {"steps": 4, "restarts": 2, "generator": torch.Generator().manual_seed(3)}
    attacked = FIXED_BUDGET[attack](model, images, labels, **settings)
    with torch.no_grad():
        clean = model(images).argmax(dim=1) == labels
        robust = clean & (model(attacked).argmax(dim=1) == labels)
    assert 0 < robust.sum() < clean.sum() < 60  # else this shows little
    assert found["correct"] == robust.sum().item() and found["images"] == 60
    assert found["accuracy"] == found["correct"] / 60
    assert found["clean_accuracy"] == clean.double().mean().item()
    assert found["low"] < found["accuracy"] < found["high"]
    expected = {"eps": eps, "norm": norm, "objective": "cross_entropy", "attack": attack}
    expected |= {"dataset": "digits", "seed": 3, "device": "cpu", "model": str(trained)}
    assert found.items() >= expected.items()
    assert (found.get("steps"), found.get("restarts")) == (
        (4, 2) if attack == "pgd" else (None,) * 2
    )

    header, line, row = out.splitlines()[:3]
    assert header.split()[:4] == ["model", "attack", "objective", "eps"]
    assert row.split()[:2] == [str(trained), attack] and set(line) == {"-", " "}
    assert f"{found['accuracy']:.1%} [{found['low']:.1%}, {found['high']:.1%}]" in row
    assert "data: the first 60 images of " in out


def test_several_models_make_one_table(elsewhere, run, trained):
    words = ["--limit", "20", "--steps", "2", "--quiet", "--json", "out.json"]
    status, out, err = run("evaluate", trained, "digits-sce", *words)
    assert (status, err) == (0, "")
    results = json.loads(Path("out.json").read_text())["results"]
    expected = [(str(m), "pgd") for m in (trained, "digits-sce")]
    assert [(r["model"], r["attack"]) for r in results] == expected
    assert [line.split()[:2] for line in out.splitlines()[2:4]] == [list(e) for e in expected]


def test_results_are_recorded_on_request_alone(elsewhere, run, trained):
    shutil.copytree(trained, "m")
    words = ["evaluate", "m", "--limit", "20", "--steps", "2", "--device", "cpu"]
    before = tree(Path("m"))
    assert run(*words)[0] == 0
    assert tree(Path("m")) == before
    for _ in range(2):
        assert run(*words, "--record", "--json", "out.json")[0] == 0
    assert run(*words, "--record", "--eps", "0.1")[0] == 0
    clean, first, second = load_card("m").measured
    result = json.loads(Path("out.json").read_text())
    assert first == {key: value for key, value in result.items() if key != "model"}
    assert clean["attack"] == "none" and second["eps"] == 0.1
    assert Path("m", "model.safetensors").read_bytes() == before[Path("m", "model.safetensors")]


def test_the_shipped_models_are_listed_with_their_numbers(elsewhere, run):
    status, out, err = run("models", "--json", "cards.json")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()[2:-2]}
    assert list(rows) == shipped_models()
    cards = json.loads(Path("cards.json").read_text())
    for name, row in rows.items():
        card = load_card(name)
        assert cards[name] == card.to_json()
        clean = next(entry for entry in card.measured if entry["attack"] == "none")
        assert f"{clean['accuracy']:.2%} of {clean['images']:,}" in row
    for name in rows:
        status, out, err = run("models", name)
        assert (status, err) == (0, "") and cards[name]["command"] in out
        for entry in cards[name]["measured"]:
            assert any(
                line.startswith(entry["attack"]) and f"{entry['accuracy']:.1%}" in line
                for line in out.splitlines()
            )


def test_a_recorded_model_is_listed_too(elsewhere, run, trained, monkeypatch):
    shutil.copytree(trained, "shipped/mine")
    monkeypatch.setattr(cards, "MODELS_DIR", Path("shipped"))
    settings = ["--limit", "20", "--objective", "distance", "--eps", "0.125", "--steps", "2"]
    assert run("evaluate", "mine", "--record", *settings)[0] == 0
    status, out, _ = run("models", "mine")
    accuracy = load_card("mine").measured[-1]["accuracy"]
    row = next(line.split() for line in out.splitlines() if line.startswith("pgd"))
    assert status == 0 and row[1:7] == ["distance", "linf", "2", "0.125", "20", f"{accuracy:.1%}"]


def test_a_folder_of_pictures_is_trained_on_and_evaluated(elsewhere, run, pictures):
    words = ["--dataset", f"folder:{pictures}", "--image-size", "10", "--epochs", "6", "--quiet"]
    assert run("train", *words, "--batch-size", "8", "--out", "m")[0] == 0
    card = load_card("m")
    assert card.dataset["image_size"] == card.config["image_size"] == 10
    assert card.class_names == ["dark", "light"] and card.in_channels == 3
    status, out, err = run(
        "evaluate", "m", "--eps", "0", "--steps", "1", "--json", "out.json", "--quiet"
    )
    assert (status, err) == (0, "") and "as 10x10 RGB" in out
    found = json.loads(Path("out.json").read_text())
    data = load_dataset(f"folder:{pictures}", size=10)
    with torch.no_grad():
        right = (load_model("m")(data.inputs()).argmax(dim=1) == data.labels).sum().item()
    assert found["correct"] == right == card.measured[0]["correct"] > 20
    assert found["dataset"] == card.dataset["name"] == f"folder:{pictures}"


def test_progress_is_shown_unless_quiet(elsewhere, run):
    loud = [word for word in TINY if word != "--quiet"]
    status, _, err = run("train", *loud, "--out", "m")
    assert status == 0 and "accuracy=" in err and "step/s" in err


def test_an_interrupt_ends_in_one_line_and_leaves_nothing(elsewhere, run, monkeypatch):
    def interrupt(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmc_viz.training.course.train_step", interrupt)
    assert run("train", *TINY) == (130, "", "mmc-viz train: interrupted\n")
    assert list(elsewhere.iterdir()) == []


# --- mistakes -----------------------------------------------------------------------------------


def refused(run, *words):
    """Whatever is wrong is said in one line, and nothing is left behind; returns the line."""
    before = tree(Path())
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err.startswith("mmc-viz") and err.count("\n") == 1 and err.endswith("\n")
    assert "Traceback" not in err
    assert tree(Path()) == before
    return err


@pytest.mark.parametrize(
    ("words", "legal"),
    [
        (["train", "--dataset", "imagenet"], [*DATASETS, "folder:PATH"]),
        (["train", "--head", "mse"], HEADS),
        (["train", "--network", "vgg"], NETWORKS),
        (["train", "--schedule", "cosine"], ["one_cycle", "steps"]),
        (["train", "--decay", "biases"], ["all", "convolutions"]),
        (["train", "--augmentation", "mixup"], ["none", "shift", "shift_flip"]),
        (["train", "--device", "gpu"], ["auto", "cpu", "cuda", "mps"]),
        (["evaluate", "digits-mmc", "--dataset", "imagenet"], [*DATASETS, "folder:PATH"]),
        (["evaluate", "digits-mmc", "--attack", "cv"], [*FIXED_BUDGET, "all"]),
        (["evaluate", "digits-mmc", "--objective", "loss"], OBJECTIVES),
        (["evaluate", "digits-mmc", "--norm", "l1"], ["linf", "l2"]),
        (["evaluate", "digits-mmc", "--device", "meta"], ["auto", "cpu", "cuda", "mps"]),
        (["evaluate", "digits"], shipped_models()),
        (["evaluate", "digits-mmc", "digits"], shipped_models()),
        (["bench", "sorting"], ["attacks", "training"]),
        (["paint"], COMMANDS),
    ],
)
def test_an_unknown_name_is_refused_with_the_legal_ones(words, legal, run):
    message = refused(run, *words)
    assert repr(words[-1]) in message
    assert all(name in message for name in legal)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["evaluate"], "the following arguments are required: MODEL"),
        (["train", "--speed", "9"], "unrecognized arguments: --speed 9"),
        (["train", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["train", "--epochs", "0"], "`epochs` must be at least 1; got 0"),
        (["train", "--limit", "0"], "`limit` must be at least 1; got 0"),
        (["train", "--batch-size", "0"], "`batch_size` must be at least 1; got 0"),
        (["train", "--lr", "0"], "`lr` must be positive and finite; got 0.0"),
        (["train", "--lr", "nan"], "`lr` must be positive and finite; got nan"),
        (["train", "--seed", "-1"], "`seed` must be in 0 .. 2^32 - 1; got -1"),
        (["train", "--seed", "9" * 30], "`seed` must be in 0 .. 2^32 - 1"),
        (["train", "--dim", "1"], "`dim` must be at least 2; got 1"),
        (["train", "--dim", "0"], "`dim` must be at least 1; got 0"),
        (["train", "--head-option", "x=1"], "option of the head `mmc` must be left out, .* 'x'"),
        (["train", "--head", "emc", "--head-option", "x=1"], "must be one of stiffness; got 'x'"),
        (["train", "--head-option", "margin"], "--head-option: must be NAME=VALUE .* 'margin'"),
        (["train", "--head-option", "=1"], "--head-option: must be NAME=VALUE .* got '=1'"),
        (["train", "--head-option", "a=b"], "--head-option: must be NAME=VALUE .* got 'a=b'"),
        (["train", "--head-option", "a=1,b"], "--head-option: must be NAME=VALUE .* got 'a=1,b'"),
        (["train", "--head-option", "a=1,2.5"], "--head-option: must be NAME=VALUE .* 'a=1,2.5'"),
        (
            ["train", "--head-option", "a=1", "--head-option", "a=2"],
            "`--head-option` must name each option once; got 'a' twice",
        ),
        (
            ["train", "--head", "lgm", "--head-option", "margin=nan"],
            "`margin` must be a finite number; got nan",
        ),
        (
            ["train", *TINY, "--head", "hmc", "--head-option", "groups=1,2"],
            "one superclass for each of the 10 classes; got 2",
        ),
        (["train", "--radius", "-1"], "`radius` must be positive and finite; got -1.0"),
        (["train", *TINY, "--lr", "1e30"], "A smaller `lr` than 1e+30 usually helps"),
        (["train", "--dataset", "folder:nowhere"], "There is no folder nowhere/train"),
        (["train", "--dataset", "mnist"], "downloading it failed: <urlopen error no network"),
        (["train", "--dataset", "mnist", "--data-root", "nowhere"], "got 'nowhere'. Make it"),
        (["evaluate", "digits-mmc", "--eps", "-0.1"], "--eps: must be at least 0; got -0.1"),
        (["evaluate", "digits-mmc", "--eps=-8/255"], "--eps: must be at least 0; got -8/255"),
        (
            ["evaluate", "digits-mmc", "--eps", "8"],
            "`eps` must be at most 1, .* Did you mean 8/255",
        ),
        (["evaluate", "digits-mmc", "--eps", "1.01"], "`eps` must be at most 1"),
        (
            ["evaluate", "digits-mmc", "--limit", "0"],
            "`limit` must be a whole number of at least 1",
        ),
        (["evaluate", "digits-mmc", "--steps", "0"], "`steps` must be at least 1; got 0"),
        (["evaluate", "digits-mmc", "--restarts", "0"], "`restarts` must be at least 1; got 0"),
        (["evaluate", "digits-mmc", "--dataset", "mnist"], "downloading it failed"),
        (
            ["evaluate", "digits-mmc", "--dataset", "fashion_mnist"],
            "has other classes than the model digits-mmc: 'T-shirt/top' in place of '0'",
        ),
    ],
)
def test_a_mistake_is_said_in_one_line(words, said, run):
    message = refused(run, *words)
    first, _, rest = said.partition(" .* ")
    assert first in message and rest in message


def test_a_data_set_that_does_not_fit_the_model_is_refused(run, pictures):
    message = refused(run, "evaluate", "digits-mmc", "--dataset", f"folder:{pictures}")
    assert "has 3 channels and 2 classes; the model digits-mmc expects 1 and 10" in message


@pytest.mark.parametrize("command", [["train", *TINY], ["evaluate", "digits-mmc"], ["models"]])
def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(command, run):
    Path("folder").mkdir()
    Path("file").write_text("mine")
    for place in ("folder", "nowhere/out.json", "file/out.json"):
        message = refused(run, *command, "--json", place)
        assert f"The file {place} cannot be written (" in message


def test_a_model_folder_that_cannot_be_written_is_refused_before_the_work(run, monkeypatch):
    monkeypatch.setattr("mmc_viz.training.train", lambda *a, **k: pytest.fail("trained"))
    Path("folder").mkdir()
    Path("folder", "notes.txt").write_text("mine")
    Path("file").write_text("mine")
    for place in ("folder", "file", "file/model"):
        message = refused(run, "train", "--out", place)
        assert f"The output folder {place} " in message


def test_a_mistake_neither_spoils_nor_leaves_a_json_file(run):
    Path("out.json").write_text("mine")
    refused(run, "evaluate", "digits-mmc", "--eps", "8", "--json", "out.json")
    refused(run, "train", "--dim", "1", "--json", "out.json")
    refused(run, "train", "--dim", "1", "--json", "new.json")  # and none is left that was not there


def test_a_full_disk_leaves_the_older_json_and_no_draft(run, monkeypatch):
    Path("out.json").write_text("mine")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run("models", "--json", "out.json")
    assert status == 2 and "No space left on device" in err and err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["out.json"]
    assert Path("out.json").read_text() == "mine"


@pytest.mark.parametrize("fault", ["truncated", "changed", "missing", "card", "foreign"])
def test_a_damaged_model_is_refused(fault, run, trained):
    shutil.copytree(trained, "m")
    weights, card = Path("m/model.safetensors"), Path("m/card.json")
    content = weights.read_bytes()
    if fault == "truncated":
        weights.write_bytes(content[: len(content) // 2])
    elif fault == "changed":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif fault == "missing":
        weights.unlink()
    elif fault == "card":
        card.write_text(card.read_text()[:200])
    else:
        values = json.loads(card.read_text())
        card.write_text(json.dumps(values | {"dataset": {"name": "digits"}}))
    message = refused(run, "evaluate", "m")
    assert str(card if fault in ("card", "foreign") else weights) in message


def test_a_broken_picture_is_named(run, broken_pictures, trained, pictures):
    at_fault = str(broken_pictures / "test" / "light" / "3.png")
    train = ["train", "--dataset", f"folder:{broken_pictures}", "--image-size", "8", "--quiet"]
    assert at_fault in refused(run, *train)
    words = ["--dataset", f"folder:{pictures}", "--image-size", "8", *TINY]
    assert run("train", *words, "--out", "m")[0] == 0
    assert at_fault in refused(run, "evaluate", "m", "--dataset", f"folder:{broken_pictures}")


@pytest.mark.parametrize(
    "words",
    [["evaluate", "nowhere"], ["train", "--epochs", "0"], ["evaluate", "digits-mmc", "--eps", "8"]],
)
def test_a_process_of_its_own_ends_in_one_line_and_status_2(words, elsewhere):
    end = subprocess_of("-m", "mmc_viz", *words)
    assert (end.returncode, end.stdout) == (2, "") and end.stderr.count("\n") == 1
    assert list(elsewhere.iterdir()) == []
