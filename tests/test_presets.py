import inspect

import pytest
import torch

from mmc_viz.attacks import PRESETS, bim, pgd
from mmc_viz.attacks.presets import away_from_prediction, towards_random_class
from mmc_viz.evaluation import correct


def settings(preset):
    return preset.attack.keywords


def test_the_authors_iterative_settings_are_in_256ths():
    for name, preset in PRESETS.items():
        if any(kind in name for kind in ("pgd", "bim", "mim")):
            assert settings(preset)["eps"] == 8 / 256
            assert settings(preset)["step_size"] == 2 / 256
            assert settings(preset)["steps"] == 10


def test_every_preset_names_its_source_and_takes_its_settings():
    assert {name.split("_")[0] for name in PRESETS} == {"authors", "paper"}
    for preset in PRESETS.values():
        assert preset.source and preset.differences
        attack = settings(preset).get("attack", preset.attack.func)
        takes = inspect.signature(attack).parameters
        assert set(settings(preset)) - {"attack"} <= set(takes)


def test_the_predicted_label_is_left_not_the_true_one(linear):
    model, images, labels = linear
    wrong = (labels + 1) % 5  # the model errs on every image, if these are the labels
    found = away_from_prediction(model, images, wrong, attack=bim, eps=0.3, steps=10)
    assert (model(found).argmax(dim=1) != labels).all()
    # So it may put an error right, which none of our own attacks does.
    assert correct(model, found, wrong).any()
    assert torch.equal(bim(model, images, wrong, eps=0.3, steps=10), images)


def test_random_targets_are_wrong_classes_and_all_of_them(linear):
    model, images, labels = linear
    seen = []

    def look(model, images, labels, *, targets, **settings):
        seen.append(targets)
        return images

    repeated = labels.repeat(20)
    towards_random_class(model, images.repeat(20, 1, 1, 1), repeated, attack=look, eps=0.1)
    (targets,) = seen
    assert (targets != repeated).all()
    shifts = ((targets - repeated) % 5).bincount(minlength=5)
    assert shifts[0] == 0 and (shifts[1:] > 140).all()  # 200 each on average


def test_random_targets_are_reached(linear):
    model, images, labels = linear
    found = towards_random_class(model, images, labels, attack=pgd, eps=0.5, steps=60)
    assert not correct(model, found, labels).any()


@pytest.mark.parametrize(
    "name", ["authors_code_pgd10", "authors_code_mim10_targeted", "authors_code_gaussian_noise"]
)
def test_presets_run_as_they_are(linear, name):
    model, images, labels = linear
    found = PRESETS[name].attack(model, images, labels)
    assert found.shape == images.shape and not torch.equal(found, images)


def test_the_paper_s_adaptive_objective_is_the_distance():
    assert settings(PRESETS["paper_pgd_adaptive"])["objective"] == "distance"
