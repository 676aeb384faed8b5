import importlib
import inspect
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal
from torch.func import functional_call
from torch.nn import functional

import mmc_viz.heads
from mmc_viz.centers import hierarchical_centers, max_mahalanobis_centers
from mmc_viz.checkpoints import Card, load_model, save_model
from mmc_viz.commands.train import head_names
from mmc_viz.heads import (
    HEADS,
    GeneralizedSCE,
    Head,
    check_options,
    make_head,
    options_of,
    register,
)
from mmc_viz.heads.hmc import default_groups
from mmc_viz.heads.mmc import MaxMahalanobisCenter
from mmc_viz.networks import make_classifier
from mmc_viz.training import TrainConfig

#: The heads of the folder; other test modules may register more.
NAMES = head_names()
#: For each head with options another value of every one of them.
OTHER_OPTIONS = {
    "center": {"weight": 0.03},
    "cosface": {"scale": 10, "margin": 0.35},
    "emc": {"stiffness": 0.25},
    "hmc": {"groups": [1, 0, 1, 0, 4]},
    "label_smoothing": {"smoothing": 0.3},
    "lgm": {"margin": 1.0, "weight": 0.2, "least_sigma": 0.5},
    "mmc_huber": {"knee": 20},
    "simplex": {"weight_norm": 3},
}


@pytest.fixture
def features():
    return torch.randn(7, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 2, 3, 4, 0, 1])


def trained(name, dim=12, num_classes=5, *, seed=0, **options):
    """A head in float64 whose every parameter has left its start."""
    head = make_head(name, dim, num_classes, **options).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.5 * noise)
    return head


def cross_entropy(logits, labels):
    return logits.logsumexp(dim=1) - logits[range(len(labels)), labels]


# --- all heads ----------------------------------------------------------------------------------


def test_all_promised_heads_are_there_under_the_names_of_their_files():
    promised = "sce mmc mmlda center lgm cosface emc hmc mmc_random simplex label_smoothing"
    assert NAMES == sorted([*promised.split(), "mmc_huber"])
    folder = Path(mmc_viz.heads.__file__).parent
    files = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    assert files == NAMES
    for name in NAMES:
        assert HEADS[name].__module__ == f"mmc_viz.heads.{name}" and HEADS[name].name == name
        # One class a file, described with its source.
        module = importlib.import_module(f"mmc_viz.heads.{name}")
        own = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, Head)]
        assert [c for c in own if c.__module__ == module.__name__] == [HEADS[name]]
        assert name == "sce" or "References" in HEADS[name].__doc__


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changed", [False, True])
def test_gradients_with_respect_to_features_and_parameters_are_right(
    name, changed, features, labels
):
    options = OTHER_OPTIONS.get(name, {}) if changed else {}
    head = trained(name, **options)
    names = [key for key, _ in head.named_parameters()]
    parameters = [value.detach().requires_grad_() for value in head.parameters()]

    def call(module, prefix):
        def function(z, *values):
            replaced = {prefix + key: value for key, value in zip(names, values, strict=True)}
            return functional_call(module, replaced, (z, labels))

        return function

    inputs = (features.requires_grad_(), *parameters)
    assert torch.autograd.gradcheck(call(head, ""), inputs)
    assert torch.autograd.gradcheck(call(Logits(head), "head."), inputs)


class Logits(torch.nn.Module):
    """The logits of a head as a module's call, which is what `functional_call` makes."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, features, labels):
        return self.head.logits(features)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dim", "num_classes"), [(12, 5), (2, 5), (2, 2), (4, 5)])
def test_every_head_gives_one_logit_a_class_and_one_loss_a_sample(name, dim, num_classes):
    head = make_head(name, dim, num_classes)
    assert (head.dim, head.num_classes) == (dim, num_classes)
    features = torch.randn(7, dim, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7) % num_classes
    assert head.logits(features).shape == (7, num_classes)
    assert head(features, labels).shape == (7,)
    assert head.logits(features).dtype == head(features, labels).dtype == torch.float32
    if hasattr(head, "centers"):
        assert head.centers.shape == (num_classes, dim)


def test_who_has_centers():
    with_centers = {name for name in NAMES if hasattr(make_head(name, 12, 5), "centers")}
    of_mmc = {"mmc", "mmlda", "mmc_huber", "mmc_random", "hmc", "emc"}
    assert with_centers == of_mmc | {"lgm", "center"}


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_of_the_form_that_the_head_names(name, features, labels):
    head = trained(name)
    form = {"sce": "softmax", "mmlda": "softmax", "simplex": "softmax"}
    form |= dict.fromkeys(("mmc", "mmc_random", "hmc", "emc"), "distance")
    assert head.loss_form == form.get(name, "other")
    loss, plain = head(features, labels), cross_entropy(head.logits(features), labels)
    if head.loss_form == "softmax":
        torch.testing.assert_close(loss, plain)
    elif head.loss_form == "distance":
        rest = loss - (features - head.centers[labels]).square().sum(dim=1) / 2
        # What is left depends on the label alone: samples 5 and 6 have those of 0 and 1.
        torch.testing.assert_close(rest[5:], rest[:2], rtol=0, atol=1e-12)
        assert name == "emc" or rest.abs().max() < 1e-12
    else:
        assert not torch.allclose(loss, plain)


@settings(max_examples=15)
@given(dim=st.integers(2, 10), seed=st.integers(0, 10**6), data=st.data())
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_generalised_sce_up_to_a_common_term(name, dim, seed, data):
    # No search for places: these are tested elsewhere.
    num_classes = data.draw(st.integers(2, 8 if dim == 2 else dim + 1))
    head = trained(name, dim, num_classes, seed=seed)
    form = head.generalized_sce()
    if name == "cosface":
        assert form is None
        return
    generator = torch.Generator().manual_seed(seed + 1)
    features = 3 * torch.randn(5, dim, generator=generator, dtype=torch.float64)
    # By its definition, apart from the method that computes it.
    square = (features[:, None] - form.means[None]).square().sum(dim=2)
    described = -form.scales * square + form.offsets
    torch.testing.assert_close(form.logits(features), described)
    own = head.logits(features)
    torch.testing.assert_close(
        own - own.mean(dim=1, keepdim=True), described - described.mean(dim=1, keepdim=True)
    )
    torch.testing.assert_close(own.softmax(dim=1), described.softmax(dim=1))
    tensors = (form.means, form.scales, form.offsets)
    assert not any(t.requires_grad for t in tensors) and (form.scales > 0).all()
    assert [t.shape for t in tensors] == [(num_classes, dim), (num_classes,), (num_classes,)]


def test_sce_and_mmlda_are_the_special_cases_of_the_paper():
    head = trained("sce")
    form, weight, bias = head.generalized_sce(), head.linear.weight, head.linear.bias
    torch.testing.assert_close(form.means, weight.detach() / 2)
    torch.testing.assert_close(form.offsets, (bias + (weight**2).sum(dim=1) / 4).detach())
    assert torch.equal(form.scales, torch.ones(5, dtype=torch.float64))
    form = make_head("mmlda", 12, 5, radius=3.0).generalized_sce()
    assert torch.equal(form.means, max_mahalanobis_centers(5, 12, radius=3.0))
    assert torch.equal(form.scales, torch.ones(5)) and torch.equal(form.offsets, torch.zeros(5))


@pytest.mark.parametrize("name", NAMES)
def test_first_weights_come_from_the_generator_alone(name):
    state = torch.get_rng_state()

    def build(seed):
        return make_head(name, 8, 3, generator=torch.Generator().manual_seed(seed)).state_dict()

    first, second, other = build(5), build(5), build(6)
    assert all(torch.equal(first[key], second[key]) for key in first)
    drawn = name in ("sce", "label_smoothing", "center", "cosface", "lgm", "mmc_random")
    assert drawn == any(not torch.equal(first[key], other[key]) for key in first)
    default = make_head(name, 8, 3).state_dict()
    seeded = build(0)
    assert all(torch.equal(default[key], seeded[key]) for key in default)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_make_no_sense_are_refused(name):
    with pytest.raises(ValueError, match="`num_classes` must be at least 2; got 1"):
        make_head(name, 8, 1)
    with pytest.raises(ValueError, match="`dim` must be at least"):
        make_head(name, 0, 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_takes_the_place_of_the_rule(name):
    points = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    head = make_head(name, 6, 5, preset=points)
    if head.placed is None:
        fresh = make_head(name, 6, 5).state_dict()
        assert all(torch.equal(value, fresh[key]) for key, value in head.state_dict().items())
        return
    assert head.placed in dict(head.named_buffers())
    assert torch.equal(getattr(head, head.placed), points.float())
    with pytest.raises(ValueError, match=r"`preset` must be of shape \[5, 7\]; got \[5, 6\]"):
        make_head(name, 7, 5, preset=points)


def test_presets_spare_the_search_for_places(monkeypatch):
    for module in ("mmc_viz.heads._placing.spread_centers", "mmc_viz.heads.hmc"):
        target = module if module.endswith("centers") else f"{module}.hierarchical_centers"
        monkeypatch.setattr(target, lambda *a, **k: pytest.fail("searched"))
    monkeypatch.setattr("mmc_viz.heads.mmc_random.random_centers", lambda *a, **k: pytest.fail())
    for name in NAMES:
        if HEADS[name].placed is not None:
            make_head(name, 3, 20, preset=torch.zeros(20, 3))


def test_an_unknown_head_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match="`head` must be one of .*mmc.*sce.*; got 'mcc'"):
        make_head("mcc", 8, 3)


# --- each head ----------------------------------------------------------------------------------


def test_mmc_logits_are_minus_squared_distances_and_the_loss_is_half_of_one(features, labels):
    head = make_head("mmc", 12, 5, radius=4.0).double()
    centers = max_mahalanobis_centers(5, 12, radius=4.0).double()
    squared = torch.cdist(features, centers).square()
    torch.testing.assert_close(head.logits(features), -squared)
    expected = squared[torch.arange(7), labels] / 2
    torch.testing.assert_close(head(features, labels), expected)


def test_mmc_centers_are_saved_and_never_trained():
    head = make_head("mmc", 12, 5)
    assert "centers" in head.state_dict()
    assert not list(head.parameters())


def test_mmc_in_the_plane_uses_the_regular_polygon():
    centers = make_head("mmc", 2, 10, radius=10.0).centers
    assert torch.pdist(centers).min() == pytest.approx(20 * torch.tensor(torch.pi / 10).sin())


def test_softmax_of_mmc_is_blind_at_a_center_in_float32():
    head = make_head("mmc", 64, 10, radius=10.0)
    features = head.centers.clone().requires_grad_()
    labels = torch.arange(10)
    loss = functional.cross_entropy(head.logits(features), labels, reduction="sum")
    assert torch.equal(torch.autograd.grad(loss, features)[0], torch.zeros(10, 64))


def test_sce_is_cross_entropy_of_an_affine_map(features, labels):
    head = trained("sce")
    logits = features @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(features, labels), cross_entropy(logits, labels))


def test_mmlda_is_cross_entropy_of_minus_squared_distances(features, labels):
    head = make_head("mmlda", 12, 5, radius=2.0).double()
    centers = max_mahalanobis_centers(5, 12, radius=2.0).double()
    logits = -torch.cdist(features, centers).square()
    torch.testing.assert_close(head(features, labels), cross_entropy(logits, labels))


def test_simplex_is_cross_entropy_of_inner_products_and_mmlda_in_disguise(features, labels):
    head = make_head("simplex", 12, 5, weight_norm=2.0).double()
    weight = max_mahalanobis_centers(5, 12, radius=2.0).double()
    torch.testing.assert_close(head(features, labels), cross_entropy(features @ weight.T, labels))
    assert not list(head.parameters())
    same = make_head("mmlda", 12, 5, radius=1.0).double()
    torch.testing.assert_close(head(features, labels), same(features, labels))


@pytest.mark.parametrize("smoothing", [0, 0.1, 0.5])
def test_label_smoothing_is_torchs_and_its_formula(smoothing, features, labels):
    head = trained("label_smoothing", smoothing=smoothing)
    logits = features @ head.linear.weight.T + head.linear.bias
    torchs = torch.nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(head(features, labels), torchs(logits, labels))
    target = torch.full((7, 5), smoothing / 5, dtype=torch.float64)
    target[range(7), labels] += 1 - smoothing
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)
    torch.testing.assert_close(head(features, labels), -(target * log_p).sum(dim=1))


@pytest.mark.parametrize("smoothing", [0.05, 0.3])
def test_label_smoothing_is_content_with_the_gap_that_its_docstring_names(smoothing):
    head = make_head("label_smoothing", 5, 5, smoothing=smoothing).double()
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(5))
    gap = math.log(1 + 5 * (1 - smoothing) / smoothing)
    features = (gap * torch.eye(5, dtype=torch.float64)).requires_grad_()
    loss = head(features, torch.arange(5))
    gradient = torch.autograd.grad(loss.sum(), features)[0]
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)
    q = torch.tensor([1 - smoothing + smoothing / 5] + 4 * [smoothing / 5], dtype=torch.float64)
    torch.testing.assert_close(loss, (-(q * q.log()).sum()).expand(5))


@pytest.mark.parametrize("weight", [0.01, 2])
def test_center_loss_adds_half_a_weighted_squared_distance(weight, features, labels):
    head = trained("center", weight=weight)
    expected = cross_entropy(features @ head.linear.weight.T + head.linear.bias, labels)
    for n in range(7):
        offset = features[n] - head.centers[labels[n]]
        expected[n] += weight / 2 * offset @ offset
    torch.testing.assert_close(head(features, labels), expected)


@pytest.mark.parametrize("option", [0.01, 1, 100.0, 1e6])
@pytest.mark.parametrize("name", ["center", "emc"])
def test_one_step_of_rate_1_puts_a_learned_center_where_it_is_best(name, option, features):
    """The curvature is 1 for every weight or stiffness; so a gradient step is Newton's."""
    key = {"center": "weight", "emc": "stiffness"}[name]
    option = min(option, 1000) if name == "center" else option
    head = trained(name, **{key: option})
    parameter = {"center": "scaled_centers", "emc": "displacement"}[name]
    places = getattr(head, parameter)
    loss = head(features, torch.full((7,), 2)).mean()
    gradient = torch.autograd.grad(loss, places)[0]
    before = head.centers.detach().clone()
    with torch.no_grad():
        places -= gradient
    mean = features.mean(dim=0)
    best = mean if name == "center" else (mean + option * head.rest[2]) / (1 + option)
    torch.testing.assert_close(head.centers[2].detach(), best)
    others = [0, 1, 3, 4]
    assert torch.equal(head.centers[others], before[others])


def test_elastic_centers_are_those_of_mmc_at_rest_and_on_a_stiff_spring(features, labels):
    mmc = make_head("mmc", 12, 5).double()
    for stiffness in (1e-3, 1, 1e6):
        head = make_head("emc", 12, 5, stiffness=stiffness).double()
        torch.testing.assert_close(head.centers, mmc.centers)
        torch.testing.assert_close(head(features, labels), mmc(features, labels))
        torch.testing.assert_close(head.logits(features), mmc.logits(features))
    # Stiff: whatever step brings the loss down, the centers hardly move.
    loss = head(features, labels).sum()
    with torch.no_grad():
        head.displacement -= torch.autograd.grad(loss, head.displacement)[0]
    assert 0 < (head.centers - mmc.centers).norm(dim=1).max() < 1e-4
    torch.testing.assert_close(head(features, labels), mmc(features, labels), rtol=1e-4, atol=0)


def test_a_stretched_spring_costs_energy(features, labels):
    head = trained("emc", stiffness=0.3)
    moved = (head.centers - head.rest)[labels]
    apart = features - head.centers[labels]
    expected = (apart**2).sum(dim=1) / 2 + 0.3 / 2 * (moved**2).sum(dim=1)
    torch.testing.assert_close(head(features, labels), expected)


@pytest.mark.parametrize(("scale", "margin"), [(16, 0.2), (1, 0), (30.0, 0.35)])
def test_cosface_is_cross_entropy_of_cosines_less_a_margin(scale, margin, features, labels):
    head = trained("cosface", scale=scale, margin=margin)
    cosine = functional.cosine_similarity(features[:, None], head.weight[None], dim=2)
    torch.testing.assert_close(head.logits(features), scale * cosine)
    for n, label in enumerate(labels.tolist()):
        own = math.exp(scale * (cosine[n, label].item() - margin))
        rivals = sum(math.exp(scale * cosine[n, j].item()) for j in range(5) if j != label)
        assert head(features, labels)[n].item() == pytest.approx(-math.log(own / (own + rivals)))
    # Only the direction counts.
    torch.testing.assert_close(head(7 * features, labels), head(features, labels))


@pytest.mark.parametrize(("margin", "weight"), [(0, 0), (0.3, 0.1), (2, 1)])
def test_lgm_is_a_mixture_of_gaussians_with_a_margin(margin, weight, features, labels):
    """Against torch's normal densities, class by class."""
    head = trained("lgm", margin=margin, weight=weight)
    sigma = (head.least_sigma**2 + head.log_variance.exp()).sqrt().tolist()
    assert len({round(value, 3) for value in sigma}) == 5
    eye = torch.eye(12, dtype=torch.float64)
    density = torch.stack(
        [
            MultivariateNormal(mean, value**2 * eye).log_prob(features)
            for mean, value in zip(head.centers, sigma, strict=True)
        ],
        dim=1,
    )
    common = 12 / 2 * math.log(2 * math.pi)
    torch.testing.assert_close(head.logits(features), density + common)
    for n, label in enumerate(labels.tolist()):
        square = (features[n] - head.centers[label]).square().sum() / (2 * sigma[label] ** 2)
        logits = density[n].clone()
        logits[label] -= margin * square
        loss = -logits.log_softmax(dim=0)[label] - weight * (density[n, label] + common)
        torch.testing.assert_close(head(features, labels)[n], loss)


def test_the_variances_of_lgm_start_at_1_and_keep_above_their_floor():
    head = make_head("lgm", 12, 5, least_sigma=0.4)
    torch.testing.assert_close(head.variance(), torch.ones(5))
    with torch.no_grad():
        head.scaled_log_variance.fill_(-1000)
    torch.testing.assert_close(head.variance(), torch.full((5,), 0.16))
    # A class whose features all lie at its mean does not make the loss fall without bound.
    loss = head(head.centers, torch.arange(5))
    assert torch.isfinite(loss).all()


@pytest.mark.parametrize("knee", [0.5, 1, 10, 300.0])
def test_huber_is_torchs_on_the_distance_and_its_formula(knee, features, labels):
    head = make_head("mmc_huber", 12, 5, knee=knee).double()
    centers = max_mahalanobis_centers(5, 12).double()
    distance = torch.linalg.vector_norm(features - centers[labels], dim=1)
    torchs = functional.huber_loss(
        distance, torch.zeros_like(distance), reduction="none", delta=float(knee)
    )
    torch.testing.assert_close(head(features, labels), torchs / knee)
    for n, r in enumerate(distance.tolist()):
        expected = r**2 / (2 * knee) if r <= knee else r - knee / 2
        assert head(features, labels)[n].item() == pytest.approx(expected, rel=1e-12)
    if knee == 10:  # on both sides of the knee
        assert (distance < knee).any() and (distance > knee).any()


def test_huber_lies_between_the_distance_and_its_square(features, labels):
    mmc = make_head("mmc", 12, 5).double()
    square = mmc(features, labels)
    distance = (2 * square).sqrt()
    plain = make_head("mmc_huber", 12, 5, knee=0).double()
    torch.testing.assert_close(plain(features, labels), distance)
    for knee in (1e-300, 1e-9, 1e-3, 0.5):
        head = make_head("mmc_huber", 12, 5, knee=knee).double()
        torch.testing.assert_close(head(features, labels) + knee / 2, distance)
    for knee in (20, 1000):
        head = make_head("mmc_huber", 12, 5, knee=knee).double()
        torch.testing.assert_close(knee * head(features, labels), square)
    torch.testing.assert_close(plain.logits(features), mmc.logits(features))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("knee", [0, 1e-300, 1e-6, 0.5, 3, 1000])
def test_the_pull_of_huber_grows_to_1_and_is_0_at_the_center(knee, dtype):
    head = make_head("mmc_huber", 12, 5, knee=knee).to(dtype)
    generator = torch.Generator().manual_seed(4)
    ways = functional.normalize(torch.randn(9, 12, generator=generator, dtype=dtype))
    distance = torch.tensor([0, 1e-4, 0.1, 0.6, 1, 2, 4, 50, 1e4], dtype=dtype)
    labels = torch.arange(9) % 5
    at = (head.centers[labels] + distance[:, None] * ways).requires_grad_()
    loss = head(at, labels)
    (gradient,) = torch.autograd.grad(loss.sum(), at)
    assert torch.isfinite(gradient).all() and torch.isfinite(loss).all()
    assert loss[0] == 0 and torch.equal(gradient[0], torch.zeros(12, dtype=dtype))
    assert (gradient.norm(dim=1) <= 1 + 1e-6).all()
    pull = (distance / knee).clamp(max=1) if knee else (distance > 0).to(dtype)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-9}[dtype]
    # Outward along the way from the center; near it the digits of the center set the limit.
    torch.testing.assert_close(
        gradient[2:], pull[2:, None] * ways[2:], rtol=0, atol=tolerance / (0.1 * max(knee, 1))
    )


def test_random_centers_lie_on_the_sphere():
    centers = make_head("mmc_random", 12, 5, radius=3.0).centers
    torch.testing.assert_close(centers.norm(dim=1), torch.full((5,), 3.0))
    assert torch.pdist(centers).std() > 0.1  # no simplex


@pytest.mark.parametrize("groups", [[0, 0, 0, 0, 0], [3, 3, 3, 3, 3], [0, 1, 2, 3, 4]])
def test_one_superclass_or_one_for_each_class_is_the_geometry_of_mmc(groups):
    head, mmc = make_head("hmc", 12, 5, groups=groups), make_head("mmc", 12, 5)
    torch.testing.assert_close(head.centers @ head.centers.T, mmc.centers @ mmc.centers.T)


def test_classes_of_a_superclass_are_closer_than_others():
    groups = [2, 0, 2, 1, 0, 1, 1]
    head = make_head("hmc", 16, 7, groups=groups)
    expected = hierarchical_centers([[1, 4], [3, 5, 6], [0, 2]], 16)
    torch.testing.assert_close(head.centers, expected)
    distance = torch.cdist(head.centers, head.centers)
    group = torch.tensor(groups)
    relatives = (group[:, None] == group) & ~torch.eye(7, dtype=bool)
    strangers = group[:, None] != group
    assert distance[relatives].max() < distance[strangers].min()
    torch.testing.assert_close(head.centers.norm(dim=1), torch.full((7,), 10.0))


@given(num_classes=st.integers(2, 60), dim=st.integers(2, 80))
def test_default_superclasses_are_consecutive_even_and_have_room(num_classes, dim):
    groups = default_groups(num_classes, dim)
    assert groups == sorted(groups) and len(groups) == num_classes
    count = groups[-1] + 1
    sizes = [groups.count(group) for group in range(count)]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert count <= max(1, round(math.sqrt(num_classes)))
    if dim >= num_classes:  # room for simplices on both levels
        assert count == max(1, round(math.sqrt(num_classes)))
        hierarchical_centers(
            [[i for i in range(num_classes) if groups[i] == g] for g in range(count)], dim
        )


def test_ten_classes_in_the_plane_have_no_room_for_superclasses():
    assert default_groups(10, 64) == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert default_groups(10, 2) == [0] * 10
    assert default_groups(4, 2) == [0, 0, 1, 1]
    torch.testing.assert_close(make_head("hmc", 2, 10).centers, make_head("mmc", 2, 10).centers)


# --- options ------------------------------------------------------------------------------------


def test_options_are_the_keyword_only_parameters_of_a_head():
    assert options_of("mmc") == options_of("sce") == options_of("mmc_random") == {}
    assert options_of("label_smoothing") == {"smoothing": 0.1}
    assert options_of("hmc") == {"groups": None}
    assert {name for name in NAMES if options_of(name)} == OTHER_OPTIONS.keys()
    for name, options in OTHER_OPTIONS.items():
        assert options_of(name).keys() == options.keys()
        check_options(name, options)
        check_options(name, options_of(name))  # as a resolved configuration has them


@pytest.mark.parametrize("name", OTHER_OPTIONS)
def test_options_reach_the_head(name, features, labels):
    plain, changed = make_head(name, 12, 5), make_head(name, 12, 5, **OTHER_OPTIONS[name])
    features = features.float()
    assert not torch.allclose(plain(features, labels), changed(features, labels)) or (
        name == "emc" and changed.stiffness == 0.25  # at rest the spring costs nothing
    )


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mmc", {"margin": 1}, "option of the head `mmc` must be left out, .* got 'margin'"),
        ("sce", {"radius": 1}, "option of the head `sce` must be left out, .* got 'radius'"),
        ("emc", {"preset": [1]}, "must be one of stiffness; got 'preset'"),
        ("lgm", {"marg\nin": 1}, r"one of margin, weight, least_sigma; got 'marg\\nin'"),
        ("lgm", {"margin": "1"}, "`margin` must be a finite number; got '1'"),
        ("lgm", {"margin": True}, "`margin` must be a finite number; got True"),
        ("lgm", {"margin": None}, "`margin` must be a finite number; got None"),
        ("lgm", {"margin": [1]}, r"`margin` must be a finite number; got \[1\]"),
        ("lgm", {"margin": math.nan}, "`margin` must be a finite number; got nan"),
        ("lgm", {"margin": -0.1}, "`margin` must be in 0 .. 10; got -0.1"),
        ("lgm", {"weight": 10**400}, "`weight` must be in 0 .. 10; got 10{50,}[.]{4}$"),
        ("lgm", {"least_sigma": 0}, "`least_sigma` must be in 0.01 .. 0.9; got 0"),
        ("center", {"weight": 0}, "`weight` must be above 0 and at most 1000; got 0"),
        ("cosface", {"scale": 0}, "`scale` must be above 0 and at most 1000; got 0"),
        ("cosface", {"margin": 2.5}, "`margin` must be in 0 .. 2; got 2.5"),
        ("emc", {"stiffness": 0}, r"`stiffness` must be above 0 and at most 1e\+06; got 0"),
        ("simplex", {"weight_norm": -1}, "`weight_norm` must be above 0 .* 1000; got -1"),
        ("mmc_huber", {"knee": -1}, "`knee` must be in 0 .. 1000; got -1"),
        ("mmc_huber", {"knee": 1001}, "`knee` must be in 0 .. 1000; got 1001"),
        ("mmc_huber", {"knee": [1]}, r"`knee` must be a finite number; got \[1\]"),
        ("label_smoothing", {"smoothing": 1}, "`smoothing` must be in 0 .. 0.9; got 1"),
        ("hmc", {"groups": 3}, "`groups` must be a list of whole numbers; got 3"),
        ("hmc", {"groups": [0.0] * 5}, "`groups` must be a list of whole numbers; got"),
        ("hmc", {"groups": [[0], 1, 2, 3, 4]}, "`groups` must be a list of whole numbers; got"),
        ("hmc", {"groups": [0, 1]}, "one superclass for each of the 5 classes; got 2"),
        ("hmc", {"groups": [0, 1, 2, 3, 5]}, "`groups` must be in 0 .. 4; got 5"),
        ("hmc", {"groups": [0, 1, 2, 3, -1]}, "`groups` must be in 0 .. 4; got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(name, options, words):
    shared = options.keys() & {"radius", "preset"}  # arguments of `make_head`, but no options
    with pytest.raises(ValueError, match=words) as caught:
        check_options(name, options) if shared else make_head(name, 12, 5, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


# --- one class in one file ----------------------------------------------------------------------

NEW_HEAD = '''
from mmc_viz.heads import register
from mmc_viz.heads.mmc import MaxMahalanobisCenter


@register("huber")
class Huber(MaxMahalanobisCenter):
    """MMC whose pull on a feature is never stronger than `reach`."""

    loss_form = "other"

    def __init__(self, dim, num_classes, *, reach=1.0, **more):
        super().__init__(dim, num_classes, **more)
        self.reach = reach

    def forward(self, features, labels):
        distance = (features - self.centers[labels]).norm(dim=1)
        near = distance.clamp(max=self.reach)
        return near * (distance - near / 2)
'''

USE_IT = """
import mmc_viz
from mmc_viz.__main__ import main
from mmc_viz.heads import HEADS
from mmc_viz.training import TrainConfig

assert HEADS["huber"].__module__ == "mmc_viz.heads.huber"
TrainConfig(head="huber", head_options={"reach": 2})
words = "train --head huber --head-option reach=3 --epochs 1 --limit 64 --quiet --out model"
assert main([*words.split(), "--device", "cpu"]) == 0
model = mmc_viz.load_model("model")
assert (model.head.name, model.head.reach) == ("huber", 3)
try:
    main(["train", "--help"])
except SystemExit:
    pass
"""


def test_a_file_dropped_into_the_folder_is_a_head_everywhere(tmp_path):
    """In a copy of the package, from a fresh interpreter."""
    package = Path(mmc_viz.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, tmp_path / "mmc_viz", ignore=ignored)
    (tmp_path / "data").symlink_to(package.parent / "data")
    (tmp_path / "mmc_viz" / "heads" / "huber.py").write_text(NEW_HEAD)
    done = subprocess.run(
        [sys.executable, "-c", USE_IT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "huber" in done.stdout.split("training objective")[1].split("head-option")[0]


@pytest.fixture
def capped():
    """A head that exists for one test."""

    @register("capped")
    class Capped(MaxMahalanobisCenter):
        loss_form = "other"

        def __init__(self, dim, num_classes, *, reach=1.0, **more):
            super().__init__(dim, num_classes, **more)
            self.reach = reach

    yield Capped
    del HEADS["capped"]


def test_a_registered_class_is_a_head_from_then_on(capped, tmp_path):
    assert options_of("capped") == {"reach": 1.0}
    config = TrainConfig(head="capped", head_options={"reach": 2}).resolved()
    assert config.lr == MaxMahalanobisCenter.peak_lr
    model = make_classifier(
        "small_cnn", "capped", in_channels=1, num_classes=3, head_options=config.head_options
    )
    card = Card(
        network="small_cnn",
        head="capped",
        in_channels=1,
        num_classes=3,
        dim=64,
        class_names=["a", "b", "c"],
        dataset={"name": "toy", "sha256": "", "image_size": 8},
        config=config.to_json(),
        seed=0,
    )
    save_model(tmp_path / "model", model, card)
    head = load_model(tmp_path / "model").head
    assert type(head) is capped and head.reach == 2


def test_a_name_belongs_to_one_class_but_a_cell_may_run_twice(capped):
    names = {"__module__": capped.__module__, "__qualname__": capped.__qualname__}
    again = type("Capped", (MaxMahalanobisCenter,), names)
    assert register("capped")(again) is again and HEADS["capped"] is again
    with pytest.raises(ValueError, match="`name` must be new; got 'mmc', which mmc_viz.heads.mmc"):
        register("mmc")(type("Impostor", (Head,), {}))
    assert HEADS["mmc"] is MaxMahalanobisCenter and MaxMahalanobisCenter.name == "mmc"


def test_a_description_says_its_shapes():
    form = GeneralizedSCE(torch.zeros(3, 2), torch.ones(3), torch.tensor([0.0, 1.0, 2.0]))
    expected = torch.tensor([[-25.0, -24.0, -23.0]])
    torch.testing.assert_close(form.logits(torch.tensor([[3.0, 4.0]])), expected)
