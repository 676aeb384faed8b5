import csv
import io
import json
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from mmc_viz.centers import (
    geometry,
    hierarchical_centers,
    max_mahalanobis_centers,
    packing_table,
    random_centers,
    spread_centers,
    spreading,
)
from mmc_viz.centers.packings import CASES, best_known


def exact(num_classes, dim, **more):
    return spread_centers(num_classes, dim, radius=1.0, dtype=torch.float64, **more)


def pairs_of(centers):
    """Inner products of all pairs of different centers."""
    first, second = torch.triu_indices(len(centers), len(centers), 1)
    return (centers @ centers.T)[first, second]


@pytest.mark.parametrize(
    ("num_classes", "dim"), [(2, 1), (3, 2), (10, 9), (10, 256), (100, 256), (1000, 2048)]
)
@pytest.mark.parametrize("radius", [1.0, 10.0])
def test_centers_form_a_regular_simplex(num_classes, dim, radius):
    centers = max_mahalanobis_centers(num_classes, dim, radius=radius).double()
    assert centers.shape == (num_classes, dim)
    expected = torch.full((num_classes, num_classes), -(radius**2) / (num_classes - 1)).double()
    expected.fill_diagonal_(radius**2)
    assert (centers @ centers.T - expected).abs().max() <= 1e-6 * radius**2


def test_first_rows_of_ten_classes_are_those_of_the_authors_file():
    rows = max_mahalanobis_centers(10, 256, radius=1.0)[:4, :4]
    golden = torch.tensor(
        [
            [1.0, 0.0, 0.0, 0.0],
            [-0.1111, 0.9938, 0.0, 0.0],
            [-0.1111, -0.1242, 0.9860, 0.0],
            [-0.1111, -0.1242, -0.1409, 0.9759],
        ]
    )
    torch.testing.assert_close(rows, golden, rtol=0, atol=5e-5)


def test_closed_form_agrees_with_the_recursion_of_the_authors():
    count, dim = 12, 15
    rows = torch.zeros(count, dim, dtype=torch.float64)
    rows[0, 0] = 1
    for k in range(1, count):
        for j in range(k):
            rows[k, j] = -(1 / (count - 1) + rows[k] @ rows[j]) / rows[j, j]
        rows[k, k] = (1 - rows[k] @ rows[k]).clamp_min(0).sqrt()
    centers = max_mahalanobis_centers(count, dim, radius=7.0, dtype=torch.float64)
    torch.testing.assert_close(centers, 7 * rows, rtol=0, atol=1e-6)


@given(num_classes=st.integers(2, 60), extra=st.integers(0, 20), radius=st.floats(0.1, 1e3))
def test_centers_are_balanced_and_equally_far_apart(num_classes, extra, radius):
    dim = num_classes - 1 + extra
    centers = max_mahalanobis_centers(num_classes, dim, radius=radius, dtype=torch.float64)
    assert centers.sum(dim=0).abs().max() <= 1e-9 * radius
    distances = torch.pdist(centers)
    expected = radius * math.sqrt(2 * num_classes / (num_classes - 1))
    torch.testing.assert_close(distances, torch.full_like(distances, expected))


@pytest.mark.parametrize("num_classes", [2, 3, 4, 10, 17])
def test_centers_in_the_plane_are_a_regular_polygon(num_classes):
    centers = spread_centers(num_classes, 2, radius=10.0, dtype=torch.float64)
    angles = torch.atan2(centers[:, 1], centers[:, 0]) % (2 * math.pi)
    steps = torch.cat(
        [angles.sort().values, torch.tensor([2 * math.pi], dtype=torch.float64)]
    ).diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 2 * math.pi / num_classes))
    torch.testing.assert_close(centers.norm(dim=1), torch.full((num_classes,), 10.0).double())


def test_spread_centers_are_the_simplex_where_it_fits():
    assert torch.equal(spread_centers(4, 3), max_mahalanobis_centers(4, 3))


# --- spherical codes ------------------------------------------------------------------------------

#: Smallest angles in three dimensions, in degrees, from Sloane's tables.
PUBLISHED = {
    7: 77.8695,
    8: 74.8585,
    9: 70.5288,
    10: 66.1468,
    11: 63.4349,
    12: 63.4349,
    13: 57.1367,
    14: 55.6706,
    15: 53.6579,
    16: 52.2444,
    17: 51.0903,
    18: 49.5567,
    19: 47.6919,
    20: 47.4310,
    21: 45.6132,
    22: 44.7402,
    23: 43.7100,
    24: 43.6908,
}


@pytest.mark.parametrize("num_classes", PUBLISHED)
def test_three_dimensional_codes_are_as_good_as_the_published(num_classes):
    # With a part of the restarts, to be quick; `mmc-viz centers` makes them all.
    centers = exact(num_classes, 3, restarts=64)
    angle = math.degrees(math.acos(pairs_of(centers).max()))
    assert angle >= PUBLISHED[num_classes] - 0.01
    assert angle <= PUBLISHED[num_classes] + 1e-4  # more would be a discovery


@pytest.mark.parametrize(
    ("num_classes", "dim", "cosine"),
    [
        (8, 3, (math.sqrt(8) - 1) / 7),  # square antiprism
        (9, 3, 1 / 3),
        (12, 3, 1 / math.sqrt(5)),  # icosahedron
        (24, 3, 0.723078468333510),  # snub cube
        (10, 4, 1 / 6),
        (24, 4, 1 / 2),  # 24-cell
        (16, 5, 1 / 5),
        (27, 6, 1 / 4),
    ],
)
def test_codes_in_closed_form_are_found_to_the_last_digits(num_classes, dim, cosine):
    centers = exact(num_classes, dim, restarts=64)
    assert pairs_of(centers).max().item() == pytest.approx(cosine, abs=1e-12)
    assert (centers.norm(dim=1) - 1).abs().max() <= 1e-14


@pytest.mark.parametrize(("num_classes", "dim"), [(7, 3), (13, 3), (15, 3), (11, 4), (16, 5)])
def test_what_is_found_is_stationary(num_classes, dim):
    """Stresses of one sign on the tight pairs balance at each center: no direction is better.

    If the centers could move so that all tight pairs part, the work of the stresses, which is 0,
    would be positive.
    """
    centers = exact(num_classes, dim, restarts=64)
    cosines = centers @ centers.T - 2 * torch.eye(num_classes, dtype=torch.float64)
    first, second = (
        (cosines.triu() >= cosines.max() - 1e-12)
        .logical_and(torch.ones_like(cosines).triu(1).bool())
        .nonzero(as_tuple=True)
    )
    forces = torch.zeros(len(first), num_classes, dim, dtype=torch.float64)
    for row, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        forces[row, i] = centers[j] - cosines[i, j] * centers[i]
        forces[row, j] = centers[i] - cosines[i, j] * centers[j]
    # Nonnegative stresses with sum 1: the last equation.
    system = torch.cat([forces.flatten(1).T, torch.ones(1, len(first), dtype=torch.float64)])
    wanted = torch.zeros(len(system), dtype=torch.float64)
    wanted[-1] = 1
    stresses, residual = nnls(system.numpy(), wanted.numpy())
    assert residual <= 1e-10 and stresses.sum() == pytest.approx(1)


def test_a_center_that_no_other_touches_stands_amid_its_cage():
    """Seven points: one is loose, and the search puts it as far from the others as it can."""
    cosines = exact(7, 3, restarts=64)
    gram = (cosines @ cosines.T).fill_diagonal_(-1)
    tight = (gram >= gram.max() - 1e-9).sum(dim=1)
    loose = (tight == 0).nonzero().flatten().tolist()
    if not loose:  # the optimum with 12 tight pairs has none; the table says so too
        assert tight.sum() == 24
        return
    (one,) = loose
    nearest = gram[one].topk(3).values
    assert nearest[0] - nearest[2] <= 1e-6


@given(dim=st.integers(3, 12), data=st.data())
def test_up_to_twice_as_many_centers_as_dimensions_are_at_right_angles(dim, data):
    num_classes = data.draw(st.integers(dim + 2, 2 * dim))
    centers = exact(num_classes, dim)
    assert pairs_of(centers).max() == 0  # 90 degrees, without rounding
    assert centers.sum(dim=0).abs().max() <= 1e-12
    assert (centers.norm(dim=1) - 1).abs().max() <= 1e-12
    if num_classes == 2 * dim:  # the orthoplex: one opposite each, right angles to all others
        assert (pairs_of(centers) == -1).sum() == dim


def test_the_same_seed_gives_the_same_centers_whatever_the_number_of_threads():
    code = (
        "import torch; from mmc_viz.centers import spread_centers; "
        "print(spread_centers(9, 3, restarts=16, dtype=torch.float64).tolist())"
    )
    outputs = []
    for threads in ("1", "2"):
        # The rest stays as it is here: a variable may choose other kernels, with other last digits.
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        end = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        outputs.append(torch.tensor(json.loads(end.stdout), dtype=torch.float64))
    here = spread_centers(9, 3, restarts=16, dtype=torch.float64)
    assert torch.equal(*outputs)
    assert torch.equal(outputs[0], here)
    other = spread_centers(9, 3, restarts=16, seed=1, dtype=torch.float64)
    assert not torch.allclose(other, here)
    assert pairs_of(other).max() == pytest.approx(pairs_of(here).max().item(), rel=1e-12)


def test_a_search_touches_no_global_state_and_its_result_is_the_callers():
    import numpy as np

    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = spread_centers(7, 3, restarts=8)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    kept = first.clone()
    first.zero_()
    assert torch.equal(spread_centers(7, 3, restarts=8), kept)
    doubled = spread_centers(7, 3, restarts=8, radius=20, dtype=torch.float64)
    torch.testing.assert_close(doubled.float(), 2 * kept)


def test_what_was_searched_for_is_lower_triangular():
    centers = exact(7, 3, restarts=8)
    assert torch.equal(centers, centers.tril())
    assert (centers[:3].diagonal() > 0).all()


def test_progress_is_shown_where_it_is_asked_for(capsys, monkeypatch):
    monkeypatch.setattr("mmc_viz.centers.spreading._DELAY", 0)
    spread_centers(7, 3, restarts=2, seed=77)
    assert capsys.readouterr().err == ""
    spread_centers(7, 3, restarts=2, seed=77, progress=True)
    assert "7 centers in 3 dimensions" in capsys.readouterr().err


def test_very_many_centers_are_annealed_alone(monkeypatch):
    def smallest_angle():
        centers = exact(100, 3, restarts=2)
        assert (centers.norm(dim=1) - 1).abs().max() <= 1e-12
        return math.degrees(math.acos(pairs_of(centers).max()))

    polished = smallest_angle()
    spreading._search.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(spreading, "_POLISHED", 0)
        patch.setattr(spreading, "polish", None)
        annealed = smallest_angle()
    spreading._search.cache_clear()
    assert polished - 0.01 <= annealed < polished


# --- random centers -------------------------------------------------------------------------------


@given(num_classes=st.integers(2, 30), dim=st.integers(2, 40), radius=st.floats(0.1, 1e3))
def test_random_centers_have_the_norm_asked_for(num_classes, dim, radius):
    centers = random_centers(num_classes, dim, radius=radius, dtype=torch.float64)
    assert centers.shape == (num_classes, dim)
    assert (centers.norm(dim=1) / radius - 1).abs().max() <= 1e-12
    assert torch.equal(
        centers,
        random_centers(
            num_classes,
            dim,
            radius=radius,
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(0),
        ),
    )


@pytest.mark.parametrize("dim", [2, 3, 16])
def test_random_directions_are_uniform(dim):
    """Uniform on the sphere: mean 0 and second moments 1 / d in every direction."""
    count = 40_000
    drawn = random_centers(count, dim, radius=1.0, dtype=torch.float64)
    assert drawn.mean(dim=0).abs().max() <= 5 / math.sqrt(dim * count)
    moments = drawn.T @ drawn / count
    assert (moments - torch.eye(dim) / dim).abs().max() <= 5 / math.sqrt(count)
    cosines = drawn[: count // 2] @ drawn[count // 2]
    assert cosines.square().mean().item() == pytest.approx(1 / dim, rel=0.05)


def test_random_centers_leave_the_global_state_and_move_the_callers():
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    one, other = (random_centers(4, 3, generator=generator) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, random_centers(4, 3))


# --- hierarchical centers -------------------------------------------------------------------------

TREES = [
    [[0, 2, 4], [1], [3, 5]],
    [[0, 1], [2, 3]],
    [0, [1, 2], [3, [4, 5]]],
    [[[0]], [[1, 2], [3, 4, 5]], [6, [7]]],
    ((9, 8), range(4), [4, 5, 6, 7]),
    [[0, 1, 2]],
    [[[0, 1]], [[2, 3], [4, 5]]],
]


def leaves(node):
    return [label for child in node for label in leaves(child)] if not is_leaf(node) else [node]


def is_leaf(node):
    return isinstance(node, int)


def parted_at(tree):
    """Depth of the lowest group that holds both, for each pair of labels."""
    found = {}

    def walk(node, depth):
        if is_leaf(node):
            return
        groups = [leaves(child) for child in node]
        for one in groups:
            for other in groups:
                if one is not other:
                    found.update({(a, b): depth for a in one for b in other})
        for child in node:
            walk(child, depth + 1)

    walk(tree, 0)
    return found


@pytest.mark.parametrize("tree", TREES, ids=str)
@pytest.mark.parametrize("dim", [9, 64])
def test_relatives_are_closer_than_strangers_and_all_norms_are_equal(tree, dim):
    centers = hierarchical_centers(tree, dim, radius=7.0, dtype=torch.float64)
    assert (centers.norm(dim=1) - 7).abs().max() <= 1e-12
    depth, distances = parted_at(tree), torch.cdist(centers, centers)
    by_depth = {}
    for pair, level in depth.items():
        by_depth.setdefault(level, []).append(distances[pair].item())
    levels = sorted(by_depth)
    assert min(min(values) for values in by_depth.values()) > 0.5
    for upper, lower in zip(levels, levels[1:], strict=False):
        assert min(by_depth[upper]) > 1.05 * max(by_depth[lower])


@st.composite
def trees(draw):
    """Trees of up to three levels below the root, with the labels in any order."""
    shape = st.recursive(
        st.just(0), lambda inside: st.lists(inside, min_size=1, max_size=4), max_leaves=12
    )
    root = draw(st.lists(shape, min_size=2, max_size=4))
    labels = iter(draw(st.permutations(range(count_leaves(root)))))

    def filled(node):
        return next(labels) if is_leaf(node) else [filled(child) for child in node]

    return filled(root)


def count_leaves(node):
    return 1 if is_leaf(node) else sum(count_leaves(child) for child in node)


@given(tree=trees(), extra=st.integers(0, 3))
def test_any_tree_has_equal_norms_and_is_told_by_its_distances(tree, extra):
    depth = parted_at(tree)
    count = count_leaves(tree)
    centers = hierarchical_centers(tree, count - 1 + extra + 12, radius=1.0, dtype=torch.float64)
    assert (centers.norm(dim=1) - 1).abs().max() <= 1e-12
    distances = torch.cdist(centers, centers)
    for (a, b), level in depth.items():
        for c in range(count):
            if c not in (a, b) and depth[a, c] < level:
                assert distances[a, c] > distances[a, b]


def test_distances_of_two_levels_are_those_of_the_formula():
    tree = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    centers = hierarchical_centers(tree, 5, radius=10.0, shares=(0.9, 0.1), dtype=torch.float64)
    distances = torch.cdist(centers, centers)
    assert distances[0, 1].item() == pytest.approx(10 * math.sqrt(2 * 0.1 * 3 / 2))
    assert distances[0, 3].item() == pytest.approx(10 * math.sqrt(2 * 0.9 * 4 / 3))
    farther = math.sqrt(2 * 0.9 * 4 / 3 + 2 * 0.1 * 3 / 2)
    assert distances[0, 4].item() == pytest.approx(10 * farther)
    # Orthogonal: the mean of a group is the part of the group alone.
    groups = centers.reshape(4, 3, 5).mean(dim=1)
    cosines = pairs_of(groups / groups.norm(dim=1, keepdim=True))
    torch.testing.assert_close(cosines, torch.full_like(cosines, -1 / 3))
    assert ((centers.reshape(4, 3, 5) - groups[:, None]) @ groups.T).abs().max() <= 1e-12


def test_a_level_of_too_few_coordinates_is_spread():
    tree = [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]
    full = hierarchical_centers(tree, 7, radius=1.0, dtype=torch.float64)
    few = hierarchical_centers(tree, 4, radius=1.0, dtype=torch.float64)
    assert (few.norm(dim=1) - 1).abs().max() <= 1e-12
    distances = torch.cdist(few, few)
    assert distances[:6, 6:].min() > distances[:6, :6].max()  # the shares make up for it
    # Six siblings: a simplex in the five coordinates of their level, a hexagon in two.
    for centers, cosine in ((full, -1 / 5), (few, 0.5)):
        own = centers[:6, 2:]
        own = own / own.norm(dim=1, keepdim=True)
        assert pairs_of(own).max().item() == pytest.approx(cosine)


# --- geometry -------------------------------------------------------------------------------------


@given(
    num_classes=st.integers(2, 20),
    dim=st.integers(2, 24),
    seed=st.integers(0, 99),
    shrink=st.floats(0.1, 1),
)
def test_the_identities_of_any_geometry_hold(num_classes, dim, seed, shrink):
    generator = torch.Generator().manual_seed(seed)
    centers = random_centers(num_classes, dim, generator=generator, dtype=torch.float64)
    centers[0] *= shrink
    found = geometry(centers)
    eigenvalues = torch.linalg.eigvalsh(found.gram)
    assert eigenvalues.min() >= -1e-9  # positive semidefinite
    assert (eigenvalues > 1e-9).sum() <= min(dim, num_classes)  # of rank at most d
    torch.testing.assert_close(found.gram.diagonal(), found.norms.square())
    for table in (found.gram, found.angles, found.distances):
        assert torch.equal(table, table.T)  # to the last digit, wherever a pair stands in it
    # The law of cosines joins all three tables.
    cosines = torch.deg2rad(found.angles).cos()
    torch.testing.assert_close(
        cosines * found.norms[:, None] * found.norms, found.gram, rtol=0, atol=1e-9
    )
    squares = found.norms.square()[:, None] + found.norms.square() - 2 * found.gram
    torch.testing.assert_close(found.distances.square(), squares, rtol=0, atol=1e-9)
    # Both bounds, and who attains the smallest.
    assert found.smallest_angle <= found.simplex_angle + 1e-9
    assert found.smallest_distance <= found.simplex_distance + 1e-9
    different = ~torch.eye(num_classes, dtype=torch.bool)
    assert found.smallest_angle == found.angles[different].min().item()
    assert found.smallest_distance == found.distances[different].min().item()
    tight = found.angles[found.tight[:, 0], found.tight[:, 1]]
    assert len(tight) >= 1 and (tight <= found.smallest_angle + found.tolerance).all()
    assert (found.tight[:, 0] < found.tight[:, 1]).all()
    assert found.equal_norms == (found.norms.min() >= (1 - 1e-5) * found.norms.max())


@given(num_classes=st.integers(2, 40), extra=st.integers(0, 9), radius=st.floats(0.1, 1e3))
def test_the_simplex_alone_reaches_both_bounds(num_classes, extra, radius):
    centers = max_mahalanobis_centers(num_classes, num_classes - 1 + extra, radius=radius)
    found = geometry(centers)  # from float32
    assert found.smallest_angle == pytest.approx(found.simplex_angle, abs=1e-4)
    assert found.smallest_distance == pytest.approx(found.simplex_distance, rel=1e-5)
    assert len(found.tight) == num_classes * (num_classes - 1) // 2
    assert found.equal_norms


@given(turn=st.floats(-180, 180), small=st.floats(1e-9, 1e-3))
def test_angles_are_exact_near_0_and_180_degrees(turn, small):
    def at(degrees):
        return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]

    points = torch.tensor([at(turn), at(turn + small), at(turn + 180 - small)], dtype=torch.float64)
    found = geometry(3 * points)
    assert found.angles[0, 1].item() == pytest.approx(small, abs=1e-12)
    assert found.angles[0, 2].item() == pytest.approx(180 - small, abs=1e-12)


def test_tight_pairs_are_those_of_the_icosahedron():
    found = geometry(spread_centers(12, 3, restarts=16))  # from float32
    assert len(found.tight) == 30
    assert (torch.bincount(found.tight.flatten()) == 5).all()
    assert len(geometry(exact(12, 3, restarts=16), tolerance=1e-9).tight) == 30
    assert len(geometry(exact(12, 3, restarts=16), tolerance=180).tight) == 66


def test_a_geometry_can_be_saved():
    found = geometry(torch.tensor([[3.0, 0.0], [0.0, 4.0], [-5.0, 0.0]], requires_grad=True))
    values = json.loads(found.to_json())
    assert values["angles"] == [[0, 90, 180], [90, 0, 90], [180, 90, 0]]
    assert values["tight"] == [[0, 1], [1, 2]] and values["smallest_distance"] == 5
    assert values["norms"] == [3, 4, 5] and values["equal_norms"] is False
    assert found.norm_range == (3, 5) and (found.num_classes, found.dim) == (3, 2)
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(row["class"], row["other"], row["tight"]) for row in rows] == [
        ("0", "1", "1"),
        ("0", "2", "0"),
        ("1", "2", "1"),
    ]
    assert [float(row["distance"]) for row in rows] == [5, 8, pytest.approx(math.sqrt(41))]
    assert [float(row["inner_product"]) for row in rows] == [0, -15, 0]


# --- packings -------------------------------------------------------------------------------------


def test_a_packing_table_compares_what_is_found_with_what_is_known():
    table = packing_table([(7, 2), (5, 3), (6, 3), (4, 7), (9, 3), (30, 3)])
    rows = {(row.num_classes, row.dim): row for row in table.rows}
    assert rows[7, 2].known == pytest.approx(360 / 7) and rows[7, 2].tight == 7
    assert rows[5, 3].angle == rows[6, 3].angle == rows[6, 3].known == 90
    assert (rows[5, 3].tight, rows[6, 3].tight) == (6, 12)
    assert rows[4, 7].basis == "exact: regular simplex" and rows[4, 7].tight == 6
    assert rows[9, 3].difference == pytest.approx(0, abs=1e-10) and rows[9, 3].tight == 18
    unknown = rows[30, 3]
    assert (unknown.known, unknown.difference, unknown.basis) == (None, None, "")
    assert table.shortfall <= 1e-10
    values = json.loads(table.to_json())
    assert [row["angle"] for row in values["rows"]] == [row.angle for row in table.rows]
    lines = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [float(line["angle"]) for line in lines] == [row.angle for row in table.rows]
    assert lines[-1]["known"] == ""


def test_the_known_values_are_the_published_ones():
    for num_classes, angle in PUBLISHED.items():
        assert best_known(num_classes, 3)[0] == pytest.approx(angle, abs=5.1e-5)
    assert all(best_known(*case)[0] is not None for case in CASES)
    assert {(count, 3) for count in range(4, 25)} <= set(CASES)
    assert {2, 3, 4, 5, 8} == {dim for _, dim in CASES}


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: max_mahalanobis_centers(1, 4), "`num_classes` must be at least 2; got 1"),
        (lambda: max_mahalanobis_centers(10, 8), "`dim` must be at least.*9; got 8.*spread"),
        (lambda: max_mahalanobis_centers(3, 2, radius=0.0), "`radius` must be positive"),
        (lambda: max_mahalanobis_centers(3, 2, radius=math.nan), "`radius` must be positive"),
        (lambda: spread_centers(10, 1), "`dim` must be at least 2; got 1"),
        (lambda: spread_centers(1, 3), "`num_classes` must be at least 2; got 1"),
        (lambda: spread_centers(9, 3, restarts=0), "`restarts` must be at least 1; got 0"),
        (lambda: spread_centers(9, 3, seed=-1), "`seed` must be at least 0; got -1"),
        (lambda: random_centers(4, 1), "`dim` must be at least 2; got 1"),
        (lambda: random_centers(4, 2, radius=-1), "`radius` must be positive"),
        (lambda: hierarchical_centers([[0, 1], [1]], 9), "each label once; got 1 twice"),
        (lambda: hierarchical_centers([[0, 1], [3]], 9), "labels 0 .. 2.*got 3, while 2 is miss"),
        (lambda: hierarchical_centers([[-1, 0], [1]], 9), "got -1, while 2 is missing"),
        (lambda: hierarchical_centers([[0, 1], []], 9), "at least one class; got an empty one"),
        (lambda: hierarchical_centers([], 9), "at least one class; got an empty one"),
        (lambda: hierarchical_centers([[0]], 9), "`tree` must hold at least 2 classes; got 1"),
        (lambda: hierarchical_centers(["01", 2], 9), "must be labels.*got '01'"),
        (lambda: hierarchical_centers([0, 1.0], 9), "must be labels.*got 1.0"),
        (lambda: hierarchical_centers([False, True], 9), "must be labels.*got (True|False)"),
        (
            lambda: hierarchical_centers([[0, 1, 2], [3, 4, 5]], 2),
            "`dim` must be at least 3 .* 2 and 3 members.*got 2. With 3 every group",
        ),
        (
            lambda: hierarchical_centers([[0, 1], [2, 3]], 9, shares=[1.0]),
            "one share for each of the 2 levels of the tree; got 1",
        ),
        (
            lambda: hierarchical_centers([[0, 1], [2, 3]], 9, shares=[1.5, -0.5]),
            "`shares` must be positive and finite",
        ),
        (
            lambda: hierarchical_centers([[0, 1], [2, 3]], 9, shares=[1, 1]),
            "`shares` must add up to 1.*which add up to 2",
        ),
        (lambda: geometry(torch.ones(1, 3)), "at least 2 centers; got 1"),
        (lambda: geometry(torch.tensor([[1.0, 0], [0, 0]])), "at the origin.* center 1 is"),
        (lambda: geometry(torch.tensor([[1.0, 0], [0, math.nan]])), "finite; center 1 is not"),
        (lambda: geometry(torch.eye(2), tolerance=-1), "`tolerance` must be at least 0"),
        (lambda: packing_table([]), "`cases` must hold at least one"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
