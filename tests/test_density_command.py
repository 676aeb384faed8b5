"""`mmc-viz density`: densities class by class, and the table of correlations."""

import json
import re
from functools import partial

import pytest
import torch

from mmc_viz import load_dataset
from mmc_viz.attacks import fmn
from mmc_viz.checkpoints import load_model
from mmc_viz.density import compare_densities, density_against_distance, nearest_adversarial
from mmc_viz.networks import outputs

LIMIT, STEPS = 60, 4
BRIEF = ("--limit", LIMIT, "--steps", STEPS, "--starts", 1, "--bootstrap", 100, "--quiet")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, and without other data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMC_VIZ_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def density(run, elsewhere):
    """Give what was written as JSON, and what was printed."""

    def call(*words):
        file = elsewhere / "out.json"
        status, out, err = run("density", *words, *BRIEF, "--device", "cpu", "--json", file)
        assert (status, err) == (0, "")
        return json.loads(file.read_text()), out

    return call


def tables_of(out):
    """Header and rows of each printed table, as lists of cells."""
    lines, found = out.splitlines(), []
    for number, line in enumerate(lines):
        if not re.fullmatch(r"-+(  -+)+", line):
            continue
        starts = [m.start() for m in re.finditer("-+", line)]
        ends = [*starts[1:], None]

        def cells(text, starts=starts, ends=ends):
            return [text[a:b].strip() for a, b in zip(starts, ends, strict=True)]

        rows = []
        for text in lines[number + 1 :]:
            if "  " not in text:
                break
            rows.append(cells(text))
        found.append((cells(lines[number - 1]), rows))
    return found


def rho_of(one):
    return f"{one['rho']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f})"


def assert_same(row, expected):
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        number = isinstance(value, float)
        assert row[name] == (pytest.approx(value, rel=1e-6) if number else value)


def measured(name, *, reference=True, within="all", k=10):
    """The same through the library."""
    model = load_model(name)
    test = load_dataset("digits", "test", limit=LIMIT)
    images, labels = test.inputs(), test.labels
    sets = {"test": (outputs(model, images)[1], labels)}
    more = {}
    if reference:
        train = load_dataset("digits", "train")
        known = outputs(model, train.inputs())[1]
        more = {"reference": known, "reference_labels": train.labels}
        sets = {"train": (known, train.labels)} | sets
    attack = partial(fmn, steps=STEPS, starts=1)
    nearest = nearest_adversarial(model, images, labels, attack=attack)
    result = density_against_distance(
        model, images, labels, nearest=nearest, within=within, k=k, samples=100, **more
    )
    kept = nearest.measured
    sets["adversarial"] = (outputs(model, nearest.images[kept])[1], labels[kept])
    origins = None if reference else {"adversarial": kept.nonzero()[:, 0]}
    return compare_densities(sets, model.head, k=k, origins=origins), result


def test_what_is_written_is_what_the_library_measures(density):
    (found,), out = density("digits-mmc")
    table, result = measured("digits-mmc")
    assert found["distance"] == json.loads(json.dumps(result.summary()))
    assert len(found["classes"]) == 30
    for row, expected in zip(found["classes"], table.rows(), strict=True):
        assert_same(row, expected)
    assert found["unit"] == pytest.approx(table.unit)
    assert found["intrinsic_dim"] == pytest.approx(table.intrinsic_dim)
    about = {"model": "digits-mmc", "dataset": "digits", "within": "all", "steps": STEPS}
    about |= {"starts": 1, "bootstrap": 100, "seed": 0, "device": "cpu"}
    assert {name: found[name] for name in about} == about
    assert found["reference"] == "the full train split of scikit-learn's digits, 1,437 images"
    assert found["seconds"] > 0

    (header, rows), (_, ranks) = tables_of(out)
    assert header[:6] == ["class", "features", "train", "test", "adversarial", "at center"]
    for label, row in enumerate(rows[:-1]):
        expected = [table.of(group, label).neighbour for group in table.groups]
        assert row[0] == str(label)
        assert [float(cell) for cell in row[2:5]] == pytest.approx(expected, abs=0.051)
        first = table.of("train", label)
        assert int(row[1]) == first.count
        assert float(row[5].split()[0]) == pytest.approx(first.central.log_share_density, abs=0.051)
        assert float(row[8]) == pytest.approx(first.radius, rel=0.006)
    assert rows[-1][0] == "(median)"
    medians = [table.median(group) for group in table.groups]
    assert [float(cell) for cell in rows[-1][2:5]] == pytest.approx(medians, abs=0.051)
    counts = found["distance"]["counts"]
    assert sum(counts.values()) == LIMIT
    assert f"{counts['measured']} images have a distance; {counts['misclassified']} are" in out
    assert ranks[0][:2] == ["digits-mmc", str(counts["measured"])]
    assert ranks[0][3] == rho_of(found["distance"]["correlations"]["density"]["overall"])


def test_models_stand_side_by_side_in_one_table(density):
    found, out = density("digits-sce", "digits-mmc", "digits-sce")
    assert [one["model"] for one in found] == ["digits-sce", "digits-mmc"]
    first, second, (header, rows) = tables_of(out)
    # A softmax head has no centers of classes, so that their means stand in.
    assert first[0][5] == "at class means" and second[0][5] == "at center"
    assert header[3:] == [
        "density",
        "density, within classes",
        "closeness, within",
        "margin, within",
        "density beyond margin",
    ]
    for row, one in zip(rows, found, strict=True):
        rhos = one["distance"]["correlations"]
        assert row[2] == f"{one['distance']['median_distance']:.4f}"
        assert row[3:] == [
            rho_of(rhos["density"]["overall"]),
            rho_of(rhos["density"]["pooled"]),
            rho_of(rhos["closeness"]["pooled"]),
            rho_of(rhos["margin"]["pooled"]),
            rho_of(one["distance"]["beyond_margin"]),
        ]
    assert "Spearman's rho with the linf distance, and 95 % bootstrap intervals:" in out


def test_of_test_features_each_does_without_itself(density):
    (found,), out = density("digits-mmc", "--reference", "test", "--within", "class", "--k", 2)
    table, result = measured("digits-mmc", reference=False, within="class", k=2)
    assert found["reference"].endswith("each feature without itself")
    assert found["distance"] == json.loads(json.dumps(result.summary()))
    assert "60 features of its own class of these images" in found["distance"]["reference"]
    for row, expected in zip(found["classes"], table.rows(), strict=True):
        assert_same(row, expected)
    assert tables_of(out)[0][0][2:4] == ["test", "adversarial"]
    # Two neighbours tell no dimension.
    assert found["intrinsic_dim"] == {"test": None, "adversarial": None}
    assert "how many of 64 dimensions features fill, 2 neighbours do not tell" in out


def test_classes_with_too_few_are_gaps_with_a_reason(density):
    (found,), out = density("digits-mmc", "--reference", "test", "--k", 7)
    gaps = {row["class"]: row["gap"] for row in found["classes"] if row["set"] == "test"}
    few = [label for label, gap in gaps.items() if "too few for k = 7" in gap]
    labels = load_dataset("digits", "test", limit=LIMIT).labels
    assert few == [c for c in range(10) if int((labels == c).sum()) <= 7] and few
    rows = tables_of(out)[0][1]
    for label in range(10):
        assert (rows[label][2] == "-") == (label in few)
        assert (f"gap: test, class {label}: " in out) == (gaps[label] != "")


def never(*_, **__):
    raise AssertionError("a mistake in the settings is said before the attack")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits-mmc", "--norm", "l7"], "`norm` must be one of linf, l2; got 'l7'"),
        (["digits-mmc", "--k", 0], "`k` must be at least 1; got 0"),
        (["digits-mmc", "--k", 500], "a class of more than `k` = 500 features in 'train'"),
        (["digits-mmc", "--bootstrap", 3], "`samples` must be at least 100; got 3"),
        (["digits-mmc", "--limit", 0], "`limit` must be a whole number of at least 1"),
        (["digits-mmc", "--reference", "both"], "invalid choice: 'both'"),
        (["digits-mmc", "--seed", "x"], "must be in 0 .. 2^32 - 1; got 'x'"),
        (["digits-mmc", "--json", "missing/a.json"], "missing/a.json cannot be written"),
        (["nobody"], "`model` must be a shipped name"),
        ([], "the following arguments are required: MODEL"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(run, words, said, elsewhere, monkeypatch):
    monkeypatch.setattr("mmc_viz.attacks.fmn", never)
    status, out, err = run("density", *words, "--device", "cpu")
    assert (status, out) == (2, "")
    assert said in err and err.count("\n") == 1
    assert not list(elsewhere.iterdir())


def test_nothing_global_is_touched(run):
    state = torch.random.get_rng_state()
    status, _, _ = run("density", "digits-mmc", *BRIEF, "--steps", 1, "--device", "cpu")
    assert status == 0 and torch.equal(state, torch.random.get_rng_state())
