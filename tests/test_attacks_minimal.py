import copy
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from conftest import Linear
from torch import nn

from mmc_viz.attacks import MINIMAL_NORM, cw, ddn, deepfool, ead, fab, fmn, frozen, pgd, square
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.hyperplanes import to_boundary
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.networks import make_classifier

NORMS = ["linf", "l2"]
ATTACKS = sorted(MINIMAL_NORM)
#: Each attack in each of its norms; `ead` minimises another measure.
EXACT = [(attack, norm) for attack in (fmn, deepfool, fab) for norm in ("linf", "l2")]
EXACT += [(ddn, "l2"), (cw, "l2")]
#: Fewer steps where only the contract is looked at.
FAST = {
    "cw": partial(cw, steps=50, search_steps=3),
    "ead": partial(ead, steps=50, search_steps=4),
    "deepfool": partial(deepfool, steps=30),
    "ddn": partial(ddn, steps=20),
    "fmn": partial(fmn, steps=20),
    "fab": partial(fab, steps=10, rivals=3),
}


@pytest.fixture(scope="module")
def untrained():
    """A network of random weights with used batch norms, images, and what it takes them for."""
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10)
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(50):
            model.train()(images)
    return model.eval(), images, model(images).argmax(dim=1)


@pytest.fixture
def uneven(linear):
    """A linear model whose classes differ in slope: the leading rival is often not the nearest."""
    model, images, _ = linear
    images = images.double()
    with torch.no_grad():
        weight = model.weight.double() * torch.tensor([0.3, 0.6, 1.0, 1.7, 3.0])[:, None].double()
        model = Linear(weight, -(weight @ images.flatten(1).mean(dim=0)))
        return model, images, model(images).argmax(dim=1)


def two_classes():
    """A linear model of two classes, for which all is known, and images anywhere in the box."""
    generator = torch.Generator().manual_seed(3)
    row = torch.randn(36, generator=generator)
    model = Linear(torch.stack([row, -row]) / 6, torch.stack([-row.sum(), row.sum()]) / 12)
    images = torch.rand(30, 1, 6, 6, generator=generator)
    images[:10] = images[:10].round()  # corners of the box, as in much of a digit
    with torch.no_grad():
        return model, images, model(images).argmax(dim=1), row


def fooled(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(dim=1) != labels


def distances(model, images, labels, found, norm):
    """How far the adversarial images are; infinite where none was found."""
    return BALLS[norm].length(found - images).masked_fill(~fooled(model, found, labels), torch.inf)


# --- strength -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("which", ["linear", "uneven"])
@pytest.mark.parametrize(("attack", "norm"), EXACT)
def test_the_nearest_adversarial_point_of_a_linear_model_is_found_to_one_percent(
    request, attack, norm, which
):
    model, images, labels = request.getfixturevalue(which)
    nearest = model.distance(images, labels, norm).detach()
    ratio = distances(model, images, labels, attack(model, images, labels, norm=norm), norm)
    ratio /= nearest
    assert ratio.median() < 1.01 and ratio.max() < 1.01
    assert ratio.min() > 1 - 1e-3  # nothing is nearer than the nearest, but for rounding


def test_in_the_uneven_model_the_leading_class_is_often_not_the_nearest(uneven):
    """Else the test above would not show what it is meant to."""
    model, images, labels = uneven
    with torch.no_grad():
        logits = model(images)
    gaps = logits.gather(1, labels[:, None]) - logits
    slopes = (model.weight[labels][:, None] - model.weight[None]).norm(dim=2).detach()
    own = torch.nn.functional.one_hot(labels, 5).bool()
    leading = gaps.masked_fill(own, torch.inf).argmin(dim=1)
    nearest = (gaps / slopes).masked_fill(own, torch.inf).argmin(dim=1)
    assert (leading != nearest).sum() >= 5


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("attack", "norm"), EXACT)
def test_where_the_box_stands_in_the_way_the_nearest_point_of_the_box_is_found(attack, norm):
    model, images, labels, row = two_classes()
    # Independent of our formulas: what the box leaves of the straight way, by bisection.
    sign = torch.where(labels == 0, -1.0, 1.0)[:, None]
    way = sign * (row.sign() if norm == "linf" else row)
    flat = images.flatten(1)
    low, high = torch.zeros(30, 1), torch.full((30, 1), 10.0)
    for _ in range(40):
        middle = (low + high) / 2
        over = fooled(model, (flat + middle * way).clamp(0, 1).view_as(images), labels)[:, None]
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    best = (flat + high * way).clamp(0, 1)
    assert fooled(model, best.view_as(images), labels).all()
    nearest = BALLS[norm].length((best - flat).view_as(images))
    # The box does stand in the way of most.
    free = model.distance(images, labels, norm).detach()
    assert (nearest > 1.02 * free).sum() >= (10 if norm == "l2" else 5)
    found = attack(model, images, labels, norm=norm)
    ratio = distances(model, images, labels, found, norm) / nearest
    assert ratio.median() < 1.01 and ratio.max() < 1.01
    assert ratio.min() > 1 - 1e-3


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("attack", "norm"), [(fmn, "linf"), (fmn, "l2"), (ddn, "l2"), (cw, "l2")])
def test_targets_are_reached_at_the_distance_that_two_half_spaces_allow(linear, attack, norm):
    """The nearest point of a class of a linear model, by a solver that knows nothing of ours."""
    from scipy.optimize import linprog, minimize

    model, images, labels = (value[:6] if torch.is_tensor(value) else value for value in linear)
    targets = (labels + 1) % 5
    weight, bias = model.weight.detach().double(), model.bias.detach().double()
    nearest = []
    for image, target in zip(images.flatten(1).double(), targets, strict=True):
        others = torch.arange(5) != target
        normals = (weight[target] - weight[others]).numpy()
        offsets = (weight[target] - weight[others]) @ image + bias[target] - bias[others]
        offsets = offsets.numpy()
        if norm == "l2":
            best = minimize(
                lambda d: d @ d,
                np.zeros(36),
                jac=lambda d: 2 * d,
                constraints={
                    "type": "ineq",
                    "fun": lambda d, n=normals, o=offsets: n @ d + o,
                    "jac": lambda d, n=normals: n,
                },
                tol=1e-12,
            )
            nearest.append(best.fun**0.5)
        else:
            # Variables are the change and its bound.
            identity, ones = np.eye(36), np.ones((36, 1))
            above = np.block([[-normals, np.zeros((4, 1))], [identity, -ones], [-identity, -ones]])
            right = np.concatenate([offsets, np.zeros(72)])
            cost = np.append(np.zeros(36), 1.0)
            best = linprog(cost, A_ub=above, b_ub=right, bounds=[(None, None)] * 37)
            nearest.append(best.fun)
    found = attack(model, images, labels, norm=norm, targets=targets)
    with torch.no_grad():
        assert torch.equal(model(found).argmax(dim=1), targets)
    ratio = BALLS[norm].length(found - images) / torch.tensor(nearest)
    assert ratio.median() < 1.01 and ratio.max() < 1.03 and ratio.min() > 1 - 1e-3


@pytest.mark.usefixtures("unchecked")
def test_ead_reaches_targets_and_finds_a_shorter_elastic_net_than_cw(linear):
    model, images, labels = (value[:15] if torch.is_tensor(value) else value for value in linear)
    beta = 0.1

    def elastic_net(found):
        change = (found - images).flatten(1)
        return beta * change.abs().sum(dim=1) + change.square().sum(dim=1)

    found = ead(model, images, labels, beta=beta)
    assert fooled(model, found, labels).all()
    reference = elastic_net(cw(model, images, labels))
    assert (elastic_net(found) <= 1.01 * reference).all()
    assert elastic_net(found).mean() < 0.98 * reference.mean()
    targets = (labels + 1) % 5
    with torch.no_grad():
        reached = model(ead(model, images, labels, targets=targets)).argmax(dim=1)
    assert torch.equal(reached, targets)


@pytest.mark.usefixtures("unchecked")
def test_ead_solves_the_elastic_net_of_a_linear_model():
    r"""With two classes the optimum is a soft threshold, $\max(\lambda |w| - \beta, 0) / 2$."""
    model, images, labels, row = two_classes()
    images = 0.5 + (images - 0.5) / 20
    with torch.no_grad():
        logits = model(images)
    labels = logits.argmax(dim=1)
    gap = (logits.amax(dim=1) - logits.amin(dim=1)).double()
    slope = (2 * row / 6).abs().double()
    for beta in (0.01, 0.1, 0.5):
        low, high = torch.zeros(30).double(), torch.full((30,), 1e3).double()
        for _ in range(60):
            middle = (low + high) / 2
            change = (middle[:, None] * slope - beta).clamp_min(0) / 2
            over = change @ slope >= gap
            low, high = torch.where(over, low, middle), torch.where(over, middle, high)
        best = (high[:, None] * slope - beta).clamp_min(0) / 2
        least = best.square().sum(dim=1) + beta * best.sum(dim=1)
        found = (ead(model, images, labels, beta=beta, search_steps=9) - images).flatten(1)
        assert fooled(model, images + found.view_as(images), labels).all()
        ratio = (found.square().sum(dim=1) + beta * found.abs().sum(dim=1)) / least
        assert ratio.max() < 1.02 and ratio.min() > 1 - 1e-3


@pytest.mark.usefixtures("unchecked")
def test_with_more_beta_ead_changes_fewer_pixels_and_its_rules_keep_what_they_say(linear):
    model, images, labels = (value[:15] if torch.is_tensor(value) else value for value in linear)

    def change(**settings):
        return (ead(model, images, labels, **settings) - images).flatten(1)

    changes = [change(beta=beta).abs() for beta in (0.0, 0.1, 1.0)]
    pixels = [(found > 1e-6).sum().item() for found in changes]
    assert pixels[0] > pixels[1] > pixels[2]
    city_block = change(beta=0.1, decision_rule="l1").abs().sum(dim=1)
    assert (city_block <= changes[1].sum(dim=1) + 1e-4).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", [cw, ead])
def test_confidence_is_the_margin_that_comes_back(linear, attack):
    model, images, labels = linear
    found = attack(model, images, labels, confidence=0.5)
    with torch.no_grad():
        logits = model(found)
    own = logits.gather(1, labels[:, None])[:, 0]
    lead = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1) - own
    assert (lead >= 0.5).all() and (lead < 0.52).all()


@pytest.mark.usefixtures("unchecked")
def test_cw_runs_with_the_authors_settings_and_finds_the_same(linear):
    model, images, labels = (value[:6] if torch.is_tensor(value) else value for value in linear)
    nearest = model.distance(images, labels, "l2").detach()
    found = cw(model, images, labels, lr=5e-3, search_steps=9, steps=1000, initial_const=0.01)
    assert (distances(model, images, labels, found, "l2") < 1.01 * nearest).all()


@pytest.mark.parametrize("norm", NORMS)
def test_more_starts_and_steps_never_find_less(untrained, norm):
    model, images, labels = untrained

    def size(**settings):
        found = fmn(model, images, labels, norm=norm, **settings)
        return distances(model, images, labels, found, norm)

    few = size(steps=30, starts=1)
    assert few.isfinite().all()
    # Bisection may leave a nearer point a hair farther out.
    assert (size(steps=30, starts=4) <= few * 1.05).all()
    assert size(steps=30, starts=4).mean() <= few.mean() * 1.001


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_fmn_finds_what_bisected_pgd_finds(digits, name, norm):
    model, images, labels = load_model(name), digits.inputs()[:20], digits.labels[:20]
    own = distances(model, images, labels, fmn(model, images, labels, norm=norm), norm)
    low, high = torch.zeros(20), torch.full((20,), {"linf": 0.5, "l2": 3.0}[norm])
    for _ in range(8):
        middle = (low + high) / 2
        over = fooled(model, pgd(model, images, labels, eps=middle, norm=norm, steps=30), labels)
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    wrong = fooled(model, images, labels)
    assert own[~wrong].median() < 1.02 * high[~wrong].median()
    assert own[~wrong].mean() < 1.02 * high[~wrong].mean()


@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_medians_are_within_five_percent_of_those_of_foolbox(digits, name):
    """Ours may be shorter: a shorter one is a stronger attack, and each is checked to fool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about old SciPy and NumPy names
        foolbox = pytest.importorskip("foolbox")
        model, images, labels = load_model(name), digits.inputs()[:30], digits.labels[:30]
        theirs = foolbox.PyTorchModel(model, bounds=(0, 1))
        fooling = foolbox.criteria.Misclassification(labels)
        attacks = foolbox.attacks
        weighing = attacks.L2CarliniWagnerAttack(binary_search_steps=6, steps=200)
        pairs = {
            "fmn linf": (fmn, "linf", attacks.LInfFMNAttack(steps=100)),
            "fmn l2": (fmn, "l2", attacks.L2FMNAttack(steps=100)),
            "ddn": (ddn, "l2", attacks.DDNAttack(steps=100)),
            "cw": (cw, "l2", weighing),
            "deepfool linf": (deepfool, "linf", attacks.LinfDeepFoolAttack()),
            "deepfool l2": (deepfool, "l2", attacks.L2DeepFoolAttack()),
        }
        right = ~fooled(model, images, labels)
        medians = {}
        for pair, (attack, norm, reference) in pairs.items():
            found = attack(model, images, labels, norm=norm)
            expected = reference.run(theirs, images, fooling).detach()
            medians[pair] = [
                distances(model, images, labels, points, norm)[right].median().item()
                for points in (found, expected)
            ]
    assert all(own <= 1.05 * other for own, other in medians.values()), medians


def clothes_and_a_model_trained_against_linf():
    data = load_dataset("fashion_mnist", limit=16)
    return load_model("fashion-sce-at"), data.inputs(), data.labels


@pytest.mark.usefixtures("unchecked")
def test_fab_comes_from_outside_to_where_small_changes_do_nothing():
    """Pixels darker than the budget of its training mean nothing to this model, so inside a ball of
    l2 there is little slope to follow; an attack without a gradient shows what is to be found."""
    model, images, labels = clothes_and_a_model_trained_against_linf()
    right, eps = ~fooled(model, images, labels), 1.0
    inside = pgd(model, images, labels, eps=eps, norm="l2", steps=50)
    blind = square(model, images, labels, eps=eps, norm="l2", queries=300)
    outside = distances(model, images, labels, fab(model, images, labels, norm="l2"), "l2")
    walking = distances(model, images, labels, fmn(model, images, labels, norm="l2"), "l2")
    assert outside[right].median() < 0.7 * walking[right].median()
    held = (~fooled(model, inside, labels)).sum() - (outside > eps).sum()
    assert held > 0.4 * len(images)
    assert (outside > eps).sum() <= (~fooled(model, blind, labels)).sum()


@pytest.mark.usefixtures("unchecked")
def test_further_starts_of_fab_help_and_depend_on_the_place_alone(digits):
    model, images, labels = load_model("digits-sce"), digits.inputs()[:20], digits.labels[:20]
    attack = partial(fab, steps=10, norm="l2")
    one = distances(model, images, labels, attack(model, images, labels), "l2")
    found = attack(model, images, labels, restarts=3)
    three = distances(model, images, labels, found, "l2")
    # What is drawn towards the image at the end may be another point: within a percent.
    assert (three <= 1.01 * one).all() and (three < 0.99 * one).any()
    parts = attack(model, images, labels, restarts=3, batch_size=7)
    again = distances(model, images, labels, parts, "l2")
    torch.testing.assert_close(again, three, rtol=1e-2, atol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc", "fashion-sce-at"])
def test_fab_leaves_no_more_images_than_the_published_one(digits, name, norm):
    pytest.importorskip("pyautoattack")
    from mmc_viz.attacks.published import autoattack

    model, images, labels = load_model(name), digits.inputs()[:24], digits.labels[:24]
    if name.startswith("fashion"):
        model, images, labels = clothes_and_a_model_trained_against_linf()
    right = ~fooled(model, images, labels)
    ours = distances(model, images, labels, fab(model, images, labels, norm=norm), norm)[right]
    # The published one looks no further once it has found something within its budget, so what can
    # be compared is how many images are left at one.
    eps = ours.median().item()
    theirs = autoattack(model, images, labels, eps=eps, norm=norm, parts=("fab-t",))
    assert (ours > eps).sum() <= (~fooled(model, theirs, labels)).sum() + 1


# --- the nearest point of the linear model --------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_the_boundary_of_a_linear_function_is_met_where_a_bisection_meets_it(norm):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(40, 1, 3, 4, generator=generator).double()
    points[:10] = points[:10].round()
    slopes = torch.randn(40, 1, 3, 4, generator=generator).double()
    slopes[20:] *= torch.rand(20, 1, 3, 4, generator=generator) > 0.5
    highest = (slopes * ((slopes > 0).double() - points)).flatten(1).sum(dim=1)
    gaps = highest * torch.linspace(0, 0.99, 40).double()
    ball = BALLS[norm]
    found = to_boundary(points, slopes, gaps, ball)
    assert found.min() >= 0 and found.max() <= 1
    rise = ((found - points) * slopes).flatten(1).sum(dim=1)
    torch.testing.assert_close(rise, gaps, rtol=1e-9, atol=1e-9)
    # No point of a smaller ball rises as far.
    smaller = BALLS[norm].length(found - points) * 0.99
    far = points + 1e4 * ball.steepest(slopes)
    best = ball.project(far, points, smaller) if norm == "linf" else None
    if norm == "linf":
        assert ((((best - points) * slopes).flatten(1).sum(dim=1) < gaps) | (gaps == 0)).all()
    else:  # in l2 the way is a clipped multiple of the gradient
        change = (found - points).flatten(1)
        free = (found > 1e-9) & (found < 1 - 1e-9)
        ratio = change / slopes.flatten(1)
        for row in range(40):
            inside = free.flatten(1)[row] & (slopes.flatten(1)[row] != 0)
            if inside.any():
                shares = ratio[row][inside]
                torch.testing.assert_close(shares, shares[:1].expand_as(shares))
                assert (ratio[row][~inside].nan_to_num() <= shares[0] + 1e-9).all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_rise_out_of_reach_leads_to_the_best_corner_and_no_slope_leads_nowhere(norm):
    points = torch.tensor([[0.2, 0.7], [0.2, 0.7]]).reshape(2, 1, 1, 2)
    slopes = torch.tensor([[1.0, -2.0], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    found = to_boundary(points, slopes, torch.tensor([100.0, 1.0]), BALLS[norm])
    torch.testing.assert_close(found[0].flatten(), torch.tensor([1.0, 0.0]))
    assert torch.equal(found[1], points[1])


# --- the contract -------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_outputs_stay_in_the_box_and_fool_the_model(untrained, attack):
    model, images, labels = untrained
    images = images.clone()
    images[0], images[1] = 0, 1  # corners of the box
    labels = model(images).argmax(dim=1)
    found = MINIMAL_NORM[attack](model, images, labels)
    assert found.min() >= 0 and found.max() <= 1 and found.isfinite().all()
    assert fooled(model, found, labels).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_have_no_side_effects(untrained, attack):
    model, images, labels = copy.deepcopy(untrained[0]), untrained[1].clone(), untrained[2].clone()
    model.train()
    model.backbone[1].eval()
    model.requires_grad_(True)
    modes = [module.training for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    copies, state = (images.clone(), labels.clone()), torch.get_rng_state()
    FAST[attack](model, images, labels)
    assert [module.training for module in model.modules()] == modes
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert torch.equal(images, copies[0]) and torch.equal(labels, copies[1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_results_do_not_depend_on_the_batch(linear, attack):
    model, images, labels = (value[:20] if torch.is_tensor(value) else value for value in linear)
    model, images = model.double(), images.double()
    labels = labels.clone()
    labels[:4] = (labels[:4] + 1) % 5  # wrong already, so that places and rows differ
    whole = FAST[attack](model, images, labels)
    parts = FAST[attack](model, images, labels, batch_size=7)
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-7)


def test_the_same_generator_gives_the_same_images_and_the_default_is_seed_zero(untrained):
    model, images, labels = untrained

    def iterates(seed):
        seen = []
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        trace = lambda step, points, *_: seen.append(points)  # noqa: E731
        fmn(model, images, labels, steps=5, generator=generator, trace=trace)
        return torch.stack(seen)

    assert torch.equal(iterates(7), iterates(7))
    assert torch.equal(iterates(None), iterates(0))
    assert not torch.equal(iterates(7), iterates(8))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_model_gets_wrong_already_comes_back_as_it_is(untrained, attack):
    model, images, labels = untrained
    labels = labels.clone()
    labels[:4] = (labels[:4] + 1) % 10
    found = FAST[attack](model, images, labels)
    assert torch.equal(found[:4], images[:4])
    assert not torch.equal(found[4:], images[4:])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_that_cannot_be_fooled_gives_the_clean_images(linear, attack):
    _, images, _ = linear

    class Constant(nn.Module):
        def forward(self, x):
            flat = 0 * x.flatten(1).sum(dim=1, keepdim=True)
            return flat + torch.tensor([0.0, 3.0, 1.0], dtype=x.dtype)

    labels = torch.ones(len(images), dtype=torch.int64)
    assert torch.equal(FAST[attack](Constant(), images, labels), images)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_original_model_decides_what_is_fooled(untrained, attack):
    """A fast form that errs everywhere must not pass for success."""
    model, images, labels = untrained
    with frozen(model, images) as view:

        class Wrong(nn.Module):
            def forward(self, x):
                return view.exact(x).roll(1, dims=1)

        view.fast = Wrong()
        found = FAST[attack](view, images, labels)
    moved = (found != images).flatten(1).any(dim=1)
    assert fooled(model, found, labels)[moved].all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_comes_back_has_no_history_and_no_mode_of_its_own(untrained, attack):
    model, images, labels = untrained
    expected = FAST[attack](model, images, labels)
    found = FAST[attack](model, images.clone().requires_grad_(), labels)
    assert not found.requires_grad and torch.equal(found, expected)
    with torch.inference_mode():
        found = FAST[attack](model, images.clone(), labels.clone())
    assert torch.equal(found, expected)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_double_precision_model_is_attacked_in_double_precision(linear, attack):
    model, images, labels = linear
    model, images = model.double(), images.double()
    found = FAST[attack](model, images, labels)
    assert found.dtype == torch.float64
    assert fooled(model, found, labels).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("attack", ATTACKS)
def test_logits_may_have_another_type_than_the_images(linear, attack, dtype):
    model, images, labels = (value[:12] if torch.is_tensor(value) else value for value in linear)

    class Cast(nn.Module):
        def forward(self, x):
            return model(x).to(dtype)

    labels = Cast()(images).argmax(dim=1)
    found = FAST[attack](Cast(), images, labels)
    assert found.dtype == torch.float32
    assert fooled(Cast(), found, labels).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_models_that_write_into_their_input_change_nothing(linear, attack):
    model, images, labels = linear

    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model  # a part of its own, so that it can be traced and folded

        def forward(self, x):
            x -= 0.5
            return self.inner(x + 0.5)

    before = images.clone()
    found = FAST[attack](Writing(), images, labels)
    assert torch.equal(images, before)
    torch.testing.assert_close(found, FAST[attack](model, images, labels), rtol=0, atol=1e-3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_comes_back_fools_the_model_in_any_batch(linear, attack):
    """Large logits blur the boundary by rounding, and some images lie within the blur."""
    model, images, _ = linear
    blurred = Linear(model.weight.detach(), model.bias.detach() + 3000)
    labels = blurred(images).argmax(dim=1)
    found = MINIMAL_NORM[attack](blurred, images, labels)
    for image, label in zip(found, labels, strict=True):
        assert blurred(image[None]).argmax() != label
    assert fooled(blurred, found, labels).all()


class Viewing(nn.Module):
    """Reshapes as many models do, which fails on an empty batch."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).view(x.shape[0], -1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_empty_batch_reaches_the_model(linear, attack):
    model, images, labels = linear
    viewing = Viewing(model)
    with pytest.raises(RuntimeError):
        viewing(images[:0])
    assert FAST[attack](viewing, images[:0], labels[:0]).shape == (0, 1, 6, 6)
    wrong = (labels + 1) % 5
    seen = []
    found = FAST[attack](viewing, images, wrong, trace=lambda step, *_: seen.append(step))
    assert torch.equal(found, images) and seen[0] == 0
    assert fooled(model, FAST[attack](viewing, images, labels), labels).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_gradient_that_is_no_number_moves_nothing_out_of_the_box(linear, attack):
    model, images, labels = linear

    class Rooted(nn.Module):
        def forward(self, x):
            # The slope of the root at 0 is infinite, and 0 times it is no number.
            return model(x) + 0 * (x - x.detach()).abs().sqrt().flatten(1).sum(dim=1, keepdim=True)

    found = FAST[attack](Rooted(), images, labels)
    assert found.isfinite().all() and found.min() >= 0 and found.max() <= 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_logit_scale_changes_nothing(linear, attack):
    """The lead is in pixels, so a model that says the same louder is attacked the same way."""
    model, images, labels = linear
    model, images = model.double(), images.double()
    loud = Linear(model.weight.detach() * 1e4, model.bias.detach() * 1e4)
    found = FAST[attack](loud, images, labels)
    torch.testing.assert_close(found, FAST[attack](model, images, labels), rtol=0, atol=1e-6)


# --- trace --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "steps"),
    [
        (partial(fmn, steps=5, starts=2), [0, 1, 2, 3, 4, 5] * 2),
        (partial(fab, steps=5, rivals=2, restarts=2), [0, 1, 2, 3, 4, 5] * 4),
        (partial(ddn, steps=5), [0, 1, 2, 3, 4, 5]),
        (partial(deepfool, steps=5), [0, 1, 2, 3, 4, 5] * 2),
        (partial(cw, steps=4, search_steps=2), [0, 1, 2, 3, 4] * 2),
        (partial(ead, steps=4, search_steps=2), [0, 1, 2, 3, 4] * 2),
    ],
)
def test_trace_sees_every_iterate_of_every_image(untrained, attack, steps):
    model, images, labels = untrained
    labels = labels.clone()
    labels[:2] = (labels[:2] + 1) % 10
    seen = []
    found = attack(model, images, labels, trace=lambda *values: seen.append(values))
    assert [step for step, *_ in seen] == steps
    for _, points, logits, loss in seen:
        assert points.shape == images.shape and loss.shape == labels.shape
        assert torch.equal(points[:2], images[:2])
        assert points.min() >= 0 and points.max() <= 1
        with torch.no_grad():
            torch.testing.assert_close(logits, model(points), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found, attack(model, images, labels), rtol=0, atol=1e-4)


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "change", "words"),
    [
        ("fmn", {"steps": 0}, "`steps` must be at least 1; got 0"),
        ("fmn", {"starts": 0}, "`starts` must be at least 1; got 0"),
        ("fmn", {"gamma": 1.0}, "`gamma` must be above 0 and below 1; got 1.0"),
        ("fmn", {"step_size": 0.0}, "`step_size` must be above 0 and finite; got 0.0"),
        ("fmn", {"norm": "l1"}, "`norm` must be one of linf, l2; got 'l1'"),
        ("fmn", {"batch_size": 0}, "`batch_size` must be at least 1; got 0"),
        ("fmn", {"images": torch.full((12, 1, 8, 8), 2.0)}, r"`images` must lie in \[0, 1\].*255"),
        ("fmn", {"labels": torch.full((12,), 10)}, r"`labels` must be in 0 \.\. 9"),
        ("fmn", {"targets": torch.full((12,), 10)}, r"`targets` must be in 0 \.\. 9"),
        ("fab", {"steps": 0}, "`steps` must be at least 1; got 0"),
        ("fab", {"rivals": 0}, "`rivals` must be at least 1; got 0"),
        ("fab", {"restarts": 0}, "`restarts` must be at least 1; got 0"),
        ("fab", {"alpha_max": 1}, "`alpha_max` must be above 0 and below 1; got 1"),
        ("fab", {"beta": 0}, "`beta` must be above 0 and below 1; got 0"),
        ("fab", {"eta": 0.9}, "`eta` must be finite and at least 1; got 0.9"),
        ("ddn", {"norm": "linf"}, "`norm` must be one of l2; got 'linf'"),
        ("ddn", {"steps": 0}, "`steps` must be at least 1"),
        ("ddn", {"gamma": 0}, "`gamma` must be above 0 and below 1; got 0"),
        ("cw", {"norm": "linf"}, "`norm` must be one of l2; got 'linf'"),
        ("cw", {"search_steps": 0}, "`search_steps` must be at least 1; got 0"),
        ("cw", {"initial_const": 0}, "`initial_const` must be above 0 and finite; got 0"),
        ("cw", {"lr": float("nan")}, "`lr` must be above 0 and finite; got nan"),
        ("cw", {"confidence": -1}, "`confidence` must be finite and at least 0; got -1"),
        ("ead", {"norm": "linf"}, "`norm` must be one of l2; got 'linf'"),
        ("ead", {"beta": -0.1}, "`beta` must be finite and at least 0; got -0.1"),
        ("ead", {"decision_rule": "l2"}, "`decision_rule` must be one of en, l1; got 'l2'"),
        ("deepfool", {"overshoot": -1}, "`overshoot` must be finite and at least 0; got -1"),
        ("deepfool", {"targets": torch.zeros(12, dtype=torch.int64)}, "`targets` must be None"),
        ("deepfool", {"norm": "l1"}, "`norm` must be one of linf, l2; got 'l1'"),
    ],
)
def test_mistakes_are_named_in_one_line(untrained, attack, change, words):
    model, images, labels = untrained
    call = {"images": images, "labels": labels} | change
    with pytest.raises(ValueError, match=words) as raised:
        MINIMAL_NORM[attack](model, **call)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_that_cuts_the_gradient_off_is_refused(linear, attack):
    model, images, labels = linear

    class Cut(nn.Module):
        def forward(self, x):
            return model(x).detach()

    with pytest.raises(ValueError, match="has no gradient"):
        FAST[attack](Cut(), images, labels)
