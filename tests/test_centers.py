import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmc_viz.centers import max_mahalanobis_centers, spread_centers


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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: max_mahalanobis_centers(1, 4), "`num_classes` must be at least 2; got 1"),
        (lambda: max_mahalanobis_centers(10, 8), "`dim` must be at least.*9; got 8.*spread"),
        (lambda: max_mahalanobis_centers(3, 2, radius=0.0), "`radius` must be positive"),
        (lambda: max_mahalanobis_centers(3, 2, radius=math.nan), "`radius` must be positive"),
        (lambda: spread_centers(10, 1), "`dim` must be at least 2; got 1"),
        (lambda: spread_centers(10, 3), "`dim` must be 2 or .* got 3.*is coming"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
