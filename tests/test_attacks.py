import copy
from functools import partial

import pytest
import torch
from torch import nn

from mmc_viz.attacks import FIXED_BUDGET, apgd, bim, fgsm, frozen, mim, pgd
from mmc_viz.attacks.ascent import checkpoints
from mmc_viz.attacks.balls import BALLS
from mmc_viz.evaluation import robustness_curve
from mmc_viz.networks import make_classifier, outputs
from mmc_viz.objectives import OBJECTIVES
from mmc_viz.paths import epsilon_path

NORMS = ["linf", "l2"]
ATTACKS = sorted(FIXED_BUDGET)
#: All attacks of the family, with fewer steps: enough where only the contract is looked at.
FAST = FIXED_BUDGET | {
    "square": partial(FIXED_BUDGET["square"], queries=60),
    "spsa": partial(FIXED_BUDGET["spsa"], steps=5, samples=16),
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


def length(change, norm):
    return change.flatten(1).norm(p={"linf": torch.inf, "l2": 2}[norm], dim=1)


def fooled(model, images, labels):
    return model(images).argmax(dim=1) != labels


# --- strength -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "attack",
    [
        partial(pgd, steps=50),
        partial(apgd, steps=50),
        partial(apgd, steps=20, widest=10),
        partial(bim, steps=50),
    ],
)
def test_the_nearest_adversarial_point_of_a_linear_model_is_found(linear, attack, norm):
    model, images, labels = linear
    nearest = model.distance(images, labels, norm).detach()
    # Of the rivals, the one nearest in logits need not be the one nearest in pixels, and ascent
    # of the margin follows the first. Attacking each rival in turn leaves no such doubt.
    attack = partial(attack, norm=norm, objective="targeted_margin")
    assert not fooled(model, attack(model, images, labels, eps=0.99 * nearest), labels).any()
    assert fooled(model, attack(model, images, labels, eps=1.01 * nearest), labels).all()


@pytest.mark.parametrize("norm", NORMS)
def test_each_rival_in_turn_fools_what_the_leading_one_does_not(linear, norm):
    model, images, labels = linear
    eps = 1.01 * model.distance(images, labels, norm).detach()
    one = fooled(model, pgd(model, images, labels, eps=eps, norm=norm, steps=50), labels)
    turn = pgd(model, images, labels, eps=eps, norm=norm, steps=50, objective="targeted_margin")
    assert not one.all() and fooled(model, turn, labels).all()
    # The same by hand: the best of all runs with one target each.
    by_hand = one.clone()
    for rival in range(5):
        targets = torch.where(labels == rival, (rival + 1) % 5, rival)
        aimed = pgd(model, images, labels, eps=eps, norm=norm, steps=50, targets=targets)
        by_hand |= fooled(model, aimed, labels)
    assert by_hand.all()


@pytest.mark.parametrize("norm", NORMS)
def test_momentum_reaches_a_linear_optimum_too(norm):
    from conftest import Linear

    generator = torch.Generator().manual_seed(5)
    row = torch.randn(36, generator=generator)
    model = Linear(torch.stack([row, -row]) / 6, torch.stack([-row.sum(), row.sum()]) / 12)
    images = 0.5 + 0.02 * torch.randn(30, 1, 6, 6, generator=generator)
    labels = model(images).argmax(dim=1)
    nearest = model.distance(images, labels, norm).detach()
    below = mim(model, images, labels, eps=0.99 * nearest, norm=norm)
    above = mim(model, images, labels, eps=1.01 * nearest, norm=norm)
    assert not fooled(model, below, labels).any() and fooled(model, above, labels).all()


def test_momentum_adds_gradients_of_unit_l1_norm(untrained):
    model, images, labels = untrained
    points = []
    mim(
        model,
        images,
        labels,
        eps=0.02,
        steps=4,
        step_size=0.004,
        decay=0.5,
        objective="distance",
        trace=lambda step, at, *_: points.append(at),
    )
    # The recursion of the paper, written out.
    sums, point = torch.zeros_like(images), images.clone()
    for expected in points[1:]:
        point.requires_grad_()
        (gradient,) = torch.autograd.grad(OBJECTIVES["distance"](model(point), labels).sum(), point)
        sums = 0.5 * sums + gradient / gradient.abs().sum(dim=(1, 2, 3), keepdim=True)
        point = (point.detach() + 0.004 * sums.sign()).clamp(images - 0.02, images + 0.02)
        point = point.clamp(0, 1)
        still = ~fooled(model, points[-1], labels)
        torch.testing.assert_close(point[still], expected[still], rtol=0, atol=1e-6)
        assert still.any()


def test_auto_pgd_has_its_checkpoints_where_the_paper_puts_them():
    # p: 0.22, then gaps that shrink by 0.03 down to 0.06; in hundredths, for 100 steps.
    assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_auto_pgd_halves_its_steps_on_a_ridge():
    # The objective's peak lies within the ball: steps of 2 eps jump over it for ever, and only
    # halved steps can settle there.
    class Hill(nn.Module):
        def forward(self, x):
            top = -(x.flatten(1) - 0.537).square().sum(dim=1)
            return torch.stack([top * 0 + 1, top * 0], dim=1) + torch.stack([-top, top], dim=1)

    images, labels = torch.full((3, 1, 2, 2), 0.5), torch.zeros(3, dtype=torch.int64)
    seen = []

    def ends(attack):
        attack(Hill(), images, labels, eps=0.2, steps=100, trace=lambda *v: seen.append(v[3]))
        return seen[-1]

    best = torch.full((3,), -1.0)  # the margin at the peak
    torch.testing.assert_close(ends(apgd), best, rtol=0, atol=1e-5)
    assert (ends(partial(pgd, step_size=0.4)) < best - 1e-2).all()


def published_auto_pgd(value, start, project, steepest, eps, steps):
    """Algorithm 1 of the paper for one image, word for word; gives every iterate."""

    def slope(point):
        point = point.clone().requires_grad_()
        return steepest(torch.autograd.grad(value(point), point)[0])

    size, points, values, sizes, bests = 2 * eps, [start], [value(start).item()], [], []
    here, before, last_check = start, None, 0
    for k in range(steps):
        best = max(range(len(values)), key=lambda i: (values[i], -i))
        sizes.append(size)
        bests.append(values[best])
        if k in checkpoints(steps):
            rises = sum(values[i + 1] > values[i] for i in range(last_check, k))
            few = rises < 0.75 * (k - last_check)
            still = sizes[last_check] == size and bests[last_check] == bests[k]
            if few or still:
                here, size = points[best], size / 2
            last_check = k
            sizes[k] = size
        ahead = project(here + size * slope(here))
        if before is not None:
            ahead = project(here + 0.75 * (ahead - here) + 0.25 * (here - before))
        before, here = here, ahead
        points.append(ahead)
        values.append(value(ahead).item())
    return torch.cat(points)


@pytest.mark.parametrize("norm", NORMS)
def test_auto_pgd_goes_where_the_published_algorithm_goes(norm):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(36, 8, generator=generator, dtype=torch.float64)
    images = torch.rand(3, 1, 6, 6, generator=generator, dtype=torch.float64)
    labels, eps, steps, seen = torch.zeros(3, dtype=torch.int64), 0.3, 60, []

    class Firm(nn.Module):
        def forward(self, x):
            hidden = (x.flatten(1) @ first).sin()
            return torch.cat([hidden[:, :1] + 100, hidden[:, 1:]], dim=1)

    def objective(logits, labels):  # with many hills, and no image is ever fooled
        return (3 * logits).sin().sum(dim=1)

    def note(step, points, logits, loss):
        seen.append(points)

    apgd(Firm(), images, labels, eps=eps, norm=norm, steps=steps, objective=objective, trace=note)
    found = torch.stack(seen)
    ball, budget = BALLS[norm], torch.full((1,), eps, dtype=torch.float64)
    for i in range(3):
        expected = published_auto_pgd(
            lambda point: objective(Firm()(point), None).sum(),
            found[0, i : i + 1],
            lambda points, i=i: ball.project(points, images[i : i + 1], budget),
            ball.steepest,
            eps,
            steps,
        )
        torch.testing.assert_close(found[:, i], expected, rtol=0, atol=1e-9)


class Overlooking(nn.Module):
    """Fooled where the first pixel rises from 0.3 to 0.6, of which the first 0.2 do nothing.

    Seven more are alike, but have to rise by 0.7. The other 56 pixels have a slope, with which
    nothing can be won within a change of 1.3 in l2.
    """

    def forward(self, x):
        pixels = x.flatten(1)
        slopes = torch.tensor([10.0] + [2.0] * 7)
        rise = (pixels[:, :8] - 0.5).relu() @ slopes + 0.1 * (pixels[:, 8:] - 0.5).sum(dim=1)
        return torch.stack([torch.zeros_like(rise), rise - 1], dim=1)


@pytest.mark.usefixtures("unchecked")
def test_from_outside_auto_pgd_finds_what_has_no_slope_inside():
    images = torch.full((20, 1, 8, 8), 0.5)
    images[:, 0, 0] = 0.3
    labels = torch.zeros(20, dtype=torch.int64)

    def share(**settings):
        # A random start wakes the first pixel in a large ball now and then, in a small one never.
        found = apgd(Overlooking(), images, labels, norm="l2", restarts=8, **settings)
        return fooled(Overlooking(), found, labels).float().mean()

    assert share(eps=0.35, steps=50) == 0
    assert share(eps=0.35, steps=10, widest=10) > 0.6
    assert share(eps=0.25, steps=10, widest=10) == 0  # the nearest lies at 0.3


def test_from_outside_depends_on_the_place_alone_and_keeps_to_the_budget(untrained):
    model, images, labels = untrained
    attack = partial(apgd, eps=0.3, norm="l2", steps=5, widest=4)
    found, parts = (attack(model, images, labels, batch_size=size) for size in (256, 5))
    torch.testing.assert_close(parts, found, rtol=0, atol=1e-4)
    assert (found - images).flatten(1).norm(dim=1).max() <= 0.3 * (1 + 1e-5)
    assert found.min() >= 0 and found.max() <= 1
    seen = []
    attack(model, images, labels, trace=lambda step, *values: seen.append(step))
    assert seen == list(range(6))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("objective", ["cross_entropy", "distance", "margin"])
def test_with_two_classes_one_step_and_many_reach_the_optimum(norm, objective):
    # Two rows of opposite sign: the true logit falls exactly as the other rises, so all agree.
    generator = torch.Generator().manual_seed(3)
    row = torch.randn(36, generator=generator)
    from conftest import Linear

    model = Linear(torch.stack([row, -row]) / 6, torch.stack([-row.sum(), row.sum()]) / 12)
    images = 0.5 + 0.02 * torch.randn(30, 1, 6, 6, generator=generator)
    labels = model(images).argmax(dim=1)
    nearest = model.distance(images, labels, norm).detach()
    for attack in (
        partial(fgsm, norm=norm),
        partial(pgd, norm=norm, steps=60),
        partial(apgd, norm=norm),
    ):
        below = attack(model, images, labels, eps=0.99 * nearest, objective=objective)
        above = attack(model, images, labels, eps=1.01 * nearest, objective=objective)
        assert not fooled(model, below, labels).any()
        assert fooled(model, above, labels).all()


def test_more_budget_steps_and_restarts_fool_more(untrained):
    model, images, labels = untrained

    def count(**settings):
        return fooled(model, pgd(model, images, labels, **settings), labels).sum().item()

    by_eps = [count(eps=eps, steps=10) for eps in (0.0, 0.01, 0.05, 0.3)]
    assert by_eps == sorted(by_eps)
    assert by_eps[0] == 0 < by_eps[-1]
    assert count(eps=0.03, steps=40) >= count(eps=0.03, steps=1)
    assert count(eps=0.03, steps=3, restarts=5) >= count(eps=0.03, steps=3)


def test_targets_are_reached(linear):
    model, images, labels = linear
    targets = (labels + 1) % 5
    found = pgd(model, images, labels, eps=0.5, steps=60, targets=targets)
    assert torch.equal(model(found).argmax(dim=1), targets)


# Not `dlr`: aimed at a class that comes third, it is 1 and its gradient 0, whatever the image.
@pytest.mark.parametrize("objective", ["cross_entropy", "distance", "margin"])
def test_a_targeted_attack_raises_the_target(linear, objective):
    model, images, labels = linear
    targets = (labels + 2) % 5
    goal = OBJECTIVES[objective]
    found = pgd(
        model, images, labels, eps=0.02, steps=10, targets=targets, objective=objective, norm="l2"
    )
    # Minus the objective at the target is what a targeted attack raises.
    assert (goal(model(found), targets) < goal(model(images), targets)).all()


# --- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_budget_returns_the_images(untrained, attack, norm):
    model, images, labels = untrained
    assert torch.equal(FAST[attack](model, images, labels, eps=0.0, norm=norm), images)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_outputs_obey_the_box_and_each_image_s_ball(untrained, attack, norm):
    model, images, labels = untrained
    images = images.clone()
    images[0], images[1] = 0, 1  # corners of the box
    eps = torch.linspace(0.01, 0.6, len(images))
    found = FAST[attack](model, images, labels, eps=eps, norm=norm)
    assert found.min() >= 0 and found.max() <= 1
    assert (length(found - images, norm) <= eps + 1e-6).all()
    assert not torch.equal(found, images)


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_have_no_side_effects(untrained, attack):
    model, images, labels = copy.deepcopy(untrained[0]), untrained[1].clone(), untrained[2].clone()
    model.train()
    model.backbone[1].eval()
    model.requires_grad_(True)
    modes = [module.training for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    copies, state = (images.clone(), labels.clone()), torch.get_rng_state()
    FAST[attack](model, images, labels, eps=0.1)
    assert [module.training for module in model.modules()] == modes
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert torch.equal(images, copies[0]) and torch.equal(labels, copies[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_models_that_cannot_be_copied_are_attacked_in_place_and_put_back(untrained):
    model, images, labels = untrained

    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = copy.deepcopy(model).train()
            self.seen = self.inner.head.centers * torch.ones(1, requires_grad=True)  # no leaf

        def forward(self, x):
            return self.inner(x)

    stubborn = Stubborn()
    with pytest.raises(RuntimeError):
        copy.deepcopy(stubborn)
    found = pgd(stubborn, images, labels, eps=0.1, steps=5)
    torch.testing.assert_close(found, pgd(model, images, labels, eps=0.1, steps=5))
    assert stubborn.training and stubborn.inner.training
    assert all(weight.grad is None for weight in stubborn.parameters())


def test_attacks_see_the_model_in_evaluation_mode(untrained):
    model, images, labels = untrained
    training = copy.deepcopy(model).train()
    expected = pgd(model, images, labels, eps=0.1, steps=5)
    assert torch.equal(pgd(training, images, labels, eps=0.1, steps=5), expected)


def test_the_same_generator_gives_the_same_images_and_the_default_is_seed_zero(untrained):
    model, images, labels = untrained

    def attack(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return pgd(model, images, labels, eps=0.01, steps=2, generator=generator)

    assert torch.equal(attack(7), attack(7))
    assert torch.equal(attack(None), attack(0))
    assert not torch.equal(attack(7), attack(8))


def test_results_do_not_depend_on_the_batch(untrained):
    model, images, labels = untrained
    whole = pgd(model, images, labels, eps=0.02, steps=5)
    parts = pgd(model, images, labels, eps=0.02, steps=5, batch_size=5)
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-5)


def test_what_the_model_gets_wrong_already_comes_back_as_it_is(untrained):
    model, images, labels = untrained
    labels = labels.clone()
    labels[:4] = (labels[:4] + 1) % 10
    found = pgd(model, images, labels, eps=0.05)
    assert torch.equal(found[:4], images[:4])


def test_works_inside_no_grad(untrained):
    model, images, labels = untrained
    expected = pgd(model, images, labels, eps=0.05, steps=3)
    with torch.no_grad():
        assert torch.equal(pgd(model, images, labels, eps=0.05, steps=3), expected)


def test_no_images_give_no_images(untrained):
    model, images, labels = untrained
    assert pgd(model, images[:0], labels[:0], eps=0.1).shape == (0, 1, 8, 8)


def test_a_callable_is_an_objective(untrained):
    model, images, labels = untrained

    def margin(logits, classes):
        return OBJECTIVES["margin"](logits, classes)

    own = pgd(model, images, labels, eps=0.05, steps=5, objective=margin)
    assert torch.equal(own, pgd(model, images, labels, eps=0.05, steps=5))


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_comes_back_has_no_history_and_no_mode_of_its_own(untrained, attack):
    model, images, labels = untrained
    expected = FAST[attack](model, images, labels, eps=0.05)
    found = FAST[attack](model, images.clone().requires_grad_(), labels, eps=0.05)
    assert not found.requires_grad and torch.equal(found, expected)
    with torch.inference_mode():
        found = FAST[attack](model, images.clone(), labels.clone(), eps=0.05)
    assert torch.equal(found, expected)


def test_models_that_write_into_their_input_change_nothing(linear):
    model, images, labels = linear

    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model  # a part of its own, so that it can be traced and folded

        def forward(self, x):
            x -= 0.5
            return self.inner(x + 0.5)

    before = images.clone()
    found = pgd(Writing(), images, labels, eps=0.1, steps=5)
    path = epsilon_path(Writing(), images, labels, [0.0, 0.1])
    curve = robustness_curve(Writing(), images, labels, [0.0, 0.1], {"pgd": pgd})
    assert torch.equal(images, before)
    torch.testing.assert_close(found, pgd(model, images, labels, eps=0.1, steps=5))
    same = epsilon_path(model, images, labels, [0.0, 0.1])
    assert torch.equal(path.success, same.success)
    again = robustness_curve(model, images, labels, [0.0, 0.1], {"pgd": pgd})
    assert torch.equal(curve.correct, again.correct)


def test_a_double_precision_model_is_attacked_in_double_precision(linear):
    model, images, labels = linear
    model, images = model.double(), images.double()
    assert pgd(model, images, labels, eps=0.1).dtype == torch.float64
    assert epsilon_path(model, images, labels, [0.0, 0.1]).success.shape == (2, 40)


def test_a_callable_attack_finds_the_model_s_own_parts(untrained):
    model, images, labels = untrained
    seen = []

    def look(model, images, labels, *, eps):
        seen.append((model.features(images), model.head.centers))
        return images

    robustness_curve(model, images, labels, [0.1], {"look": look})
    torch.testing.assert_close(seen[0][0], outputs(model, images)[1])


# --- trace --------------------------------------------------------------------------------------


def test_trace_sees_every_iterate_of_every_image(untrained):
    model, images, labels = untrained
    seen = []
    found = pgd(model, images, labels, eps=0.03, steps=6, trace=lambda *values: seen.append(values))
    assert [step for step, *_ in seen] == list(range(7))
    for _, points, logits, loss in seen:
        assert (length(points - images, "linf") <= 0.03 + 1e-6).all()
        torch.testing.assert_close(logits, model(points), rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(loss, OBJECTIVES["margin"](logits, labels))
    torch.testing.assert_close(seen[-1][1], found)
    untraced = pgd(model, images, labels, eps=0.03, steps=6)
    torch.testing.assert_close(found, untraced, rtol=0, atol=1e-5)


@pytest.mark.parametrize("eps", [0.003, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=2), partial(apgd, steps=5)])
def test_a_trace_changes_nothing_though_it_sees_what_is_skipped_without(untrained, attack, eps):
    model, images, labels = untrained
    found = attack(model, images, labels, eps=eps, norm="linf")
    seen = attack(model, images, labels, eps=eps, norm="linf", trace=lambda *values: None)
    torch.testing.assert_close(found, seen)


def test_trace_comes_at_every_step_even_when_all_are_fooled(untrained):
    model, images, labels = untrained
    seen = []
    wrong = (labels + 1) % 10
    pgd(
        model, images, wrong, eps=0.1, steps=4, restarts=2, trace=lambda step, *_: seen.append(step)
    )
    assert seen == [0, 1, 2, 3, 4] * 2


class Viewing(nn.Module):
    """Reshapes as many models do, which fails on an empty batch."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).view(x.shape[0], -1)


@pytest.mark.parametrize("eps", [0.0, 0.02, 1.0])
def test_no_empty_batch_reaches_the_model(linear, eps):
    model, images, labels = linear
    viewing = Viewing(model)
    with pytest.raises(RuntimeError):
        viewing(images[:0])
    wrong = (labels + 1) % 5
    assert torch.equal(pgd(viewing, images, wrong, eps=eps), images)
    seen = []
    pgd(viewing, images, labels, eps=eps, trace=lambda step, *_: seen.append(step))
    assert seen == list(range(21))
    path = epsilon_path(viewing, images, wrong, [eps])
    assert path.success.all()
    assert epsilon_path(viewing, images, labels, [0.0, 0.9, 1.0]).success[-1].all()
    robustness_curve(viewing, images, wrong, [eps], {"pgd": pgd})


def test_a_gradient_that_is_no_number_moves_nothing_out_of_the_box(linear):
    model, images, labels = linear

    class Rooted(nn.Module):
        def forward(self, x):
            # The slope of the root at 0 is infinite, and 0 times it is no number.
            return model(x) + 0 * (x - x.detach()).abs().sqrt().flatten(1).sum(dim=1, keepdim=True)

    found = pgd(Rooted(), images, labels, eps=0.1, steps=3)
    assert found.isfinite().all()
    assert (length(found - images, "linf") <= 0.1 + 1e-6).all()


# --- the view -----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["small_cnn", "resnet8", "resnet8v2"])
def test_batch_norms_are_folded_and_logits_stay(network):
    model = make_classifier(network, "mmc", in_channels=3, num_classes=10)
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(20):
            model.train()(images)

    def norms(module):
        return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())

    with frozen(model, images) as view:
        assert view.fast is not view.exact
        assert norms(view.fast) < norms(model)
        expected = outputs(model, images)[0]
        assert torch.equal(view(images), expected)
        torch.testing.assert_close(view.fast(images), expected, rtol=1e-4, atol=1e-3)
        with frozen(view, images) as again:
            assert again is view


def test_a_model_that_cannot_be_traced_is_used_as_it_is(untrained):
    model, images, labels = untrained

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) if x.sum() > 0 else self.inner(-x)

    branching = Branching()
    with frozen(branching, images) as view:
        assert view.fast is view.exact
    found = pgd(branching, images, labels, eps=0.05, steps=5)
    torch.testing.assert_close(found, pgd(model, images, labels, eps=0.05, steps=5))


def test_the_original_model_decides_what_is_fooled(untrained):
    """A fast form that errs everywhere must not pass for success."""
    model, images, labels = untrained
    with frozen(model, images) as view:

        class Wrong(nn.Module):
            def forward(self, x):
                return view.exact(x).roll(1, dims=1)

        view.fast = Wrong()
        found = pgd(view, images, labels, eps=1e-6, steps=3)
    assert torch.equal(fooled(model, found, labels), torch.zeros(len(labels), dtype=torch.bool))


# --- balls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_samples_are_uniform_in_the_unit_ball(norm):
    shape = torch.Size([20_000, 1, 1, 3])
    points = BALLS[norm].sample(shape, torch.Generator().manual_seed(0))
    radii = length(points, norm)
    assert radii.max() <= 1 + 1e-6
    # In a uniform ball of dimension n, the n-th power of the radius is uniform in [0, 1].
    for share in (0.1, 0.5, 0.9):
        assert (radii**3 < share).double().mean() == pytest.approx(share, abs=0.01)
    assert points.mean(dim=0).abs().max() < 0.02


@pytest.mark.parametrize("norm", NORMS)
def test_no_point_of_the_ball_is_steeper(norm):
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(50, 1, 4, 4, generator=generator)
    best = (BALLS[norm].steepest(gradient) * gradient).sum(dim=(1, 2, 3))
    dual = {"linf": 1, "l2": 2}[norm]
    torch.testing.assert_close(best, gradient.flatten(1).norm(p=dual, dim=1))
    zero = torch.zeros(2, 1, 4, 4)
    assert torch.equal(BALLS[norm].steepest(zero), zero)
    tiny = BALLS[norm].steepest(gradient * 1e-30)
    torch.testing.assert_close(tiny, BALLS[norm].steepest(gradient))


def test_projection_onto_ball_and_box_is_the_nearest_point():
    """Against a solver that knows nothing of our formula."""
    from scipy.optimize import minimize

    generator = torch.Generator().manual_seed(5)
    centers = torch.rand(6, 1, 2, 3, generator=generator).double()
    points = centers + torch.randn(6, 1, 2, 3, generator=generator).double()
    eps = torch.linspace(0.2, 0.9, 6).double()
    found = BALLS["l2"].project(points, centers, eps).flatten(1)
    for row in range(6):
        point, center = points[row].flatten().numpy(), centers[row].flatten().numpy()
        radius = eps[row].item()
        best = minimize(
            lambda x, point=point: ((x - point) ** 2).sum(),
            center,
            bounds=[(0, 1)] * 6,
            constraints={
                "type": "ineq",
                "fun": lambda x, c=center, r=radius: r**2 - ((x - c) ** 2).sum(),
            },
            tol=1e-12,
        )
        torch.testing.assert_close(found[row], torch.tensor(best.x), rtol=0, atol=2e-3)


def test_pgd_in_l2_spends_its_budget_where_the_box_lets_it():
    """Images anywhere in the box: the exact optimum of two classes is found by bisection."""
    from conftest import Linear

    generator = torch.Generator().manual_seed(3)
    row = torch.randn(36, generator=generator)
    model = Linear(torch.stack([row, -row]) / 6, torch.stack([-row.sum(), row.sum()]) / 12)
    images = torch.rand(30, 1, 6, 6, generator=generator)
    with torch.no_grad():
        logits = model(images)
    labels = logits.argmax(dim=1)
    sign = torch.where(labels == 0, -1.0, 1.0)[:, None]  # the way to the boundary, along `row`

    def best(reach):
        moved = (images.flatten(1) + reach[:, None] * sign * row).clamp(0, 1)
        with torch.no_grad():
            over = model(moved.view_as(images)).argmax(dim=1) != labels
        return over, (moved - images.flatten(1)).norm(dim=1)

    low, high = torch.zeros(30), torch.full((30,), 10.0)
    for _ in range(40):
        middle = (low + high) / 2
        over = best(middle)[0]
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    over, nearest = best(high)
    assert over.all()
    above = pgd(model, images, labels, eps=1.01 * nearest, norm="l2", steps=40)
    below = pgd(model, images, labels, eps=0.99 * nearest, norm="l2", steps=40)
    assert fooled(model, above, labels).all()
    assert not fooled(model, below, labels).any()


@pytest.mark.parametrize("norm", NORMS)
def test_projection_lands_in_the_ball_and_the_box_and_keeps_what_is_inside(norm):
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(50, 1, 4, 4, generator=generator)
    points = centers + torch.randn(50, 1, 4, 4, generator=generator)
    eps = torch.linspace(0.01, 1, 50)
    inside = BALLS[norm].project(points, centers, eps)
    assert (length(inside - centers, norm) <= eps + 1e-6).all()
    assert inside.min() >= 0 and inside.max() <= 1
    again = BALLS[norm].project(inside, centers, eps)
    torch.testing.assert_close(again, inside, rtol=0, atol=1e-6)


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eps": -0.1}, "`eps` must be finite and at least 0; got -0.1"),
        ({"eps": 8}, "`eps` must be at most 1.* got 8. Did you mean 8/255"),
        ({"eps": float("nan")}, "`eps` must be finite"),
        ({"eps": torch.tensor([0.1, 0.2])}, r"`eps` must be a number or a tensor \[12\]"),
        ({"step_size": -0.1}, "`step_size` must be finite and at least 0; got -0.1"),
        ({"step_size": float("nan")}, "`step_size` must be finite"),
        ({"step_size": torch.ones(3)}, r"`step_size` must be a number or a tensor \[12\]"),
        ({"objective": lambda logits, labels: logits.sum()}, "`objective` must give one number"),
        ({"objective": lambda logits, labels: logits.detach()[:, 0]}, "has no gradient"),
        ({"steps": 0}, "`steps` must be at least 1; got 0"),
        ({"restarts": 0}, "`restarts` must be at least 1; got 0"),
        ({"norm": "l1"}, "`norm` must be one of linf, l2; got 'l1'"),
        ({"objective": "loss"}, "`objective` must be one of cross_entropy"),
        ({"images": torch.full((12, 1, 8, 8), 2.0)}, r"`images` must lie in \[0, 1\].*255"),
        ({"images": torch.full((12, 1, 8, 8), torch.nan)}, r"`images` must lie in \[0, 1\]"),
        ({"labels": torch.full((12,), 10)}, r"`labels` must be in 0 \.\. 9"),
        ({"labels": torch.full((12,), -1)}, r"`labels` must be in 0 \.\. 9"),
        ({"targets": torch.full((12,), 10)}, r"`targets` must be in 0 \.\. 9"),
    ],
)
def test_mistakes_are_named_in_one_line(untrained, change, words):
    model, images, labels = untrained
    call = {"images": images, "labels": labels, "eps": 0.1} | change
    with pytest.raises(ValueError, match=words) as raised:
        pgd(model, **call)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("widest", [0.5, float("inf"), float("nan")])
def test_a_ball_that_begins_smaller_than_the_budget_is_refused(untrained, widest):
    with pytest.raises(ValueError, match="`widest` must be finite and at least 1; got"):
        apgd(*untrained, eps=0.1, widest=widest)


def test_a_target_equal_to_the_label_is_refused(untrained):
    model, images, labels = untrained
    targets = (labels + 1) % 10
    targets[3] = labels[3]
    with pytest.raises(ValueError, match="`targets` must differ from `labels`; 1 of them"):
        pgd(model, images, labels, eps=0.1, targets=targets)


def test_a_model_without_finite_logits_is_refused(untrained):
    _, images, labels = untrained
    broken = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(broken[1].weight, torch.nan)
    with pytest.raises(ValueError, match="logits that are not finite on 12"):
        pgd(broken, images, labels, eps=0.1)


def test_a_model_that_gives_probabilities_is_warned_of(linear):
    model, images, labels = linear
    with pytest.warns(UserWarning, match="look like probabilities"):
        pgd(nn.Sequential(model, nn.Softmax(dim=1)), images, labels, eps=0.01, steps=1)
