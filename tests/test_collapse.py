import csv
import io
import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from sklearn.metrics import silhouette_samples
from torch import nn

from mmc_viz.centers import max_mahalanobis_centers, spread_centers
from mmc_viz.collapse import (
    MEASURES,
    by_chance,
    class_table,
    collapse_over_training,
    convergence,
    distance_to_polygon,
    distance_to_simplex,
    neural_collapse,
    simplex_floor,
)
from mmc_viz.collapse.simplex import procrustes_distance
from mmc_viz.datasets import load_dataset
from mmc_viz.heads import HEADS, GeneralizedSCE, Head, make_head
from mmc_viz.training import Snapshot, Snapshots, TrainConfig, train
from mmc_viz.training.testing import intra_class_distance


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def simplex(num_classes, dim, radius=1.0):
    return max_mahalanobis_centers(num_classes, dim, radius=radius, dtype=torch.float64)


def rotation(dim, seed=0):
    return torch.linalg.qr(normal(dim, dim, seed=seed))[0]


def clouds(means, covariance, each=40, seed=0):
    """Features whose class means and common covariance are exactly what is asked for."""
    num_classes, dim = means.shape
    root = torch.linalg.cholesky(covariance)
    features = []
    for k in range(num_classes):
        noise = normal(each, dim, seed=seed + k)
        noise = noise - noise.mean(dim=0)
        own = torch.linalg.cholesky(noise.T @ noise / each)
        features.append(
            means[k] + torch.linalg.solve_triangular(own, noise.T, upper=False).T @ root.T
        )
    return torch.cat(features), torch.arange(num_classes).repeat_interleave(each)


class Linear(Head):
    """A head with given class vectors, whose logits are linear."""

    def __init__(self, vectors):
        super().__init__(vectors.shape[1], len(vectors))
        self.register_buffer("vectors", vectors)

    def logits(self, features):
        return features @ self.vectors.T

    def generalized_sce(self):
        size = self.vectors.square().sum(dim=1)
        return GeneralizedSCE(self.vectors / 2, torch.ones_like(size), size / 4)


class Bare(Head):
    """A head that says nothing of itself but its logits."""

    def logits(self, features):
        return features[:, : self.num_classes]


# --- NC1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_classes", "dim"), [(2, 3), (4, 3), (5, 9), (10, 64)])
def test_nc1_of_a_simplex_with_noise_of_known_covariance(num_classes, dim):
    """On the span of a simplex of radius r, Sb = r^2 / (L - 1), and pinv(Sb) its inverse."""
    radius, root = 3.0, normal(dim, dim, seed=1)
    covariance = root @ root.T / dim + 0.1 * torch.eye(dim)
    features, labels = clouds(simplex(num_classes, dim, radius), covariance, each=2 * dim)
    found = neural_collapse(features, labels)
    span = num_classes - 1  # the simplex fills the first coordinates
    seen = covariance[:span, :span].trace().item()
    assert found.nc1 == pytest.approx(seen * span / radius**2 / num_classes, rel=1e-9)
    assert found.nc1_ratio == pytest.approx(covariance.trace().item() / radius**2, rel=1e-9)
    assert found.rank == span


def test_nc1_is_the_formula_of_papyan_et_al_written_out():
    """Against numpy's own pseudoinverse, with classes of different size weighing the same."""
    labels = torch.tensor([0] * 9 + [1] * 5 + [2] * 2 + [3] * 7)
    features = normal(len(labels), 6, seed=3) + 2 * normal(4, 6, seed=4)[labels]
    x, y = features.numpy(), labels.numpy()
    means = np.stack([x[y == k].mean(axis=0) for k in range(4)])
    within = sum(np.cov(x[y == k].T, bias=True) for k in range(4)) / 4
    between = np.cov(means.T, bias=True)
    found = neural_collapse(features, labels)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4
    assert found.nc1 == pytest.approx(expected, rel=1e-8)
    assert found.nc1_ratio == pytest.approx(np.trace(within) / np.trace(between), rel=1e-10)


def test_one_weak_direction_of_the_means_decides_nc1_and_not_the_ratio():
    means = torch.diag(torch.tensor([1.0, 1.0, 1e-3], dtype=torch.float64)) @ torch.eye(3).double()
    means = torch.cat([means, -means])
    features, labels = clouds(means, 1e-4 * torch.eye(3, dtype=torch.float64))
    found = neural_collapse(features, labels)
    assert found.nc1 > 10 and found.nc1_ratio < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_on_a_line_have_rank_1_whatever_the_rounding(dtype):
    direction = normal(7, seed=5)
    means = torch.tensor([-3.0, 0.1, 1.0, 4.0], dtype=torch.float64)[:, None] * direction
    features, labels = clouds(means + 20 * normal(7, seed=6), 0.01 * torch.eye(7).double())
    found = neural_collapse(features.to(dtype), labels)
    assert found.rank == 1
    along = 0.01 / (means.var(dim=0, correction=0).sum().item()) / 4
    assert found.nc1 == pytest.approx(along, rel=1e-3)


# --- perfect collapse, invariance -----------------------------------------------------------------


@pytest.mark.parametrize(("num_classes", "dim"), [(2, 1), (3, 2), (10, 9), (10, 64), (30, 40)])
def test_perfect_collapse_is_0_in_every_measure(num_classes, dim):
    means = simplex(num_classes, dim, 10.0)
    labels = torch.arange(num_classes).repeat(3)
    head = make_head("mmc", dim, num_classes, radius=10.0)
    found = neural_collapse(means[labels], labels, head)
    for name in MEASURES:
        assert getattr(found, name) == pytest.approx(0, abs=1e-6), name
    assert found.gaps == {}
    assert (found.num_classes, found.dim, found.images) == (num_classes, dim, 3 * num_classes)


#: What does not change when features are turned, scaled and moved.
SHAPES = [name for name in MEASURES if name != "distance_to_centers"]


@settings(max_examples=40)
@given(
    num_classes=st.integers(2, 7),
    dim=st.integers(1, 9),
    seed=st.integers(0, 1000),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
)
def test_turning_scaling_and_moving_features_changes_nothing(num_classes, dim, seed, scale, shift):
    labels = torch.arange(num_classes).repeat(6)
    vectors = normal(num_classes, dim, seed=seed + 1)
    features = 2 * vectors[labels] + normal(len(labels), dim, seed=seed)
    turn = rotation(dim, seed + 2)
    one = neural_collapse(features, labels, Linear(vectors))
    moved = scale * (features @ turn) + shift
    other = neural_collapse(moved, labels, Linear(vectors @ turn / scale))
    for name in set(SHAPES) - {"nc4"}:  # a shift changes what a head without a bias decides
        before, after = getattr(one, name), getattr(other, name)
        assert after == pytest.approx(before, rel=1e-5, abs=1e-6, nan_ok=True), name
    turned = neural_collapse(features @ turn, labels, Linear(vectors @ turn))
    assert turned.nc4 == pytest.approx(one.nc4, abs=0.04)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), num_classes=st.integers(2, 8), dim=st.integers(1, 12))
def test_measures_keep_their_ranges(seed, num_classes, dim):
    labels = torch.arange(num_classes).repeat(4)
    features = normal(len(labels), dim, seed=seed)
    found = neural_collapse(features, labels, Linear(normal(num_classes, dim, seed=seed + 1)))
    floor = found.reachable["distance_to_simplex"]
    assert floor - 1e-7 <= found.distance_to_simplex <= 1
    assert math.isnan(found.distance_to_best) or 0 <= found.distance_to_best <= 1
    assert 0 <= found.nc3 <= 2 and 0 <= found.nc4 <= 1 and found.nc1 >= 0 and found.nc1_ratio > 0


# --- NC2 ------------------------------------------------------------------------------------------


def test_unequal_norms_by_a_known_amount():
    """Norms 1 + a and 1 - a on a square: standard deviation a, mean 1; angles stay as they were."""
    square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]).double()
    sizes = torch.tensor([1.2, 0.8, 1.2, 0.8]).double()
    labels = torch.arange(4).repeat(2)
    found = neural_collapse((sizes[:, None] * square)[labels], labels)
    assert found.nc2_norm == pytest.approx(0.2)
    # Six pairs: four cosines 0 and two -1, mean -1/3.
    assert found.nc2_angle == pytest.approx(math.sqrt(2) / 3)
    assert found.nc2_simplex == pytest.approx((4 / 3 + 2 * 2 / 3) / 6)


def test_unequal_angles_by_hand():
    """Three directions 100, 100 and 160 degrees apart, with norms that make their mean 0."""
    angles = torch.tensor([0, 100, 200], dtype=torch.float64).deg2rad()
    unit = torch.stack([angles.cos(), angles.sin()], dim=1)
    sizes = torch.tensor([math.sin(math.radians(a)) for a in (100, 160, 100)]).double()
    means = sizes[:, None] * unit
    torch.testing.assert_close(means.sum(dim=0), torch.zeros(2).double())
    labels = torch.arange(3).repeat(2)
    found = neural_collapse(means[labels], labels)
    cosines = np.cos(np.radians([100, 100, 160]))
    assert found.nc2_angle == pytest.approx(cosines.std())
    assert found.nc2_simplex == pytest.approx(np.abs(cosines + 0.5).mean())


def test_a_mean_amid_the_others_has_no_direction():
    means = torch.tensor([[1.0, 0], [-1, 0], [0, 0]]).double()
    labels = torch.arange(3).repeat(2)
    found = neural_collapse(means[labels], labels)
    assert math.isnan(found.nc2_angle) and math.isnan(found.nc2_simplex)
    assert found.nc2_norm == pytest.approx(math.sqrt(2) / 2)  # norms 1, 1, 0
    assert "no direction" in found.gaps["nc2_angle"]
    assert found.distance_to_simplex == pytest.approx(math.sqrt(0.5))  # one of two dimensions


# --- NC3 ------------------------------------------------------------------------------------------


def test_nc3_is_0_where_the_class_vectors_are_the_means_up_to_scale_and_a_common_vector():
    labels = torch.arange(5).repeat(4)
    means = normal(5, 8, seed=7)
    features, vectors = means[labels], 3.7 * (means - means.mean(dim=0)) + normal(8, seed=8)
    assert neural_collapse(features, labels, Linear(vectors)).nc3 == pytest.approx(0, abs=1e-12)
    opposite = neural_collapse(features, labels, Linear(-vectors))
    assert opposite.nc3 == pytest.approx(2)


def test_nc3_is_the_root_of_2_where_class_vectors_and_means_are_orthogonal():
    labels = torch.arange(3).repeat(4)
    means, vectors = torch.zeros(3, 4).double(), torch.zeros(3, 4).double()
    means[:, :2], vectors[:, 2:] = normal(3, 2), normal(3, 2, seed=1)
    assert neural_collapse(means[labels], labels, Linear(vectors)).nc3 == pytest.approx(2**0.5)


def test_nc3_of_sce_takes_the_rows_of_the_last_layer():
    head = make_head("sce", 6, 4)
    labels = torch.arange(4).repeat(4)
    weight = head.linear.weight.detach().double()
    means = weight - weight.mean(dim=0)
    found = neural_collapse(5 * means[labels] + 1, labels, head)
    assert found.nc3 == pytest.approx(0, abs=1e-6)


def test_class_vectors_of_a_head_with_scales_are_scales_times_means():
    class Scaled(Bare):
        def generalized_sce(self):
            scales = torch.tensor([1.0, 2.0, 4.0]).double()
            return GeneralizedSCE(normal(3, 3, seed=2), scales, torch.zeros(3).double())

    labels = torch.arange(3).repeat(2)
    vectors = torch.tensor([1.0, 2.0, 4.0]).double()[:, None] * normal(3, 3, seed=2)
    centred = vectors - vectors.mean(dim=0)
    found = neural_collapse((2 * centred)[labels], labels, Scaled(3, 3))
    assert found.nc3 == pytest.approx(0, abs=1e-12)


def test_a_head_of_angles_has_the_directions_of_its_weights():
    head = make_head("cosface", 5, 4)
    weight = nn.functional.normalize(head.weight.detach().double(), dim=1)
    labels = torch.arange(4).repeat(3)
    found = neural_collapse((2 * (weight - weight.mean(dim=0)))[labels], labels, head)
    assert found.nc3 == pytest.approx(0, abs=1e-6)


def test_what_a_head_does_not_have_is_a_gap_with_a_reason():
    labels = torch.arange(3).repeat(4)
    features = normal(12, 5)
    found = neural_collapse(features, labels, Bare(5, 3))
    assert math.isnan(found.nc3) and "no class vectors" in found.gaps["nc3"]
    assert (
        math.isnan(found.distance_to_centers) and "no centers" in found.gaps["distance_to_centers"]
    )
    assert not math.isnan(found.nc4)
    alone = neural_collapse(features, labels)
    assert set(alone.gaps) == {"nc3", "nc4", "distance_to_centers"}
    same = Linear(torch.ones(3, 5).double())
    assert (
        "class vectors of the head are one" in neural_collapse(features, labels, same).gaps["nc3"]
    )


# --- NC4 ------------------------------------------------------------------------------------------


def test_nc4_counted_by_hand():
    """On a line with means 0 and 10 the border of the nearest mean is at 5, the head's at 7."""

    class Border(Head):
        def logits(self, features):
            return torch.cat([torch.full_like(features, 7), features], dim=1)

    points = torch.tensor([[-6.0], [6.0], [6.5], [-6.5], [6.9], [13.1]]).double()
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    found = neural_collapse(points, labels, Border(1, 2))
    assert found.nc4 == pytest.approx(3 / 6)  # 6, 6.5 and 6.9 lie between 5 and 7


def test_the_head_decides_in_its_own_precision_and_stays_as_it_is():
    head = make_head("sce", 5, 3)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    features, labels = normal(60, 5), torch.arange(3).repeat(20)
    found = neural_collapse(features, labels, head)
    means = torch.stack([features[labels == k].mean(dim=0) for k in range(3)])
    nearest = (features[:, None] - means).norm(dim=2).argmin(dim=1)
    assert 0 < found.nc4 < 1
    with torch.no_grad():
        chosen = head.logits(features.float()).argmax(dim=1)
    assert found.nc4 == pytest.approx((nearest != chosen).double().mean().item())
    assert all(torch.equal(before[name], value) for name, value in head.state_dict().items())


# --- distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_classes", "dim"), [(3, 2), (6, 5), (10, 9)])
def test_the_distance_is_scipys_procrustes(num_classes, dim):
    for seed in range(5):
        points = normal(num_classes, dim, seed=seed) + 3
        _, _, disparity = procrustes(simplex(num_classes, dim).numpy(), points.numpy())
        assert distance_to_simplex(points) ** 2 == pytest.approx(disparity, abs=1e-12)
        target = normal(num_classes, dim, seed=seed + 50)
        _, _, disparity = procrustes(target.numpy(), points.numpy())
        assert procrustes_distance(points, target) ** 2 == pytest.approx(disparity, abs=1e-12)


@pytest.mark.parametrize(("num_classes", "dim"), [(10, 64), (10, 2), (5, 3), (4, 1)])
def test_the_distance_in_other_dimensions_is_that_of_points_filled_up_with_zeros(num_classes, dim):
    points = normal(num_classes, dim, seed=9)
    whole = max(dim, num_classes - 1)
    filled = torch.cat([points, torch.zeros(num_classes, whole - dim).double()], dim=1)
    _, _, disparity = procrustes(simplex(num_classes, whole).numpy(), filled.numpy())
    assert distance_to_simplex(points) ** 2 == pytest.approx(disparity, abs=1e-12)
    sizes = torch.linalg.svdvals(points - points.mean(dim=0))
    ratio = sizes.sum().square() / ((num_classes - 1) * sizes.square().sum())
    assert distance_to_simplex(points) == pytest.approx((1 - ratio.item()) ** 0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("num_classes", "dim", "floor"),
    [(10, 2, math.sqrt(7 / 9)), (10, 9, 0), (10, 64, 0), (10, 3, math.sqrt(6 / 9)), (3, 2, 0)],
)
def test_no_arrangement_is_nearer_to_the_simplex_than_the_floor(num_classes, dim, floor):
    assert simplex_floor(num_classes, dim) == pytest.approx(floor)
    for seed in range(20):
        assert distance_to_simplex(normal(num_classes, dim, seed=seed)) >= floor - 1e-7
    if dim == 2:  # the polygon attains it
        corners = spread_centers(num_classes, 2, dtype=torch.float64)
        assert distance_to_simplex(corners) == pytest.approx(floor, abs=1e-7)


@pytest.mark.parametrize("num_classes", [3, 4, 5, 6])
def test_the_polygon_is_found_in_the_best_order_of_all(num_classes):
    corners = spread_centers(num_classes, 2, dtype=torch.float64)
    orders = [list(order) for order in itertools.permutations(range(num_classes))]
    for seed in range(4):
        points = normal(num_classes, 2, seed=seed)
        best = min(procrustes_distance(points, corners[order]) for order in orders)
        assert distance_to_polygon(points) == pytest.approx(best, abs=1e-9)


def test_a_polygon_is_at_no_distance_from_itself_however_it_lies():
    for num_classes in (4, 10, 17):
        corners = spread_centers(num_classes, 2, dtype=torch.float64)
        order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(1))
        turned = 4 * corners[order] @ rotation(2, 3) + 2
        assert distance_to_polygon(turned) == pytest.approx(0, abs=1e-7)


def test_in_few_dimensions_what_can_be_reached_is_said():
    labels = torch.arange(10).repeat(2)
    plane = spread_centers(10, 2, radius=10.0, dtype=torch.float64)
    found = neural_collapse(plane[labels], labels, make_head("mmc", 2, 10))
    assert found.distance_to_best == pytest.approx(0, abs=1e-7)
    for name, value in found.reachable.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-7)
    # Cosines of the polygon: 9 from each corner, cos(36 j degrees).
    cosines = np.cos(np.pi / 5 * np.arange(1, 10))
    assert found.reachable["nc2_simplex"] == pytest.approx(np.abs(cosines + 1 / 9).mean())
    between = neural_collapse(normal(20, 4), labels)
    assert math.isnan(between.distance_to_best) and "not known" in between.gaps["distance_to_best"]
    assert between.reachable == {"distance_to_simplex": pytest.approx(math.sqrt(5 / 9))}
    wide = neural_collapse(normal(20, 30), labels)
    assert set(wide.reachable.values()) == {0} and wide.distance_to_best == wide.distance_to_simplex


def test_chance_is_what_random_class_means_have():
    """Random directions are the nearer to a simplex the more dimensions they have."""
    known = by_chance(10, 64)
    draws = [distance_to_simplex(normal(10, 64, seed=seed)) for seed in range(60)]
    assert known["distance_to_simplex"] == pytest.approx(np.mean(draws), abs=0.01)
    assert by_chance(10, 9)["distance_to_simplex"] == pytest.approx(0.54, abs=0.02)
    assert by_chance(10, 256)["distance_to_simplex"] == pytest.approx(0.10, abs=0.01)
    assert by_chance(10, 2)["distance_to_simplex"] >= simplex_floor(10, 2)
    labels = torch.arange(10).repeat(2)
    assert neural_collapse(normal(20, 64), labels).chance == known


@pytest.mark.parametrize("name", sorted(HEADS))
def test_distance_to_own_centers_is_in_radii(name):
    head = make_head(name, 16, 10, radius=4.0)
    labels = torch.arange(10).repeat(2)
    if not hasattr(head, "centers"):
        found = neural_collapse(normal(20, 16), labels, head)
        assert "no centers" in found.gaps["distance_to_centers"]
        return
    if not head.centers.any():  # learned ones may begin at the origin
        with torch.no_grad():
            head.scaled_centers.copy_(normal(10, 16).float())
    centers = head.centers.detach().double()
    away = torch.zeros(16).double()
    away[0] = 0.5
    found = neural_collapse((centers + away)[labels], labels, head)
    expected = 0.5 / centers.norm(dim=1).mean().item()
    assert found.distance_to_centers == pytest.approx(expected, rel=1e-5)


def test_centers_at_the_origin_have_no_radius():
    class Learned(Bare):
        centers = torch.zeros(3, 4)

    labels = torch.arange(3).repeat(2)
    found = neural_collapse(normal(6, 4), labels, Learned(4, 3))
    assert math.isnan(found.distance_to_centers) and "origin" in found.gaps["distance_to_centers"]


# --- bad input ------------------------------------------------------------------------------------


def test_class_means_in_one_point_are_gaps():
    labels = torch.arange(3).repeat(4)
    found = neural_collapse(torch.full((12, 5), 0.1), labels, make_head("sce", 5, 3))
    assert found.rank == 0
    for name in ("nc1", "nc1_ratio", "nc2_norm", "nc2_simplex", "nc3", "distance_to_simplex"):
        assert math.isnan(getattr(found, name)) and "one point" in found.gaps[name]
    assert all((math.isnan(getattr(found, name))) == (name in found.gaps) for name in MEASURES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": torch.full((6, 4), torch.nan)}, "must be finite; 6 of 6 are not.*number 0"),
        ({"features": torch.zeros(0, 4), "labels": torch.zeros(0).long()}, "at least one row"),
        ({"labels": torch.tensor([0, 0, 1, 1, 1, 1])}, "class at least twice.*got 0 of class 2"),
        ({"labels": torch.tensor([0, 0, 1, 1, 1, 2])}, "class at least twice.*got 1 of class 2"),
        ({"labels": torch.tensor([0, 0, 1, 1, 2, 3])}, r"in 0 \.\. 2, the classes.*; got 3"),
        ({"labels": torch.tensor([0, 0, 1, 1, 2, -1])}, "from 0 on; got -1"),
        ({"head": make_head("sce", 5, 3)}, "the dimension of the head, 5; got 4"),
        ({"head": None, "labels": torch.zeros(6).long()}, "at least two classes; got one"),
    ],
)
def test_what_has_no_collapse_is_refused(change, words):
    given = {
        "features": torch.randn(6, 4, generator=torch.Generator().manual_seed(0)),
        "labels": torch.tensor([0, 0, 1, 1, 2, 2]),
        "head": make_head("sce", 4, 3),
    }
    with pytest.raises(ValueError, match=words):
        neural_collapse(**(given | change))


# --- text -----------------------------------------------------------------------------------------


def test_collapse_as_text(tmp_path):
    labels = torch.arange(10).repeat(2)
    found = neural_collapse(normal(20, 4), labels)
    values = json.loads(found.to_json(tmp_path / "one.json"))
    assert values["nc1"] == found.nc1 and values["nc3"] is None and values["rank"] == 4
    assert values["gaps"] == found.gaps
    assert json.loads((tmp_path / "one.json").read_text()) == values
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["measure"] for row in rows] == list(MEASURES)
    by_name = {row["measure"]: row for row in rows}
    assert float(by_name["nc1"]["value"]) == found.nc1
    assert by_name["nc4"]["value"] == "" and by_name["nc4"]["meaning"] == "no head was given"
    assert float(by_name["distance_to_simplex"]["reachable"]) == pytest.approx(math.sqrt(5 / 9))


# --- through training -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taken():
    """Snapshots of short runs on digits, one of each head."""
    few = load_dataset("digits", "train", limit=300)

    def run(head):
        snapshots = Snapshots(few.images, few.labels, every=2)
        config = TrainConfig(head=head, epochs=4)
        train(config, few, few, device="cpu", progress=False, probe=snapshots)
        return snapshots

    return {head: run(head) for head in HEADS}


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_has_a_history(head, taken):
    history = collapse_over_training(taken[head])
    assert history.head == head and history.epochs.tolist() == [0, 2, 4]
    assert (history.num_classes, history.dim, history.images) == (10, 64, 300)
    for name in MEASURES:
        values = getattr(history, name)
        assert values.dtype == torch.float64 and len(values) == 3
        assert bool(values.isnan().any()) == (name in history.gaps), name
        assert not values.isinf().any()
        for one, value in zip(taken[head].taken, values.tolist(), strict=True):
            alone = neural_collapse(one.features, one.labels, one.head)
            assert value == pytest.approx(getattr(alone, name), nan_ok=True)
    assert not history.nc1.isnan().any() and not history.nc3.isnan().any()
    assert history.chance == by_chance(10, 64)


def test_mmc_comes_to_its_centers_and_so_to_the_simplex():
    digits = load_dataset("digits", "train")
    snapshots = Snapshots(digits.images, digits.labels, at=[0, 10])
    config = TrainConfig(head="mmc", epochs=10)
    train(config, digits, digits, device="cpu", progress=False, probe=snapshots)
    history = collapse_over_training(snapshots)
    # Measured: 1.00 to 0.077, and 0.533 to 0.046; the learning rate ends at 0 in epoch 10.
    assert history.distance_to_centers[0] > 0.9 and history.distance_to_centers[1] < 0.3
    assert history.distance_to_simplex[0] > 0.5 and history.distance_to_simplex[1] < 0.3
    assert history.nc1_ratio[1] < history.nc1_ratio[0] / 5 and history.nc4[1] < 0.1


def test_history_as_text(taken, tmp_path):
    history = collapse_over_training(taken["sce"].taken)
    rows = list(csv.DictReader(io.StringIO(history.to_csv(tmp_path / "h.csv"))))
    assert [int(row["epoch"]) for row in rows] == [0, 2, 4]
    assert [float(row["nc1"]) for row in rows] == history.nc1.tolist()
    assert {row["distance_to_centers"] for row in rows} == {""}
    values = json.loads(history.to_json())
    assert values["distance_to_simplex"] == history.distance_to_simplex.tolist()
    assert values["distance_to_centers"] == [None] * 3 and values["epochs"] == [0, 2, 4]


def test_a_history_needs_rising_epochs_and_names_the_one_at_fault(taken):
    snapshots = taken["sce"].taken
    with pytest.raises(ValueError, match="at least one snapshot; got none"):
        collapse_over_training([])
    with pytest.raises(ValueError, match=r"rising epochs; got \[0, 2, 4, 0"):
        collapse_over_training([*snapshots, *snapshots])
    one = snapshots[1]
    broken = Snapshot(2, torch.full_like(one.features, torch.inf), one.labels, one.head)
    with pytest.raises(ValueError, match="At epoch 2: `features` must be finite"):
        collapse_over_training([snapshots[0], broken])


def test_gaps_that_come_later_are_explained(taken):
    first = taken["sce"].taken[0]
    dead = Snapshot(1, torch.zeros_like(first.features), first.labels, first.head)
    history = collapse_over_training([first, dead])
    assert history.nc1.isnan().tolist() == [False, True]
    assert history.gaps["nc1"] == "all class means are one point"


# --- compactness and dispersion -------------------------------------------------------------------


def test_class_table_by_hand():
    points = torch.tensor([[0.0, 0], [6, 8], [20, 4], [20, 4], [3, 10], [3, 12], [3, 14]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    table = class_table(points, labels, ["a", "b", "c"])
    assert table.count == [2, 2, 3]
    assert table.mean_distance == pytest.approx([5, 0, 4 / 3])
    assert table.rms_distance == pytest.approx([5, 0, math.sqrt(8 / 3)])
    assert table.largest_distance == pytest.approx([5, 0, 2])
    # Means (3, 4), (20, 4), (3, 12).
    assert table.nearest_class == [2, 0, 0]
    assert table.nearest_distance == pytest.approx([8, 17, 8])
    assert table.ratio == pytest.approx([8 / 5, math.nan, 6], nan_ok=True)
    assert table.overall["mean_distance"] == pytest.approx((5 + 5 + 2 + 0 + 2) / 7)
    assert table.overall["rms_distance"] == pytest.approx(math.sqrt(58 / 7))
    assert table.overall["largest_distance"] == pytest.approx(5)
    assert table.overall["nearest_distance"] == pytest.approx(8)
    assert table.overall["mean_nearest_distance"] == pytest.approx(11)
    assert table.overall["ratio"] == pytest.approx(11 / 2)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), num_classes=st.integers(2, 5), count=st.integers(30, 700))
def test_silhouettes_are_those_of_scikit_learn(seed, num_classes, count):
    features = normal(count, 3, seed=seed)
    labels = torch.arange(count) % num_classes
    features[:, 0] += labels
    table = class_table(features, labels, [str(k) for k in range(num_classes)])
    expected = silhouette_samples(features.numpy(), labels.numpy())
    for k in range(num_classes):
        assert table.silhouette[k] == pytest.approx(expected[labels == k].mean(), abs=1e-6)
    assert table.overall["silhouette"] == pytest.approx(expected.mean(), abs=1e-6)
    assert table.overall["mean_distance"] == pytest.approx(intra_class_distance(features, labels))


def test_what_a_class_does_not_have_is_a_gap():
    points = torch.tensor([[0.0], [1], [5], [9], [10], [11]])
    labels = torch.tensor([0, 0, 1, 3, 3, 3])
    table = class_table(points, labels, ["a", "alone", "empty", "d"])
    assert table.count == [2, 1, 0, 3]
    for column in (table.mean_distance, table.rms_distance, table.largest_distance, table.ratio):
        assert [math.isnan(value) for value in column] == [False, True, True, False]
    assert [math.isnan(value) for value in table.silhouette] == [False, True, True, False]
    assert table.nearest_class == [1, 0, None, 1]
    assert table.nearest_distance == pytest.approx([4.5, 4.5, math.nan, 5], nan_ok=True)
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [row["class"] for row in rows] == ["a", "alone", "empty", "d", "all"]
    assert rows[2]["mean_distance"] == rows[2]["nearest_class"] == rows[1]["silhouette"] == ""
    assert rows[0]["nearest_class"] == "alone" and rows[4]["count"] == "6"
    assert float(rows[4]["mean_distance"]) == pytest.approx(table.overall["mean_distance"])
    values = json.loads(table.to_json())
    assert values["classes"][2]["ratio"] is None
    assert values["overall"]["silhouette"] == table.overall["silhouette"]


def test_a_single_class_has_no_neighbour():
    table = class_table(normal(5, 2), torch.zeros(5).long(), ["only"])
    assert table.nearest_class == [None] and math.isnan(table.overall["nearest_distance"])
    assert math.isnan(table.overall["silhouette"]) and table.mean_distance[0] > 0


def test_a_class_table_refuses_what_it_cannot_name_or_measure():
    with pytest.raises(ValueError, match="a name for each class; got 2 names and the label 2"):
        class_table(normal(3, 2), torch.arange(3), ["a", "b"])
    with pytest.raises(ValueError, match="must be finite; 1 of 3 are not"):
        class_table(torch.tensor([[0.0], [torch.inf], [1]]), torch.arange(3), ["a", "b", "c"])


# --- convergence ----------------------------------------------------------------------------------


def history_of(*accuracies, seconds=0.5):
    return [
        {"epoch": e, "loss": 1 / e, "accuracy": accuracy, "seconds": seconds, "more": 0}
        for e, accuracy in enumerate(accuracies, start=1)
    ]


def test_convergence_by_hand():
    runs = {
        "slow": history_of(0.1, 0.5, 0.85, 0.9, 0.95, seconds=2.0),
        "fast": history_of(0.8, 0.8),
    }
    found = convergence(runs)
    assert found.names == ["slow", "fast"] and found.share == 0.9
    assert found.epochs == [[1, 2, 3, 4, 5], [1, 2]]
    assert found.seconds == [[2, 4, 6, 8, 10], [0.5, 1]]
    assert found.accuracy == [[0.1, 0.5, 0.85, 0.9, 0.95], [0.8, 0.8]]
    assert found.loss[0] == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert found.final_accuracy == [0.95, 0.8]
    assert found.epochs_to_share == [4, 1] and found.seconds_to_share == [8, 0.5]  # 0.855 is asked
    assert convergence(runs, share=0.5).epochs_to_share == [2, 1]
    assert convergence(runs, share=1).epochs_to_share == [5, 1]


def test_one_history_alone_and_one_that_falls_at_the_end():
    found = convergence(history_of(0.5, 0.9, 0.4))
    assert found.names == [""] and found.final_accuracy == [0.4]
    assert found.epochs_to_share == [1]


def test_convergence_as_text():
    found = convergence({"a": history_of(0.5, 0.6), "b": history_of(0.7)})
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(row["run"], row["epoch"], row["accuracy"]) for row in rows] == [
        ("a", "1", "0.5"),
        ("a", "2", "0.6"),
        ("b", "1", "0.7"),
    ]
    assert json.loads(found.to_json())["seconds_to_share"] == found.seconds_to_share


def test_a_real_run_converges(taken):
    few = load_dataset("digits", "train", limit=300)
    run = train(TrainConfig(epochs=3), few, few, device="cpu", progress=False)
    found = convergence({"mmc": run.history})
    assert found.accuracy[0] == [entry["accuracy"] for entry in run.history]
    assert found.seconds[0][-1] == pytest.approx(sum(entry["seconds"] for entry in run.history))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "at least one history; got none"),
        ({"a": []}, "the history of 'a' is empty"),
        ([], "the history is empty"),
        (
            {"a": [{"epoch": 1, "loss": 1.0, "accuracy": 0.5}]},
            "`seconds` of each epoch.*'a' has None",
        ),
        ({"a": history_of(math.nan)}, "finite number as `accuracy` of each epoch.*has nan"),
    ],
)
def test_a_history_without_its_numbers_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        convergence(given)


@pytest.mark.parametrize("share", [0, -0.5, 1.1, math.nan])
def test_a_share_is_above_0_and_at_most_1(share):
    with pytest.raises(ValueError, match="`share` must be above 0 and at most 1"):
        convergence(history_of(0.5), share=share)
