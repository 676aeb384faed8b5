import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmc_viz.centers import ARRANGEMENTS, arrangement, geometry
from mmc_viz.centers.packings import best_known
from mmc_viz.widgets import CenterWorkbench, replay
from mmc_viz.widgets.center_workbench import DRAWS, MOST, UNIT, catalogue


@pytest.fixture(scope="module")
def sent():
    return catalogue()


def test_the_catalogue_is_small_and_complete(sent):
    assert len(json.dumps(sent)) < 200_000
    for dim in ("2", "3", "0"):
        assert list(sent["starts"][dim]) == [str(count) for count in range(2, MOST + 1)]
        for count, found in sent["starts"][dim].items():
            assert list(found) == list(ARRANGEMENTS)
            assert len(found["random"]) == (DRAWS if dim != "0" else 1)
            wanted = int(dim) or int(count) - 1
            assert all(len(point) == wanted for point in found["spread"])
            assert sent["best"][dim][count] == best_known(int(count), wanted)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("count", [2, 3, 7, 12, 20])
def test_what_is_sent_is_what_the_library_computes(sent, count, dim):
    for name in ARRANGEMENTS:
        truth = arrangement(name, count, dim)
        plain = sent["starts"][str(dim)][str(count)][name]
        plain = plain[0] if name == "random" else plain
        if truth is None:
            assert plain is None
            continue
        got = torch.tensor(plain, dtype=torch.float64)
        torch.testing.assert_close(got, truth, atol=1e-6, rtol=0)
        angle = geometry(truth).smallest_angle
        assert geometry(got).smallest_angle == pytest.approx(angle, abs=1e-3)


def test_a_workbench_begins_with_the_best():
    bench = CenterWorkbench.of(num_classes=10, dim=3)
    assert bench.geometry.smallest_angle == pytest.approx(best_known(10, 3)[0], abs=1e-3)
    bench.dim = 0
    assert bench.centers.shape == (10, 9)
    cosines = bench.geometry.gram[~torch.eye(10, dtype=torch.bool)]
    torch.testing.assert_close(cosines, torch.full_like(cosines, -1 / 9))


def test_moving_one_of_three_by_ten_degrees_loses_ten():
    ten = math.radians(10)
    moved = [0, round(UNIT * math.cos(ten)), round(UNIT * math.sin(ten))]
    bench = CenterWorkbench.of(num_classes=3, dim=2, moved=moved)
    assert bench.geometry.smallest_angle == pytest.approx(110, abs=1e-2)


places = st.integers(-UNIT, UNIT)


@settings(max_examples=60)
@given(
    count=st.integers(2, MOST),
    dim=st.sampled_from([2, 3]),
    name=st.sampled_from(list(ARRANGEMENTS)),
    data=st.data(),
)
def test_no_move_beats_the_best_that_is_known(count, dim, name, data):
    """Whatever is dragged where, from wherever: the gauge never passes its mark."""
    moved = []
    for i in data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=4)):
        place = data.draw(st.lists(places, min_size=dim, max_size=dim).filter(any))
        moved += [i, *place]
    bench = CenterWorkbench(num_classes=count, dim=dim, arrangement=name, moved=moved)
    found = bench.geometry
    assert found.smallest_angle <= best_known(count, dim)[0] + 1e-4
    assert found.smallest_angle <= found.simplex_angle + 1e-9
    torch.testing.assert_close(found.norms, torch.ones(count, dtype=torch.float64))


@settings(max_examples=60)
@given(
    count=st.integers(2, MOST),
    dim=st.sampled_from([2, 3, 0]),
    name=st.sampled_from(list(ARRANGEMENTS)),
    draw=st.integers(0, DRAWS - 1),
    turn=st.tuples(st.integers(0, 359), st.integers(-90, 90)),
    data=st.data(),
)
def test_a_code_restores_the_arrangement(count, dim, name, draw, turn, data):
    moved = []
    if dim:
        place = data.draw(st.lists(places, min_size=dim, max_size=dim).filter(any))
        moved = [data.draw(st.integers(0, count - 1)), *place]
    first = CenterWorkbench.of(
        num_classes=count, dim=dim, arrangement=name, draw=draw, moved=moved, turn=turn
    )
    again = replay(first.code)
    assert isinstance(again, CenterWorkbench)
    assert again.code == first.code
    assert torch.equal(again.centers, first.centers)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"num_classes": 99}, "`num_classes` must be 2 .. 20"),
        ({"dim": 4}, "`dim` must be of"),
        ({"arrangement": "square"}, "`arrangement` must be of"),
        ({"chosen": 3}, "`chosen` must be 0 .. 2"),
        ({"moved": [0, 1]}, "`moved` must hold"),
        ({"moved": [7, 1, 1]}, "`moved` must hold"),
        ({"moved": [0, 0, 0]}, "`moved` must hold"),
        ({"turn": [1]}, "`turn` must be two angles"),
    ],
)
def test_a_view_that_cannot_be_shown_is_refused_and_nothing_changes(view, words):
    bench = CenterWorkbench.of(num_classes=3, dim=2)
    before = bench.code
    broken = CenterWorkbench.of(num_classes=3, dim=2)
    for name, value in view.items():
        setattr(broken, name, value)
    with pytest.raises(ValueError, match=words):
        bench.restore(broken.code)
    assert bench.code == before


def test_a_locked_workbench_sends_nothing():
    from mmc_viz.widgets import Prediction

    guess = Prediction("How much?", {"angle": (0, 180)}, answer={"angle": 120})
    bench = CenterWorkbench.of(num_classes=3, after=guess)
    assert bench.locked and bench.catalogue == {}
    guess.commit({"angle": 100})
    assert not bench.locked and bench.catalogue["starts"]
