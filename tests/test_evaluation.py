import csv
import io
import json
from functools import partial

import pytest
import torch

from mmc_viz.attacks import pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import accuracy, robustness_curve, wilson_interval
from mmc_viz.objectives import OBJECTIVES


def test_accuracy_counts_and_leaves_the_model_alone(linear):
    model, images, labels = linear
    labels = labels.clone()
    labels[:10] = (labels[:10] + 1) % 5
    model.train()
    assert accuracy(model, images, labels) == 0.75
    assert accuracy(model, images, labels, batch_size=7) == 0.75
    assert model.training


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (15, 50, 0.1910, 0.4375),
    ],
)
def test_wilson_interval_against_published_values(right, total, low, high):
    found = wilson_interval(torch.tensor([right]), total)
    assert found[0].item() == pytest.approx(low, abs=1e-4)
    assert found[1].item() == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("total", [1, 60, 200, 1000])
def test_the_interval_holds_the_share_at_both_ends(total):
    counts = torch.tensor([0, total])
    low, high = wilson_interval(counts, total)
    assert low[0] == 0 and high[1] == 1
    assert (low <= counts / total).all() and (counts / total <= high).all()


@pytest.mark.parametrize(("right", "total"), [(3, 17), (1, 400), (399, 400)])
def test_ends_of_the_interval_are_1_96_standard_errors_from_the_share(right, total):
    for end in wilson_interval(torch.tensor(right), total):
        score = (right / total - end) / (end * (1 - end) / total).sqrt()
        assert abs(score.item()) == pytest.approx(1.959964, abs=1e-5)


def test_a_curve_is_exact_on_a_linear_model(linear):
    model, images, labels = linear
    nearest = model.distance(images, labels, "linf").detach()
    epsilons = torch.linspace(0, 2 * nearest.max().item(), 9)
    # Wrong labels count as not robust, at every budget.
    labels = labels.clone()
    labels[0] = (labels[0] + 1) % 5
    curve = robustness_curve(
        model, images, labels, epsilons, {"weak": partial(pgd, steps=1), "strong": pgd}
    )
    assert curve.correct.shape == (2, 9, 40)
    assert curve.attacks == ["weak", "strong"]
    for k, eps in enumerate(epsilons):
        survivors = nearest > eps
        survivors[0] = False
        # The attack may miss by a hair, never the other way round.
        assert (curve.correct[1, k] | ~survivors).all()
        assert (curve.correct[1, k] & ~survivors).sum() <= 2
    assert (curve.correct[:, 1:] <= curve.correct[:, :-1]).all()
    assert not curve.correct[1, -1].any()
    torch.testing.assert_close(curve.accuracy[0], curve.correct[0].double().mean(dim=1))
    assert (curve.low <= curve.accuracy).all() and (curve.accuracy <= curve.high).all()


def test_a_curve_equals_separate_runs(digits):
    model = load_model("digits-mmc")
    images, labels = digits.inputs()[:60], digits.labels[:60]
    attack = partial(pgd, steps=5)
    curve = robustness_curve(model, images, labels, [0.05, 0.1], {"pgd": attack})
    for k, eps in enumerate([0.05, 0.1]):
        alone = accuracy(model, attack(model, images, labels, eps=eps), labels)
        assert curve.accuracy[0, k].item() <= alone + 1e-9


def test_tables_hold_the_curve(linear, tmp_path):
    model, images, labels = linear
    curve = robustness_curve(model, images, labels, [0.0, 0.1], {"a": pgd, "b": pgd})
    rows = list(csv.DictReader(io.StringIO(curve.to_csv(tmp_path / "curve.csv"))))
    assert [int(row["correct"]) for row in rows] == curve.correct.sum(dim=2).flatten().tolist()
    assert [row["attack"] for row in rows] == ["a", "a", "b", "b"]
    values = json.loads(curve.to_json(tmp_path / "curve.json"))
    assert [row["accuracy"] for row in values] == curve.accuracy.flatten().tolist()
    assert (tmp_path / "curve.csv").read_text() == curve.to_csv()


def test_mistakes_are_named(linear):
    model, images, labels = linear
    with pytest.raises(ValueError, match="at least one image"):
        accuracy(model, images[:0], labels[:0])
    with pytest.raises(ValueError, match=r"`labels` must be in 0 \.\. 4"):
        accuracy(model, images, labels + 1)
    with pytest.raises(ValueError, match="`attacks` must name at least one"):
        robustness_curve(model, images, labels, [0.1], {})
    with pytest.raises(ValueError, match="`epsilons` must rise"):
        robustness_curve(model, images, labels, [0.1, 0.05], {"pgd": pgd})


# --- the heart: what the project is about, from the shipped files ---------------------------------


@pytest.fixture(scope="module")
def fashion():
    return load_dataset("fashion_mnist", "test", limit=200)


def advantage(name, fashion):
    """By how much accuracy under cross-entropy exceeds that under the margin, at two budgets."""
    attacks = {o: partial(pgd, steps=40, objective=o) for o in ("cross_entropy", "margin")}
    images, labels = fashion.inputs(), fashion.labels
    curve = robustness_curve(load_model(name), images, labels, [0.06, 0.1], attacks)
    return curve.accuracy[0] - curve.accuracy[1]


def test_mmc_looks_robust_to_cross_entropy_and_falls_to_the_margin(fashion):
    assert advantage("fashion-mmc", fashion).max() >= 0.4


def test_sce_falls_to_both_alike(fashion):
    assert advantage("fashion-sce", fashion).abs().max() <= 0.1


def test_what_survives_cross_entropy_was_never_attacked(fashion):
    """The images that MMC still gets right are those on which the loss has no slope to climb."""
    model, images, labels = load_model("fashion-mmc"), fashion.inputs(), fashion.labels
    points = []
    found = pgd(
        model,
        images,
        labels,
        eps=0.06,
        objective="cross_entropy",
        trace=lambda step, at, *_: points.append(at),
    )
    start = points[0].requires_grad_()
    loss = OBJECTIVES["cross_entropy"](model(start), labels).sum()
    flat = torch.autograd.grad(loss, start)[0].flatten(1).abs().amax(dim=1) == 0
    survives = model(found).argmax(dim=1) == labels
    assert survives.sum() >= 100
    assert (survives & ~flat).sum() <= 0.02 * survives.sum()


def test_inference_mode_changes_nothing(linear):
    model, images, labels = linear
    expected = robustness_curve(model, images, labels, [0.02, 0.05], {"pgd": pgd})
    with torch.inference_mode():
        found = robustness_curve(model, images.clone(), labels, [0.02, 0.05], {"pgd": pgd})
    assert torch.equal(found.correct, expected.correct)
