import json

import pytest
import torch

from mmc_viz.centers import ARRANGEMENTS, arrangement, geometry, random_centers, spread_centers
from mmc_viz.centers.arrangements import FILE
from mmc_viz.centers.packings import best_known


@pytest.mark.parametrize("name", ARRANGEMENTS)
@pytest.mark.parametrize("count", range(2, 21))
@pytest.mark.parametrize("dim", [2, 3, 9])
def test_centers_have_norm_1_or_there_are_none(name, count, dim):
    centers = arrangement(name, count, dim)
    assert (centers is not None) == (name != "axes" or count <= 2 * dim)
    if centers is not None:
        assert centers.shape == (count, dim) and centers.dtype == torch.float64
        torch.testing.assert_close(centers.norm(dim=1), torch.ones(count, dtype=torch.float64))


def test_on_a_line_there_are_two_places():
    assert arrangement("spread", 2, 1).tolist() == [[1], [-1]]
    assert arrangement("axes", 2, 1).tolist() == [[1], [-1]]
    assert arrangement("random", 2, 1) is None and arrangement("crowded", 2, 1) is None


@pytest.mark.parametrize("count", range(2, 21))
@pytest.mark.parametrize("dim", [2, 3])
def test_spread_is_the_best_that_is_known(count, dim):
    angle, _ = best_known(count, dim)
    found = geometry(arrangement("spread", count, dim)).smallest_angle
    assert found == pytest.approx(angle, abs=1e-4)


def test_the_shipped_file_holds_what_the_search_finds():
    shipped = json.loads(FILE.read_text())["centers"]
    assert list(shipped) == [str(count) for count in range(7, 21)]
    found = geometry(spread_centers(8, 3, radius=1.0, dtype=torch.float64)).angles
    # Up to the order of the points and a rotation: all angles, sorted.
    ours = geometry(torch.tensor(shipped["8"], dtype=torch.float64)).angles
    torch.testing.assert_close(
        ours.flatten().sort()[0], found.flatten().sort()[0], atol=1e-3, rtol=0
    )


def test_random_depends_on_the_seed_alone():
    drawn = random_centers(
        6, 3, radius=1.0, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    assert torch.equal(arrangement("random", 6, 3, seed=4), drawn)
    assert not torch.equal(arrangement("random", 6, 3, seed=5), drawn)


def test_axes_and_crowded_have_the_angles_that_their_names_promise():
    assert geometry(arrangement("axes", 4, 3)).smallest_angle == pytest.approx(90)
    assert geometry(arrangement("crowded", 4, 3)).smallest_angle == pytest.approx(30)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="must be one of spread, random, axes, crowded"):
        arrangement("square", 4, 3)
