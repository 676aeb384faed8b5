import csv
import io
import itertools
import json
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from mmc_viz.attacks import apgd, fmn, pgd
from mmc_viz.attacks.evading import evading
from mmc_viz.attacks.flatness import has_gradient
from mmc_viz.attacks.published import PARTS, autoattack
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import (
    Detection,
    accuracy,
    correct,
    detection,
    robustness_curve,
    transfer_matrix,
    wilson_interval,
    worst_case,
    worst_cases,
    zero_gradient,
)
from mmc_viz.evaluation.ensemble import BUDGETS, ensemble
from mmc_viz.objectives import OBJECTIVES
from mmc_viz.paths import epsilon_path
from mmc_viz.trajectories import attack_trajectory


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


# --- where an attack finds no slope -------------------------------------------------------------


def test_zero_gradients_are_found_where_softmax_saturates():
    class Scaled(torch.nn.Module):
        def forward(self, images):
            pixel = images[:, 0, 0, 0]
            return torch.stack([100 * pixel, -100 * pixel], dim=1)

    images = torch.linspace(0, 1, 11)[:, None, None, None]
    labels = torch.zeros(11, dtype=torch.int64)
    # In float32 exp(-t) is exactly 0 beyond a lead t of about 104, which is pixel 0.52 here.
    expected = images[:, 0, 0, 0] > 0.53
    assert torch.equal(zero_gradient(Scaled(), images, labels), expected)
    for objective in ("margin", "cross_entropy_float64"):
        assert not zero_gradient(Scaled(), images, labels, objective=objective).any()


def test_a_model_that_cuts_gradients_off_has_none_anywhere(linear):
    model, images, labels = linear

    class Cut(torch.nn.Module):
        def forward(self, images):
            return model(images).detach()

    assert zero_gradient(Cut(), images, labels).all()
    assert not has_gradient(Cut(), images) and has_gradient(model, images)
    result = worst_case(Cut(), images, labels, eps=0.5, budget="quick")
    assert result.left_out == ["apgd margin", "apgd targeted", "fmn", "fab"]
    assert list(result.seconds) == ["square"] and not result.robust.any()


def test_a_curve_records_zero_gradients_of_what_each_attack_climbs():
    model, data = load_model("fashion-mmc"), load_dataset("fashion_mnist", limit=20)
    attacks = {
        "blind": partial(pgd, objective="cross_entropy", steps=2),
        "seeing": partial(pgd, objective="margin", steps=2),
        "distances": partial(fmn, steps=2),
    }
    curve = robustness_curve(model, data.inputs(), data.labels, [0.01], attacks)
    expected = zero_gradient(model, data.inputs(), data.labels)
    assert expected.any()
    assert torch.equal(curve.zero_gradient[0], expected)
    assert not curve.zero_gradient[1:].any()
    assert [row["zero_gradient"] for row in curve.rows()] == [int(expected.sum()), 0, 0]


def test_every_other_result_records_them_too():
    model, data = load_model("fashion-mmc"), load_dataset("fashion_mnist", limit=20)
    images, labels = data.inputs(), data.labels
    expected, none = zero_gradient(model, images, labels), torch.zeros(20, dtype=torch.bool)
    for objective, flat in {"cross_entropy": expected, "margin": none}.items():
        attack = partial(pgd, objective=objective, steps=2)
        path = epsilon_path(model, images, labels, [0.01], attack=attack)
        assert torch.equal(path.zero_gradient, flat)
        assert json.loads(path.to_json())["zero_gradient"] == flat.tolist()
        trajectory = attack_trajectory(model, images, labels, eps=0.01, attack=attack)
        assert torch.equal(trajectory.zero_gradient, flat)
        assert json.loads(trajectory.to_json())["zero_gradient"] == flat.tolist()
        within = partial(attack, eps=0.01)
        matrix = transfer_matrix({"a": model, "b": model}, images, labels, attack=within)
        assert torch.equal(matrix.zero_gradient, torch.stack([flat, flat]))
        assert [row["zero_gradient"] for row in matrix.rows()] == [int(flat.sum())] * 4
    found = detection(model, images, labels, eps=0.01)
    assert [row["zero_gradient"] for row in found.rows()] == [int(expected.sum()), 0, 0]


# --- distances give a whole curve ---------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_run_of_a_minimal_norm_attack_gives_the_curve(linear, norm):
    model, images, labels = linear
    nearest = model.distance(images, labels, norm).detach()
    epsilons = torch.linspace(0, 1.5 * nearest.max().item(), 12)
    runs = []

    def attack(model, images, labels, *, norm=norm):
        runs.append(norm)
        return fmn(model, images, labels, norm=norm)

    curve = robustness_curve(model, images, labels, epsilons, {"fmn": attack})
    assert runs == [norm]
    # What lies within 1 % of a budget may fall to either side.
    clear = ((nearest[None] - epsilons[:, None]).abs() > 0.01 * nearest[None]).numpy()
    expected = (nearest[None] > epsilons[:, None]).numpy()
    assert (curve.correct[0].numpy() == expected)[clear].all()


def test_an_attack_that_says_neither_budget_nor_norm_has_no_place_on_a_curve(linear):
    with pytest.raises(ValueError, match="The attack 'blur' takes neither `eps` nor `norm`"):
        robustness_curve(*linear, [0.1], {"blur": lambda model, images, labels: images})


# --- the worst case -----------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_worst_case_of_a_linear_model_is_exact(linear, norm):
    model, images, labels = linear
    labels = labels.clone()
    labels[:4] = (labels[:4] + 1) % 5
    nearest = model.distance(images, labels, norm).detach()
    eps = nearest[4:].median().item()
    clear = (nearest - eps).abs() > 0.01 * nearest
    result = worst_case(model, images, labels, eps=eps, norm=norm, budget="quick")
    assert torch.equal(result.robust[clear], (nearest > eps)[clear])
    assert result.broken_by[:4] == ["clean"] * 4
    broken = torch.tensor([name is not None for name in result.broken_by])
    assert torch.equal(broken, ~result.robust)
    assert result.accuracy == pytest.approx(result.robust.float().mean().item())
    assert 0 <= result.low <= result.accuracy <= result.high <= 1


@pytest.mark.usefixtures("unchecked")
def test_a_larger_budget_never_leaves_more():
    model, data = load_model("digits-sce"), load_dataset("digits", limit=12)
    images, labels = data.inputs(), data.labels
    quick, standard = (
        worst_case(model, images, labels, eps=0.08, budget=budget)
        for budget in ("quick", "standard")
    )
    assert not (standard.robust & ~quick.robust).any()
    assert set(quick.seconds) < set(standard.seconds)
    left = [worst_case(model, images, labels, eps=e, budget="quick").robust for e in (0.02, 0.3)]
    assert left[0].sum() > quick.robust.sum() > left[1].sum() == 0


def test_in_l2_the_standard_ensemble_comes_from_outside_too():
    for budget in BUDGETS:
        linf, l2 = (ensemble(budget, norm).keys() for norm in ("linf", "l2"))
        assert linf == BUDGETS[budget].keys() and linf <= l2
        assert l2 - linf == (set() if budget == "quick" else {"apgd from outside"})


def test_the_worst_case_is_no_larger_than_any_attack_of_its_own():
    model, data = load_model("digits-mmc"), load_dataset("digits", limit=20)
    images, labels = data.inputs(), data.labels
    worst = worst_case(model, images, labels, eps=0.1, budget="quick")
    for objective in OBJECTIVES:
        found = pgd(model, images, labels, eps=0.1, objective=objective)
        assert worst.accuracy <= accuracy(model, found, labels)


@pytest.mark.usefixtures("unchecked")
def test_the_rows_of_a_worst_case_add_up():
    model, data = load_model("digits-mmc"), load_dataset("digits", limit=30)
    result = worst_case(model, data.inputs(), data.labels, eps=0.08, budget="quick")
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [row["attack"] for row in rows] == ["clean", *result.seconds]
    assert 30 - sum(int(row["broken"]) for row in rows) == int(rows[-1]["left"])
    values = json.loads(result.to_json())
    assert values["correct"] == int(rows[-1]["left"]) == int(result.robust.sum())
    assert values["zero_gradient"] == int(result.zero_gradient.sum())
    again = worst_case(model, data.inputs(), data.labels, eps=0.08, budget="quick")
    assert again.broken_by == result.broken_by


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_worst_cases_of_a_linear_model_are_exact_at_every_budget(linear, norm):
    model, images, labels = linear
    labels = labels.clone()
    labels[:4] = (labels[:4] + 1) % 5
    nearest = model.distance(images, labels, norm).detach()
    epsilons = nearest[4:].quantile(torch.tensor([0.2, 0.5, 0.8])).tolist()
    results = worst_cases(model, images, labels, epsilons, norm=norm, budget="quick")
    assert [result.eps for result in results] == epsilons
    for eps, result in zip(epsilons, results, strict=True):
        clear = (nearest - eps).abs() > 0.01 * nearest
        assert torch.equal(result.robust[clear], (nearest > eps)[clear])
        assert result.broken_by[:4] == ["clean"] * 4
        broken = torch.tensor([name is not None for name in result.broken_by])
        assert torch.equal(broken, ~result.robust)
        assert result.rows()[-1]["left"] == result.robust.sum()
    for smaller, larger in itertools.pairwise(results):
        assert not (larger.robust & ~smaller.robust).any()


def test_worst_cases_ask_what_withstood_a_larger_ball_again_with_quick(linear, monkeypatch):
    model, images, labels = linear
    nearest = model.distance(images, labels, "linf").detach()
    small = nearest.median().item()
    asked = []

    def half_blind(model, images, labels, *, eps, budget, **more):
        """In the large ball it finds less than there is in the small one."""
        asked.append((eps, budget, len(images)))
        seen = eps if eps == small else 0.9 * small
        found = worst_case(model, images, labels, eps=seen, budget="quick")
        return replace(found, eps=eps, budget=budget)

    monkeypatch.setattr("mmc_viz.evaluation.falling.worst_case", half_blind)
    results = worst_cases(model, images, labels, [small, 2 * small])
    fooled = int((nearest <= 0.9 * small).sum())
    assert asked == [
        (2 * small, "standard", len(images)),
        (small, "standard", fooled),
        (small, "quick", len(images) - fooled),
    ]
    # What `quick` found in the small ball lies in the large one too.
    assert int((~results[0].robust).sum()) > fooled
    assert torch.equal(results[0].robust, results[1].robust)
    assert [r.budget for r in results] == ["standard"] * 2


@pytest.mark.parametrize("epsilons", [[], [0.1, 0.1], [0.2, 0.1]])
def test_worst_cases_at_budgets_that_do_not_rise_are_refused(linear, epsilons):
    with pytest.raises(ValueError, match="`epsilons` must"):
        worst_cases(*linear, epsilons)


def test_without_the_extra_the_error_names_it(linear, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ValueError, match="install the extra `autoattack`"):
        worst_case(*linear, eps=0.1, budget="thorough")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": "huge"}, "`budget` must be one of quick, standard, thorough; got 'huge'"),
        ({"eps": 8}, r"Did you mean 8/255\?"),
        ({"norm": "l1"}, "`norm` must be one of linf, l2"),
        ({"labels": torch.full((40,), 5)}, r"`labels` must be in 0 \.\. 4"),
    ],
)
def test_mistakes_in_a_worst_case_are_named(linear, change, words):
    model, images, labels = linear
    with pytest.raises(ValueError, match=words):
        worst_case(model, **({"images": images, "labels": labels, "eps": 0.1} | change))


# --- the published AutoAttack -------------------------------------------------------------------


@pytest.fixture
def published():
    pytest.importorskip("pyautoattack", reason="the extra `autoattack` is not installed")


def test_thorough_contains_the_published_autoattack(published, linear):
    model, images, labels = linear
    state = torch.get_rng_state()
    eps = model.distance(images, labels, "linf").median().item()
    result = worst_case(model, images, labels, eps=eps, budget="thorough")
    assert [name for name in result.seconds if "autoattack" in name] == [
        f"autoattack {part}" for part in PARTS
    ]
    assert result.left_out == []
    assert torch.equal(torch.get_rng_state(), state)


def test_with_three_classes_the_targeted_ratio_is_left_out(published):
    images = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    labels = model(images).argmax(dim=1)
    result = worst_case(model, images, labels, eps=0.02, budget="thorough")
    assert result.left_out == ["autoattack apgd-t"]


def test_divided_logits_let_the_published_cross_entropy_see(published):
    model, data = load_model("digits-mmc"), load_dataset("digits", limit=60)
    images, labels = data.inputs(), data.labels
    blind = pgd(model, images, labels, eps=0.1, objective="cross_entropy")
    sees = autoattack(model, images, labels, eps=0.1, parts=("apgd-ce",))
    assert accuracy(model, blind, labels) > accuracy(model, sees, labels) + 0.4


def test_autoattack_hardly_breaks_what_the_standard_worst_case_leaves(published):
    model, data = load_model("digits-sce"), load_dataset("digits", limit=60)
    images, labels = data.inputs(), data.labels
    ours = worst_case(model, images, labels, eps=0.06)
    found = autoattack(model, images, labels, eps=0.06)
    assert (found - images).abs().max() <= 0.06 + 1e-6
    assert int((ours.robust & ~correct(model, found, labels)).sum()) <= 1


# --- transfer, detection ------------------------------------------------------------------------


def test_a_transfer_matrix_has_the_white_box_on_its_diagonal():
    models = {name: load_model(f"digits-{name}") for name in ("sce", "mmc")}
    data = load_dataset("digits", limit=40)
    images, labels = data.inputs(), data.labels
    attack = partial(pgd, eps=0.1)
    matrix = transfer_matrix(models, images, labels, attack=attack)
    for k, model in enumerate(models.values()):
        expected = correct(model, attack(model, images, labels), labels)
        assert torch.equal(matrix.correct[k, k], expected)
    # What is made on another model fools less than what is made on the model itself.
    white = matrix.accuracy.diagonal()
    assert (matrix.accuracy >= white).all() and (matrix.accuracy[0, 1] > white[1])
    assert [(r["source"], r["target"]) for r in matrix.rows()][1] == ("sce", "mmc")
    assert len(matrix.to_csv().splitlines()) == 5
    assert json.loads(matrix.to_json())[3]["correct"] == int(matrix.correct[1, 1].sum())


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(score):
    generator = torch.Generator().manual_seed(0)
    clean, attacked = torch.rand(30, generator=generator), torch.rand(30, generator=generator) - 0.3
    fooled = torch.arange(30) % 2 == 0
    result = Detection(score, clean, {"a": attacked}, {"a": fooled})
    pairs = (clean[:, None] > attacked[None]).double()
    assert result.auc("a") == pytest.approx(pairs.mean().item())
    assert result.auc("a", fooled_only=True) == pytest.approx(pairs[:, fooled].mean().item())
    assert (
        Detection(score, clean, {"a": attacked}, {"a": fooled & False}).auc("a", fooled_only=True)
        is None
    )


def test_a_detector_is_blind_to_an_attack_that_knows_of_it():
    model, data = load_model("fashion-mmc"), load_dataset("fashion_mnist", limit=60)
    result = detection(model, data.inputs(), data.labels, eps=0.06)
    assert list(result.attacked) == ["cross_entropy", "margin", "evading"]
    assert result.auc("margin", fooled_only=True) > 0.8
    assert result.auc("evading", fooled_only=True) < 0.3
    assert result.fooled["evading"].sum() >= result.fooled["margin"].sum()
    assert json.loads(result.to_json())[2]["attack"] == "evading"


def test_evading_stays_in_the_ball_and_only_ever_gets_surer(linear):
    model, images, labels = linear
    first = apgd(model, images, labels, eps=0.1)
    found = evading(model, images, labels, eps=0.1)
    assert (found - images).abs().max() <= 0.1 + 1e-6 and 0 <= found.min() <= found.max() <= 1
    fooled = model(first).argmax(dim=1) != labels
    assert fooled.any() and (model(found).argmax(dim=1) != labels)[fooled].all()
    before, after = (model(x).scatter(1, labels[:, None], -torch.inf) for x in (first, found))
    assert (after.amax(dim=1) >= before.amax(dim=1))[fooled].all()
    # For a linear model, amid the box, the largest logit of a class within the ball is known; of
    # the class that it is led to, the attack reaches that.
    best = model(images).detach() + 0.1 * model.weight.detach().abs().sum(dim=1)
    reached, rival = after.max(dim=1)
    ratio = reached / best.gather(1, rival[:, None])[:, 0]
    assert (ratio[fooled] > 0.98).all() and (ratio < 1 + 1e-4).all()
