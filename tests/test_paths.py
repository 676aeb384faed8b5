import csv
import io
import json
from functools import partial

import numpy as np
import pytest
import torch

from mmc_viz.attacks import fgsm, pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.networks import outputs
from mmc_viz.paths import attack_once, compare, epsilon_path

LEVELS = [k / 255 for k in range(0, 52, 6)]  # whole grey levels
ATTACK = partial(pgd, steps=5)


@pytest.fixture(scope="module", params=["digits-sce", "digits-mmc"])
def case(request, digits):
    return load_model(request.param), digits.inputs()[:80], digits.labels[:80]


@pytest.fixture(scope="module")
def path(case):
    return epsilon_path(*case, LEVELS, attack=ATTACK)


def test_fields_have_the_promised_shapes_and_types(case, path):
    model, images, labels = case
    steps, count = len(LEVELS), len(images)
    assert path.images.shape == (steps, *images.shape) and path.images.dtype == torch.uint8
    assert path.logits.shape == (steps, count, 10)
    assert path.features.shape == (steps, count, 64)
    assert path.success.shape == (steps, count) and path.success.dtype == torch.bool
    assert torch.equal(path.labels, labels)
    torch.testing.assert_close(path.epsilons, torch.tensor(LEVELS))


def test_every_number_is_that_of_the_bytes_drawn(case, path):
    model = case[0]
    for k in range(len(LEVELS)):
        logits, features = outputs(model, path.images[k] / 255)
        torch.testing.assert_close(path.logits[k], logits)
        torch.testing.assert_close(path.features[k], features)
    wrong = path.logits.argmax(dim=2) != path.labels
    # Held images stay fooled, so at every budget "fooled by now" and "drawn as fooled" agree.
    assert torch.equal(wrong, path.success)
    assert torch.equal(path.right, (~wrong).sum(dim=1))


def test_the_first_step_without_a_budget_is_the_clean_image(case, path):
    model, images, labels = case
    assert torch.equal(path.images[0], (images * 255).round().to(torch.uint8))
    assert torch.equal(path.success[0], outputs(model, images)[0].argmax(dim=1) != labels)


def test_a_path_is_monotone_and_holds_what_was_fooled(path):
    assert (path.success[1:] >= path.success[:-1]).all()
    assert path.success[-1].sum() > path.success[0].sum()
    for k in range(1, len(LEVELS)):
        held = path.success[k - 1]
        assert torch.equal(path.images[k][held], path.images[k - 1][held])


def test_whole_levels_are_kept_exactly(case, path):
    clean = (case[1] * 255).round().int()
    for k, eps in enumerate(LEVELS):
        assert (path.images[k].int() - clean).abs().max() <= round(eps * 255)


def test_other_budgets_are_kept_to_less_than_one_level(case):
    model, images, labels = case
    epsilons = [0.0, 0.05, 0.1]
    path = epsilon_path(model, images, labels, epsilons, attack=ATTACK)
    clean = (images * 255).round().int()
    for k, eps in enumerate(epsilons):
        assert (path.images[k].int() - clean).abs().max() < eps * 255 + 1


@pytest.mark.parametrize("epsilons", [LEVELS, [0.03, 0.1, 0.15]])
@pytest.mark.parametrize("objective", ["cross_entropy", "margin"])
def test_at_each_budget_it_is_at_least_as_strong_as_a_run_of_its_own(case, epsilons, objective):
    model, images, labels = case
    attack = partial(pgd, steps=8, objective=objective)
    path = epsilon_path(model, images, labels, epsilons, attack=attack, seed=3)
    for k, eps in enumerate(epsilons):
        generator = torch.Generator().manual_seed(3)
        alone = attack(model, images, labels, eps=eps, generator=generator)
        fooled = outputs(model, alone)[0].argmax(dim=1) != labels
        assert (path.success[k] | ~fooled).all()


def test_tracking_attacks_the_clean_image_anew(case):
    model, images, labels = case
    path = epsilon_path(model, images, labels, LEVELS, attack=ATTACK, follow="track")
    held = epsilon_path(model, images, labels, LEVELS, attack=ATTACK)
    assert (path.success[1:] >= path.success[:-1]).all()
    assert (path.success | ~held.success).all()
    clean = (images * 255).round().int()
    early = path.success[2] & ~path.success[0]
    assert early.any()
    assert not torch.equal(path.images[-1][early], path.images[2][early])
    assert (path.images[-1].int() - clean).abs().max() <= round(LEVELS[-1] * 255)


def test_the_seed_decides(case):
    model, images, labels = case

    def images_of(seed):
        return epsilon_path(model, images, labels, [0.02], attack=ATTACK, seed=seed).images

    assert torch.equal(images_of(1), images_of(1))
    assert not torch.equal(images_of(1), images_of(2))


def test_rounding_does_not_undo_attacks(linear):
    """Points just past the boundary: rounding to nearest alone would bring many of them back."""
    model, images, labels = linear
    images = (images * 255).round() / 255
    with torch.no_grad():
        labels = model(images).argmax(dim=1)
    nearest = model.distance(images, labels, "linf").detach()
    eps = 1.001 * nearest

    def barely(model, images, labels, *, eps, generator):
        return pgd(model, images, labels, eps=1.001 * nearest, steps=50)

    found = pgd(model, images, labels, eps=eps, steps=50)
    fooled = model(found).argmax(dim=1) != labels
    naive = model((found * 255).round() / 255).argmax(dim=1) != labels
    path = epsilon_path(model, images, labels, [0.5], attack=barely)
    assert (fooled & ~naive).sum() >= 3  # else this shows nothing
    assert path.success[0][fooled].all()


def test_tables_hold_the_path(path, tmp_path):
    rows = list(csv.DictReader(io.StringIO(path.to_csv(tmp_path / "path.csv"))))
    assert len(rows) == path.success.numel()
    assert [int(row["fooled"]) for row in rows] == path.success.flatten().int().tolist()
    assert (tmp_path / "path.csv").read_text() == path.to_csv()
    values = json.loads(path.to_json(tmp_path / "path.json"))
    assert values["right"] == path.right.tolist()
    assert json.loads((tmp_path / "path.json").read_text()) == values


def test_compare_runs_every_objective_on_every_model_from_the_same_images(case):
    model, images, labels = case
    models = {"A": model, "B": load_model("digits-sce")}
    runs = compare(
        models, images[:10], labels[:10], [0.0, 0.1], steps=3, device="cpu", progress=False
    )
    assert list(runs) == ["cross_entropy", "distance", "margin"]
    alone = epsilon_path(model, images[:10], labels[:10], [0.0, 0.1], attack=partial(pgd, steps=3))
    assert list(runs["margin"]) == ["A", "B"]
    assert torch.equal(runs["margin"]["A"].success, alone.success)
    assert torch.equal(runs["margin"]["A"].images, alone.images)
    once = attack_once(
        models, images[:10], labels[:10], eps=0.1, steps=3, objective="margin", device="cpu"
    )
    assert torch.equal(once["B"].images, runs["margin"]["B"].images)


def test_every_attack_with_a_budget_makes_a_path(case):
    model, images, labels = case
    path = epsilon_path(model, images, labels, LEVELS, attack=fgsm)
    assert (path.success[1:] >= path.success[:-1]).all()
    assert path.success[-1].sum() > path.success[0].sum()


def test_arrays_and_integers_are_budgets(case):
    model, images, labels = case
    path = epsilon_path(model, images[:4], labels[:4], np.array([0.0, 0.1]), attack=ATTACK)
    again = epsilon_path(model, images[:4], labels[:4], [0, 0.1], attack=ATTACK)
    assert torch.equal(path.images, again.images)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epsilons": [0.1, 0.1]}, "`epsilons` must rise"),
        ({"epsilons": []}, "`epsilons` must be a list of at least one number"),
        ({"epsilons": [-0.1, 0.1]}, "`epsilons` must be finite and at least 0"),
        ({"epsilons": [0.1, 8]}, "Did you mean 8/255"),
        ({"follow": "chase"}, "`follow` must be 'hold' or 'track'; got 'chase'"),
        ({"images": torch.full((80, 1, 8, 8), 1.5)}, r"`images` must lie in \[0, 1\]"),
        ({"labels": torch.full((80,), 10)}, r"`labels` must be in 0 \.\. 9"),
    ],
)
def test_mistakes_are_named(case, change, words):
    model, images, labels = case
    call = {"images": images, "labels": labels, "epsilons": LEVELS, "attack": ATTACK} | change
    with pytest.raises(ValueError, match=words):
        epsilon_path(model, **call)


@pytest.mark.parametrize("name", ["fashion-mmc", "digits-mmc"])
def test_on_mmc_the_adaptive_attack_is_nowhere_weaker_than_the_usual_one(name):
    """What lessons 1 and 8 show, on the models that they show it on."""
    data = load_dataset("fashion_mnist" if name.startswith("fashion") else "digits", limit=30)
    epsilons = [0.0, 0.02, 0.04, 0.06, 0.1, 0.2]
    runs = compare(
        {"MMC": load_model(name)},
        data.inputs(),
        data.labels,
        epsilons,
        objectives=("cross_entropy", "margin"),
        progress=False,
    )
    weak, adaptive = runs["cross_entropy"]["MMC"].right, runs["margin"]["MMC"].right
    assert weak[0] == adaptive[0]
    assert (adaptive <= weak).all()
    assert (weak - adaptive).max() >= 10
