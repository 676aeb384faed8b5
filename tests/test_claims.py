import pytest

from mmc_viz.checkpoints import load_card
from mmc_viz.figures import claims, description
from mmc_viz.results import MEASURED, PUBLISHED, as_published, summary, worst_curve


@pytest.mark.parametrize("name", ["fashion-mmc-at", "digits-sce", "cifar10-mmc"])
def test_a_worst_curve_is_what_the_card_says(name):
    curve, row = worst_curve(name), summary(name, load_card(name))
    assert curve.epsilons == [0.0, *(at.eps for at in row.at)]
    assert curve.accuracy == [row.clean, *(at.worst for at in row.at)]
    assert all(
        low <= share <= high
        for low, share, high in zip(curve.low, curve.accuracy, curve.high, strict=True)
    )
    assert curve.accuracy == sorted(curve.accuracy, reverse=True)


def test_a_model_that_is_not_there_has_no_curve():
    with pytest.raises(ValueError, match="prayer"):
        worst_curve("prayer")


def test_our_figures_take_the_form_of_published_ones():
    row = summary("cifar10-mmc-at", load_card("cifar10-mmc-at"))
    found = as_published(row)
    at = row.at_budget(8 / 255)
    assert [one.accuracy for one in found] == [at.usual, at.adaptive, at.worst]
    assert {(one.budget, one.clean, one.reliability) for one in found} == {
        ("linf 8/255", row.clean, MEASURED)
    }
    assert "cifar10-mmc-at, adversarially trained" in {one.model for one in found}


def test_each_figure_is_a_point_at_its_accuracy():
    ours = as_published(summary("cifar10-mmc", load_card("cifar10-mmc")))
    figure = claims([*PUBLISHED, *ours])
    drawn = sorted(x for trace in figure.data[1:] for x in trace.x)
    assert drawn == sorted(one.accuracy for one in [*PUBLISHED, *ours])
    assert list(figure.data[0].x) == [one.clean for one in [*PUBLISHED, *ours]]
    names = {trace.name for trace in figure.data}
    assert names == {
        "clean accuracy",
        "claimed by the authors",
        "found by others",
        "reported by a user",
        "measured here",
    }


def test_no_two_points_share_a_line_and_all_are_told_apart():
    figure = claims(PUBLISHED)
    lines = [y for trace in figure.data[1:] for y in trace.y]
    assert len(set(lines)) == len(PUBLISHED)
    assert len({trace.marker.symbol for trace in figure.data}) == len(figure.data)


def test_the_description_names_the_lowest():
    assert "0 % (AutoAttack, linf 8/255)" in description(claims(PUBLISHED))
    with pytest.raises(ValueError, match="at least one"):
        claims([])
