import copy
from functools import partial

import pytest
import torch
from torch import nn

from mmc_viz.attacks import FIXED_BUDGET, frozen, pgd, spsa, square, transfer
from mmc_viz.attacks.goals import Goal
from mmc_viz.attacks.spsa import Slopes
from mmc_viz.attacks.square import HALVINGS, dipole, window_share
from mmc_viz.objectives import OBJECTIVES, margin

NORMS = ["linf", "l2"]
#: Both attacks with few queries: tests need no strength but where they ask for it.
QUICK = {"square": partial(square, queries=60), "spsa": partial(spsa, steps=5, samples=16)}
ATTACKS = sorted(QUICK)


def length(change, norm):
    return change.flatten(1).norm(p={"linf": torch.inf, "l2": 2}[norm], dim=1)


def fooled(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(dim=1) != labels


class Rounded(nn.Module):
    """Sees its input in steps of 1/255, so its gradient is zero wherever there is one."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner((x * 255).round() / 255).detach()


class Viewing(nn.Module):
    """Reshapes as many models do, which fails on an empty batch."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).view(x.shape[0], -1)


class Counting(nn.Module):
    """Counts the images that it is asked about."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.asked = inner, [0]

    def __deepcopy__(self, memo):
        same = Counting(copy.deepcopy(self.inner))
        same.asked = self.asked
        return same

    def forward(self, x):
        self.asked[0] += len(x)
        return self.inner(x)


# --- strength -----------------------------------------------------------------------------------


# Of the rivals, the one nearest in logits need not be the one nearest in pixels, so all are tried.
@pytest.mark.parametrize(
    ("attack", "norm", "factor"),
    [
        (partial(square, queries=400), "linf", 1.1),
        (partial(square, queries=300), "l2", 2.0),
        (partial(spsa, steps=30), "linf", 1.1),
        (partial(spsa, steps=30), "l2", 1.15),
    ],
)
def test_the_nearest_adversarial_point_of_a_linear_model_is_approached(
    linear, attack, norm, factor
):
    model, images, labels = linear
    images, labels = images[:20], labels[:20]
    nearest = model.distance(images, labels, norm).detach()
    below = attack(model, images, labels, eps=0.99 * nearest, norm=norm)
    assert not fooled(model, below, labels).any()
    above = attack(
        model, images, labels, eps=factor * nearest, norm=norm, objective="targeted_margin"
    )
    assert fooled(model, above, labels).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [partial(square, queries=400), partial(spsa, samples=64)])
def test_no_gradient_is_needed(linear, attack, norm):
    model, images, labels = linear
    cut = Rounded(model)
    with pytest.raises(ValueError, match="has no gradient"):
        pgd(cut, images, labels, eps=0.1, norm=norm)
    eps = 2 * model.distance(images, labels, norm).detach().clamp_min(4 / 255)
    found = attack(cut, images, labels, eps=eps, norm=norm)
    assert fooled(cut, found, labels).double().mean() > 0.9


def test_the_estimated_gradient_of_a_linear_model_is_right_on_average(linear):
    model, images, labels = linear
    images, labels = images[:4], labels[:4]
    weights = model.weight.detach()
    rivals = (labels + 1) % 5

    def lead(logits, classes):
        rows = torch.arange(len(classes))
        return logits[rows, (classes + 1) % 5] - logits[rows, classes]

    with frozen(model, images) as view, torch.no_grad():
        slopes = Slopes(view, torch.arange(4) + 10, 40_000, 0.01, 4096)
        found = slopes.estimate(0, torch.arange(4), images, Goal(lead, labels)).flatten(1)
    expected = weights[rivals] - weights[labels]
    # Each entry is off by all the others with random signs: about norm / sqrt(directions).
    error = expected.norm(dim=1, keepdim=True) / 20_000**0.5
    assert ((found - expected).abs() < 5 * error).all()


def test_more_queries_never_fool_fewer(linear):
    model, images, labels = linear
    nearest = model.distance(images, labels, "linf").detach()
    eps = 1.2 * nearest

    def count(**settings):
        return fooled(model, square(model, images, labels, eps=eps, **settings), labels)

    # With the published schedule a short search is the beginning of a long one.
    counts = [count(queries=n, rescale=False) for n in (1, 30, 100, 300)]
    for fewer, more in zip(counts, counts[1:], strict=False):
        assert (more | ~fewer).all()
    assert counts[0].sum() < counts[-1].sum()
    # Restarts see only what is left.
    once, thrice = count(queries=50), count(queries=50, restarts=3)
    assert (thrice | ~once).all()
    # For 10,000 queries the windows stay large; scaled to those there are, they reach pixels.
    assert count(queries=300).sum() > counts[-1].sum()


def test_no_more_queries_are_made_than_asked_for(linear):
    model, images, labels = linear
    for attack, most in [
        (partial(square, queries=30, restarts=2), 60),
        (partial(spsa, steps=3, samples=10, restarts=2), 2 * (3 * (10 + 1) + 1)),
    ]:
        counting = Counting(model)
        attack(counting, images, labels, eps=1e-6)
        # The clean images, and the few on which folding is tried, come on top.
        assert 0 <= counting.asked[0] - most * len(images) - len(images) <= 16


@pytest.mark.parametrize("attack", ATTACKS)
def test_targets_are_reached(linear, attack):
    model, images, labels = linear
    targets = (labels + 1) % 5
    found = FIXED_BUDGET[attack](model, images, labels, eps=0.2, targets=targets)
    assert not fooled(model, found, targets).any()


# --- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_point_asked_to_return_obeys_the_box_and_each_image_s_ball(linear, attack, norm):
    model, images, labels = linear
    images = images.clone()
    images[0], images[1] = 0, 1  # corners of the box
    labels = model(images).argmax(dim=1)
    eps = torch.linspace(0, 0.5, len(images))
    seen = []
    found = QUICK[attack](
        model, images, labels, eps=eps, norm=norm, trace=lambda _, points, *__: seen.append(points)
    )
    for points in [*seen, found]:
        assert points.min() >= 0 and points.max() <= 1
        assert (length(points - images, norm) <= eps + 1e-6).all()
    assert torch.equal(found[0], images[0])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 7), (2, 11, 4)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_images_of_any_shape(attack, norm, shape):
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(5, *shape, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 3)).requires_grad_(False)
    model[1].weight.copy_(torch.randn(model[1].weight.shape, generator=generator))
    labels = model(images).argmax(dim=1)
    found = QUICK[attack](model, images, labels, eps=0.2, norm=norm)
    assert (length(found - images, norm) <= 0.2 + 1e-6).all()
    assert not torch.equal(found, images)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_results_do_not_depend_on_the_batch(linear, attack, norm):
    model, images, labels = linear
    eps = 1.2 * model.distance(images, labels, norm).detach()
    call = partial(QUICK[attack], model, images, labels, eps=eps, norm=norm)
    torch.testing.assert_close(call(), call(batch_size=7), rtol=0, atol=1e-4)
    # Nor does an image's chance depend on who else is attacked.
    wrong = labels.clone()
    wrong[:10] = (labels[:10] + 1) % 5
    alone = QUICK[attack](model, images, wrong, eps=eps, norm=norm)
    assert torch.equal(alone[:10], images[:10])
    torch.testing.assert_close(alone[10:], call()[10:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_same_generator_gives_the_same_images_and_the_default_is_seed_zero(linear, attack):
    model, images, labels = linear
    state = torch.get_rng_state()

    def run(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return QUICK[attack](model, images, labels, eps=0.001, generator=generator)

    assert torch.equal(run(7), run(7))
    assert torch.equal(run(None), run(0))
    assert not torch.equal(run(7), run(8))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_empty_batch_reaches_the_model(linear, attack):
    model, images, labels = linear
    viewing = Viewing(model)
    wrong = (labels + 1) % 5
    for eps in (0.0, 0.02, 1.0):
        assert torch.equal(QUICK[attack](viewing, images, wrong, eps=eps), images)
        QUICK[attack](viewing, images, labels, eps=eps)
    assert QUICK[attack](viewing, images[:0], labels[:0], eps=0.1).shape == (0, 1, 6, 6)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("eps", [0.0, 0.02, 1.0])
def test_trace_sees_every_iterate_of_every_image(linear, attack, eps):
    model, images, labels = linear
    steps = {"square": 60, "spsa": 6}[attack]
    seen = []
    call = partial(QUICK[attack], model, images, labels, eps=eps)
    found = call(trace=lambda *values: seen.append(values))
    assert [step for step, *_ in seen] == list(range(steps))
    for _, points, logits, loss in seen:
        torch.testing.assert_close(logits, model(points), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(loss, OBJECTIVES["margin"](logits, labels))
    torch.testing.assert_close(seen[-1][1], found)
    torch.testing.assert_close(found, call(), rtol=0, atol=1e-4)
    if attack == "square":  # it keeps the best point
        losses = torch.stack([loss for *_, loss in seen])
        assert (losses.diff(dim=0) >= 0).all()
    again = []
    call(restarts=2, trace=lambda step, *_: again.append(step))
    assert again == list(range(steps)) * 2


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_double_precision_model_is_attacked_in_double_precision(linear, attack):
    model, images, labels = linear
    for norm in NORMS:
        found = QUICK[attack](model.double(), images.double(), labels, eps=0.1, norm=norm)
        assert found.dtype == torch.float64


@pytest.mark.parametrize("attack", ATTACKS)
def test_answers_that_are_no_numbers_lead_nowhere_else(linear, attack):
    model, images, labels = linear

    class Overflowing(nn.Module):
        def forward(self, x):
            logits = model(x)
            beyond = (x.flatten(1).mean(dim=1) > images.flatten(1).mean(dim=1).max()) | (
                x.flatten(1).amax(dim=1) > 0.75
            )
            return torch.where(beyond[:, None], torch.nan, logits)

    found = QUICK[attack](Overflowing(), images, labels, eps=0.1)
    assert found.isfinite().all()
    assert (length(found - images, "linf") <= 0.1 + 1e-6).all()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eps": 8}, "Did you mean 8/255"),
        ({"norm": "l1"}, "`norm` must be one of linf, l2; got 'l1'"),
        ({"restarts": 0}, "`restarts` must be at least 1; got 0"),
        ({"objective": lambda logits, labels: logits.sum()}, "`objective` must give one number"),
        ({"batch_size": 0}, "`batch_size` must be at least 1; got 0"),
    ],
)
def test_mistakes_in_what_all_attacks_take_are_named(linear, attack, change, words):
    with pytest.raises(ValueError, match=words) as raised:
        FIXED_BUDGET[attack](*linear, **{"eps": 0.1} | change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("attack", "change", "words"),
    [
        (square, {"queries": 0}, "`queries` must be at least 1; got 0"),
        (square, {"p_init": 0}, r"`p_init` must be in \(0, 1\].* got 0"),
        (square, {"p_init": 1.5}, r"`p_init` must be in \(0, 1\].* got 1.5"),
        (spsa, {"steps": 0}, "`steps` must be at least 1; got 0"),
        (spsa, {"samples": 7}, "`samples` must be even and at least 2.* got 7"),
        (spsa, {"samples": 0}, "`samples` must be even and at least 2.* got 0"),
        (spsa, {"delta": 0.0}, "`delta` must be positive and finite; got 0.0"),
        (spsa, {"lr": float("nan")}, "`lr` must be positive and finite; got nan"),
    ],
)
def test_mistakes_in_their_own_settings_are_named(linear, attack, change, words):
    with pytest.raises(ValueError, match=words) as raised:
        attack(*linear, eps=0.1, **change)
    assert "\n" not in str(raised.value)


# --- parts of square ----------------------------------------------------------------------------


def test_windows_shrink_at_the_same_shares_of_a_search_of_any_length():
    assert window_share(0, 0.8, 500) == 0.8
    assert window_share(499, 0.8, 500) == 0.8 / 2 ** len(HALVINGS)
    for queries in (500, 5000):
        for share in (0.01, 0.03, 0.3, 0.7):
            short = window_share(round(share * queries), 0.8, queries)
            assert short == window_share(round(share * 10_000), 0.8, 10_000)


@pytest.mark.parametrize("side", [1, 2, 3, 7, 8])
def test_a_dipole_has_norm_one_and_two_halves_of_opposite_sign(side):
    pattern = dipole(side)
    assert pattern.shape == (side, side)
    assert pattern.norm() == pytest.approx(1)
    half = side // 2
    assert (pattern[:, :half] > 0).all() and (pattern[:, half:] < 0).all()


# --- transfer -----------------------------------------------------------------------------------


@pytest.fixture
def pair(linear):
    """Two linear models that agree on some of the images, those images, and their labels."""
    source, images, labels = linear
    target = copy.deepcopy(source)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        target.weight += 0.7 * torch.randn(target.weight.shape, generator=generator)
        target.bias.copy_(target.bias + source(images).mean(dim=0) - target(images).mean(dim=0))
    return source, target, images, labels


def test_transfer_to_the_source_itself_is_the_attack(linear):
    model, images, labels = linear
    attack = partial(pgd, eps=0.02, steps=10)
    found = transfer(model, model, images, labels, attack=attack)
    assert torch.equal(found, attack(model, images, labels))


def test_transfer_climbs_on_the_source_and_never_asks_the_target_for_a_gradient(pair):
    source, target, images, labels = pair
    found = transfer(source, Rounded(target), images, labels, attack=partial(pgd, eps=0.1))
    errs = fooled(Rounded(target), images, labels)
    now = fooled(Rounded(target), found, labels)
    assert (now | ~errs).all() and now.sum() > errs.sum()
    assert (length(found - images, "linf") <= 0.1 + 1e-6).all()
    with pytest.raises(ValueError, match="has no gradient"):
        transfer(Rounded(source), target, images, labels, attack=partial(pgd, eps=0.1))


# `apgd` begins with steps so long that its first success is often the end of the ball already.
@pytest.mark.parametrize("name", ["bim", "mim", "pgd", "square", "spsa"])
def test_transferred_images_go_on_after_the_source_is_fooled(pair, name):
    source, target, images, labels = pair
    attack = partial(QUICK.get(name, FIXED_BUDGET[name]), eps=0.01)
    stopped = attack(source, images, labels)
    found = transfer(source, target, images, labels, attack=attack)
    now, before = fooled(target, found, labels), fooled(target, stopped, labels)
    assert before.sum() < now.sum() < len(labels)
    # What fooled the source and was too little for the target has gone on.
    short = fooled(source, stopped, labels) & ~before
    with torch.no_grad():
        further = margin(source(found), labels) - margin(source(stopped), labels)
    assert further[short].median() > 0


def test_what_the_target_gets_wrong_comes_back_as_it_is_and_what_the_source_does_is_attacked(pair):
    source, target, images, labels = pair
    errs = fooled(target, images, labels)
    swapped = transfer(target, source, images, labels, attack=partial(pgd, eps=0.3))
    found = transfer(source, target, images, labels, attack=partial(pgd, eps=0.3))
    assert 0 < errs.sum() < len(errs)
    assert torch.equal(found[errs], images[errs])
    # `source` errs on none of them; seen from it, images that `target` errs on are to be fooled.
    assert fooled(source, swapped[errs], labels[errs]).all()


def test_an_attack_of_somebody_else_meets_the_source_alone(pair):
    source, target, images, labels = pair
    met = []

    def step(model, images, labels):
        points = images.clone().requires_grad_()
        logits = model(points)
        met.append((logits.detach(), model.weight))
        (gradient,) = torch.autograd.grad(margin(logits, labels).sum(), points)
        return (images + 0.05 * gradient.sign()).clamp(0, 1)

    found = transfer(source, target, images, labels, attack=step)
    torch.testing.assert_close(met[0][0], source(images).detach())
    assert torch.equal(met[0][1], source.weight)
    mended = fooled(target, images, labels) & (found == images).flatten(1).all(dim=1)
    expected = step(source, images, labels)
    torch.testing.assert_close(found[~mended], expected[~mended])
    assert (fooled(target, found, labels) | ~fooled(target, images, labels)).all()


def test_transfer_has_no_side_effects(pair):
    source, target, images, labels = pair
    source.train(), target.train()
    state = torch.get_rng_state()
    before = images.clone()
    found = transfer(source, target, images, labels, attack=partial(pgd, eps=0.1))
    assert source.training and target.training and not found.requires_grad
    assert all(w.grad is None and w.requires_grad for w in [source.weight, target.weight])
    assert torch.equal(images, before) and torch.equal(torch.get_rng_state(), state)
    assert transfer(source, target, images[:0], labels[:0], attack=pgd).shape == (0, 1, 6, 6)


def test_mistakes_in_a_transfer_are_named(pair):
    source, target, images, labels = pair
    attack = partial(pgd, eps=0.1)
    three = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).eval()
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)).eval()
    for call, words in [
        ((source, three, images, labels), "must have the same classes; got 5 and 3 of them"),
        ((wide, target, images, labels), r"`source` must take images \[1, 6, 6\]; it does not"),
        ((source, wide, images, labels), r"`target` must take images \[1, 6, 6\]; it does not"),
        ((source, target, images, labels + 5), r"`labels` must be in 0 \.\. 4"),
        ((source, target, images * 255, labels), r"`images` must lie in \[0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=words) as raised:
            transfer(*call, attack=attack)
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"`attack` must give back images \[40, 1, 6, 6\]"):
        transfer(source, target, images, labels, attack=lambda model, images, labels: images[:3])
