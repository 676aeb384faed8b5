"""The figure of what more steps bring, and the shipped transfer matrices."""

import json

import pytest
import torch

from mmc_viz import figures
from mmc_viz.figures import style
from mmc_viz.results import shipped_transfers
from mmc_viz.trajectories import Trajectory


def falling(right, images=10):
    """Make a trajectory on which exactly `right[k]` of the images are not fooled at step k."""
    fooled = torch.arange(images) >= torch.tensor(right)[:, None]
    values = torch.zeros(len(right), images, dtype=torch.float64)
    return Trajectory(
        torch.arange(len(right)),
        torch.zeros(len(right), dtype=torch.int64),
        values,
        values,
        fooled,
        fooled[-1],
        torch.zeros(images, dtype=torch.int64),
    )


@pytest.mark.parametrize("theme", style.THEMES)
def test_it_stands_on_any_page_and_travels_as_plain_json(theme):
    figure = figures.effort(falling([9, 5, 5]), theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert "bdata" not in figure.to_json()


def test_each_line_is_the_trajectory_it_was_made_from():
    named = {"short <": falling([9, 7, 6, 6, 6, 6, 2]), "long": falling([9, 9, 9, 9, 9, 9, 9, 0])}
    figure = figures.effort(named)
    assert [trace.name for trace in figure.data] == ["short &lt;", "long"]
    for trace, one in zip(figure.data, named.values(), strict=True):
        right = one.right.tolist()
        assert [right[k] / 10 for k in trace.x] == list(trace.y)
        # Between the points that are drawn nothing changes that a straight line would not show.
        drawn = dict(zip(trace.x, trace.y, strict=True))
        for k, value in enumerate(right):
            before = max(x for x in drawn if x <= k)
            after = min(x for x in drawn if x >= k)
            share = 0 if before == after else (k - before) / (after - before)
            assert drawn[before] + share * (drawn[after] - drawn[before]) == value / 10
    assert len(figure.data[1].x) == 3
    assert figures.description(figure) == (
        "Images still right: short &lt;: 9 of 10 at the start, 2 from step 6 on; "
        "long: 9 of 10 at the start, 0 from step 7 on."
    )


def test_work_may_be_queries():
    figure = figures.effort(falling([9, 5]), work="query")
    assert figure.layout.xaxis.title.text == "queries so far"
    assert "query 1 on" in figures.description(figure)
    with pytest.raises(ValueError, match="`trajectories`"):
        figures.effort({})


def test_the_shipped_matrices_are_those_of_the_results():
    from mmc_viz.locations import DATA_DIR

    stored = json.loads((DATA_DIR / "results.json").read_text(encoding="utf-8"))["transfer"]
    shipped = shipped_transfers()
    assert list(shipped) == list(stored)
    for dataset, one in shipped.items():
        assert one.accuracy.tolist() == stored[dataset]["accuracy"]
        counts = torch.tensor(stored[dataset]["correct"])
        assert torch.equal((one.accuracy * one.count).round().long(), counts)
        assert "MIM on the margin, 20 steps" in one.about


def test_a_part_of_a_shipped_matrix_is_drawn_like_a_measured_one():
    names = ["fashion-sce", "fashion-mmc"]
    whole = shipped_transfers()["fashion_mnist"]
    part = whole.of(names)
    s, m = (whole.sources.index(name) for name in names)
    assert part.accuracy[0, 1] == whole.accuracy[s, m]
    figure = figures.attack_matrix(part)
    assert [list(row) for row in figure.data[0].z] == part.accuracy.tolist()
    assert f"{whole.count} images" in figure.layout.title.text
    with pytest.raises(ValueError, match="`names` must be of .* got 'x'"):
        whole.of(["x"])


def test_many_columns_show_whole_percents():
    shipped = shipped_transfers()["fashion_mnist"]
    figure = figures.attack_matrix(shipped)
    numbers = figure.data[1]
    for x, y, text in zip(numbers.x, numbers.y, numbers.text, strict=True):
        assert abs(int(text) - 100 * shipped.accuracy[y, x].item()) <= 0.5
    words = figures.description(figure)
    for name in shipped.targets:
        assert f"{name} gets between" in words
    column = shipped.accuracy[:, 0]
    assert f"and {style.percent(column.max().item())} (on" in words.split(";")[0]


def test_what_lesson_09_says_of_the_shipped_matrix_is_so():
    shipped = shipped_transfers()["fashion_mnist"]
    pairs = (("fashion-sce", "fashion-sce-seed1"), ("fashion-mmc", "fashion-mmc-seed1"))

    def left(source, target):
        return shipped.of([source, target]).accuracy[0, 1].item()

    for own, foreign in (pairs, pairs[::-1]):
        for target, twin in (own, own[::-1]):
            assert left(twin, target) < min(left(stranger, target) for stranger in foreign)
    assert torch.equal(shipped.accuracy.amin(dim=0), shipped.accuracy.diagonal())
    trained = [name for name in shipped.sources if name.endswith("-at")]
    others = [name for name in shipped.sources if not name.endswith("-at")]
    assert min(left(source, target) for source in others for target in trained) > 0.8
