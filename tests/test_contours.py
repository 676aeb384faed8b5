import copy
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from mmc_viz import contours, load_model
from mmc_viz.attacks import pgd
from mmc_viz.attacks.flatness import zero_gradient
from mmc_viz.contours import Hyperplane, Hypersphere
from mmc_viz.contours.levels import crossings
from mmc_viz.contours.theorem import in_float64, log_expm1
from mmc_viz.datasets import load_dataset
from mmc_viz.heads import HEADS, GeneralizedSCE, make_head
from mmc_viz.networks import outputs
from mmc_viz.objectives import OBJECTIVES


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def form(num_classes, dim, seed=0, equal=False):
    scales = 0.2 + randn(num_classes, seed=seed + 1).abs()
    if equal:
        scales[:] = scales[0]
    means, offsets = 2 * randn(num_classes, dim, seed=seed), randn(num_classes, seed=seed + 2)
    return GeneralizedSCE(means, scales, offsets)


def logits(form, points):
    """Written out as the definition has it, without the expansion that heads use."""
    apart = (points[:, None] - form.means).square().sum(dim=2)
    return form.offsets - form.scales * apart


def two_class(form, points, k, rival):
    h = logits(form, points)
    return functional.softplus(h[:, rival] - h[:, k], threshold=700)


def trained(name="sce", num_classes=5, dim=2, seed=0):
    """A head as training leaves it: weights of some size, each class at another place."""
    head = make_head(name, dim, num_classes, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for i, weight in enumerate(head.parameters()):
            weight.add_(randn(*weight.shape, seed=seed + i).float())
    return head


@pytest.fixture(scope="module")
def fashion():
    data = load_dataset("fashion_mnist")
    return data.inputs()[:300], data.labels[:300]


@pytest.fixture(scope="module")
def flat_models(fashion):
    """Both models with two features, with the features of 300 images."""
    models = {name: load_model(f"fashion-{name}-2d") for name in ("sce", "mmc")}
    return {
        name: (model.head, outputs(model, fashion[0])[1], fashion[1])
        for name, model in models.items()
    }


# --- the theorem ----------------------------------------------------------------------------------


@given(
    num_classes=st.integers(2, 6),
    dim=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    equal=st.booleans(),
    power=st.floats(-6, 1.5),
)
@settings(max_examples=80)
def test_points_on_a_contour_have_the_two_class_loss(num_classes, dim, seed, equal, power):
    level, one = 10**power, form(num_classes, dim, seed, equal)
    found = contours.two_class_contour(one, 0, num_classes - 1, level)
    if found is None:
        # Nowhere is the loss that of the level: it lies on one side at the best and worst point.
        s_k, s_t = one.scales[0], one.scales[-1]
        turn = (s_k * one.means[0] - s_t * one.means[-1]) / (s_k - s_t)
        extreme = float(two_class(one, turn[None], 0, num_classes - 1))
        assert extreme > level if s_k > s_t else extreme < level
        return
    assert isinstance(found, Hyperplane if equal else Hypersphere)
    points = found.points(40, seed=seed)
    reached = two_class(one, points, 0, num_classes - 1)
    assert ((reached - level).abs() / level).max() < 1e-6
    full = functional.cross_entropy(logits(one, points), torch.zeros(40, dtype=torch.int64))
    if num_classes == 2:
        each = functional.cross_entropy(
            logits(one, points), torch.zeros(40, dtype=torch.int64), reduction="none"
        )
        # log-softmax itself keeps 16 digits of the logits, so of a small loss fewer.
        torch.testing.assert_close(each, torch.full_like(each, level), rtol=1e-6, atol=1e-10)
    else:
        assert full > level * (1 - 1e-6)


@pytest.mark.parametrize("larger", [True, False])
def test_the_sphere_lies_about_the_class_with_the_larger_scale(larger):
    scales = torch.tensor([2.0, 0.5]) if larger else torch.tensor([0.5, 2.0])
    one = GeneralizedSCE(torch.tensor([[0.0, 0.0], [4.0, 0.0]]), scales, torch.zeros(2))
    sphere = contours.two_class_contour(one, 0, 1, 0.5)
    inside = two_class(one, sphere.center[None], 0, 1)
    assert bool(inside < 0.5) == larger
    far = two_class(one, sphere.center[None] + 100, 0, 1)
    assert bool(far > 0.5) == larger


def test_a_sphere_by_hand():
    """s = (2, 1), means 0 and 3 on a line: 2 z^2 - (z - 3)^2 = log C is z^2 + 6 z - 9 = log C."""
    one = GeneralizedSCE(torch.tensor([[0.0], [3.0]]), torch.tensor([2.0, 1.0]), torch.zeros(2))
    sphere = contours.two_class_contour(one, 0, 1, math.log(2))
    assert sphere.center.tolist() == [-3]
    assert sphere.radius == pytest.approx(math.sqrt(18), rel=1e-12)


def test_no_contour_where_the_loss_is_never_so_small():
    one = GeneralizedSCE(torch.tensor([[0.0], [1.0]]), torch.tensor([2.0, 1.0]), torch.zeros(2))
    # h_t - h_k is least at z = -1, where it is -2.
    least = math.log1p(math.exp(-2))
    assert contours.two_class_contour(one, 0, 1, least * 0.999) is None
    assert contours.two_class_contour(one, 0, 1, least * 1.001).radius < 0.1
    same = GeneralizedSCE(torch.ones(2, 3), torch.ones(2), torch.zeros(2))
    assert contours.two_class_contour(same, 0, 1, 0.5) is None


@pytest.mark.parametrize("level", [1e-5, 0.1, math.log(2), 3.0, 40.0])
def test_the_plane_of_softmax_cross_entropy(level):
    head = in_float64(trained("sce", 4, 3))
    weight, bias = head.linear.weight, head.linear.bias
    plane = contours.contour_of(head, 1, level, rival=2)
    lead = bias[2] - bias[1] - math.log(math.expm1(level))
    assert plane.offset - float(lead) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(plane.normal, weight[1] - weight[2])
    points = plane.points(50, near=randn(3), spread=3.0)
    gap = head.logits(points)
    reached = functional.softplus(gap[:, 2] - gap[:, 1], threshold=700)
    assert ((reached - level).abs() / level).max() < 1e-6


@pytest.mark.parametrize("num_classes", [2, 3, 10, 30])
@pytest.mark.parametrize("level", [1e-4, 0.1, 20.0])
def test_the_spheres_of_mmc_hold_for_every_number_of_classes(num_classes, level):
    head = in_float64(make_head("mmc", 40, num_classes))
    sphere = contours.contour_of(head, 1, level)
    assert sphere.radius == pytest.approx(math.sqrt(2 * level), rel=1e-12)
    reached = head(sphere.points(30), torch.full((30,), 1))
    assert ((reached - level).abs() / level).max() < 1e-6


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_head_has_the_contour_of_its_own_form(name):
    num_classes, dim, label, rival, level = 4, 6, 1, 3, 0.3
    head = trained(name, num_classes, dim)
    wide = in_float64(head)
    if wide.loss_form != "distance" and wide.generalized_sce() is None:
        with pytest.raises(ValueError, match="Draw its contours from a grid"):
            contours.contour_of(head, label, level, rival=rival)
        return
    if wide.loss_form == "distance":
        base = float(wide(wide.centers[label][None], torch.tensor([label])))
        sphere = contours.contour_of(head, label, base + level)
        points = sphere.points(30)
        reached = wide(points, torch.full((30,), label))
        torch.testing.assert_close(reached, torch.full_like(reached, base + level))
        assert base == 0 or contours.contour_of(head, label, base / 2) is None
    found = contours.two_class_contour(wide.generalized_sce(), label, rival, level)
    if found is not None:
        h = wide.logits(found.points(30))
        reached = functional.softplus(h[:, rival] - h[:, label])
        torch.testing.assert_close(reached, torch.full_like(reached, level), rtol=1e-6, atol=0)


@pytest.mark.parametrize("value", [1e-12, 1e-3, 1.0, 30.0, 1e3])
def test_the_logarithm_keeps_its_digits(value):
    # Of the inverse, log(1 + e^t) = c, which is well behaved.
    t = log_expm1(value)
    back = math.log1p(math.exp(t)) if t < 700 else t
    assert back == pytest.approx(value, rel=1e-12)


def test_the_nearest_point_and_its_distance():
    plane = Hyperplane(torch.tensor([3.0, 4.0], dtype=torch.float64), 10.0)
    points = torch.tensor([[0.0, 0.0], [6.0, 8.0]], dtype=torch.float64)
    assert plane.signed_distance(points).tolist() == pytest.approx([-2, 8])
    torch.testing.assert_close(plane.foot(points)[0], torch.tensor([1.2, 1.6]).double())
    sphere = Hypersphere(torch.tensor([1.0, 0.0], dtype=torch.float64), 2.0)
    assert sphere.signed_distance(points).tolist() == pytest.approx([-1, math.sqrt(89) - 2])
    torch.testing.assert_close(sphere.foot(points)[0], torch.tensor([-1.0, 0.0]).double())


@given(seed=st.integers(0, 10_000), dim=st.integers(3, 9), equal=st.booleans())
@settings(max_examples=40)
def test_the_section_with_a_plane_lies_on_both(seed, dim, equal):
    one = form(2, dim, seed, equal)
    plane = contours.plane_of(2 * randn(3, dim, seed=seed + 7), (0, 1, 2))
    found = contours.two_class_contour(one, 0, 1, 0.7)
    section = None if found is None else found.section(plane)
    if section is None:
        if isinstance(found, Hypersphere):
            # It misses the plane: the center is farther away than the radius.
            assert float(plane.distance(found.center[None])) > found.radius
        return
    points = plane.lift(section.points(20))
    assert found.signed_distance(points).abs().max() < 1e-6 * (1 + points.norm(dim=1).max())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 5}, "`k` must be in 0 .. 2; got 5"),
        ({"rival": -1}, "`rival` must be in 0 .. 2; got -1"),
        ({"rival": 0}, "`rival` must be another class than `k`; both are 0"),
        ({"loss": 0.0}, "`loss` must be positive and finite; got 0.0"),
        ({"loss": math.inf}, "`loss` must be positive and finite; got inf"),
    ],
)
def test_a_contour_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        contours.two_class_contour(**{"form": form(3, 2), "k": 0, "rival": 1, "loss": 0.1} | change)
    broken = form(3, 2)
    broken.means[0, 0] = math.nan
    with pytest.raises(ValueError, match="`form` must be finite"):
        contours.two_class_contour(broken, 0, 1, 0.1)


# --- planes ---------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), dim=st.integers(3, 20), corners=st.sampled_from([3, 4]))
@settings(max_examples=40)
def test_a_plane_goes_through_its_centers(seed, dim, corners):
    points = 5 * randn(6, dim, seed=seed)
    classes = tuple(range(1, 1 + corners))
    if corners == 4 and dim == 3:
        assert contours.plane_of(points, classes).is_whole
        return
    plane = contours.plane_of(points, classes)
    torch.testing.assert_close(
        plane.axes @ plane.axes.T, torch.eye(corners - 1, dtype=torch.float64), atol=1e-12, rtol=0
    )
    assert plane.distance(points[list(classes)]).max() < 1e-10
    torch.testing.assert_close(plane.lift(plane.place(points[1:3])), points[1:3])
    # A point moved across the plane keeps its place and is that far away.
    across = randn(1, dim, seed=seed + 1)
    across -= plane.place(across + plane.origin) @ plane.axes
    moved = points[1:2] + across
    torch.testing.assert_close(plane.place(moved), plane.place(points[1:2]))
    torch.testing.assert_close(plane.distance(moved), across.norm(dim=1))


def test_what_a_plane_leaves_out():
    """Variances 4, 1, 9, 0.25 along the axes; the plane of the first two leaves 9.25 of 14.25."""
    corners = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    plane = contours.plane_of(corners)
    signs = torch.tensor([[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)
                          for d in (-1, 1)]) * torch.tensor([2.0, 1.0, 3.0, 0.5])  # fmt: skip
    shown = plane.project(signs, torch.zeros(16, dtype=torch.int64))
    assert shown.variance_left_out == pytest.approx(9.25 / 14.25)
    assert shown.mean_distance == pytest.approx(math.sqrt(9.25))


def test_a_head_without_centers_takes_class_means():
    head = make_head("sce", 6, 4)
    features, labels = randn(40, 6).float(), torch.arange(40) % 4
    plane = contours.plane_of(head, (0, 1, 3), features=features, labels=labels)
    means = torch.stack([features[labels == k].double().mean(dim=0) for k in (0, 1, 3)])
    assert plane.spanned_by == "class means"
    assert plane.distance(means).max() < 1e-10
    with pytest.raises(ValueError, match="`features` must be given: SoftmaxCrossEntropy has no"):
        contours.plane_of(head, (0, 1, 3))
    with pytest.raises(ValueError, match="`features` must have class 3; there is no sample of it"):
        contours.plane_of(head, (0, 1, 3), features=features[:3], labels=labels[:3])


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ((0, 1), "three or four different classes"),
        ((0, 1, 1), "three or four different classes"),
        ((0, 1, 9), "`classes` must be in 0 .. 4; got"),
        ((0, 1, 2), "do not. Choose others"),
    ],
)
def test_a_plane_that_cannot_be_is_refused(classes, words):
    points = randn(5, 7)
    points[2] = 3 * points[1] - 2 * points[0]  # on the line through both
    with pytest.raises(ValueError, match=words):
        contours.plane_of(points, classes)
    with pytest.raises(ValueError, match="`features` must be finite; 1 of 2 are not"):
        contours.whole(2).project(torch.tensor([[0.0, math.nan], [1, 1]]), torch.zeros(2).long())
    with pytest.raises(ValueError, match="`dim` must be 2 or 3; got 5"):
        contours.whole(5)


# --- level sets and grids -------------------------------------------------------------------------


def test_level_sets_of_known_functions():
    ticks = (torch.linspace(-2, 2, 21).double(), torch.linspace(-3, 3, 31).double())

    def circle(points):
        return (points - torch.tensor([0.3, -0.2])).norm(dim=1)

    grid = torch.stack(torch.meshgrid(ticks[1], ticks[0], indexing="ij")[::-1], dim=-1)
    values = circle(grid.reshape(-1, 2)).reshape(31, 21)
    points = crossings(ticks, values, 1.15, circle)
    # A circle of this size crosses each grid line within it twice: 12 and 11 lines.
    assert len(points) == 2 * (12 + 11)
    assert (circle(points) - 1.15).abs().max() < 1e-14
    assert len(crossings(ticks, values, 99.0, circle)) == 0


@pytest.mark.parametrize("name", sorted(HEADS))
def test_the_grid_holds_the_loss_of_the_head(name):
    head = trained(name, 4, 2)
    found = contours.loss_on_plane(head, 2, extent=((-3, 4), (-5, 1)), resolution=9)
    assert found.values.shape == (9, 9)
    for row, column in ((0, 0), (3, 7), (8, 8)):
        point = torch.tensor([[found.ticks[0][column], found.ticks[1][row]]])
        loss = in_float64(head)(point, torch.tensor([2]))
        torch.testing.assert_close(found.values[row, column], loss[0])
        assert found.predicted[row, column] == in_float64(head).logits(point).argmax()
    least = contours.loss_on_plane(head, None, extent=((-3, 4), (-5, 1)), resolution=9)
    each = [
        contours.loss_on_plane(head, k, extent=((-3, 4), (-5, 1)), resolution=9).values
        for k in range(4)
    ]
    torch.testing.assert_close(least.values, torch.stack(each).amin(dim=0))


def test_a_plane_in_many_dimensions_and_a_space():
    head = make_head("mmc", 12, 6)
    features = head.centers.repeat(3, 1) + randn(18, 12).float()
    labels = torch.arange(6).repeat(3)
    found = contours.loss_on_plane(
        head, 1, contours.plane_of(head, (1, 3, 4)), features=features, labels=labels, resolution=5
    )
    point = found.plane.lift(torch.tensor([[found.ticks[0][4], found.ticks[1][2]]]))
    torch.testing.assert_close(
        found.values[2, 4], (point - head.centers[1].double()).square().sum() / 2
    )
    assert found.centers.labels.tolist() == [1, 3, 4]
    assert found.centers.distance.max() < 1e-5
    own = (features - head.centers[labels]).double().square().sum(dim=1) / 2
    torch.testing.assert_close(found.feature_losses, own, rtol=1e-5, atol=0)
    space = contours.loss_in_space(head, 1, features=features, labels=labels, resolution=4)
    assert space.values.shape == (4, 4, 4)
    place = torch.tensor([[space.ticks[0][1], space.ticks[1][2], space.ticks[2][3]]])
    corner = space.plane.lift(place)[0] - head.centers[1].double()
    torch.testing.assert_close(space.values[3, 2, 1], corner.square().sum() / 2)


def test_losses_by_name_and_without_loss_of_digits():
    head, extent = trained("sce", 3, 2), ((-90, 90), (-90, 90))
    grids = {
        loss: contours.loss_on_plane(head, 0, loss=loss, extent=extent, resolution=11)
        for loss in ("training", "cross_entropy", "two_class", "margin", "distance")
    }
    assert torch.equal(grids["training"].values, grids["cross_entropy"].values)
    # Far on the right side log-softmax is exactly 0; the loss is not.
    assert float(grids["training"].values.amin()) > 0
    assert (grids["two_class"].values <= grids["training"].values * (1 + 1e-12)).all()
    inside = grids["margin"].values < 0
    assert torch.equal(inside, grids["margin"].predicted == 0)
    assert grids["margin"].log10.isnan().equal(inside)
    named = contours.loss_on_plane(head, 0, loss=OBJECTIVES["margin"], extent=extent, resolution=11)
    assert named.loss == "margin" and torch.equal(named.values, grids["margin"].values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": 7}, "`label` must be in 0 .. 4; got 7"),
        ({"loss": "hinge"}, "`loss` must be one of training, two_class, cross_entropy"),
        ({"rival": 1}, "`rival` belongs to the loss `two_class`; got it with 'training'"),
        ({"loss": "two_class", "rival": 9}, "`rival` must be in 0 .. 4; got 9"),
        ({"loss": "two_class", "rival": 0}, "`rival` must be another class than `label`"),
        ({"extent": None}, "`extent` must be given for a head without centers"),
        ({"extent": ((1, 0), (0, 1))}, "`extent` must be pairs that rise and are finite"),
        ({"extent": ((0, 1),)}, "`extent` must be 2 pairs; got 1"),
        ({"resolution": 1}, "`resolution` must be at least 2; got 1"),
        ({"class_names": ["a"]}, "`class_names` must be 5; got 1"),
        ({"features": torch.zeros(3, 4), "labels": torch.zeros(3).long()}, "must be .batch, 2."),
        ({"features": torch.zeros(3, 2)}, "`labels` must be .3., one for each feature; got None"),
        (
            {"features": torch.zeros(1, 2), "labels": torch.tensor([5])},
            "`labels` must be in 0 .. 4",
        ),
        ({"plane": contours.whole(3)}, "`plane` must have two axes"),
        ({"plane": contours.plane_of(torch.eye(4), (0, 1, 2))}, "must lie in the 2 dimensions"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(change, words):
    settings = {"label": 0, "extent": ((-1, 1), (-1, 1)), "resolution": 5} | change
    with pytest.raises(ValueError, match=words):
        contours.loss_on_plane(trained("sce", 5, 2), settings.pop("label"), **settings)


def test_a_loss_that_is_not_finite_is_refused():
    head = trained("sce", 3, 2)
    with torch.no_grad():
        head.linear.bias[0] = math.inf
    with pytest.raises(ValueError, match="The loss must be finite; it is not at 25 points"):
        contours.loss_on_plane(head, 1, extent=((-1, 1), (-1, 1)), resolution=5)


# --- the theorem against the grid -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_for_two_classes_theorem_and_level_set_are_the_same(seed):
    head = trained("sce", 2, 2, seed=seed)
    found = contours.loss_on_plane(head, 0, extent=((-6, 6), (-6, 6)), resolution=41)
    difference = contours.compare(head, found, [0.05, 0.7, 2.0])
    assert difference.shapes == ("lines",) * 3
    assert difference.max_distance.max() < 1e-9 and difference.check.max() < 1e-9
    torch.testing.assert_close(difference.max_loss, difference.levels, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["sce", "mmlda", "lgm", "center"])
def test_the_two_class_level_set_is_the_theorems(name):
    """Points of the level set, found by search on the grid, lie on what the formulas give."""
    head = trained(name, 5, 2)
    with torch.no_grad():
        for parameter_name, weight in head.named_parameters():
            if "scale" in parameter_name or "log" in parameter_name:
                weight.add_(0.3 * torch.arange(weight.numel()).reshape(weight.shape))
    found = contours.loss_on_plane(head, 0, extent=((-25, 25), (-25, 25)), resolution=61)
    difference = contours.compare(head, found, [0.1, 1.0])
    assert (difference.check < 1e-6).all()  # NaN, nothing to compare, would fail
    # The other rivals only add to the loss.
    assert (difference.max_loss >= difference.levels * (1 - 1e-9)).all()


def test_the_spheres_of_mmc_are_the_level_sets(flat_models):
    head, features, labels = flat_models["mmc"]
    found = contours.loss_on_plane(head, 3, features=features, labels=labels, resolution=61)
    difference = contours.compare(head, found, [0.5, 5.0])
    assert difference.shapes == ("circles", "circles") and difference.loss == "training"
    assert difference.max_distance.max() < 1e-9
    away = (difference.true_points[1] - head.centers[3].double()).norm(dim=1)
    torch.testing.assert_close(away, torch.full_like(away, math.sqrt(10)))
    everywhere = contours.loss_on_contours(head, features, labels, [0.5])
    assert everywhere.max_loss[0] == pytest.approx(0.5, rel=1e-9)


def test_with_ten_classes_the_true_loss_on_the_planes_of_sce_is_larger(flat_models):
    """What the theorem leaves out is seen on a trained model, and on the right side."""
    head, features, labels = flat_models["sce"]
    found = contours.loss_on_plane(head, 0, features=features, labels=labels, resolution=101)
    difference = contours.compare(head, found, [0.1])
    assert difference.check[0] < 1e-9
    # At a kink two rivals are equally strong: then the loss is log(1 + 2 C) = 0.19.
    assert float(difference.max_loss[0]) == pytest.approx(math.log1p(2 * math.expm1(0.1)), rel=0.1)
    assert float(difference.max_distance[0]) > 0.1
    everywhere = contours.loss_on_contours(head, features, labels, [0.1])
    assert everywhere.counts.tolist() == [300] and everywhere.two_class_error[0] < 1e-6
    assert float(everywhere.median_loss[0]) >= 0.1
    assert float(everywhere.max_loss[0]) > 0.3


def test_a_plane_of_the_theorem_far_from_features_costs_more():
    """On the plane of two classes at random places the full loss has more to add."""
    model = load_model("fashion-sce")
    data = load_dataset("fashion_mnist")
    _, features = outputs(model, data.inputs()[:300])
    of = features[data.labels[:300] == 2].double()
    head = in_float64(model.head)
    plane = contours.contour_of(head, 2, 0.1, rival=4)
    points = plane.points(2000, near=of.mean(dim=0), spread=float(of.std(dim=0).mean()))
    full = functional.cross_entropy(head.logits(points), torch.full((2000,), 2), reduction="none")
    assert full.amin() > 0.1 * (1 - 1e-6)
    assert full.quantile(0.5) > 0.1 * (1 + 1e-4) and full.amax() > 0.3


def test_one_rival_alone_and_what_is_not_there():
    head = trained("sce", 4, 2)
    found = contours.loss_on_plane(head, 0, extent=((-9, 9), (-9, 9)), resolution=31)
    all_rivals = contours.compare(head, found, [0.4])
    parts = [contours.compare(head, found, [0.4], rival=t) for t in (1, 2, 3)]
    count = sum(int((~part.curves[0].isnan()[:, 0]).sum()) for part in parts)
    assert count == int((~all_rivals.curves[0].isnan()[:, 0]).sum()) > 0
    nothing = contours.compare(head, found, [1e9])
    assert nothing.shapes == ("nothing",) and nothing.rows()[0]["max_loss"] is None
    assert json.loads(nothing.to_json())["levels"][0]["max_distance"] is None


def test_a_comparison_that_makes_no_sense_is_refused():
    head = trained("sce", 3, 2)
    square = {"extent": ((-1, 1), (-1, 1)), "resolution": 5}
    least = contours.loss_on_plane(head, None, **square)
    with pytest.raises(ValueError, match="`contours` must be those of one class"):
        contours.compare(head, least)
    one = contours.loss_on_plane(head, 0, **square)
    with pytest.raises(ValueError, match="`levels` must hold at least one value"):
        contours.compare(head, one, [])
    with pytest.raises(ValueError, match="`head` must be the one of `contours`"):
        contours.compare(trained("sce", 3, 4), one)
    with pytest.raises(ValueError, match="`loss` must be positive"):
        contours.compare(head, one, [-1.0])
    with pytest.raises(ValueError, match="`rival` must be given for a softmax loss"):
        contours.contour_of(head, 0, 0.1)


# --- about an image -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    models = {name: load_model(f"fashion-{name}") for name in ("sce", "mmc")}
    data = load_dataset("fashion_mnist")
    return models, data.inputs()[3], int(data.labels[3])


@pytest.fixture(scope="module")
def seen(pictures):
    models, image, label = pictures
    return contours.surfaces(models, image, label, eps=0.06, resolution=15)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_surface_of_a_linear_model_is_known(linear, norm):
    """The change is linear in both coordinates, as long as no pixel leaves the box."""
    model, images, labels = linear
    eps = 0.05 if norm == "linf" else 0.2
    found = contours.loss_surface(
        model, images[0], int(labels[0]), eps=eps, norm=norm, resolution=9, shown=("distance",)
    )
    assert found.clamped_share == 0
    weight = model.weight[labels[0]].detach().double()
    rise = [
        -float((weight * one.double().flatten()).sum()) for one in (found.direction, found.other)
    ]
    at_image = -float(model(images[:1])[0, labels[0]].detach())
    expected = at_image + rise[0] * found.a[None, :] + rise[1] * found.b[:, None]
    torch.testing.assert_close(found.values["distance"], expected, rtol=1e-4, atol=1e-4)
    size = torch.inf if norm == "linf" else 2
    for one in (found.direction, found.other):
        assert float(one.flatten().norm(p=size)) == pytest.approx(1, rel=1e-5)
    assert float((found.direction * found.other).sum()) == pytest.approx(0, abs=1e-5)
    # Along an axis a coordinate is the size of the change.
    torch.testing.assert_close(found.change[4], found.a.abs(), rtol=1e-4, atol=1e-6)


def test_the_surface_holds_what_the_model_says_of_clamped_images(pictures, seen):
    models, image, label = pictures
    for name, found in seen.items():
        points = [(7, 7), (2, 11), (14, 0)]
        batch = torch.stack(
            [
                image + float(found.a[c]) * found.direction + float(found.b[r]) * found.other
                for r, c in points
            ]
        )
        moved = (batch != batch.clamp(0, 1)).flatten(1).double().mean(dim=1)
        logits, _ = outputs(models[name], batch.clamp(0, 1))
        truth = torch.full((3,), label)
        for i, (r, c) in enumerate(points):
            for objective in ("cross_entropy", "margin", "distance"):
                value = float(OBJECTIVES[objective](logits, truth)[i])
                near = 2e-4 * float(logits.abs().max())
                assert float(found.values[objective][r, c]) == pytest.approx(value, abs=near)
            assert found.predicted[r, c] == logits[i].argmax()
            assert float(found.clamped[r, c]) == pytest.approx(float(moved[i]), abs=2e-3)
        assert found.change[7, 7] == found.clamped[7, 7] == 0
        assert found.predicted[7, 7] == label
    random = [found.other.flatten() for found in seen.values()]
    # One random direction, less what lies along each model's own.
    assert float(torch.corrcoef(torch.stack(random))[0, 1]) > 0.95


def test_paths_begin_at_the_image_and_end_where_the_attack_ended(pictures, seen):
    models, image, label = pictures
    for name, found in seen.items():
        path = found.paths["margin"]
        assert path.coordinates[0].tolist() == [0, 0] and path.distance[0] == 0
        assert path.first_fooled == len(path.fooled) - 1
        # The direction is that of this attack, so its end lies on the first axis.
        assert abs(float(path.coordinates[-1, 1])) < 1e-6 and float(path.distance[-1]) < 1e-5
        end = image + float(path.coordinates[-1, 0]) * found.direction
        margin = OBJECTIVES["margin"](outputs(models[name], end[None])[0], torch.tensor([label]))
        assert float(path.values["margin"][-1]) == pytest.approx(float(margin), abs=2e-2)


def test_cross_entropy_is_flat_where_it_says_so(pictures, seen):
    models, image, label = pictures
    assert not seen["sce"].flat.any()
    found = seen["mmc"]
    assert 0.2 < found.flat_share < 0.9
    assert found.paths["cross_entropy"].stands_still
    assert found.paths["cross_entropy"].first_fooled is None
    assert found.paths["margin"].first_fooled is not None
    assert (found.values["cross_entropy"][found.flat] == 0).all()
    # The gradient in the image itself, by an independent way.
    rows, columns = found.flat.nonzero()[::17].T
    batch = torch.stack(
        [
            (image + float(found.a[c]) * found.direction + float(found.b[r]) * found.other).clamp(
                0, 1
            )
            for r, c in zip(rows, columns, strict=True)
        ]
    )
    labels = torch.full((len(batch),), label)
    assert zero_gradient(models["mmc"], batch, labels).float().mean() > 0.8
    assert not zero_gradient(models["mmc"], batch, labels, objective="margin").any()


def test_directions_can_be_given_and_randomness_stays_private(linear):
    model, images, labels = linear
    settings = {"eps": 0.05, "resolution": 5, "shown": ("margin",)}
    state = torch.random.get_rng_state()
    first = contours.loss_surface(model, images[0], int(labels[0]), seed=1, **settings)
    again = contours.loss_surface(model, images[0], int(labels[0]), seed=1, **settings)
    other = contours.loss_surface(model, images[0], int(labels[0]), seed=2, **settings)
    assert torch.equal(first.values["margin"], again.values["margin"])
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first.direction, other.direction)
    assert not torch.equal(first.other, other.other)
    up, across = torch.zeros(2, 1, 6, 6)
    up[0, 0, 0], across[0, 0, 0], across[0, 1, 1] = 3.0, 1.0, 2.0
    given = contours.loss_surface(
        model, images[0], int(labels[0]), direction=up, other=across, **settings
    )
    assert given.spanned_by == "given"
    assert given.direction.flatten().nonzero().tolist() == [[0]]
    # What lay along the first direction has been taken out.
    assert given.other.flatten().nonzero().tolist() == [[7]]
    pgd_start = contours.loss_surface(model, images[0], int(labels[0]), attack=pgd, **settings)
    assert pgd_start.paths["margin"].distance[0] > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eps": 0}, "`eps` must be positive and finite; got 0"),
        ({"norm": "l1"}, "`norm` must be one of linf, l2; got 'l1'"),
        ({"resolution": 2}, "`resolution` must be at least 3; got 2"),
        ({"extent": -1.0}, "`extent` must be positive and finite; got -1.0"),
        ({"shown": ()}, "`shown` must name at least one objective"),
        ({"shown": ("hinge",)}, "`objective` must be one of"),
        ({"label": 9}, "`label` must be in 0 .. 4"),
        ({"class_names": ["a"]}, "`class_names` must be 5; got 1"),
        ({"other": torch.zeros(1, 6, 6)}, "another way"),
        ({"direction": torch.ones(1, 6, 6), "other": torch.ones(1, 6, 6)}, "another way"),
        ({"direction": torch.zeros(1, 6, 6)}, "has not moved"),
    ],
)
def test_a_surface_that_makes_no_sense_is_refused(linear, change, words):
    model, images, labels = linear
    settings = {"label": int(labels[0]), "eps": 0.05, "resolution": 5} | change
    with pytest.raises(ValueError, match=words):
        contours.loss_surface(model, images[0], settings.pop("label"), **settings)


def test_an_image_already_wrong_or_an_attack_that_cannot_move_is_refused(linear, pictures):
    model, images, labels = linear
    wrong = (int(labels[0]) + 1) % 5
    with pytest.raises(ValueError, match="must be one that the model gets right; it says"):
        contours.loss_surface(model, images[0], wrong, eps=0.05)
    models, image, label = pictures
    with pytest.raises(ValueError, match="mmc: The attack on `cross_entropy` has not moved"):
        contours.surfaces(models, image, label, eps=0.06, resolution=3, objective="cross_entropy")
    with pytest.raises(ValueError, match="must lie in .0, 1."):
        contours.loss_surface(models["sce"], image + 1, 0, eps=0.05)
    with pytest.raises(ValueError, match="`models` must hold at least one"):
        contours.surfaces({}, image, label, eps=0.06)


def test_a_foreign_model_is_left_as_it_was(linear):
    _, images, labels = linear
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 5)).train()
    before = copy.deepcopy(model.state_dict())
    label = int(outputs(model, images[:1])[0].argmax())
    contours.loss_surface(model, images[0], label, eps=0.3, resolution=5)
    assert model.training and model[1].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


# --- on paper -------------------------------------------------------------------------------------


def test_results_are_saved(tmp_path, flat_models, seen):
    head, features, labels = flat_models["sce"]
    found = contours.loss_on_plane(head, 0, features=features, labels=labels, resolution=7)
    values = json.loads(found.to_json(tmp_path / "grid.json"))
    assert values["values"][3][5] == float(found.values[3, 5])
    assert json.loads((tmp_path / "grid.json").read_text()) == values
    lines = found.to_csv().splitlines()
    assert lines[0] == "x,y,loss,predicted" and len(lines) == 50
    x, y, loss, predicted = lines[1 + 3 * 7 + 5].split(",")
    assert (float(x), float(y)) == (float(found.ticks[0][5]), float(found.ticks[1][3]))
    assert float(loss) == float(found.values[3, 5]) and int(predicted) == found.predicted[3, 5]
    difference = contours.compare(head, found, [0.1, 1.0])
    assert difference.to_csv().splitlines()[0].startswith("label,level,shape,check,mean_distance")
    assert len(json.loads(difference.to_json())["levels"]) == 2
    reading = contours.loss_on_contours(head, features, labels, [0.1])
    assert json.loads(reading.to_json())[0]["count"] == 300
    assert len(reading.to_csv().splitlines()) == 2
    surface = json.loads(seen["mmc"].to_json())
    assert surface["paths"]["margin"]["fooled"][-1] is True
    lines = seen["mmc"].to_csv().splitlines()
    assert lines[0] == "a,b,cross_entropy,margin,distance,predicted,flat" and len(lines) == 226
