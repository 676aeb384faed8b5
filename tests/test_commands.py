"""`mmc-viz evaluate` under every attack, interrupted and resumed, and `mmc-viz audit`."""

import functools
import inspect
import json
import shutil
import weakref
from functools import partial
from pathlib import Path

import pytest
import torch

from mmc_viz.attacks import FIXED_BUDGET, MINIMAL_NORM, PRESETS, TRANSFORMS, pgd
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.transforms import noise_accuracy, rotation_accuracy
from mmc_viz.checkpoints import load_model
from mmc_viz.checkpoints.cards import find_model
from mmc_viz.commands import comparisons
from mmc_viz.commands.accuracies import _median_distance, _worst
from mmc_viz.commands.chunks import CHUNK, Job, Ledger, chunk_seed, judge_all, merge
from mmc_viz.commands.methods import L2_ALONE, choose
from mmc_viz.commands.subjects import Subject
from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.datasets.shard_writing import write_shards
from mmc_viz.evaluation import (
    BUDGETS,
    correct,
    robustness_curve,
    transfer_matrix,
    worst_case,
    zero_gradient,
)
from mmc_viz.evaluation.detection import detection

ATTACKS = FIXED_BUDGET | MINIMAL_NORM | TRANSFORMS
#: What makes an attack quick enough for a test; with options of the command line alone.
BRIEF = {"steps": 4, "queries": 20}
EPS = 0.12


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, and without other data sets."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("MMC_VIZ_DATA", str(tmp_path))
    return work


@pytest.fixture
def evaluate(run):
    """Evaluate without a bar; give what was written as JSON, and what was printed."""

    def call(*words, file="out.json"):
        words = [*words, "--device", "cpu", "--quiet", "--json", file]
        status, out, err = run("evaluate", *words)
        assert (status, err) == (0, "")
        assert not Path(f"{file}.partial").exists()
        return json.loads(Path(file).read_text()), out

    return call


@pytest.fixture(scope="module")
def some(digits):
    """A model that cross-entropy cannot judge, and the first digits."""
    return load_model("digits-mmc"), digits.inputs()[:20], digits.labels[:20]


def brief(attack):
    """Options that shorten an attack, as settings and as words."""
    takes = inspect.signature(attack).parameters
    settings = {name: value for name, value in BRIEF.items() if name in takes}
    return settings, [str(w) for name, value in settings.items() for w in (f"--{name}", value)]


def source(seed):
    return torch.Generator().manual_seed(seed)


def outcome(values):
    """Results without the time that they took."""
    if isinstance(values, dict):
        return {key: outcome(value) for key, value in values.items() if key != "seconds"}
    return [outcome(value) for value in values] if isinstance(values, list) else values


# --- one attack, against the library ------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", FIXED_BUDGET)
def test_an_attack_with_a_budget_is_the_librarys(name, norm, evaluate, some):
    settings, words = brief(FIXED_BUDGET[name])
    eps = {"linf": EPS, "l2": 0.8}[norm]
    words += ["--attack", name, "--norm", norm, "--eps", eps, "--seed", 3, "--limit", 20]
    found, out = evaluate("digits-mmc", *words)
    attack = partial(FIXED_BUDGET[name], **settings, norm=norm, generator=source(3))
    curve = robustness_curve(*some, [eps], {name: attack})
    row = curve.rows()[0]
    for key in ("images", "correct", "accuracy", "low", "high", "zero_gradient"):
        assert found[key] == row[key], key
    assert found["clean_accuracy"] == correct(*some).double().mean().item()
    expected = {"attack": name, "norm": norm, "eps": eps, "objective": "margin", "seed": 3}
    assert found.items() >= (expected | settings).items()
    assert out.splitlines()[2].split()[:3] == ["digits-mmc", name, "margin"]


def test_settings_that_are_not_given_are_the_attacks_own(evaluate, some):
    found, _ = evaluate("digits-mmc", "--limit", 20, "--eps", EPS)
    defaults = inspect.signature(pgd).parameters
    assert (found["attack"], found["objective"]) == ("pgd", "margin")
    assert (found["steps"], found["restarts"]) == (
        defaults["steps"].default,
        defaults["restarts"].default,
    )


def test_images_without_a_gradient_are_counted(evaluate, some):
    words = ["--limit", 20, "--objective", "cross_entropy", "--steps", 2]
    found, out = evaluate("digits-mmc", *words)
    flat = int(zero_gradient(*some, objective="cross_entropy").sum())
    assert found["zero_gradient"] == flat == 20 and "zero grad." in out


@pytest.mark.parametrize("name", MINIMAL_NORM)
def test_an_attack_without_a_budget_is_held_to_one(name, evaluate, some):
    attack = MINIMAL_NORM[name]
    settings, words = brief(attack)
    norm = inspect.signature(attack).parameters["norm"].default
    model, images, labels = some
    found = attack(model, images, labels, **settings, generator=source(0))
    assert 0 <= found.amin() and found.amax() <= 1
    lengths = BALLS[norm].length(found - images)
    eps = round(lengths[lengths > 0].median().item() * 1.001, 6) if lengths.any() else 0.1
    values, out = evaluate("digits-mmc", *words, "--attack", name, "--eps", eps, "--limit", 20)
    clean, fooled = correct(*some), ~correct(model, found, labels)
    assert values["correct"] == int((clean & ~(fooled & (lengths <= eps))).sum())
    assert values["norm"] == norm and "objective" not in values
    distances = torch.where(fooled, lengths, torch.inf)[clean].sort().values
    middle = (distances[(len(distances) - 1) // 2] + distances[len(distances) // 2]).item() / 2
    if middle == float("inf"):
        assert values["median_distance"] is None
    else:
        assert values["median_distance"] == pytest.approx(middle, rel=1e-5)
        assert f"{values['median_distance']:.4g}" in out


@pytest.mark.parametrize("name", MINIMAL_NORM)
def test_the_table_of_norms_is_true(name, some):
    model, images, labels = some
    attack = partial(MINIMAL_NORM[name], model, images[:0], labels[:0])
    attack(norm="l2")
    if name in L2_ALONE:
        with pytest.raises(ValueError, match="`norm` must be one of l2; got 'linf'"):
            attack(norm="linf")
    else:
        attack(norm="linf")


def test_a_median_counts_images_that_were_never_fooled_as_far_away():
    assert _median_distance([0.1, 0.2, None], [True, True, True]) == 0.2
    assert _median_distance([0.1, None, None], [True, True, True]) is None
    assert _median_distance([0.1, 0.3, None], [True, True, False]) == pytest.approx(0.2)
    assert _median_distance([None], [False]) is None


@pytest.mark.parametrize(
    ("name", "words", "measure"),
    [
        ("gaussian_noise", ["--sigma", 0.3], partial(noise_accuracy, sigma=0.3)),
        ("rotation", ["--degrees", 20], partial(rotation_accuracy, degrees=20.0)),
        (
            "rotation",
            ["--degrees", 0, "--translation", 1],
            partial(rotation_accuracy, degrees=0.0, translation=1.0),
        ),
    ],
)
def test_a_transform_has_a_mean_and_a_worst_case(name, words, measure, evaluate, some):
    found, out = evaluate("digits-mmc", "--attack", name, *words, "--seed", 5, "--limit", 20)
    result = measure(*some, generator=source(5))
    assert found["mean_accuracy"] == pytest.approx(result.mean)
    assert found["correct"] == int(result.robust.sum()) and found["accuracy"] == result.worst
    assert found["accuracy"] < found["mean_accuracy"] and "eps" not in found
    assert f"{result.mean:.1%}" in out
    with pytest.raises(KeyError):
        _ = found["norm"]


def test_the_sizes_of_transforms_have_defaults(evaluate):
    found, _ = evaluate("digits-mmc", "--attack", "gaussian_noise", "--limit", 20)
    assert found["sigma"] == 0.05
    found, _ = evaluate("digits-mmc", "--attack", "rotation", "--limit", 20)
    assert (found["degrees"], found["translation"]) == (30, 0)


def test_the_worst_case_is_the_librarys(evaluate, some):
    words = ["--attack", "worst_case", "--budget", "quick", "--eps", EPS, "--seed", 2]
    found, out = evaluate("digits-mmc", *words, "--limit", 20)
    result = worst_case(*some, eps=EPS, budget="quick", seed=2)
    assert found["correct"] == int(result.robust.sum()) and found["accuracy"] == result.accuracy
    assert found["zero_gradient"] == int(result.zero_gradient.sum())
    assert found["broken_by"] == {row["attack"]: row["broken"] for row in result.rows()}
    assert found["budget"] == "quick" and "wrong first under" in out


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_an_attack_with_all_its_settings(name):
    (method,) = choose(name, {})
    preset = PRESETS[name].attack
    assert method.name == name
    plain = {k: v for k, v in preset.keywords.items() if isinstance(v, str | int | float)}
    for key, value in plain.items():
        assert method.settings[key] == value
    with pytest.raises(ValueError, match=f"`--objective` is no setting of {name}"):
        choose(name, {"objective": "margin"})
    if method.kind == "transform":
        with pytest.raises(ValueError, match=f"`--eps` is no setting of {name}"):
            choose(name, {"eps": 0.1})
    else:
        assert choose(name, {"eps": 0.1})[0].settings == method.settings | {"eps": 0.1}


def test_a_preset_is_run_as_it_stands(evaluate, some):
    words = ["--attack", "authors_code_pgd10_targeted", "--eps", 0.25, "--seed", 6, "--limit", 20]
    found, _ = evaluate("digits-sce", *words)
    model = load_model("digits-sce")
    attack = partial(PRESETS["authors_code_pgd10_targeted"].attack, eps=0.25)
    attacked = attack(model, *some[1:], generator=source(6))
    robust = correct(model, *some[1:]) & correct(model, attacked, some[2])
    assert found["correct"] == int(robust.sum()) < 20 and found["steps"] == 10


# --- all attacks --------------------------------------------------------------------------------


def test_all_attacks_make_one_table_a_model(evaluate, run):
    words = ["--attack", "all", "--steps", 3, "--queries", 10, "--limit", 20, "--eps", EPS]
    values, out = evaluate("digits-sce", "digits-mmc", *words)
    results, worst = values["results"], values["worst"]
    models = ("digits-sce", "digits-mmc")
    assert [(r["model"], r["attack"]) for r in results] == [(m, a) for m in models for a in ATTACKS]
    for result in results:
        if "steps" in inspect.signature(ATTACKS[result["attack"]]).parameters:
            assert result["steps"] == 3
        if "norm" in result:
            assert result["norm"] == ("l2" if result["attack"] in L2_ALONE else "linf")
            assert (result.get("budget_norm") == "linf") == (result["attack"] in L2_ALONE)
    tables = out.split("data: ")
    for model, table, summary in zip(models, tables[:2], worst, strict=True):
        assert f"{model}: clean" in table and "budget linf 0.12" in table
        rows = {line.split("  ")[0]: line for line in table.splitlines()}
        mine = {r["attack"]: r for r in results if r["model"] == model}
        for name, result in mine.items():
            assert f"{result['accuracy']:.1%} [" in rows[name]
        assert f"{summary['accuracy']:.1%} [" in rows["all of these"]
        assert f"{summary['within_budget']['accuracy']:.1%} [" in rows["all within the budget"]
        assert summary["correct"] <= min(r["correct"] for r in mine.values())
        assert summary["correct"] <= summary["within_budget"]["correct"]


def test_the_worst_of_all_is_taken_image_by_image():
    subject = Subject("m", None, "", None, None, None)
    methods = choose("pgd", {}) + choose("fmn", {}) + choose("rotation", {})
    judged = [{"correct": c} for c in ([1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1])]
    worst = _worst(subject, methods, judged)
    assert (worst["correct"], worst["within_budget"]["correct"]) == (1, 2)


def test_what_an_l2_attack_finds_counts_where_it_lies_within_linf(evaluate):
    """The change that `ddn` found is looked at in linf: a budget of 1 holds any."""
    words = ["--attack", "all", "--steps", 20, "--queries", 10, "--limit", 10, "--eps", 1]
    values, _ = evaluate("digits-mmc", *words)
    ddn = next(r for r in values["results"] if r["attack"] == "ddn")
    assert ddn["correct"] == 0 and ddn["median_distance"] > 0


# --- more images than fit into memory -----------------------------------------------------------


@pytest.fixture
def live(monkeypatch):
    """How many images are there as floats, after each time that some were asked for."""
    inputs, sizes, seen = Dataset.inputs, {}, []

    def counted(*words):
        made = inputs(*words)
        sizes[id(made)] = len(made)
        weakref.finalize(made, sizes.pop, id(made))
        seen.append(sum(sizes.values()))
        return made

    monkeypatch.setattr(Dataset, "inputs", counted)
    return seen


@pytest.fixture
def many(tmp_path):
    """1,437 images to be tested on, as shards: the digits that are there to be learned from."""
    folder = tmp_path / "many"
    write_shards("digits", folder, splits=["train"], progress=False)
    for part in ("images", "labels"):
        (folder / f"train.{part}").rename(folder / f"test.{part}")
    index = folder / "shards.json"
    index.write_text(index.read_text().replace('"train": {', '"test": {'))
    return f"shards:{folder}"


def test_chunks_give_what_all_images_at_once_would(many, live, evaluate):
    words = ["--attack", "fgsm", "--eps", EPS, "--dataset", many, "--limit", 1437]
    found, _ = evaluate("digits-mmc", *words)
    # A chunk, or a batch that is only looked at; where one takes the place of another, both.
    assert len(live) >= 15 + 3 and max(live) <= 2 * 512 < 1437
    model, data = load_model("digits-mmc"), load_dataset("digits", "train")
    images, labels = data.inputs(), data.labels
    clean = correct(model, images, labels)
    robust = clean & correct(model, FIXED_BUDGET["fgsm"](model, images, labels, eps=EPS), labels)
    assert found["images"] == 1437 and found["clean_accuracy"] == clean.double().mean().item()
    assert found["correct"] == int(robust.sum()) and 0 < found["correct"] < clean.sum()
    assert found["source"] == f"{data.source}, as shards"


def test_a_matrix_never_has_all_images_as_floats(live, evaluate, monkeypatch):
    monkeypatch.setattr("mmc_viz.commands.chunks.CHUNK", 10)
    evaluate("digits-sce", "digits-mmc", "--matrix", "--attack", "fgsm", "--limit", 60)
    assert len(live) >= 6 and max(live) <= 2 * 10


# --- models beside each other -------------------------------------------------------------------


def test_the_matrix_is_the_librarys(evaluate, digits):
    some = digits.inputs()[:20], digits.labels[:20]
    words = ["--matrix", "--eps", EPS, "--limit", 20, "--steps", 5, "--seed", 4]
    values, out = evaluate("digits-sce", "digits-mmc", *words)
    found = values["matrix"]
    names = ["digits-sce", "digits-mmc"]
    models = {name: load_model(name) for name in names}

    def attack(*arguments, **more):
        return pgd(*arguments, eps=EPS, steps=5, generator=source(4), **more)

    expected = transfer_matrix(models, *some, attack=attack)
    assert found["accuracy"] == expected.accuracy.tolist()
    assert found["correct"] == expected.correct.sum(dim=2).tolist()
    assert found["sources"] == found["targets"] == names
    flat = [int(zero_gradient(model, *some, objective="margin").sum()) for model in models.values()]
    assert found["zero_gradient"] == flat
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[3:5]}
    assert rows == {
        name: [*(f"{share:.1%}" for share in row), str(number)]
        for name, row, number in zip(names, found["accuracy"], flat, strict=True)
    }
    # The diagonal is what the models show alone.
    alone, _ = evaluate("digits-mmc", *words[1:])
    assert alone["correct"] == found["correct"][1][1]


def test_detection_is_the_librarys(evaluate, some):
    values, out = evaluate("digits-mmc", "--detection", "--eps", EPS, "--limit", 20)
    rows = detection(*some, eps=EPS).rows()
    assert len(values["detection"]) == len(rows)
    for found, row in zip(values["detection"], rows, strict=True):
        assert found.items() >= row.items()
        assert f"{row['auc']:.3f}" in out


# --- in chunks, interrupted, resumed ------------------------------------------------------------


@pytest.fixture
def interrupted(monkeypatch):
    """Make an attack that is interrupted at its second call, and count what it sees."""
    seen = []

    def plan(at=2, name="pgd"):
        attack = ATTACKS[name]

        @functools.wraps(attack)
        def counting(model, images, labels, **settings):
            if len(images):  # the rehearsal has none
                seen.append(len(images))
                if len(seen) == at:
                    raise KeyboardInterrupt
            return attack(model, images, labels, **settings)

        monkeypatch.setitem(FIXED_BUDGET, name, counting)

    plan.seen = seen
    return plan


WORDS = ["evaluate", "digits-mmc", "--eps", EPS, "--steps", 3, "--limit", 230, "--device", "cpu"]
FILE = ["--json", "out.json", "--quiet"]
KEPT = Path("out.json.partial")


@pytest.fixture
def kept(interrupted, run):
    """A file with the first chunk of `WORDS`."""
    interrupted()
    status, out, err = run(*WORDS, *FILE)
    assert (status, out) == (130, "") and KEPT.exists() and not Path("out.json").exists()
    return err


def test_an_interrupted_evaluation_goes_on_to_the_same_result(kept, interrupted, run):
    assert kept.count("\n") == 1 and "100 of 230 verdicts are kept in out.json.partial" in kept
    assert "--resume" in kept and interrupted.seen == [100, 100]
    assert run(*WORDS, *FILE, "--resume")[::2] == (0, "")
    assert interrupted.seen == [100, 100, 100, 30]  # the first chunk was not attacked again
    assert [path.name for path in Path().iterdir()] == ["out.json"]
    resumed = json.loads(Path("out.json").read_text())
    assert run(*WORDS, *FILE)[0] == 0
    assert outcome(resumed) == outcome(json.loads(Path("out.json").read_text()))
    assert 0 < resumed["correct"] < 230


def test_an_interruption_between_models_keeps_the_first(interrupted, run):
    interrupted(at=4)
    words = ["evaluate", "digits-sce", *WORDS[1:], *FILE]
    status, _, err = run(*words)
    assert status == 130 and "230 of 460 verdicts are kept" in err
    assert run(*words, "--resume")[0] == 0
    assert interrupted.seen == [100, 100, 30, 100, 100, 100, 30]
    found = json.loads(Path("out.json").read_text())["results"]
    assert [r["model"] for r in found] == ["digits-sce", "digits-mmc"]


@pytest.mark.parametrize(
    ("mode", "judge", "models"), [("--matrix", "cross", 2), ("--detection", "_score", 1)]
)
def test_comparisons_go_on_too(mode, judge, models, run, monkeypatch):
    monkeypatch.setattr("mmc_viz.commands.chunks.CHUNK", 8)
    words = ["evaluate", *["digits-mmc", "digits-sce"][:models], mode, "--limit", 12, *FILE]
    assert run(*words)[0] == 0
    through = json.loads(Path("out.json").read_text())
    compute, calls = getattr(comparisons, judge), []

    def counting(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compute(*arguments)

    monkeypatch.setattr(comparisons, judge, counting)
    assert run(*words)[0] == 130
    assert run(*words, "--resume")[0] == 0
    assert len(calls) == 3  # two chunks, one of them twice
    assert outcome(json.loads(Path("out.json").read_text())) == outcome(through)


def test_an_interruption_before_the_first_chunk_leaves_nothing(elsewhere, interrupted, run):
    interrupted(at=1)
    status, out, err = run(*WORDS, *FILE)
    assert (status, out) == (130, "") and "nothing is kept" in err and err.count("\n") == 1
    assert list(elsewhere.iterdir()) == []


def test_without_a_file_nothing_is_kept(elsewhere, interrupted, run):
    interrupted()
    status, out, err = run(*WORDS, "--quiet")
    assert (status, out) == (130, "") and "with `--json FILE`" in err and err.count("\n") == 1
    assert list(elsewhere.iterdir()) == []


def test_with_nothing_to_resume_it_says_so_and_starts(run):
    words = ["evaluate", "digits-mmc", "--limit", 10, "--steps", 1, *FILE, "--resume"]
    status, _, err = run(*words)
    assert status == 0 and "nothing to resume, so it starts anew" in err
    assert [path.name for path in Path().iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seed", 1], "the seed was 0 there and is 1 here"),
        (["--eps", 0.1], "eps 0.12 there and is norm linf"),
        (["--steps", 4], "the attack pgd was "),
        (["--limit", 231], "the checksum of the images for digits-mmc was "),
        (["--attack", "bim"], "the attack bim was not there there and is "),
        (["--detection"], "--detection"),
    ],
)
def test_another_evaluation_is_not_resumed(more, said, kept, run):
    before = KEPT.read_bytes()
    words = WORDS[:2] + WORDS[6:] if more == ["--detection"] else WORDS
    status, out, err = run(*words, *FILE, "--resume", *more)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "kept in out.json.partial is another one" in err and said in err
    assert KEPT.read_bytes() == before


def test_another_model_of_the_same_name_is_not_resumed(interrupted, run):
    shutil.copytree(find_model("digits-mmc"), "m")
    shutil.copytree(find_model("digits-sce"), "other")
    interrupted()
    words = ["evaluate", "m", *WORDS[2:], *FILE]
    assert run(*words)[0] == 130
    shutil.rmtree("m")
    Path("other").rename("m")
    status, _, err = run(*words, "--resume")
    assert status == 2 and "the checksum of the weights of m was" in err


def test_what_is_kept_is_never_overwritten_unasked(kept, run):
    before = KEPT.read_bytes()
    status, out, err = run(*WORDS, *FILE)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "keeps what an interrupted evaluation has judged; add `--resume`" in err
    assert KEPT.read_bytes() == before


@pytest.mark.parametrize("fault", ["truncated", "changed", "empty", "list", "bytes"])
def test_a_damaged_file_is_refused(fault, kept, run):
    content = KEPT.read_text()
    damaged = {
        "truncated": content[: len(content) // 2].encode(),
        "changed": content.replace('"the seed": 0', '"the seed": 1').encode(),
        "empty": b"",
        "list": b"[]",
        "bytes": b"\xff\xfe\x00",
    }[fault]
    assert damaged != content.encode()
    KEPT.write_bytes(damaged)
    status, out, err = run(*WORDS, *FILE, "--resume")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "The file out.json.partial is damaged" in err
    assert KEPT.read_bytes() == damaged


def test_a_small_evaluation_is_one_call_of_the_library_and_chunks_differ():
    seeds = [chunk_seed(7, chunk) for chunk in range(50)]
    assert seeds[0] == 7 and len(set(seeds)) == 50 and all(0 <= seed < 2**32 for seed in seeds)
    assert not set(seeds) & {chunk_seed(8, chunk) for chunk in range(50)}


def test_chunks_cover_the_images_once_and_results_are_joined():
    seen = []

    def judge(part, seed):
        seen.append((part.start, part.stop, seed))
        return {"n": list(range(part.start, part.stop)), "seconds_of": {"a": 1.0}}

    job = Job("j", 2 * CHUNK + 5, judge)
    merged = judge_all([job], Ledger(None, {}), seed=3, progress=False)["j"]
    assert merged["n"] == list(range(2 * CHUNK + 5)) and merged["seconds_of"] == {"a": 3.0}
    assert [start for start, _, _ in seen] == [0, CHUNK, 2 * CHUNK]
    assert merge([{"x": [1]}, {"x": [2], "y": 1}]) == {"x": [1, 2], "y": 1}


def test_progress_is_shown_unless_quiet(run):
    words = ["evaluate", "digits-mmc", "--limit", 10, "--steps", 1]
    assert "digits-mmc, pgd" in run(*words)[2]
    assert run(*words, "--quiet")[2] == ""


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attack", "pgdd"], [*ATTACKS, "worst_case", *PRESETS, "all", "'pgdd'"]),
        (["--attack", "cw", "--objective", "margin"], ["`--objective` is no setting of cw"]),
        (["--attack", "fgsm", "--steps", 3], ["`--steps` is no setting of fgsm, which has --obj"]),
        (["--attack", "rotation", "--eps", 0.1], ["`--eps` is no setting of rotation"]),
        (["--attack", "pgd", "--sigma", 0.1], ["`--sigma` is no setting of pgd"]),
        (["--attack", "all", "--budget", "quick"], ["`--budget` is no setting of all"]),
        (["--attack", "worst_case", "--steps", 3], ["`--steps` is no setting of worst_case"]),
        (["--attack", "worst_case", "--budget", "fast"], ["quick, standard, thorough", "'fast'"]),
        (["--attack", "worst_case", "--norm", "l1"], ["`norm` must be one of linf, l2; got 'l1'"]),
        (["--attack", "all", "--norm", "l1"], ["`norm` must be one of linf, l2; got 'l1'"]),
        (["--attack", "cw", "--norm", "linf"], ["`norm` must be one of l2; got 'linf'"]),
        (["--attack", "all", "--eps", 8], ["Did you mean 8/255?"]),
        (["--attack", "fmn", "--norm", "linf", "--eps", 8], ["Did you mean 8/255?"]),
        (["--attack", "worst_case", "--eps", 8], ["Did you mean 8/255?"]),
        (["--attack", "gaussian_noise", "--sigma", -1], ["`sigma` must be finite and at least 0"]),
        (["--attack", "rotation", "--degrees", 270], ["`degrees` must be between 0 and 180"]),
        (["--attack", "square", "--queries", 0], ["`queries` must be at least 1; got 0"]),
        (["--resume"], ["`--resume` needs `--json FILE`"]),
        (["--matrix"], ["`--matrix` needs at least two models"]),
        (["digits-mmc", "--matrix"], ["`--matrix` needs at least two models"]),
        (["digits-sce", "--matrix", "--attack", "all"], ["one attack with a budget", "'all'"]),
        (["digits-sce", "--matrix", "--attack", "fmn"], ["one attack with a budget", "'fmn'"]),
        (["digits-sce", "--matrix", "--record"], ["`--record` keeps accuracies, not a matrix"]),
        (
            ["fashion-sce", "--matrix"],
            ["digits-mmc is judged on digits, fashion-sce on fashion_mnist"],
        ),
        (["--detection", "--attack", "pgd"], ["`--attack` is no setting of --detection"]),
        (["--detection", "--matrix"], ["ask for one of them"]),
        (["--detection", "--norm", "l1"], ["`norm` must be one of linf, l2; got 'l1'"]),
    ],
)
def test_a_mistake_is_said_in_one_line_before_any_work(words, said, elsewhere, run, monkeypatch):
    monkeypatch.setattr(
        "mmc_viz.commands.evaluate.judge_all", lambda *a, **k: pytest.fail("went to work")
    )
    status, out, err = run("evaluate", "digits-mmc", *words, "--limit", 10)
    assert (status, out) == (2, "") and err.count("\n") == 1 and "Traceback" not in err
    assert all(text in err for text in said)
    assert list(elsewhere.iterdir()) == []


def test_a_norm_and_an_objective_of_all_go_where_they_are_known():
    methods = {m.name: m.settings for m in choose("all", {"norm": "l2", "objective": "dlr"})}
    assert all(s["norm"] == "l2" for s in methods.values() if "norm" in s)
    assert all(methods[name]["objective"] == "dlr" for name in FIXED_BUDGET)
    assert not any("budget_norm" in s for s in methods.values())


# --- audit --------------------------------------------------------------------------------------


@pytest.fixture
def reports(monkeypatch):
    """Keep what the audit gives back, with what it was given."""
    from mmc_viz.audit import audit

    kept = []

    def keeping(*arguments, **more):
        kept.append((audit(*arguments, **more), more))
        return kept[-1][0]

    monkeypatch.setattr("mmc_viz.audit.audit", keeping)
    return kept


def test_an_audit_prints_and_writes_its_report_and_ends_in_3_where_it_fails(run, reports):
    words = ["--eps", "0.15", "--limit", 30, "--seed", 1, "--json", "out.json", "--quiet"]
    status, out, err = run("audit", "digits-mmc", *words)
    ((report, given),) = reports
    assert (status, err) == (3, "") and report.masked and report.images == 30
    assert (given["eps"], given["claim"], given["norm"], given["seed"]) == (0.15, None, "linf", 1)
    found = json.loads(Path("out.json").read_text())
    assert found.items() >= json.loads(report.to_json()).items()
    assert found["model"] == "digits-mmc" and found["dataset"] == "digits" and found["masked"]
    plain = " ".join(out.split())
    for check in report.checks:
        for text in (f"{check.verdict} {check.name}", check.evidence, check.sentence):
            assert " ".join(text.split()) in plain
    assert max(map(len, out.splitlines())) <= 100
    assert f"claim {report.claim:.1%} robust ({report.about})" in plain
    assert out.splitlines()[-1].startswith("MASKED: ")


@pytest.mark.usefixtures("unchecked")
def test_the_worst_case_can_be_the_claim(run, digits, monkeypatch):
    monkeypatch.setitem(BUDGETS, "standard", BUDGETS["quick"])
    model, images, labels = load_model("digits-mmc"), digits.inputs()[:12], digits.labels[:12]
    found = worst_case(model, images, labels, eps=0.1)
    words = ["--eps", 0.1, "--claim", "worst_case", "--limit", 12, "--quiet"]
    status, out, _ = run("audit", "digits-mmc", *words)
    assert status == 0 and f"{found.accuracy:.1%} robust (worst case (standard))" in out


@pytest.mark.parametrize(("masked", "status"), [(False, 0), (True, 3)])
def test_the_exit_status_of_an_audit_says_whether_it_is_masked(masked, status, run, monkeypatch):
    from mmc_viz.audit import AuditReport, Check

    checks = [Check("one", "fail" if masked else "warn", "as seen", "It means this.")]
    given = {}

    def stub(model, images, labels, **settings):
        given.update(settings)
        return AuditReport(
            claim=0.5,
            about="the claim",
            checks=checks,
            accuracies={},
            accuracy=0.25,
            eps=8 / 255,
            norm="l2",
            images=len(images),
        )

    monkeypatch.setattr("mmc_viz.audit.audit", stub)
    end, out, _ = run("audit", "digits-sce", "--claim", "0.5", "--norm", "l2", "--limit", 5)
    assert end == status
    assert given == {
        "eps": 8 / 255,
        "claim": 0.5,
        "norm": "l2",
        "seed": 0,
        "progress": True,
    }
    start = "MASKED" if masked else "No sign of masking"
    assert out.splitlines()[-1] == f"{start}: 50.0% was claimed, 25.0% withstood every attack."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--eps", "8"], "Did you mean 8/255?"),
        (["--eps", "much"], "must be a number or a fraction such as 8/255"),
        (["--claim", "most"], "must be a share in 0 .. 1, or worst_case; got 'most'"),
        (["--claim", "84"], "`claim` must be a share in 0 .. 1; got 84.0"),
        (["--norm", "l1"], "`norm` must be one of linf, l2; got 'l1'"),
        (["--limit", "0"], "`limit` must be a whole number of at least 1"),
        (["--dataset", "fashion_mnist"], "has other classes than the model digits-mmc"),
        (["--json", "nowhere/out.json"], "The file nowhere/out.json cannot be written"),
        (["digits-sce"], "unrecognized arguments: digits-sce"),
    ],
)
def test_a_mistake_in_an_audit_is_said_in_one_line(words, said, elsewhere, run):
    status, out, err = run("audit", "digits-mmc", *words)
    assert (status, out) == (2, "") and err.count("\n") == 1 and said in err
    assert list(elsewhere.iterdir()) == []
