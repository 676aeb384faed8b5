"""Density: against closed forms, independent implementations, and what is measured of its bias."""

import csv
import inspect
import io
import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.neighbors import NearestNeighbors
from torch import nn

from mmc_viz.attacks import fmn
from mmc_viz.density import (
    central_density,
    compare_densities,
    correlate,
    densities_along_training,
    density_against_distance,
    gaussian_log_density,
    nearest_adversarial,
    neighbour_density,
    partial_correlation,
    shell_density,
    spearman,
)
from mmc_viz.density.distributions import count_interval, loss_distribution
from mmc_viz.density.level_sets import (
    DistanceSpheres,
    level_sets_of,
    log_area,
    log_ball,
    log_shell,
    two_class_spheres,
)
from mmc_viz.heads import GeneralizedSCE, make_head
from mmc_viz.training import Snapshot


def unchecked(function):
    """A function as callers have it: without the checks of shapes that run in tests alone."""
    return inspect.unwrap(function)


def normal(count, dim, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, dim, generator=generator, dtype=torch.float64)


def in_ball(count, dim, seed=0):
    """Points that are even in the unit ball."""
    generator = torch.Generator().manual_seed(seed)
    radius = torch.rand(count, 1, generator=generator, dtype=torch.float64) ** (1 / dim)
    points = normal(count, dim, seed + 1)
    return radius * points / points.norm(dim=1, keepdim=True)


def gaussian_peak(count, dim, scale):
    return math.log(count) - dim / 2 * math.log(2 * math.pi * scale**2)


def scale_error(count, dim, share):
    """Relative standard error of the scale of a Gaussian, by the information in its nearest part.

    Half that of the slope, which is the parameter of an exponential family: 1 over the root of the
    number of points used times the variance of a Gamma(d / 2) variable cut off at its quantile.
    """
    gamma = stats.gamma(dim / 2)
    edge = gamma.ppf(share)
    mean = gamma.expect(lambda c: c, lb=0, ub=edge) / share
    square = gamma.expect(lambda c: c * c, lb=0, ub=edge) / share
    return 0.5 / math.sqrt(share * count * (square - mean**2))


FORM = GeneralizedSCE(
    torch.tensor([[1.0, 0.0, 0.5], [-1.0, 0.3, 0.0]], dtype=torch.float64),
    torch.tensor([0.8, 0.3], dtype=torch.float64),
    torch.tensor([0.2, -0.4], dtype=torch.float64),
)


# --- volumes --------------------------------------------------------------------------------------


def test_areas_and_volumes_of_unit_balls():
    for dim, area, volume in (
        (1, 2, 2),
        (2, 2 * math.pi, math.pi),
        (3, 4 * math.pi, 4 / 3 * math.pi),
        (4, 2 * math.pi**2, math.pi**2 / 2),
    ):
        assert math.exp(log_area(dim)) == pytest.approx(area)
        assert math.exp(log_ball(dim)) == pytest.approx(volume)


@pytest.mark.parametrize("dim", [1, 2, 3, 64])
def test_a_shell_of_half_a_squared_distance_has_its_known_volume(dim):
    sets = DistanceSpheres(torch.zeros(dim, dtype=torch.float64))
    loss = torch.tensor([0.5, 0.6, 2.0], dtype=torch.float64)
    expected = log_ball(dim) + ((2 * loss[1:]) ** (dim / 2) - (2 * loss[:-1]) ** (dim / 2)).log()
    torch.testing.assert_close(log_shell(sets, loss.log()), expected)
    growth = log_area(dim) + (dim - 2) / 2 * (2 * loss).log()
    torch.testing.assert_close(sets.log_growth(loss.log()), growth)


@pytest.mark.parametrize(("label", "rival"), [(0, 1), (1, 0)])
def test_two_class_spheres_hold_their_loss_and_grow_as_a_difference_says(label, rival):
    sets = two_class_spheres(FORM, label, rival)
    points = normal(200, 3, scale=2.0)
    logits = FORM.logits(points)
    direct = torch.nn.functional.softplus(logits[:, rival] - logits[:, label])
    torch.testing.assert_close(sets.log_loss(points).exp(), direct)
    distance = (points - sets.center).norm(dim=1)
    torch.testing.assert_close(sets.log_radius(direct.log()).exp(), distance)
    # dV/dc against the volume of a thin shell
    step = 1e-6
    edges = torch.stack([direct * (1 - step), direct * (1 + step)])
    thin = torch.cat([log_shell(sets, pair.log()) for pair in edges.T])
    torch.testing.assert_close(
        sets.log_growth(direct.log()), thin - (2 * step * direct).log(), rtol=0, atol=1e-4
    )


def test_losses_far_below_the_smallest_number_keep_their_digits():
    sets = two_class_spheres(FORM, 1, 0)  # falls outward
    point = torch.full((1, 3), 60.0, dtype=torch.float64)
    logits = FORM.logits(point)
    gap = logits[0, 0] - logits[0, 1]
    assert gap < -1000
    assert sets.log_loss(point)[0] == gap
    radius = (point[0] - sets.center).norm()
    assert sets.log_radius(sets.log_loss(point))[0].exp() == pytest.approx(radius)
    assert sets.log_growth(sets.log_loss(point)).isfinite().all()


def test_equal_scales_have_no_spheres():
    assert two_class_spheres(replace(FORM, scales=torch.ones(2)), 0, 1) is None
    assert level_sets_of(make_head("sce", 3, 4), 0, rival=1) is None
    with pytest.raises(ValueError, match="`label` must be in 0 .. 3; got 4"):
        level_sets_of(make_head("mmc", 3, 4), 4)


def test_a_sphere_is_found_even_where_equal_logits_are_nowhere():
    form = replace(FORM, offsets=torch.tensor([0.0, 40.0], dtype=torch.float64))
    points = normal(20, 3)
    for label, rival in ((0, 1), (1, 0)):
        sets = two_class_spheres(form, label, rival)
        assert sets.squared < 0 or label == 1
        radius = sets.log_radius(sets.log_loss(points)).exp()
        torch.testing.assert_close(radius, (points - sets.center).norm(dim=1))


# --- distributions --------------------------------------------------------------------------------


def test_the_estimate_of_p_integrates_to_one_and_agrees_with_its_shares():
    places = normal(300, 1)[:, 0]
    distribution = loss_distribution(places)
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    p = distribution.log_p(grid).exp() * grid.exp()  # per unit of log c
    assert torch.trapezoid(p, grid) == pytest.approx(1, abs=1e-4)
    share = distribution.share_below(grid)
    torch.testing.assert_close(share[-1], torch.tensor(1.0, dtype=torch.float64))
    parts = torch.cumulative_trapezoid(p, grid)
    torch.testing.assert_close(parts, share[1:] - share[0], atol=1e-4, rtol=0)
    silverman = 0.9 * min(places.std().item(), float(stats.iqr(places.numpy())) / 1.34) * 300**-0.2
    assert distribution.bandwidth == pytest.approx(silverman)


def test_poisson_intervals_are_the_published_ones():
    low, high = count_interval(torch.tensor([0, 1, 10, 50]))
    # Garwood's, as tables of exact 95 % limits have them.
    assert low.tolist() == pytest.approx([0, 0.0253, 4.795, 37.11], rel=1e-3)
    assert high.tolist() == pytest.approx([3.689, 5.572, 18.39, 65.92], rel=1e-3)


def test_losses_that_are_all_the_same_have_no_distribution():
    with pytest.raises(ValueError, match="one and the same"):
        loss_distribution(torch.zeros(10, dtype=torch.float64))
    with pytest.raises(ValueError, match="at least two losses; got 1"):
        loss_distribution(torch.zeros(1, dtype=torch.float64))


# --- shells ---------------------------------------------------------------------------------------


def mmc_features(dim, count, classes=3, scale=1.0):
    head = make_head("mmc", dim, classes)
    points = normal(count, dim, scale=scale) + head.centers[1].double()
    return points, torch.ones(count, dtype=torch.int64), head


def gaussian_shells(shells, count, dim, scale):
    """Log of the mean density of a Gaussian over each shell, in closed form."""
    edges = 2 * shells.log_edges.exp().numpy() / scale**2
    share = torch.from_numpy(stats.chi2(dim).cdf(edges)).diff()
    return math.log(count) + share.log() - shells.log_volume


@pytest.mark.parametrize("dim", [2, 8, 64])
def test_intervals_of_shells_hold_the_truth_as_often_as_they_say(dim):
    held = []
    for seed in range(8):
        head = make_head("mmc", dim, 3)
        points = normal(2000, dim, seed, 0.7) + head.centers[1].double()
        labels = torch.ones(2000, dtype=torch.int64)
        m = shell_density(points, labels, head, classes=[1], seed=seed).classes[0].measured
        truth = gaussian_shells(m, 2000, dim, 0.7)
        held.append((m.low <= truth) & (truth <= m.high))
    held = torch.cat(held).double()
    # Exact intervals of counts hold it in 95 % or somewhat more; 192 shells, 3 standard errors.
    assert len(held) == 192
    assert held.mean() >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 192)


@pytest.mark.parametrize("dim", [2, 8, 64])
def test_shells_of_a_gaussian_hold_the_density_of_a_gaussian(dim):
    count, scale = 6000, 0.7
    points, labels, head = mmc_features(dim, count, scale=scale)
    result = shell_density(points, labels, head)
    (empty, one, also_empty) = result.classes
    assert empty.gap == also_empty.gap == "no points"
    m, p = one.measured, one.predicted
    truth = gaussian_shells(m, count, dim, scale)
    # Where a shell is put, the density is about its mean: to a third of what chance adds.
    placed = gaussian_log_density(m.log_loss.exp(), count=count, dim=dim, scale=scale)
    assert (placed - truth)[1:-1].abs().max() < 0.06
    assert m.within >= 0.85 * len(m.counts)
    assert int(m.counts.sum()) + m.outside == m.counted == count // 2
    # the curve, where most of the losses lie
    middle = (p.log_loss > m.log_edges[2]) & (p.log_loss < m.log_edges[-3])
    curve = gaussian_log_density(p.log_loss.exp(), count=count, dim=dim, scale=scale)
    assert (p.log_exact - curve)[middle].abs().max() < 0.2
    assert one.central.scale == pytest.approx(scale, rel=4 * scale_error(count, dim, 0.5))
    # and the paper's form, which has another exponent, is farther off
    assert m.off_paper > m.off_exact


def test_what_the_curve_is_made_of_adds_up():
    points, labels, head = mmc_features(8, 500)
    p = shell_density(points, labels, head).classes[1].predicted
    loss = p.log_loss.exp()
    sum_ = math.log(500) + p.log_p - log_area(8) - (8 - 2) / 2 * (2 * loss).log()
    torch.testing.assert_close(p.log_exact, sum_)
    torch.testing.assert_close(p.log_exact, p.log_at_anchor + p.from_p + p.from_geometry)
    # c^((d-1)/2) against c^((d-2)/2), equal at the median
    difference = (p.log_anchor - p.log_loss) / 2
    torch.testing.assert_close(p.log_paper_ratio, difference)
    torch.testing.assert_close(p.from_paper_geometry - p.from_geometry, difference)


def test_in_the_plane_geometry_contributes_nothing():
    points, labels, head = mmc_features(2, 500)
    p = shell_density(points, labels, head).classes[1].predicted
    torch.testing.assert_close(p.from_geometry, torch.zeros_like(p.log_p))


@pytest.mark.parametrize("dim", [2, 5])
def test_points_that_are_even_in_a_ball_have_one_density(dim):
    head = make_head("mmc", dim, 2)
    points = in_ball(8000, dim) + head.centers[0].double()
    one = shell_density(points, torch.zeros(8000, dtype=torch.int64), head).classes[0]
    truth = math.log(8000) - log_ball(dim)
    m = one.measured
    # Up to where the kernel leaks over the edge of the ball.
    inner = m.log_edges[1:] < math.log(0.5) - 3 * one.predicted.bandwidth
    assert inner.sum() >= 12
    held = (m.low <= truth) & (truth <= m.high)
    assert held.double().mean() >= 0.85
    assert (m.log_exact[inner] - truth).abs().max() < 0.15
    assert one.central.log_density == pytest.approx(truth, abs=0.1)


def spread_form(dim=4):
    """A head whose classes have scales of their own."""
    head = make_head("lgm", dim, 3)
    with torch.no_grad():
        # log_variance is sqrt(2 / d) times what is learned
        head.scaled_log_variance.copy_(math.sqrt(dim / 2) * torch.tensor([-1.0, 0.0, 0.5]))
    return head


def test_a_two_class_loss_is_counted_in_spheres_of_the_theorem():
    head = spread_form()
    center = level_sets_of(head, 0, rival=1).center
    # Even about the center of the spheres, and so with one density in every shell.
    points = 3 * in_ball(6000, 4) + center
    labels = torch.zeros(6000, dtype=torch.int64)
    result = shell_density(points, labels, head)
    assert result.loss == "two-class"
    assert sum(one.count for one in result.classes if one.label == 0) == 6000
    sets = level_sets_of(head, 0, rival=1)
    for one in result.classes:
        if one.measured is None:
            continue
        assert (one.measured.low <= one.measured.high).all()
        assert one.measured.off_exact < 0.4
        assert one.central is None and one.predicted.log_gauss is None
    pair = next(one for one in result.classes if (one.label, one.rival) == (0, 1))
    edges = pair.measured.log_edges
    torch.testing.assert_close(pair.measured.log_volume, log_shell(sets, edges))


def test_equal_scales_are_an_honest_gap():
    for name in ("sce", "mmlda"):
        head = make_head(name, 4, 3)
        result = shell_density(normal(90, 4), torch.arange(90) % 3, head)
        assert result.classes
        for one in result.classes:
            assert one.measured is None and one.predicted is None
            assert "unbounded" in one.gap and "infinite volume" in one.gap
        assert all(row["log_density"] is None for row in result.rows())
        json.loads(result.to_json())


def test_classes_without_enough_are_gaps_and_do_not_change_others():
    points, labels, head = mmc_features(3, 200)
    alone = shell_density(points, labels, head, classes=[1]).classes[0]
    few = torch.cat([points, points[:5]])
    more = torch.cat([labels, torch.full((5,), 2)])
    result = shell_density(few, more, head)
    assert [one.gap for one in result.classes] == ["no points", "", "5 points, fewer than 20"]
    assert torch.equal(result.classes[1].measured.counts, alone.measured.counts)
    lying = head.centers[0].double().expand(50, -1)
    gap = shell_density(lying, torch.zeros(50, dtype=torch.int64), head).classes[0].gap
    assert gap == "50 points at the very center"
    ring = normal(50, 3)
    ring = head.centers[0].double() + ring / ring.norm(dim=1, keepdim=True)
    gap = shell_density(ring, torch.zeros(50, dtype=torch.int64), head).classes[0].gap
    assert gap == "all points have one loss"


def test_shells_as_csv_and_json():
    points, labels, head = mmc_features(3, 200)
    result = shell_density(points, labels, head)
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    m = result.classes[1].measured
    inner = [row for row in rows if row["class"] == "1"]
    assert [int(row["points"]) for row in inner] == m.counts.tolist()
    assert [float(row["log_density"]) for row in inner] == m.log_density.tolist()
    values = json.loads(result.to_json())
    assert values["dim"] == 3
    assert values["curves"][0]["log_exact"] == result.classes[1].predicted.log_exact.tolist()


def test_shells_refuse_what_makes_no_sense():
    points, labels, head = mmc_features(3, 40)
    with pytest.raises(ValueError, match="`features` must be finite; 1 of 40 rows are not"):
        shell_density(points.index_fill(0, torch.tensor([3]), torch.nan), labels, head)
    with pytest.raises(ValueError, match="`features` must have the dimension of `head`, 3; got 2"):
        shell_density(points[:, :2], labels, head)
    with pytest.raises(ValueError, match="`labels` must be in 0 .. 2; got 3"):
        shell_density(points, labels + 2, head)
    with pytest.raises(ValueError, match="`bins` must be at least 1; got 0"):
        shell_density(points, labels, head, bins=0)
    with pytest.raises(ValueError, match="has neither. `neighbour_density` asks for no loss"):
        shell_density(points, labels, make_head("cosface", 3, 3))


# --- the center -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [2, 8, 32])
@pytest.mark.parametrize("seed", range(3))
def test_the_density_at_the_center_of_a_gaussian_is_recovered_within_a_tenth(dim, seed):
    count, scale = 50_000, 0.6
    points = normal(count, dim, seed, scale) + 4
    center = torch.full((dim,), 4.0, dtype=torch.float64)
    truth = gaussian_peak(count, dim, scale)
    for share in (0.5, 1.0):
        found = central_density(points, center, share=share)
        assert math.exp(found.log_density - truth) == pytest.approx(1, abs=0.1)
        assert found.scale == pytest.approx(scale, rel=4 * scale_error(count, dim, share))
        assert found.misfit < 0.01
        assert found.effective_dim == pytest.approx(dim, rel=0.05)
    # Without a center the mean of the features stands in.
    assert central_density(points).log_density == pytest.approx(truth, abs=0.1)


def test_the_fit_of_all_points_has_the_closed_form():
    points = normal(400, 5)
    found = central_density(points, torch.zeros(5, dtype=torch.float64), share=1)
    mean = float(points.square().sum(dim=1).mean() / 2)
    assert found.log_density == pytest.approx(
        math.log(400) - 2.5 * math.log(4 * math.pi * mean / 5)
    )
    # And a ball that holds nearly all gives nearly the same.
    ball = central_density(points, torch.zeros(5, dtype=torch.float64), share=0.99)
    assert ball.log_density == pytest.approx(found.log_density, abs=0.1)


def test_its_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(60):
        found = central_density(normal(500, 4, seed), torch.zeros(4, dtype=torch.float64))
        held += found.low <= gaussian_peak(500, 4, 1.0) <= found.high
    assert 52 <= held <= 60


def test_a_flat_density_has_no_slope_and_a_hollow_one_rises_outward():
    flat = central_density(in_ball(20_000, 6), torch.zeros(6, dtype=torch.float64))
    assert flat.log_density == pytest.approx(math.log(20_000) - log_ball(6), abs=0.1)
    assert abs(flat.slope) * 0.5 < 0.5  # over the whole ball
    points = in_ball(4000, 3)
    hollow = points * (1 + points.norm(dim=1, keepdim=True)) / points.norm(dim=1, keepdim=True)
    found = central_density(hollow, torch.zeros(3, dtype=torch.float64))
    assert found.slope < 0 and found.scale is None
    json.loads(found.to_json())


def test_features_that_stray_to_other_classes_do_not_move_the_nearer_half():
    points = normal(2000, 8)
    strayed = torch.cat([points, normal(100, 8) + 30])
    center = torch.zeros(8, dtype=torch.float64)
    truth = gaussian_peak(2000, 8, 1.0)
    assert central_density(strayed, center).log_density == pytest.approx(truth, abs=0.5)
    assert central_density(strayed, center, share=1).log_density < truth - 3


def test_the_center_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="at least 10 features; got 9"):
        central_density(normal(9, 2))
    with pytest.raises(ValueError, match=r"`share` must be in \(0, 1\]; got 0"):
        central_density(normal(30, 2), share=0)
    with pytest.raises(ValueError, match="must leave at least 10 of the 30 features; got 0.1"):
        central_density(normal(30, 2), share=0.1)
    with pytest.raises(ValueError, match="different distances from the center; all are at 2"):
        central_density(torch.full((30, 4), 1.0), torch.zeros(4))
    with pytest.raises(ValueError, match="`scale` must be positive; got 0"):
        gaussian_log_density(torch.ones(2), count=3, dim=2, scale=0)


# --- neighbours -----------------------------------------------------------------------------------


def test_distances_are_those_of_another_implementation():
    query, reference = normal(50, 6, 1), normal(400, 6, 2)
    found = neighbour_density(query, reference, k=7)
    theirs = NearestNeighbors(n_neighbors=7).fit(reference).kneighbors(query)[0]
    assert found.radius.tolist() == pytest.approx(theirs[:, -1].tolist())
    expected = (
        torch.digamma(torch.tensor(7.0)) - torch.digamma(torch.tensor(401.0)) - log_ball(6)
    ) - 6 * found.radius.log()
    torch.testing.assert_close(found.log_density, expected.double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        found.log_sample_density, found.log_density + math.log(400), rtol=0, atol=1e-12
    )
    alone = neighbour_density(reference, k=7)
    theirs = NearestNeighbors(n_neighbors=8).fit(reference).kneighbors(reference)[0]
    assert alone.radius.tolist() == pytest.approx(theirs[:, -1].tolist())
    assert alone.references.tolist() == [399] * 400 and alone.leave_one_out
    torch.testing.assert_close(
        alone.log_sample_density, alone.log_density + math.log(400), rtol=0, atol=1e-12
    )


def test_the_logarithm_is_right_on_average_where_density_is_even():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4000, 2, generator=generator, dtype=torch.float64)
    inner = ((points - 0.5).abs() < 0.4).all(dim=1)
    for k in (1, 3, 10):
        error = neighbour_density(points, k=k).log_density[inner]  # truth: log 1 = 0
        noise = math.sqrt(float(torch.special.polygamma(1, torch.tensor(float(k)))))
        assert error.mean().abs() < 0.05
        assert float(error.std()) == pytest.approx(noise, rel=0.15)


def expected_error(squared, count, dim, k=10):
    """Error to expect at a place of a standard Gaussian, and its standard deviation.

    The mass of the ball to the k-th neighbour is Beta(k, m - k + 1), and gives its radius through
    the noncentral chi-square.
    """
    levels = (torch.arange(1000).numpy() + 0.5) / 1000
    mass = stats.beta(k, count - k + 1).ppf(levels)
    law = stats.chi2(dim) if squared == 0 else stats.ncx2(dim, squared)
    log_found = special.digamma(k) - special.digamma(count + 1) - log_ball(dim)
    log_found = log_found - dim / 2 * np.log(law.ppf(mass))
    error = log_found + dim / 2 * math.log(2 * math.pi) + squared / 2
    return error.mean(), error.std()


@pytest.mark.parametrize(("dim", "at_center", "typical"), [(8, -0.28, -0.1), (32, -5.5, -2.8)])
def test_its_bias_in_many_dimensions_is_what_the_docstring_says(dim, at_center, typical):
    truth, noise = expected_error(0, 20_000, dim)
    assert truth == pytest.approx(at_center, abs=0.06)
    origin = torch.zeros(1, dim, dtype=torch.float64)
    peak = gaussian_peak(1, dim, 1.0)
    found = [
        float(neighbour_density(origin, normal(20_000, dim, seed), k=10).log_density) - peak
        for seed in range(30)
    ]
    assert sum(found) / 30 == pytest.approx(truth, abs=3 * noise / math.sqrt(30))

    levels = (torch.arange(20).numpy() + 0.5) / 20
    squares = stats.chi2(dim).ppf(levels)
    truth = float(np.median([expected_error(squared, 20_000, dim)[0] for squared in squares]))
    assert truth == pytest.approx(typical, abs=0.06)
    places = normal(1500, dim, 99)
    found = neighbour_density(places, normal(20_000, dim), k=10).log_density
    losses = places.square().sum(dim=1) / 2
    error = found - gaussian_log_density(losses, count=1, dim=dim, scale=1.0)
    assert float(error.median()) == pytest.approx(truth, abs=0.1)


@settings(max_examples=25)
@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50), seed=st.integers(0, 99))
def test_density_follows_the_unit_of_length(scale, shift, seed):
    points = normal(40, 3, seed)
    before = neighbour_density(points, k=4).log_density
    after = neighbour_density(scale * points + shift, k=4).log_density
    torch.testing.assert_close(after, before - 3 * math.log(scale), rtol=1e-6, atol=1e-6)


def test_copies_are_infinitely_dense_and_counted():
    points = torch.cat([normal(1, 3).expand(4, -1), normal(30, 3, 1)])
    found = neighbour_density(points, k=3)
    assert found.log_density[:4].tolist() == [math.inf] * 4
    assert found.log_density[4:].isfinite().all()
    assert found.ties == 4
    assert any("4 points have k copies" in text for text in found.caveats)
    values = json.loads(found.to_json())["points"]
    assert [row["log_density"] for row in values[:4]] == [None] * 4
    assert neighbour_density(points, k=4).ties == 0


def test_neighbours_of_the_own_class_alone():
    points, labels = normal(60, 2), torch.arange(60) % 3
    found = neighbour_density(points, labels=labels, k=5)
    other = neighbour_density(points[labels == 1], k=5)
    torch.testing.assert_close(found.radius[labels == 1], other.radius)
    torch.testing.assert_close(found.log_density[labels == 1], other.log_density)


def test_a_changed_point_does_without_what_it_was():
    points = normal(50, 3)
    moved = points[10:20] + 1e-3
    found = neighbour_density(moved, points, k=2, left_out=torch.arange(10, 20))
    for i in range(10):
        rest = torch.cat([points[: 10 + i], points[11 + i :]])
        expected = neighbour_density(moved[i : i + 1], rest, k=2)
        torch.testing.assert_close(found.log_density[i], expected.log_density[0])
    with_labels = neighbour_density(
        moved,
        points,
        k=2,
        left_out=torch.arange(10, 20),
        labels=torch.zeros(10, dtype=torch.int64),
        reference_labels=torch.zeros(50, dtype=torch.int64),
    )
    torch.testing.assert_close(with_labels.log_density, found.log_density)


def test_filled_dimensions_are_told_from_the_space():
    flat = torch.cat([normal(2000, 2), torch.zeros(2000, 18, dtype=torch.float64)], dim=1)
    found = neighbour_density(flat, k=10)
    assert found.intrinsic_dim == pytest.approx(2, abs=0.3)
    assert any("of 20 dimensions" in text for text in found.caveats)
    assert not any("fill about" in text for text in neighbour_density(normal(500, 2)).caveats)


def test_neighbours_refuse_what_makes_no_sense():
    points = normal(10, 3)
    with pytest.raises(ValueError, match="number of reference points, 9 without the point itself"):
        neighbour_density(points, k=10)
    with pytest.raises(ValueError, match="number of reference points, 5; got 6"):
        neighbour_density(points, points[:5], k=6)
    with pytest.raises(ValueError, match="`k` must be at least 1; got 0"):
        neighbour_density(points, k=0)
    with pytest.raises(
        ValueError, match="`reference` must have the dimension of `query`, 3; got 2"
    ):
        unchecked(neighbour_density)(points, points[:, :2])
    with pytest.raises(ValueError, match="`reference_labels` must be given along"):
        neighbour_density(points, points, k=2, labels=torch.zeros(10, dtype=torch.int64))
    with pytest.raises(ValueError, match="points of class 1, 0 without the point itself; got 2"):
        neighbour_density(points, k=2, labels=torch.tensor([0] * 9 + [1]))
    with pytest.raises(ValueError, match="must have at least one dimension"):
        neighbour_density(points[:, :0])
    with pytest.raises(ValueError, match="`query` must hold at least 1 features; got 0"):
        neighbour_density(points[:0])


# --- classes and sets -----------------------------------------------------------------------------


def labelled(count, dim, head, seed=0, scale=0.5):
    labels = torch.arange(count) % head.num_classes
    return normal(count, dim, seed, scale) + head.centers.double()[labels], labels


def test_sets_are_held_against_one_reference():
    head = make_head("mmc", 4, 3)
    train, test = labelled(300, 4, head), labelled(90, 4, head, seed=1)
    moved = (test[0] + 2.0, test[1])
    table = compare_densities({"train": train, "test": test, "adversarial": moved}, head, k=5)
    assert table.groups == ["train", "test", "adversarial"] and table.centers == "head"
    for label in range(3):
        own = train[0][train[1] == label]
        between = neighbour_density(own, k=5).log_density.sort().values[49:51].tolist()
        assert table.of("train", label).neighbour in between  # the two middle ones of 100
        there = test[0][test[1] == label]
        expected = neighbour_density(there, own, k=5).log_density
        assert table.of("test", label).neighbour in expected.tolist()
        assert table.of("adversarial", label).neighbour < table.of("test", label).neighbour - 3
        central = central_density(own, head.centers[label])
        assert table.of("train", label).central == central
    means = torch.stack([train[0][train[1] == c].mean(dim=0) for c in range(3)])
    unit = float(torch.nn.functional.pdist(means).min())
    assert table.unit["test"] == pytest.approx(unit)
    row = table.of("test", 0)
    assert row.scaled == pytest.approx(row.neighbour + 4 * math.log(unit))
    assert len(list(csv.DictReader(io.StringIO(table.to_csv())))) == 9
    assert json.loads(table.to_json())["dim"] == 4


def test_scaled_densities_do_not_know_the_unit():
    head = make_head("sce", 4, 3)
    centers = make_head("mmc", 4, 3).centers.double()
    labels = torch.arange(120) % 3
    points = normal(120, 4) + centers[labels]
    one = compare_densities({"a": (points, labels)}, head, k=5)
    ten = compare_densities({"a": (10 * points, labels)}, head, k=5)
    assert one.centers == "class means"
    for label in range(3):
        assert ten.of("a", label).scaled == pytest.approx(one.of("a", label).scaled)
        shift = one.of("a", label).neighbour - ten.of("a", label).neighbour
        assert shift == pytest.approx(4 * math.log(10))


def test_a_class_without_samples_is_a_gap_with_a_reason():
    head = make_head("mmc", 4, 4)
    points, labels = labelled(90, 4, make_head("mmc", 4, 3))
    labels = torch.where(torch.arange(90) < 80, labels, 2)
    few = torch.tensor([0] * 6 + [1, 2] * 42)
    table = compare_densities({"a": (points, few)}, head, k=10)
    assert table.of("a", 3).gap == "no features"
    assert table.of("a", 0).gap.startswith("6 reference features, too few for k = 10")
    assert table.of("a", 0).neighbour is None and table.of("a", 1).gap == ""
    assert table.median("a") is not None
    json.loads(table.to_json())
    with pytest.raises(ValueError, match="must hold a class of more than `k` = 60"):
        compare_densities({"a": (points, few)}, head, k=60)
    with pytest.raises(ValueError, match="at least one set"):
        compare_densities({}, head)
    with pytest.raises(ValueError, match="A set must be one of a; got 'b'"):
        compare_densities({"a": (points, few)}, head, reference="b")


def test_features_that_came_from_the_reference_do_without_their_origin():
    head = make_head("mmc", 4, 3)
    test = labelled(90, 4, head)
    rows = torch.arange(0, 90, 2)
    same = (test[0][rows], test[1][rows])
    table = compare_densities({"test": test, "same": same}, head, k=5, origins={"same": rows})
    own = neighbour_density(test[0], k=5, labels=test[1]).log_density[rows]
    for label in range(3):
        assert table.of("same", label).neighbour in own[same[1] == label].tolist()
    with pytest.raises(ValueError, match="`origins` must give each of the 45 features"):
        compare_densities({"test": test, "same": same}, head, origins={"same": rows + 80})


def test_density_grows_along_a_training_that_gathers_features():
    head = make_head("mmc", 4, 3)
    taken = [
        Snapshot(epoch, *(v for v in labelled(90, 4, head, scale=scale)), head)
        for epoch, scale in ((0, 2.0), (5, 1.0), (9, 0.2))
    ]
    table = densities_along_training(taken, k=5)
    assert table.groups == ["epoch 0", "epoch 5", "epoch 9"]
    medians = [table.median(group) for group in table.groups]
    assert medians == sorted(medians)
    # The same draws, five times smaller.
    assert medians[2] - medians[1] == pytest.approx(4 * math.log(5))
    with pytest.raises(ValueError, match="at least one snapshot"):
        densities_along_training([])


# --- correlation ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(-4, 4), st.floats(-3, 3)), min_size=8, max_size=40),
)
def test_spearman_is_that_of_scipy_ties_included(pairs):
    x = torch.tensor([float(a) for a, _ in pairs], dtype=torch.float64)
    y = torch.tensor([b for _, b in pairs], dtype=torch.float64)
    found = spearman(x, y)
    if len(set(x.tolist())) == 1 or len(set(y.tolist())) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_draws_of_the_bootstrap_are_ranked_as_real_samples_are():
    from mmc_viz.density.correlation import _Ranked, _weighted_rho

    x, y = normal(25, 1)[:, 0].round(decimals=1), normal(25, 1, 1)[:, 0]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        rows = torch.randint(25, (25,), generator=generator)
        times = torch.bincount(rows, minlength=25).double().numpy()[None]
        found = _weighted_rho(_Ranked(x.numpy()), _Ranked(y.numpy()), times)[0]
        assert found == pytest.approx(stats.spearmanr(x[rows], y[rows]).statistic, abs=1e-12)


def pair(count, r, seed):
    x, noise = normal(count, 2, seed).T
    return x, r * x + math.sqrt(1 - r * r) * noise


def test_intervals_hold_the_truth_as_often_as_they_say():
    r, runs = 0.6, 120
    truth = 6 / math.pi * math.asin(r / 2)  # of a Gaussian pair
    held = {"overall": 0, "pooled": 0}
    for seed in range(runs):
        x, y = pair(120, r, seed)
        found = correlate(x, y, torch.arange(120) % 4, samples=300, seed=seed)
        for name in held:
            one = getattr(found, name)
            held[name] += one.low <= truth <= one.high
    assert 0.88 * runs <= held["overall"] <= 0.99 * runs
    assert 0.88 * runs <= held["pooled"] <= 0.99 * runs


def test_within_classes_is_kept_apart_from_across_them():
    x, y = pair(90, -0.5, 0)
    labels = torch.arange(90) % 3
    found = correlate(x + 10 * labels, y + 10 * labels, labels, samples=200)
    assert found.overall.rho > 0.8 and found.pooled.rho < -0.2
    rhos = [stats.spearmanr(x[labels == c], y[labels == c]).statistic for c in range(3)]
    assert [found.classes[c].rho for c in range(3)] == pytest.approx(rhos)
    assert found.pooled.rho == pytest.approx(sum(rhos) / 3)
    assert found.pooled.low < found.pooled.rho < found.pooled.high < 0.1


def test_small_classes_have_no_rho_and_weigh_nothing():
    x, y = pair(40, 0.5, 1)
    labels = torch.tensor([0] * 20 + [1] * 13 + [2] * 7)
    found = correlate(x, y, labels, samples=200)
    assert found.classes[2].rho is None and found.classes[2].count == 7
    assert found.pooled.count == 33
    expected = (20 * found.classes[0].rho + 13 * found.classes[1].rho) / 33
    assert found.pooled.rho == pytest.approx(expected)
    assert json.dumps(found.values())
    same = correlate(torch.ones(20), x[:20], labels[:20], samples=200)
    assert same.overall.rho is None and same.pooled.rho is None


def test_infinite_values_rank_last():
    x, y = pair(30, 0.7, 0)
    infinite = x.clone()
    infinite[x.argmax()] = torch.inf
    labels = torch.zeros(30, dtype=torch.int64)
    assert correlate(infinite, y, labels).overall == correlate(x, y, labels).overall


def test_what_the_margin_explains_is_taken_out():
    given_, a, b = normal(400, 3, 3).T
    x, y = given_ + 0.5 * a, given_ + 0.5 * b
    labels = torch.zeros(400, dtype=torch.int64)
    assert correlate(x, y, labels, samples=100).overall.rho > 0.7
    left = partial_correlation(x, y, given_, labels, samples=300)
    assert abs(left.rho) < 0.12 and left.low < 0 < left.high
    # Against residuals of a regression on ranks.
    ranks = [torch.from_numpy(stats.rankdata(v.numpy())) for v in (x, y, given_)]
    centred = [r - r.mean() for r in ranks]
    residual = [c - (c @ centred[2]) / centred[2].square().sum() * centred[2] for c in centred[:2]]
    expected = (residual[0] @ residual[1]) / (residual[0].norm() * residual[1].norm())
    assert left.rho == pytest.approx(float(expected))


def test_correlation_refuses_what_makes_no_sense_and_repeats_itself():
    x, y = pair(30, 0.3, 0)
    labels = torch.zeros(30, dtype=torch.int64)
    state = torch.random.get_rng_state()
    one, two = (correlate(x, y, labels, seed=3, samples=150) for _ in range(2))
    assert one == two and one != correlate(x, y, labels, seed=4, samples=150)
    assert torch.equal(state, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="`samples` must be at least 100; got 99"):
        correlate(x, y, labels, samples=99)
    with pytest.raises(ValueError, match="`y` must be as long as `labels`, 30; got 29"):
        unchecked(correlate)(x, y[:-1], labels)
    with pytest.raises(ValueError, match="`x` must not be NaN; 30 values are"):
        correlate(x * torch.nan, y, labels)


# --- density against distance ---------------------------------------------------------------------


class Seen(nn.Module):
    """The linear model of the tests, whose features are the first pixels."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def features(self, images):
        return images.flatten(1)[:, :5]

    def forward(self, images):
        return self.linear(images)


@pytest.fixture
def seen(linear):
    model, images, labels = linear
    return Seen(model), images, labels


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_distances_are_those_in_closed_form(seen, norm):
    model, images, labels = seen
    wrong = labels.clone()
    wrong[:3] = (labels[:3] + 1) % 5
    found = nearest_adversarial(model, images, wrong, norm=norm)
    assert found.status == ["misclassified"] * 3 + ["measured"] * 37
    assert found.distance[:3].tolist() == [0, 0, 0]
    truth = model.linear.distance(images, labels, norm)[3:]
    torch.testing.assert_close(found.distance[3:].float(), truth, rtol=0.03, atol=1e-4)
    assert (found.measured == torch.tensor([False] * 3 + [True] * 37)).all()


def test_each_image_has_its_density_and_its_distance(seen):
    model, images, labels = seen
    quick = partial(fmn, steps=20, starts=1)
    result = density_against_distance(model, images, labels, k=4, attack=quick, samples=200)
    features = images.flatten(1)[:, :5]
    density = neighbour_density(features, k=4).log_density
    assert torch.equal(result.measures["density"], density)
    rho = stats.spearmanr(density, result.distance).statistic
    assert result.correlations["density"].overall.rho == pytest.approx(rho)
    logits = model(images).detach()
    top = logits.topk(2, dim=1).values
    torch.testing.assert_close(result.measures["margin"], (top[:, 0] - top[:, 1]).double())
    means = torch.stack([features[labels == c].mean(dim=0) for c in range(5)])
    away = (features - means[labels]).norm(dim=1)
    torch.testing.assert_close(result.measures["closeness"], -away.double())
    # A linear model's distance follows its margin, so that density can add little.
    assert result.correlations["margin"].overall.rho > 0.8
    found = nearest_adversarial(model, images, labels, attack=quick)
    moved = neighbour_density(
        found.images.flatten(1)[:, :5], features, k=4, left_out=torch.arange(40)
    )
    assert torch.equal(result.adversarial_density, moved.log_density)
    again = density_against_distance(model, images, labels, k=4, nearest=found, samples=200)
    assert again.summary() == result.summary()
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [float(row["distance"]) for row in rows] == result.distance.tolist()
    assert json.loads(result.to_json())["counts"]["measured"] == 40


def test_density_of_the_own_class_and_of_a_reference(seen):
    model, images, labels = seen
    reference = normal(60, 5).float() * 0.05 + 0.5
    known = torch.arange(60) % 5
    quick = nearest_adversarial(model, images, labels, attack=partial(fmn, steps=5, starts=1))
    more = {"nearest": quick, "k": 4, "samples": 100}
    result = density_against_distance(
        model, images, labels, reference=reference, reference_labels=known, within="class", **more
    )
    expected = neighbour_density(
        images.flatten(1)[:, :5], reference, k=4, labels=labels, reference_labels=known
    )
    assert torch.equal(result.measures["density"], expected.log_density)
    assert "60 features of its own class of the reference" in result.reference
    with pytest.raises(ValueError, match="`reference_labels` must be given along"):
        density_against_distance(model, images, labels, reference=reference, **more)


def test_images_without_a_distance_are_counted_and_left_out(seen):
    model, images, labels = seen
    wrong = labels.clone()
    wrong[0] = (labels[0] + 1) % 5

    def half(model, images, labels, *, norm, generator):
        """An attack that finds nothing on every other image."""
        found = fmn(model, images, labels, norm=norm, steps=10, starts=1)
        return torch.where((torch.arange(40) % 2 == 0)[:, None, None, None], found, images)

    result = density_against_distance(model, images, wrong, k=4, attack=half, samples=100)
    assert result.counts == {"measured": 19, "misclassified": 1, "not found": 20}
    assert result.correlations["density"].overall.count == 19
    rows = result.rows()
    assert rows[1]["distance"] is None and rows[1]["status"] == "not found"
    assert result.distance[1] == math.inf
    assert rows[1]["adversarial_density"] is None and rows[2]["adversarial_density"] is not None
    json.loads(result.to_json())


def test_density_against_distance_refuses_what_makes_no_sense(linear, seen):
    model, images, labels = seen
    none = lambda model, images, labels, *, norm, generator: images  # noqa: E731
    with pytest.raises(ValueError, match="at least 3 that the model gets right .* got 0 of 40"):
        density_against_distance(model, images, labels, k=4, attack=none)
    with pytest.raises(ValueError, match="`model` must have a method `features`"):
        density_against_distance(linear[0], images, labels)
    with pytest.raises(ValueError, match="`within` must be all or class; got 'some'"):
        density_against_distance(model, images, labels, within="some")
    with pytest.raises(ValueError, match="`norm` must be one of linf, l2"):
        density_against_distance(model, images, labels, k=4, norm="l7")
    found = nearest_adversarial(model, images[:9], labels[:9], attack=none)
    with pytest.raises(ValueError, match="`nearest` must be of the same 40 images; got 9"):
        density_against_distance(model, images, labels, k=4, nearest=found)


def test_nothing_global_is_touched(seen):
    model, images, labels = seen
    state = torch.random.get_rng_state()
    before = [p.clone() for p in model.parameters()]
    density_against_distance(model, images, labels, k=4, attack=partial(fmn, steps=3), samples=100)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
