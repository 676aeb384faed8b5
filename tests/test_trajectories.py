import csv
import io
import json
from functools import partial

import pytest
import torch

from mmc_viz.attacks import FIXED_BUDGET, bim, pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.objectives import OBJECTIVES, margin
from mmc_viz.trajectories import attack_trajectory


def test_the_climb_is_exact_on_a_linear_model_of_two_classes(linear):
    """From the image itself, each step along the sign lifts the margin by step * ||w||_1."""
    model, images, labels = linear
    with torch.no_grad():
        model.bias[2:] = -1e3  # two classes are left
    labels = model(images).argmax(dim=1)
    lead = margin(model(images), labels).detach().double()
    length = (model.weight[0] - model.weight[1]).abs().sum().item()
    eps = 0.5 * model.distance(images, labels, "linf").median().item()
    attack = partial(bim, steps=5, step_size=eps / 5)
    trajectory = attack_trajectory(model, images, labels, eps=eps, attack=attack)
    climb = eps / 5 * length * torch.arange(6)[:, None]
    # An image that is fooled keeps its values, so only the others go on climbing.
    expected = lead + climb
    open_ = torch.cat([torch.ones(1, len(images), dtype=torch.bool), ~trajectory.fooled[:-1]])
    torch.testing.assert_close(trajectory.margin[open_], expected[open_], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(trajectory.loss, trajectory.margin, rtol=1e-4, atol=1e-4)
    assert trajectory.steps.tolist() == list(range(6))
    assert trajectory.restarts.tolist() == [0] * 6
    assert 0 < trajectory.fooled[-1].sum() < len(images)


#: Attacks that need no gradient show their best point so far; their work is counted in queries.
SETTINGS = {"fgsm": {}, "square": {"queries": 20}, "spsa": {"steps": 3}}


@pytest.mark.parametrize("name", FIXED_BUDGET)
@pytest.mark.parametrize("objective", ["cross_entropy", "margin"])
def test_values_are_those_of_the_trace(name, objective, digits):
    model, images, labels = load_model("digits-sce"), digits.inputs()[:12], digits.labels[:12]
    settings = SETTINGS.get(name, {"steps": 6})
    attack = partial(FIXED_BUDGET[name], objective=objective, **settings)
    trajectory = attack_trajectory(model, images, labels, eps=0.1, attack=attack)
    seen = []
    found = attack(model, images, labels, eps=0.1, trace=lambda *values: seen.append(values))
    assert trajectory.steps.tolist() == [step for step, *_ in seen]
    points = torch.stack([point for _, point, *_ in seen])
    with torch.no_grad():
        logits = torch.stack([model(point) for point in points])
        success = model(found).argmax(dim=1) != labels
    expected = torch.stack([margin(one, labels) for one in logits]).double()
    torch.testing.assert_close(trajectory.margin, expected)
    loss = torch.stack([OBJECTIVES[objective](one, labels) for one in logits]).double()
    torch.testing.assert_close(trajectory.loss, loss, rtol=1e-3, atol=1e-3)
    wrong = (logits.argmax(dim=2) != labels).int().cummax(dim=0).values.bool()
    assert torch.equal(trajectory.fooled, wrong)
    assert torch.equal(trajectory.success, success)
    assert (trajectory.success >= trajectory.fooled[-1]).all()


def test_a_clean_error_is_fooled_from_the_first_step(linear):
    model, images, labels = linear
    labels = labels.clone()
    eps = 0.5 * model.distance(images, labels, "linf").min().item()
    labels[:3] = (labels[:3] + 1) % 5
    trajectory = attack_trajectory(model, images, labels, eps=eps)
    assert trajectory.first_fooled[:3] == [0, 0, 0]
    assert trajectory.first_fooled[3:] == [None] * 37
    assert torch.equal(trajectory.margin[0, :3], trajectory.margin[-1, :3])
    assert (trajectory.margin[:, :3] > 0).all()


@pytest.mark.parametrize("objective", ["margin", "targeted_margin"])
def test_restarts_follow_one_another_and_what_is_fooled_stays_so(linear, objective):
    model, images, labels = linear
    eps = model.distance(images, labels, "linf").median().item()
    attack = partial(pgd, steps=3, restarts=2, objective=objective)
    trajectory = attack_trajectory(model, images, labels, eps=eps, attack=attack)
    runs = 2 if objective == "margin" else 2 * 4  # each rival class in turn
    assert trajectory.steps.tolist() == [0, 1, 2, 3] * runs
    assert trajectory.restarts.tolist() == [run for run in range(runs) for _ in range(4)]
    assert (trajectory.fooled[1:] >= trajectory.fooled[:-1]).all()
    # The margin of what one restart has fooled does not fall back at the next.
    first = trajectory.fooled[3]
    assert 0 < first.sum() < len(images)
    assert (trajectory.margin[3:, first] > 0).all()
    assert (trajectory.margin[3:, first] == trajectory.margin[3, first]).all()
    assert (trajectory.loss[3:, first] == trajectory.loss[3, first]).all()


def test_medians_and_first_places_by_hand(linear):
    model, images, labels = linear
    eps = model.distance(images, labels, "linf").median().item()
    trajectory = attack_trajectory(model, images[:5], labels[:5], eps=eps)
    for s in range(len(trajectory.steps)):
        assert trajectory.median_loss[s] == sorted(trajectory.loss[s].tolist())[2]
        assert trajectory.median_margin[s] == sorted(trajectory.margin[s].tolist())[2]
    for i, place in enumerate(trajectory.first_fooled):
        column = trajectory.fooled[:, i].tolist()
        assert place == (column.index(True) if True in column else None)


def test_a_dead_gradient_is_a_flat_line_and_a_live_one_climbs():
    """The shipped MMC model: float32 knows no probability below exp(-104), hence no slope."""
    data = load_dataset("fashion_mnist", "test", limit=20)
    model, images, labels = load_model("fashion-mmc"), data.inputs(), data.labels
    runs = {
        objective: attack_trajectory(
            model, images, labels, eps=0.06, attack=partial(pgd, objective=objective)
        )
        for objective in ("cross_entropy", "margin")
    }
    flat = runs["cross_entropy"]
    dead = flat.margin[0] < -104
    assert dead.any()
    assert (flat.loss[:, dead] == 0).all()
    assert (flat.margin[:, dead] == flat.margin[0, dead]).all()
    assert (runs["margin"].margin[-1, dead] > flat.margin[-1, dead]).all()
    assert runs["margin"].fooled[-1].sum() > flat.fooled[-1].sum()


def test_nothing_else_changes(linear):
    model, images, labels = linear
    model.train()
    before, state = images.clone(), torch.get_rng_state()
    attack_trajectory(model, images, labels, eps=0.05)
    assert model.training and torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_works_in_inference_mode_and_for_attacks_without_a_budget(linear):
    model, images, labels = linear

    def still(model, images, labels, *, trace):
        trace(0, images, model(images), torch.zeros(len(images)))
        return images

    with torch.inference_mode():
        trajectory = attack_trajectory(model, images, labels, attack=still)
    assert not trajectory.success.any() and trajectory.loss.eq(0).all()
    with torch.inference_mode():
        attack_trajectory(model, images, labels, eps=0.01)


def test_tables_hold_the_trajectory(linear, tmp_path):
    model, images, labels = linear
    trajectory = attack_trajectory(
        model, images[:4], labels[:4], eps=0.02, attack=partial(pgd, steps=3, restarts=2)
    )
    rows = list(csv.DictReader(io.StringIO(trajectory.to_csv(tmp_path / "steps.csv"))))
    assert len(rows) == 8 * 4
    assert [float(row["margin"]) for row in rows] == trajectory.margin.flatten().tolist()
    assert [int(row["fooled"]) for row in rows] == trajectory.fooled.int().flatten().tolist()
    assert [int(row["restart"]) for row in rows[::4]] == trajectory.restarts.tolist()
    values = json.loads(trajectory.to_json(tmp_path / "steps.json"))
    assert values["loss"] == trajectory.loss.tolist()
    assert values["success"] == trajectory.success.tolist()
    assert (tmp_path / "steps.csv").read_text() == trajectory.to_csv()
    assert (tmp_path / "steps.json").read_text() == trajectory.to_json()


def test_mistakes_are_named(linear):
    model, images, labels = linear

    def silent(model, images, labels, *, trace=None):
        return images

    def without(model, images, labels):
        return images

    with pytest.raises(ValueError, match="`images` must hold at least one"):
        attack_trajectory(model, images[:0], labels[:0], eps=0.1)
    with pytest.raises(ValueError, match="`eps` must be given"):
        attack_trajectory(model, images, labels)
    with pytest.raises(ValueError, match="`eps` must be None"):
        attack_trajectory(model, images, labels, eps=0.1, attack=silent)
    with pytest.raises(ValueError, match="must call `trace"):
        attack_trajectory(model, images, labels, attack=silent)
    with pytest.raises(ValueError, match="`attack` must take `trace`"):
        attack_trajectory(model, images, labels, attack=without)
    with pytest.raises(ValueError, match=r"`labels` must be in 0 \.\. 4"):
        attack_trajectory(model, images, labels + 1, eps=0.1)
    with pytest.raises(ValueError, match="`eps` must be at most 1"):
        attack_trajectory(model, images, labels, eps=8)
