import copy
import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import nn

import mmc_viz
from mmc_viz.checkpoints import load_card, load_model
from mmc_viz.commands.train import head_names
from mmc_viz.datasets import Dataset, load_dataset
from mmc_viz.heads import HEADS
from mmc_viz.networks import NETWORKS, make_classifier
from mmc_viz.training import TrainConfig, recipe, recipes, train
from mmc_viz.training import adversary as adversaries
from mmc_viz.training.adversary import worst_in_ball
from mmc_viz.training.precision import forward
from mmc_viz.training.preparing import decay_groups

MODELS = Path(mmc_viz.__file__).parent.parent / "data" / "models"
GRAY, COLOUR = ["mnist", "fashion"], ["cifar10", "cifar100"]


def changes(config):
    """The settings that are not those of `TrainConfig` itself."""
    plain = asdict(TrainConfig())
    return {name: value for name, value in asdict(config).items() if value != plain[name]}


# --- what names stand for -----------------------------------------------------------------------


@pytest.mark.parametrize(("head", "lr", "decay"), [("sce", 0.01, 2e-4), ("mmc", 0.02, 1e-4)])
def test_the_authors_recipe_field_by_field(head, lr, decay):
    config = recipe(f"cifar10-resnet32-{head}").resolved()
    assert config == TrainConfig(
        dataset="cifar10",
        network="resnet32",
        head=head,
        head_options={},
        dim=None,
        radius=10.0,
        epochs=200,
        batch_size=50,
        lr=lr,
        momentum=0.9,
        nesterov=False,
        weight_decay=decay,
        decay="convolutions",
        schedule="steps",
        milestones=(101, 151),
        augmentation="shift_flip",
        image_size=32,
        limit=None,
        seed=0,
        adversarial="none",
        compiled=False,
        bfloat16=None,
    )
    steps = 1000  # of 50 images, for 50,000
    for epoch, part in [(0, 1), (100, 1), (101, 0.1), (150, 0.1), (151, 0.01), (199, 0.01)]:
        for step in (epoch * steps, (epoch + 1) * steps - 1):
            assert config.learning_rate(step, steps) == pytest.approx(lr * part)


def test_the_authors_decay_is_for_convolutions_alone():
    config = recipe("cifar10-resnet8-sce")
    model = make_classifier("resnet8", "sce", in_channels=3, num_classes=10)
    decaying, free = decay_groups(model, config)
    convolutions = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d)}
    assert {id(weight) for weight in decaying["params"]} == convolutions
    assert (decaying["weight_decay"], free["weight_decay"]) == (2e-4, 0)


@pytest.mark.parametrize("data", GRAY)
def test_the_authors_train_gray_images_for_50_epochs(data):
    long, short = recipe("cifar10-small_cnn-sce"), recipe(f"{data}-small_cnn-sce")
    expected = replace(long, dataset=recipes.DATA[data], epochs=50, milestones=(31, 41))
    assert short == expected


@pytest.mark.parametrize(
    ("data", "eps", "steps", "size"),
    [("mnist", 0.3, 40, 0.01), ("fashion", 0.1, 40, 0.01)]
    + [(data, 8 / 255, 10, 2 / 255) for data in COLOUR],
)
@pytest.mark.parametrize(("ending", "targets"), [("at", "none"), ("at-targeted", "random")])
def test_the_authors_adversary(data, eps, steps, size, ending, targets):
    plain = recipe(f"{data}-resnet32-mmc")
    assert recipe(f"{data}-resnet32-mmc-{ending}") == replace(
        plain,
        adversarial="pgd",
        eps=eps,
        attack_steps=steps,
        attack_step_size=size,
        attack_objective="cross_entropy",
        attack_targets=targets,
    )


def test_a_loss_of_the_distance_has_twice_the_rate_and_half_the_decay():
    for head in head_names():
        config = recipe(f"cifar100-resnet20-{head}")
        scale = 2 if head in ("mmc", "mmc_random", "hmc", "emc") else 1
        assert (config.lr, config.weight_decay) == (0.01 * scale, 2e-4 / scale)


def test_half_the_loss_takes_the_authors_steps():
    """Theirs: the squared distance, rate 0.01, decay 2e-4 on convolutions; written by hand."""
    ours = recipe("cifar10-small_cnn-mmc")
    model = make_classifier("small_cnn", "mmc", in_channels=3, num_classes=5).double().train()
    theirs = copy.deepcopy(model)
    weights = list(theirs.parameters())
    start = [weight.detach().clone() for weight in weights]
    speed = [torch.zeros_like(weight) for weight in weights]
    optimizer = torch.optim.SGD(
        decay_groups(model, ours), lr=ours.lr, momentum=ours.momentum, nesterov=ours.nesterov
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        images = torch.rand(50, 3, 8, 8, generator=generator).double()
        labels = torch.randint(5, (50,), generator=generator)
        apart = theirs.features(images) - theirs.head.centers[labels]
        gradients = torch.autograd.grad(apart.pow(2).sum(dim=1).mean(), weights)
        with torch.no_grad():
            for weight, v, gradient in zip(weights, speed, gradients, strict=True):
                decayed = gradient + 2e-4 * weight if weight.dim() == 4 else gradient
                v.mul_(0.9).add_(decayed)
                weight -= 0.01 * v
        optimizer.zero_grad()
        model.head(model.features(images), labels).mean().backward()
        optimizer.step()
    for weight, expected, first in zip(model.parameters(), weights, start, strict=True):
        assert (weight - expected).abs().max() < 1e-12
        assert (weight - first).abs().max() > 1e-3


@pytest.mark.parametrize("head", ["sce", "mmc"])
@pytest.mark.parametrize("ending", ["", "-at"])
def test_the_fast_recipes_are_those_of_the_shipped_models(head, ending):
    config = json.loads((MODELS / f"fashion-{head}{ending}" / "card.json").read_text())["config"]
    found = json.loads(
        json.dumps(recipe(f"fashion-small_cnn-{head}{ending}-fast").resolved().to_json())
    )
    assert {"epochs", "lr", "weight_decay", "augmentation", "batch_size"} <= config.keys()
    assert {name: found[name] for name in config} == config
    # Fields that are younger than the cards have the values that the code had then.
    younger = {name: found[name] for name in found.keys() - config.keys()}
    assert younger.items() <= TrainConfig(head=head).resolved().to_json().items()


def test_fast_recipes():
    config = recipe("cifar10-resnet20-mmc-fast")
    assert changes(config) == {
        "dataset": "cifar10",
        "network": "resnet20",
        "epochs": 40,
        "batch_size": 512,
        "lr": 2 * HEADS["mmc"].peak_lr,
    }
    attacked = recipe("cifar10-resnet20-mmc-at-fast")
    assert attacked == replace(config, adversarial="pgd", eps=8 / 255, attack_steps=2)
    assert recipe("mnist-small_cnn-sce-fast").epochs == 10
    attacked = recipe("mnist-small_cnn-sce-at-targeted-fast")
    assert (attacked.epochs, attacked.eps, attacked.attack_targets) == (10, 0.3, "random")


def test_recipes_for_a_cpu():
    config = recipe("cifar100-resnet8-sce-cpu")
    assert changes(config) == {
        "dataset": "cifar100",
        "network": "resnet8",
        "head": "sce",
        "epochs": 15,
        "batch_size": 64,
    }
    attacked = recipe("cifar100-resnet8-sce-at-cpu")
    assert attacked == replace(config, adversarial="pgd", eps=8 / 255, epochs=8, attack_steps=2)


# --- the grammar --------------------------------------------------------------------------------


def names():
    endings = [
        "-".join(filter(None, pair))
        for pair in product(("", "at", "at-targeted"), ("", "fast", "cpu"))
    ]
    for data, network, head, ending in product(recipes.DATA, NETWORKS, head_names(), endings):
        if not (data in GRAY and ending.endswith("cpu")):
            yield data, network, head, ending


def test_every_name_that_the_grammar_allows_is_a_whole_configuration():
    found = {}
    for data, network, head, ending in names():
        name = "-".join(filter(None, (data, network, head, ending)))
        config = found[name] = recipe(name).resolved()
        assert config == config.resolved() and config.seed == 0
        assert (config.dataset, config.network, config.head) == (recipes.DATA[data], network, head)
        assert config.lr > 0 and config.augmentation is not None
        assert (config.adversarial == "pgd") == ending.startswith("at")
        assert (config.attack_targets == "random") == ending.startswith("at-targeted")
        if config.adversarial == "pgd":
            assert config.eps == {"mnist": 0.3, "fashion": 0.1}.get(data, 8 / 255)
        values = json.loads(json.dumps(config.to_json()))
        assert TrainConfig(**values | {"milestones": tuple(values["milestones"])}) == config
    assert len(found) == (2 * 6 + 2 * 9) * len(NETWORKS) * len(head_names())
    assert len({json.dumps(config.to_json()) for config in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("name", "part", "value", "legal"),
    [
        ("digits-small_cnn-mmc", "data set", "digits", "mnist, fashion, cifar10, cifar100"),
        ("fashion_mnist-small_cnn-mmc", "data set", "fashion_mnist", "mnist, fashion, cifar10"),
        ("", "data set", "", "mnist, fashion, cifar10, cifar100"),
        ("cifar10", "network", "", ", ".join(NETWORKS)),
        ("cifar10-vgg-mmc", "network", "vgg", ", ".join(NETWORKS)),
        ("cifar10-mmc-resnet32", "network", "mmc", ", ".join(NETWORKS)),
        ("cifar10-resnet32", "head", "", "mmc"),
        ("cifar10-resnet32-mcc", "head", "mcc", "mmc_huber, mmc_random"),
        ("CIFAR10-resnet32-mmc", "data set", "CIFAR10", "cifar10"),
        ("cifar10-resnet32-mmc-slow", "ending", "slow", "fast, cpu, at, at-fast"),
        ("cifar10-resnet32-mmc-fast-at", "ending", "fast-at", "at-fast"),
        ("cifar10-resnet32-mmc-targeted", "ending", "targeted", "at-targeted"),
        ("cifar10-resnet32-mmc-at-at", "ending", "at-at", "at-targeted-cpu"),
        ("cifar10-resnet32-mmc-at-targeted-", "ending", "at-targeted-", "at-targeted-cpu"),
    ],
)
def test_a_wrong_part_is_named_beside_the_legal_ones(name, part, value, legal):
    with pytest.raises(ValueError) as caught:
        recipe(name)
    message = str(caught.value)
    assert message.startswith(f"`recipe` must be {recipes.GRAMMAR} with the {part} one of ")
    assert legal in message and message.endswith(f"; got {value!r} in {name!r}.")
    assert "\n" not in message


@pytest.mark.parametrize("data", GRAY)
@pytest.mark.parametrize("ending", ["cpu", "at-cpu", "at-targeted-cpu"])
def test_small_images_need_no_recipe_for_a_cpu(data, ending):
    name = f"{data}-small_cnn-mmc-{ending}"
    words = f"must end in `fast` or in neither for {data}, .*; got '{name}'"
    with pytest.raises(ValueError, match=words):
        recipe(name)


# --- on the command line ------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Every data set by name is 90 made-up images; a list of what was asked for and trained."""
    calls = {}
    monkeypatch.chdir(tmp_path)

    def load(name, split, **more):
        calls.setdefault("data", []).append((name, split))
        channels, size = (1, 28) if name.endswith("mnist") else (3, 32)
        generator = torch.Generator().manual_seed(len(split))
        images = torch.randint(0, 256, (90, channels, size, size), generator=generator).byte()
        names = [f"class {i}" for i in range(10)]
        return Dataset(name, split, images, torch.arange(90) % 10, names, "made up")

    def watched(config, *sets, **more):
        calls["config"] = config
        return train(replace(config, epochs=1, attack_steps=1), *sets, **more)

    monkeypatch.setattr("mmc_viz.datasets.load_dataset", load)
    monkeypatch.setattr("mmc_viz.training.train", watched)
    return calls


QUIET = ["--device", "cpu", "--quiet", "--out", "m"]


def test_a_recipe_is_what_the_command_trains(made_up, run):
    status, _, err = run("train", "--recipe", "fashion-small_cnn-mmc-at-targeted", *QUIET)
    assert (status, err) == (0, "")
    assert made_up["config"] == recipe("fashion-small_cnn-mmc-at-targeted").resolved()
    assert made_up["data"] == [("fashion_mnist", "train"), ("fashion_mnist", "test")]
    card = load_card("m")
    assert (
        card.command
        == f"mmc-viz train --recipe fashion-small_cnn-mmc-at-targeted {' '.join(QUIET)}"
    )
    assert (card.network, card.head, card.dataset["name"]) == ("small_cnn", "mmc", "fashion_mnist")


def test_what_stands_beside_a_recipe_replaces_its_part(made_up, run):
    words = (
        "--epochs 1 --limit 60 --eps 4/255 --attack-step-size 1/255 --seed 3 --head-option knee=2"
    )
    words += " --head mmc_huber --network resnet8 --batch-size 30 --attack-objective loss --lr 0.05"
    status, _, err = run("train", "--recipe", "cifar10-resnet110-sce-at", *words.split(), *QUIET)
    assert (status, err) == (0, "")
    start = recipe("cifar10-resnet110-sce-at")
    assert made_up["config"] == replace(
        start,
        head="mmc_huber",
        head_options={"knee": 2},
        network="resnet8",
        epochs=1,
        limit=60,
        eps=4 / 255,
        attack_step_size=1 / 255,
        attack_objective="loss",
        lr=0.05,
        seed=3,
        batch_size=30,
        augmentation="shift_flip",
    )
    assert made_up["config"].weight_decay == 2e-4 and not made_up["config"].nesterov
    card = load_card("m")
    assert card.config["attack_step_size"] == 1 / 255 and card.config["schedule"] == "steps"
    assert load_model("m").head.knee == 2


def test_a_recipe_for_another_data_set(run, tmp_path, monkeypatch):
    """An image folder in the place of CIFAR-10, from end to end."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)
    for split, name, i in product(("train", "test"), ("cat", "dog"), range(4)):
        folder = tmp_path / "pets" / split / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(0, 256, (20, 20, 3), generator=generator).byte()
        Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
    words = "--recipe cifar10-resnet8-mmc-at --dataset folder:pets --image-size 16 --epochs 1"
    status, out, err = run("train", *words.split(), *QUIET)
    assert (status, err) == (0, "") and "tested on the test pictures of a folder, 8" in out
    config = load_card("m").config
    expected = recipe("cifar10-resnet8-mmc-at").resolved().to_json()
    assert config == expected | {"dataset": "folder:pets", "image_size": 16, "epochs": 1}


def test_a_wrong_recipe_ends_the_command_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("train", "--recipe", "cifar10-resnet32-mmc-slow", *QUIET)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "with the ending one of fast, cpu, at, " in err and "got 'slow'" in err
    assert not list(tmp_path.iterdir())


# --- the targeted adversary ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sce", "mmc"])
def attacked(request):
    """A half-trained model, and what an adversary is given."""
    data = load_dataset("digits", "train")
    config = TrainConfig(head=request.param, epochs=3)
    model = train(config, data, data, device="cpu", progress=False).model
    return model, data.inputs()[:200], data.labels[:200], torch.arange(200)


TARGETED = TrainConfig(eps=0.1, attack_targets="random")


@pytest.fixture
def drawn(monkeypatch):
    """The labels that the adversary looked at, step by step."""
    seen = []
    climbed = adversaries._climbed

    def watched(head, features, labels, objective):
        seen.append(labels)
        return climbed(head, features, labels, objective)

    monkeypatch.setattr(adversaries, "_climbed", watched)
    return seen


@pytest.mark.parametrize("objective", ["loss", "cross_entropy", "distance"])
def test_a_targeted_adversary_goes_towards_its_target(attacked, drawn, objective):
    model, images, labels, indices = attacked
    config = replace(TARGETED, attack_objective=objective)
    found = worst_in_ball(model, images, labels, indices, config, 0)
    assert found.min() >= 0 and found.max() <= 1
    assert (found - images).abs().max() <= 0.1 + 1e-6
    assert len(drawn) == config.attack_steps
    targets = drawn[0]
    assert all(torch.equal(labels, targets) for labels in drawn)
    start = worst_in_ball(model, images, labels, indices, replace(config, attack_step_size=1e-9), 0)
    with torch.no_grad():
        values = [
            adversaries._climbed(model.head, model.features(x), targets, objective)
            for x in (start, found)
        ]
    before, after = values
    own = targets == labels
    assert 5 < own.sum() < 50
    assert (after < before)[~own].double().mean() > 0.95
    assert after[~own].mean() < before[~own].mean() - 0.2 * before[~own].mean().abs()
    # Where the target is the true class, the images become easier, not harder.
    assert (after <= before)[own].double().mean() > 0.9


def test_targets_depend_on_seed_epoch_and_index_alone(attacked, drawn):
    model, images, labels, indices = attacked
    config = replace(TARGETED, attack_steps=1)

    def targets(chosen, labels=labels, epoch=4, indices=indices, **more):
        found = worst_in_ball(
            model, images[chosen], labels[chosen], indices[chosen], replace(config, **more), epoch
        )
        return drawn.pop(), found

    everyone = torch.arange(200)
    whole, points = targets(everyone)
    order = everyone.flip(0).roll(7)
    for batch in order.split(60):
        part, found = targets(batch)
        assert torch.equal(part, whole[batch])
        torch.testing.assert_close(found, points[batch], rtol=0, atol=1e-6)
    # Neither the true class nor the kind of attack has a say.
    assert torch.equal(targets(everyone, labels=labels.roll(1))[0], whole)
    assert torch.equal(targets(everyone, eps=0.3, attack_steps=2)[0], whole)
    for other in (
        targets(everyone, epoch=5),
        targets(everyone, seed=1),
        targets(everyone, indices=indices + 200),
    ):
        assert (other[0] == whole).double().mean() < 0.25


def test_targets_are_drawn_from_all_classes_alike(drawn):
    count = 6000
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10)
    images = torch.full((count, 1, 4, 4), 0.5)
    labels = torch.arange(count) % 10
    config = replace(TARGETED, attack_steps=1)
    shares = []
    for epoch in (0, 1):
        worst_in_ball(model, images, labels, torch.arange(count), config, epoch)
        shares.append(drawn[-1])
        table = (10 * labels + drawn[-1]).bincount(minlength=100).view(10, 10)
        # Chi-square with 9 and 81 degrees of freedom; beyond these once in a thousand draws.
        total = table.sum(dim=0).double()
        assert ((total - 600).square() / 600).sum() < 27.9
        assert ((table - 60).double().square() / 60).sum() < 149  # 99 degrees
    agree = (shares[0] == shares[1]).double().mean()
    assert agree == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("targets", ["none", "random"])
@pytest.mark.parametrize("size", [0.003, 0.02])
def test_the_length_of_a_step_is_the_one_asked_for(attacked, targets, size):
    model, images, labels, indices = attacked
    one = TrainConfig(eps=0.1, attack_steps=1, attack_targets=targets)
    start = worst_in_ball(model, images, labels, indices, replace(one, attack_step_size=1e-9), 2)
    found = worst_in_ball(model, images, labels, indices, replace(one, attack_step_size=size), 2)
    low, high = (images - 0.1).clamp(0, 1), (images + 0.1).clamp(0, 1)
    moved = found - start
    free = (start > low + size) & (start < high - size)
    assert free.double().mean() > 0.2
    still = moved[free].abs() < 1e-6  # no gradient at all there
    assert still.double().mean() < 0.05
    torch.testing.assert_close(
        moved[free][~still].abs(), torch.full_like(moved[free][~still], size), rtol=0, atol=1e-6
    )
    # Near the walls a step is cut off, and nowhere is it longer.
    assert moved.abs().max() <= size + 1e-6
    # A step so long that any wall is reached leaves every pixel on one.
    far = worst_in_ball(model, images, labels, indices, replace(one, attack_step_size=1.0), 2)
    wall = torch.minimum((far - low).abs(), (far - high).abs())
    assert (wall < 1e-6).double().mean() > 0.95


def test_left_to_us_the_step_is_two_and_a_half_budgets_over_all_steps(attacked):
    model, images, labels, indices = attacked
    for steps in (1, 4):
        config = TrainConfig(eps=0.1, attack_steps=steps)
        named = replace(config, attack_step_size=2.5 * 0.1 / steps)
        given = [worst_in_ball(model, images, labels, indices, c, 0) for c in (config, named)]
        assert torch.equal(*given)


# --- bfloat16 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("adversarial", ["none", "pgd"])
def test_in_bfloat16_a_run_learns_what_it_learns_in_float32(adversarial, monkeypatch):
    given = set()
    convolve = nn.Conv2d.forward

    def noting(module, images):
        found = convolve(module, images)
        if torch.is_grad_enabled():  # tests after each epoch are none of our business
            given.add(found.dtype)
        return found

    sets = [load_dataset("digits", split) for split in ("train", "test")]
    config = TrainConfig(
        network="small_cnn", epochs=6, adversarial=adversarial, eps=0.02, attack_steps=1
    )
    runs = {}
    for bfloat16 in (None, True):
        given.clear()
        with monkeypatch.context() as patch:
            patch.setattr(nn.Conv2d, "forward", noting)
            changed = replace(config, bfloat16=bfloat16)
            runs[bfloat16] = train(changed, *sets, device="cpu", progress=False)
        assert given == {torch.bfloat16 if bfloat16 else torch.float32}
    states = [run.model.state_dict() for run in runs.values()]
    assert all(value.dtype != torch.bfloat16 for value in states[1].values())
    assert not torch.equal(states[0]["backbone.0.weight"], states[1]["backbone.0.weight"])
    images, labels = sets[1].inputs(), sets[1].labels
    for run in runs.values():
        with torch.no_grad():
            assert (run.model(images).argmax(dim=1) == labels).float().mean() > 0.95


def test_bfloat16_rounds_features_and_nothing_else():
    images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10).eval()
    exact = forward(model, TrainConfig())
    assert exact == model.features  # nothing stands between
    found = forward(model, TrainConfig(bfloat16=True))(images)
    assert found.dtype == torch.float32
    size = exact(images).abs().max()
    # Eight bits of mantissa, rounded after each of a few layers.
    assert 0 < (found - exact(images)).abs().max() < 0.03 * size


# --- compiled -----------------------------------------------------------------------------------


#: Each script runs in an interpreter of its own: here a type checker stands around every function,
#: and the compiler would see it too.
CAPTURED = """
import copy
import sys
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from mmc_viz.datasets import load_dataset
from mmc_viz.training import TrainConfig, train

graphs = []


def as_captured(graph, inputs):
    graphs.append(str(graph.code).count("conv2d("))
    return graph.forward


torch.compile = partial(torch.compile, backend=as_captured)
few = load_dataset("digits", "train", limit=32)
for network in ("small_cnn", "resnet8"):
    for adversarial in ("none", "pgd"):
        settings = {"epochs": 2, "batch_size": 16, "attack_steps": 2, "adversarial": adversarial}
        config = TrainConfig(network=network, **settings)
        plain = train(config, few, few, device="cpu", progress=False)
        assert not graphs
        compiled = train(replace(config, compiled=True), few, few, device="cpu", progress=False)
        # One graph of the whole network for training, one for what the adversary looks at.
        whole = sum(isinstance(module, nn.Conv2d) for module in plain.model.modules())
        assert graphs == [whole] * (1 + (adversarial == "pgd")), (network, adversarial, graphs)
        assert compiled.config == replace(plain.config, compiled=True)
        states = [run.model.state_dict() for run in (plain, compiled)]
        assert states[0].keys() == states[1].keys()
        for entry, other in zip(plain.history, compiled.history, strict=True):
            assert abs(entry["loss"] - other["loss"]) < 1e-4 * entry["loss"]
        again = copy.deepcopy(compiled.model)
        with torch.no_grad():
            logits = [model(few.inputs()) for model in (plain.model, compiled.model, again)]
        torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-2)
        assert torch.equal(logits[1], logits[2])
        graphs.clear()
        torch.compiler.reset()
"""

COMPILED = """
import mmc_viz
from mmc_viz.__main__ import main

words = "train --epochs 1 --limit 64 --compiled --out m --device cpu --quiet"
assert main(words.split()) == 0
model = mmc_viz.load_model("m")
assert model(mmc_viz.load_dataset("digits").inputs()).isfinite().all()
"""


def alone(script, folder):
    """Run a script in `folder` and expect it to end well."""
    variables = {
        "PYTHONPATH": str(Path(mmc_viz.__file__).parent.parent),
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def test_a_compiled_network_is_one_graph_and_takes_the_same_steps(tmp_path):
    """The graphs run as they are captured, which needs no C++ compiler."""
    alone(CAPTURED, tmp_path)


@pytest.mark.skipif(
    not (shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").exists()),
    reason="torch.compile needs a C++ compiler and Python's headers",
)
def test_a_compiled_network_trains_saves_and_loads(tmp_path):
    """With the real compiler: about 30 seconds on one core."""
    alone(COMPILED, tmp_path)
    assert any((tmp_path / "cache").rglob("*.cpp"))  # it was compiled indeed
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert card["config"]["compiled"] and math.isfinite(card["history"][0]["loss"])
    few = load_dataset("digits", "train", limit=64)
    plain = train(TrainConfig(epochs=1), few, few, device="cpu", progress=False)
    assert card["history"][0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=1e-4)
