"""Our attacks against independent implementations, on shipped models and with the same settings.

Each test runs where the library that it names is installed, and is skipped elsewhere. The model
itself judges what each attack gives back.
"""

from functools import cache

import pytest

from mmc_viz.attacks import apgd, pgd
from mmc_viz.bench.libraries import apgd_of_others, pgd_of_others
from mmc_viz.checkpoints import load_card, load_model
from mmc_viz.datasets import load_dataset

IMAGES, STEPS = 200, 20
# Budgets at which some images fall and some stand: elsewhere anything would agree.
BUDGETS = {"digits": 0.1, "fashion_mnist": 0.02}
MODELS = ["digits-sce", "digits-mmc", "fashion-sce", "fashion-mmc"]

# foolbox takes a filter from a place that SciPy 2 will not have any more; that is its affair.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")


@cache
def scene(name):
    """A shipped model, images of its own data set with labels, and a budget."""
    dataset = load_card(name).dataset["name"]
    data = load_dataset(dataset, "test", limit=IMAGES)
    # Frozen, because some libraries leave gradients on the parameters.
    model = load_model(name).requires_grad_(False)
    return model, data.inputs(), data.labels, BUDGETS[dataset]


def right(name, attack, **settings):
    """How many images the model still gets right."""
    model, images, labels, _ = scene(name)
    found = attack(model, images, labels, **settings)
    assert found.shape == images.shape
    return int((model(found).argmax(dim=1) == labels).sum())


@cache
def right_under_pgd(name):
    eps = scene(name)[3]
    settings = {"eps": eps, "steps": STEPS, "step_size": eps / 8}
    return right(name, pgd, objective="cross_entropy", **settings)


@cache
def right_under_apgd(name, objective):
    return right(name, apgd, objective=objective, eps=scene(name)[3], steps=STEPS)


@cache
def right_under_their_pgd(name, library):
    eps = scene(name)[3]
    return right(name, pgd_of_others(eps=eps, steps=STEPS, step_size=eps / 8)[library])


@cache
def right_under_their_apgd(name, objective, library):
    others = apgd_of_others(eps=scene(name)[3], steps=STEPS, objective=objective)
    return right(name, others[library])


def points(first, second):
    return 100 * abs(first - second) / IMAGES


@pytest.mark.parametrize("library", ["foolbox", "torchattacks"])
@pytest.mark.parametrize("name", MODELS)
def test_pgd_agrees_within_one_and_a_half_points(name, library):
    pytest.importorskip(library)
    assert points(right_under_pgd(name), right_under_their_pgd(name, library)) <= 1.5


@pytest.mark.parametrize("library", ["torchattacks", "pyautoattack"])
@pytest.mark.parametrize("objective", ["cross_entropy", "dlr"])
@pytest.mark.parametrize("name", MODELS)
def test_apgd_agrees_within_two_points(name, objective, library):
    pytest.importorskip(library)
    theirs = right_under_their_apgd(name, objective, library)
    assert points(right_under_apgd(name, objective), theirs) <= 2


@pytest.mark.parametrize("library", ["foolbox", "torchattacks", "pyautoattack"])
@pytest.mark.parametrize("name", ["digits-mmc", "fashion-mmc"])
def test_saturated_cross_entropy_blinds_every_implementation(name, library):
    """What keeps our cross-entropy from seeing is the model, not our code."""
    pytest.importorskip(library)
    if library == "pyautoattack":
        theirs = right_under_their_apgd(name, "cross_entropy", library)
    else:
        theirs = right_under_their_pgd(name, library)
    seen = right_under_apgd(name, "margin")
    assert theirs - seen > 0.2 * IMAGES
    assert right_under_pgd(name) - seen > 0.2 * IMAGES
