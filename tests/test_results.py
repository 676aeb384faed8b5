import json
from dataclasses import replace

import pytest
import torch

from mmc_viz.ablations import AblationResult, Outcome
from mmc_viz.audit import AuditReport
from mmc_viz.checkpoints import cards, load_card, load_model, shipped_models
from mmc_viz.collapse import convergence
from mmc_viz.commands import readme
from mmc_viz.commands import results as command
from mmc_viz.commands.measures import measures_of
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import wilson_interval
from mmc_viz.locations import DATA_DIR
from mmc_viz.results import (
    PROTOCOL,
    PUBLISHED,
    Transferred,
    ablated,
    budget,
    collect,
    find,
    indices,
    markdown,
    spreads,
    summary,
    test_images,
    text_of,
    transferred,
)
from mmc_viz.training.recipes import BUDGETS

README = DATA_DIR.parent / "README.md"
STORED = DATA_DIR / "results.json"
test_images.__test__ = False  # it is no test, whatever its name


def stored():
    return json.loads(STORED.read_text(encoding="utf-8"))


# --- protocol -----------------------------------------------------------------------------------


def test_budgets_rise_and_hold_those_that_everybody_is_compared_at():
    for name, one in PROTOCOL.items():
        assert list(one.epsilons) == sorted(set(one.epsilons)) and one.epsilons[0] > 0
        assert {one.middle, one.trained} <= set(one.epsilons)
        assert one.trained == BUDGETS.get(name, one.trained)


def test_fashion_images_are_those_of_the_shipped_sample():
    data = test_images("fashion_mnist")
    assert len(data) == 1000 and "shipped sample" in data.source
    assert torch.equal(data.labels.bincount(), torch.full((10,), 100))
    few = test_images("fashion_mnist", 30)
    assert torch.equal(few.images, data.images[:30]) and "first 30 images" in few.source
    assert indices("fashion_mnist", 30).startswith("the first 30 of `test_indices`")
    assert indices("cifar10", 1000) == "0 to 999 of the official test split"


def test_digits_are_all_of_the_test_split():
    data = test_images("digits")
    assert torch.equal(data.images, load_dataset("digits", "test").images)


def test_a_data_set_without_a_protocol_is_refused():
    with pytest.raises(ValueError, match="`name` must be one of digits, mnist"):
        test_images("folder:x")


def test_what_is_measured_is_what_the_table_looks_for():
    for dataset, protocol in PROTOCOL.items():
        methods = [
            method
            for measure in measures_of(dataset, images=100, costly=10)
            for method in measure.methods
        ]
        said = [(method.name, *method.settings.items()) for method in methods]
        assert len(set(said)) == len(said)
        pgd = [m.settings for m in methods if m.name == "pgd"]
        aimed = [m.settings for m in methods if m.name == "pgd_targeted"]
        assert {(s["eps"], s["steps"], s["objective"]) for s in pgd} == {
            (eps, steps, objective)
            for eps in protocol.epsilons
            for steps in (10, 50)
            for objective in ("cross_entropy", "distance")
        }
        assert [(s["eps"], s["steps"], s["objective"]) for s in aimed] == [
            (s["eps"], s["steps"], s["objective"]) for s in pgd
        ]
        worst = [m.settings["eps"] for m in methods if m.name == "worst_case"]
        assert tuple(worst) == protocol.epsilons


# --- reading cards ------------------------------------------------------------------------------


def entry(attack, accuracy, eps=None, **more):
    low, high = wilson_interval(torch.tensor(round(1000 * accuracy)), 1000)
    known = {"attack": attack, "accuracy": accuracy, "images": 1000, "clean_accuracy": 0.9}
    known |= {"low": low.item(), "high": high.item(), "source": "the images", "norm": "linf"}
    return known | ({} if eps is None else {"eps": eps}) | more


@pytest.fixture
def card():
    """A card with every kind of number, each another one."""
    pgd = {"steps": 50, "objective": "cross_entropy"}
    found = [
        entry("none", 0.9),
        entry("pgd", 0.11, 0.1, steps=10, objective="cross_entropy"),
        entry("pgd", 0.12, 0.1, **pgd),
        entry("pgd", 0.13, 0.1, **pgd | {"objective": "distance"}),
        entry("pgd_targeted", 0.14, 0.1, **pgd),
        entry("worst_case", 0.15, 0.1),
        entry("cw", 0.16, 0.5, median_distance=0.7),
        entry("spsa", 0.17, 0.1),
        entry("square", 0.18, 0.05),
        entry("gaussian_noise", 0.19, sigma=0.05, mean_accuracy=0.8),
        entry("rotation", 0.2, degrees=30.0, mean_accuracy=0.6),
        entry("audit", 0.05, 0.1, masked=True, claim=0.4, checks={"a": "fail", "b": "pass"}),
    ]
    history = [
        {"epoch": e, "loss": 1.0, "accuracy": a, "seconds": 2.0, "intra_class_distance": 1.0}
        for e, a in enumerate((0.5, 0.88, 0.97, 0.96), start=1)
    ]
    return replace(load_card("digits-mmc"), measured=found, history=history)


def test_a_summary_reads_each_number_from_its_place(card):
    one = summary("x", card)
    assert (one.test_accuracy, one.clean) == (0.96, 0.9)
    at = one.at_budget(0.1)
    assert (at.usual, at.adaptive, at.worst) == (0.12, 0.13, 0.15)
    assert at.low < 0.15 < at.high
    assert (one.cw, one.spsa, one.noise, one.rotation) == (0.7, 0.17, 0.8, 0.6)
    assert one.square is None  # measured at another budget than the middle one
    assert one.masked is True and one.audit["claim"] == 0.4
    assert (one.epochs, one.epochs_to_share, one.seconds) == (4, 2, 8.0)
    empty = one.at_budget(0.05)
    assert (empty.usual, empty.adaptive, empty.worst, empty.low) == (None,) * 4
    assert one.at_budget(0.07) is None
    assert one.adversarial is None and one.eps == 0.1


def test_the_last_measurement_of_the_same_kind_counts(card):
    again = replace(card, measured=[*card.measured, entry("worst_case", 0.01, 0.1)])
    assert summary("x", again).at_budget(0.1).worst == 0.01


def test_a_look_at_a_few_images_does_not_take_the_place_of_a_number(card):
    glance = entry("worst_case", 0.99, 0.1) | {"images": 10}
    assert summary("x", replace(card, measured=[*card.measured, glance])).at[1].worst == 0.15


def test_a_budget_of_255ths_is_found_in_spite_of_rounding(card):
    third = replace(card, measured=[entry("pgd", 0.3, float(f"{8 / 255:.12g}"))])
    assert find(third, {"attack": "pgd", "eps": 8 / 255})["accuracy"] == 0.3
    assert find(third, {"attack": "pgd", "eps": 0.0314}) is None


def test_a_robust_model_is_audited_at_its_own_budget(card):
    hardened = replace(card, config=card.config | {"adversarial": "pgd", "eps": 0.2})
    one = summary("x", hardened)
    assert one.adversarial == one.eps == 0.2


def test_seeds_are_averaged_with_the_deviation_of_a_sample(card):
    group = [summary(f"m{i}", replace(card, seed=i)) for i in range(3)]
    group = [replace(one, test_accuracy=0.9 + 0.01 * i) for i, one in enumerate(group)]
    other = replace(group[0], name="o", head="sce")
    found = spreads([*group, other])
    assert {(one.quantity, one.eps) for one in found} == {
        ("test_accuracy", None),
        ("usual", 0.1),
        ("worst", 0.1),
    }
    first = next(one for one in found if one.quantity == "test_accuracy")
    assert first.names == ["m0", "m1", "m2"]
    assert first.mean == pytest.approx(0.91) and first.deviation == pytest.approx(0.01)
    assert spreads([group[0], other]) == []
    text = markdown(group, found, PUBLISHED, {}, {})
    assert "| models | whole test split | cross-entropy, eps 0.1 | worst case, eps 0.1 |" in text
    assert "| `m0`, `m1`, `m2` | 91.00 ± 1.00 | 12.00 ± 0.00 | 15.00 ± 0.00 |" in text


# --- what is printed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eps", "text"),
    [(0.1, "0.1"), (0.2, "0.2"), (8 / 255, "8/255"), (0.03, "0.03"), (1 / 3, "85/255")],
)
def test_budgets_are_written_as_people_write_them(eps, text):
    assert budget(eps) == text


def test_a_model_trained_for_a_budget_is_asked_what_it_keeps_there(card):
    plain = summary("x", card)
    assert (plain.eps, plain.worst) == (0.1, 0.15) and plain.kept == 0.15 / plain.clean
    assert "Trained adversarially" not in markdown([plain], [], PUBLISHED, {}, {})
    hardened = [replace(plain, adversarial=eps) for eps in (0.1, 0.2)]
    text = markdown(hardened, [], PUBLISHED, {}, {})
    assert f"| `x` | 0.1 | {100 * plain.clean:.1f} | 15.0 | {15 / plain.clean:.1f} |" in text
    assert f"| `x` | 0.2 | {100 * plain.clean:.1f} |  |  |" in text  # not measured there


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ({"a": "pass", "b": "warn"}, "passes"),
        ({"a": "fail", "b": "warn", "c": "fail"}, "fails *a* and *c*"),
        ({"a": "fail", "b": "fail", "c": "fail", "d": "pass"}, "fails 3 checks"),
    ],
)
def test_the_verdict_names_what_failed(card, verdicts, words):
    measured = [e | {"checks": verdicts} if e["attack"] == "audit" else e for e in card.measured]
    text = markdown([summary("x", replace(card, measured=measured))], [], PUBLISHED, {}, {})
    assert f"| {words} at 0.1: 40.0 claimed, 5.0 left |" in text


def test_a_transfer_matrix_is_read_by_who_judges():
    accuracy = [[0.1, 0.5, 0.9], [0.3, 0.2, 0.8], [0.4, 0.6, 0.7]]
    assert transferred(["a", "b", "c"], accuracy) == [
        Transferred("a", 0.1, 0.3, "b"),
        Transferred("b", 0.2, 0.5, "a"),
        Transferred("c", 0.7, 0.8, "b"),
    ]


def test_what_others_images_do_to_a_model_stands_in_its_row(card):
    crossed = [Transferred("x", 0.123, 0.045, "y"), Transferred("z", 0.5, 0.6, "x")]
    text = markdown([summary("x", card)], [], PUBLISHED, {}, {"digits": crossed})
    assert "| 17.0 |  | 12.3 / 4.5 (`y`) | 80.0 |" in text and "`z`" not in text


def test_every_number_of_a_summary_is_in_the_text(card):
    text = markdown([summary("x", card)], [], PUBLISHED, {"digits": "1,000 images."}, {})
    for part in (
        "`x`",
        "12.0 / 13.0 / **15.0**",
        "fails *a* at 0.1: 40.0 claimed, 5.0 left",
        "0.70",
    ):
        assert part in text
    assert "| 96.00 | 0.70 | 17.0 |  |  | 80.0 | 60.0 | 4 (2) | 8 s |" in text
    for one in PUBLISHED:
        assert f"| {100 * one.accuracy:.2f} | {one.source} | {one.reliability} |" in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(widths) > 3


def test_only_what_was_read_in_a_source_is_called_published():
    """The figures of the paper that are merely remembered are not among them."""
    assert {one.reliability for one in PUBLISHED} == {
        "claimed",
        "independent",
        "reported by a user",
    }
    left = {(one.attack, one.accuracy) for one in PUBLISHED}
    assert ("AutoAttack", 0.4348) in left and ("AutoAttack", 0.0) in left
    assert not {0.36, 0.248, 0.487, 0.266, 0.563} & {accuracy for _, accuracy in left}
    assert all(one.source and 0 <= one.accuracy <= one.clean <= 1 for one in PUBLISHED)


def test_an_ablation_is_a_table_with_a_line_a_group_and_a_column_a_place():
    def outcome(group, x, usual, worst, eps=0.03):
        left = {"clean": 0.95, "usual": usual, "worst": worst, "low": 0.0, "high": 1.0, "eps": eps}
        return Outcome(
            group, x, test_accuracy=0.9, **left, images=500, budget="quick", epochs=1, seconds=1.0,
            weights_sha256="0",
        )  # fmt: skip

    outcomes = [outcome("SCE", "5 %", 0.25, 0.0), outcome("MMC", "5 %", 0.5, 0.125, eps=8 / 255)]
    outcomes.append(outcome("MMC", "100 %", 0.75, 0.002))  # the run stopped before SCE's second
    result = AblationResult("size", "Why?", "images", "the sample", outcomes)
    histories = {
        "SCE": [{"epoch": 1, "accuracy": 0.5, "seconds": 2.0, "loss": 1.0}],
        "MMC": [
            {"epoch": 1, "accuracy": 0.5, "seconds": 3.0, "loss": 9.0},
            {"epoch": 2, "accuracy": 0.8, "seconds": 4.0, "loss": 5.0},
        ],
    }
    text = ablated([result], convergence(histories))
    assert "**Why?** 500 images, ensemble `quick`, `mmc-viz ablate size`." in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines == [
        "| images | 5 % | 100 % |",
        "| --- | --- | --- |",
        "| SCE, eps 0.03 | 90.0: 25.0 / **0.0** |  |",
        "| MMC, eps 8/255 | 90.0: 50.0 / **12.5** | 90.0: 75.0 / **0.2** |",
        "| model | final accuracy | epochs to 90 % of it | seconds to it | seconds in all |",
        "| --- | --- | --- | --- | --- |",
        "| SCE | 50.00 | 1 | 2.0 | 2.0 |",
        "| MMC | 80.00 | 2 | 7.0 | 7.0 |",
    ]
    assert "**" not in ablated([], None)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Copies of two digits models as if they were all that is shipped, with nothing measured."""
    for name in ("digits-mmc", "digits-sce"):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        source = cards.find_model(name)
        (folder / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes())
        bare = replace(load_card(name), measured=load_card(name).measured[:1])
        (folder / "card.json").write_text(cards.card_text(bare))
    monkeypatch.setattr(cards, "MODELS_DIR", tmp_path / "models")
    (tmp_path / "README.md").write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    return tmp_path


@pytest.fixture
def few_measures(monkeypatch):
    """Leave the cheap measures alone: PGD with 10 steps, and the worst case with `quick`."""

    def few(dataset, *, images, costly):
        found = measures_of(dataset, images=images, costly=costly)
        return [m for m in found if m.methods[0].settings.get("steps") == 10][:2]

    monkeypatch.setattr(command, "measures_of", few)


@pytest.fixture
def no_audit(monkeypatch):
    """An audit that asks nothing: what it finds is not what these tests are about."""

    def nothing(model, images, labels, *, eps, **more):
        return AuditReport(1.0, "nobody's", [], {}, 1.0, eps, "linf", len(images))

    monkeypatch.setattr("mmc_viz.audit.audit", nothing)


def call(run, shipped, *more):
    places = ["--out", shipped / "results.json", "--readme", shipped / "README.md"]
    return run("results", "--limit", 12, "--costly", 4, "--quiet", *places, *more)


@pytest.mark.usefixtures("unchecked")
def test_one_command_measures_and_writes_cards_json_and_readme(run, shipped, few_measures):
    status, out, err = call(run, shipped)
    assert (status, err) == (0, "") and "results of 2 models" in out
    values = json.loads((shipped / "results.json").read_text())
    assert list(values["models"]) == ["digits-mmc", "digits-sce"]
    for name, model in values["models"].items():
        card = load_card(name)
        assert model["measured"] == card.measured
        assert [e["attack"] for e in card.measured] == ["none", "pgd", "pgd_targeted", "audit"]
        assert model["weights_sha256"] == card.weights_sha256
    text = (shipped / "README.md").read_text()
    assert text.startswith(f"before\n{readme.BEGIN}") and text.endswith(f"{readme.END}\nafter\n")
    assert "old" not in text and "`digits-sce`" in text
    assert values["images"]["digits"]["count"] == 12
    assert "12 images: the first 12 of `test` in data/samples" in text
    matrix = values["transfer"]["digits"]
    assert list(matrix["weights"]) == list(values["models"]) and matrix["images"] == 12
    for row in transferred(list(matrix["weights"]), matrix["accuracy"]):
        cell = f"{100 * row.own:.1f} / {100 * row.foreign:.1f} (`{row.source}`)"
        line = next(at for at in text.splitlines() if cell in at)
        assert line.startswith(f"| `{row.name}` |")
    assert not list(shipped.glob("*.partial"))


def test_going_on_measures_nothing_twice(run, shipped, few_measures, no_audit, monkeypatch):
    assert call(run, shipped)[0] == 0
    before = {name: load_card(name) for name in shipped_models()}

    def forbidden(*arguments, **more):
        raise AssertionError("measured again")

    monkeypatch.setattr(command, "judge_all", forbidden)
    monkeypatch.setattr("mmc_viz.audit.audit", forbidden)
    assert call(run, shipped, "--resume")[0] == 0
    assert {name: load_card(name) for name in shipped_models()} == before


def test_an_interrupted_run_goes_on_where_it_stopped(
    run, shipped, few_measures, no_audit, monkeypatch
):
    assert call(run, shipped)[0] == 0
    whole = {name: load_card(name).measured for name in shipped_models()}
    for name in shipped_models():
        path = cards.find_model(name) / "card.json"
        path.write_text(cards.card_text(replace(load_card(name), measured=whole[name][:1])))
    judged = command.judge_all

    def stopping(jobs, ledger, **more):
        if jobs[0].name.startswith("digits-sce"):
            raise KeyboardInterrupt
        return judged(jobs, ledger, **more)

    monkeypatch.setattr(command, "judge_all", stopping)
    status, _, err = call(run, shipped)
    assert status == 130 and "--resume" in err
    assert len(load_card("digits-mmc").measured) == 4 and len(load_card("digits-sce").measured) == 1
    monkeypatch.setattr(command, "judge_all", judged)
    assert call(run, shipped, "--resume")[0] == 0

    def settled(entries):
        return [{k: v for k, v in e.items() if k != "seconds"} for e in entries]

    for name in shipped_models():
        assert settled(load_card(name).measured) == settled(whole[name])


def test_models_whose_images_are_absent_are_skipped_by_name(run, shipped, few_measures, no_audit):
    path = shipped / "models" / "digits-sce" / "card.json"
    card = load_card("digits-sce")
    path.write_text(cards.card_text(replace(card, dataset=card.dataset | {"name": "cifar10"})))
    status, _, err = call(run, shipped, "--data-root", shipped / "models")
    assert status == 0 and err.startswith("skipped digits-sce: `cifar10`")
    assert "digits-mmc" in (shipped / "README.md").read_text()


def test_a_name_that_is_not_shipped_is_refused(run, shipped):
    status, _, err = call(run, shipped, "--models", "nonsense")
    assert status == 2 and "`--models` must be among the shipped (digits-mmc, digits-sce)" in err


def test_a_readme_without_a_place_for_the_table_is_refused_before_the_work(run, shipped):
    (shipped / "README.md").write_text("no place")
    status, _, err = call(run, shipped)
    assert status == 2 and "has no place for the table" in err
    assert (shipped / "README.md").read_text() == "no place"


# --- what is stored -----------------------------------------------------------------------------


def test_the_stored_results_are_those_of_the_cards():
    values = stored()
    assert list(values["models"]) == shipped_models()
    again = collect(values["transfer"])
    assert json.loads(json.dumps(again)) == values


def test_the_readme_holds_the_table_of_the_stored_results():
    text = README.read_text(encoding="utf-8")
    table = text.partition(readme.BEGIN)[2].partition(readme.END)[0].strip()
    assert table == text_of(stored())


def test_the_list_of_models_shows_the_numbers_of_the_table_and_draws_them(run, tmp_path):
    status, out, err = run("models", "--figure", tmp_path / "f.html")
    assert (status, err) == (0, "") and "plotly" in (tmp_path / "f.html").read_text()
    rows = {line.split()[0]: line for line in out.splitlines()}
    known = 0
    for name in shipped_models():
        one = summary(name, load_card(name))
        at = one.at_budget(one.eps)
        for value in (at.usual, at.worst):
            assert value is None or f"{value:.1%}" in rows[name]
        known += at.worst is not None
    assert known > 0


@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_a_row_is_found_again_from_the_shipped_files(name):
    """PGD on both objectives, noise, and the verdict on images: measured anew, digit by digit."""
    card = load_card(name)
    data = test_images("digits")
    assert find(card, {"attack": "pgd"})["images"] == len(data) == 360
    wanted = [
        measure
        for measure in measures_of("digits", images=1000, costly=200)
        if measure.methods[0].settings.get("eps") == 0.1
        and measure.methods[0].settings.get("steps") == 10
    ]
    assert [measure.methods[0].name for measure in wanted] == ["pgd", "pgd_targeted"] * 2
    subject = command.subject_of(name, load_model(name), card, data, "cpu")
    from mmc_viz.commands.chunks import Ledger, judge_all

    for measure in wanted:
        job = measure.job(subject)
        verdicts = judge_all([job], Ledger(None, {}), seed=0, progress=False)[job.name]
        (found,) = measure.entries(subject, verdicts, 0)
        kept = find(card, {"attack": found["attack"]} | measure.methods[0].settings)
        for key in ("images", "source", "clean_accuracy", "zero_gradient"):
            assert kept[key] == found[key]
        # Another processor may round another way, and turn an image at the edge.
        assert abs(kept["correct"] - found["correct"]) <= 2
