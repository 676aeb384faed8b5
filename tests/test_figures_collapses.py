import json
import math
import re
from dataclasses import replace

import pytest
import torch

from mmc_viz.collapse import MEASURES, CollapseHistory, by_chance, convergence
from mmc_viz.figures import style
from mmc_viz.figures.collapses import collapse_over_training
from mmc_viz.figures.convergences import convergence as draw_convergence
from mmc_viz.figures.runs import log_ticks


def history(head="sce", seed=0, epochs=(0, 5, 60), dim=64, **changes):
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.rand(len(epochs), generator=generator, dtype=torch.float64) for name in MEASURES
    }
    known = dict(
        head=head,
        num_classes=10,
        dim=dim,
        images=360,
        reachable={"nc2_norm": 0.0, "nc2_simplex": 0.0, "distance_to_simplex": 0.0},
        chance=by_chance(10, dim),
        gaps={},
    )
    return CollapseHistory(torch.tensor(epochs), **(values | known | changes))


def gapped(head, measure, values, why):
    return history(
        head, gaps={measure: why}, **{measure: torch.tensor(values, dtype=torch.float64)}
    )


def runs(**accuracies):
    return convergence(
        {
            name: [
                {"epoch": e, "loss": 1 / e, "accuracy": accuracy, "seconds": 0.5}
                for e, accuracy in enumerate(course, start=1)
            ]
            for name, course in accuracies.items()
        }
    )


NAMES = (
    "center cosface emc hmc label_smoothing lgm mmc mmc_huber mmc_random mmlda sce simplex".split()
)


def plain(text):
    """What a reader sees of a text of plotly's."""
    text = re.sub(r"<br>", " ", text).replace("\u00a0", " ")
    text = re.sub(r"</?(b|i|span)[^>]*>", "", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def panels(figure):
    """Heading of each panel to the names of its axes."""
    cells = {}
    for note in figure.layout.annotations:
        if note.text.startswith("<b>"):
            number = str(len(cells) + 1) if cells else ""
            cells[plain(note.text)] = f"y{number}"
    return cells


def lines(figure, axis):
    return {t.name: t for t in figure.data if t.yaxis == axis and t.text is not None}


ALL = {
    "two heads": lambda **more: collapse_over_training(
        {"sce": history(), "mmc": history("mmc", 1)}, **more
    ),
    "many heads": lambda **more: collapse_over_training(
        {name: history(name, s) for s, name in enumerate(NAMES)}, **more
    ),
    "convergence": lambda **more: draw_convergence(
        runs(sce=[0.2, 0.5, 0.99], mmc=[0.9, 0.8, 1.0]), **more
    ),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = ALL[name](theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    assert figure.layout.width is None
    assert "bdata" not in figure.to_json() and "NaN" not in figure.to_json()
    assert json.loads(figure.to_json())["layout"]["height"] == figure.layout.height
    assert style.description(figure).endswith(".")


@pytest.mark.parametrize("name", ALL)
def test_a_title_is_shown_and_an_unknown_theme_refused(name):
    assert "Who" in ALL[name](title="Who < whom?").layout.title.text
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        ALL[name](theme="neon")
    with pytest.raises(ValueError, match="`highlight` must be of .*sce.*; got 'x'"):
        ALL[name](highlight=["x"])


# --- collapse -------------------------------------------------------------------------------------


def test_every_line_is_the_numbers_of_its_history():
    named = {"sce": history(), "mmc": history("mmc", 1, epochs=(0, 1, 2, 30))}
    figure = collapse_over_training(named, measures=list(MEASURES))
    axes = panels(figure)
    assert len(axes) == len(MEASURES)
    for measure, axis in zip(MEASURES, axes.values(), strict=True):
        drawn = lines(figure, axis)
        for name, one in named.items():
            assert list(drawn[name].x) == one.epochs.tolist()
            assert list(drawn[name].y) == getattr(one, measure).tolist()
        kind = figure.layout["yaxis" + axis[1:]].type
        assert (kind == "log") == (measure in ("nc1", "nc1_ratio"))


def test_the_default_panels_and_their_order():
    figure = collapse_over_training(history())
    assert list(panels(figure)) == [
        "NC1: scatter within classes",
        "NC2: norms unequal",
        "NC2: angles off the simplex",
        "NC3: head off the means",
        "NC4: nearest mean disagrees",
        "distance to the simplex",
    ]
    plane = collapse_over_training(history(dim=2))
    assert list(panels(plane))[-1] == "distance to the polygon"
    assert (
        "best" in list(panels(collapse_over_training(history(), measures=["distance_to_best"])))[0]
    )


def test_level_lines_say_what_chance_gives_and_what_can_be_reached():
    polygon = {"nc2_norm": 0.0, "nc2_simplex": 0.6, "distance_to_simplex": 0.88}
    figure = collapse_over_training(
        history(dim=2, reachable=polygon), measures=["nc1", "nc2_simplex", "distance_to_simplex"]
    )
    assert set(lines(figure, "y")) == {"sce"}  # nothing is known of NC1
    for axis, measure in (("y2", "nc2_simplex"), ("y3", "distance_to_simplex")):
        drawn = lines(figure, axis)
        assert list(drawn["class means at random"].y) == [by_chance(10, 2)[measure]] * 2
        assert list(drawn["regular polygon"].y) == [polygon[measure]] * 2
        assert list(drawn["regular polygon"].x) == [0, 60]
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(legend) == ["class means at random", "regular polygon", "sce"]
    space = collapse_over_training(history(dim=4, reachable={"distance_to_simplex": 0.745}))
    assert list(lines(space, "y6")["least in 4 dimensions"].y) == [0.745] * 2
    assert "regular polygon" not in {t.name for t in collapse_over_training(history()).data}


def test_a_few_heads_differ_in_colour_and_dash_and_many_in_colour_and_symbol():
    figure = ALL["two heads"]()
    drawn = lines(figure, "y")
    assert drawn["sce"].line.color != drawn["mmc"].line.color
    assert drawn["sce"].line.dash != drawn["mmc"].line.dash
    figure = ALL["many heads"]()
    drawn = lines(figure, "y")
    assert list(drawn) == NAMES
    looks = {(line.line.color, line.marker.symbol) for line in drawn.values()}
    assert len(looks) == len(NAMES)
    assert len({line.marker.symbol for line in drawn.values()}) >= 10
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(legend) == sorted([*NAMES, "class means at random"])


def test_what_is_highlighted_stands_out_and_lies_on_top():
    named = {name: history(name, s) for s, name in enumerate(NAMES)}
    figure = collapse_over_training(named, highlight=["mmc", "sce"])
    drawn = lines(figure, "y")
    assert list(drawn)[-2:] == ["mmc", "sce"] and len(drawn) == len(NAMES)
    others = {drawn[name].line.color for name in NAMES if name not in ("mmc", "sce")}
    assert len(others) == 1 and "rgba" in others.pop()
    assert min(drawn["mmc"].line.width, drawn["sce"].line.width) > drawn["emc"].line.width
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(legend) == ["class means at random", "mmc", "others", "sce"]
    told = plain(figure.layout.title.text)
    assert "mmc" in told and "sce" in told and "hmc" not in told
    assert "others" not in [t.name for t in collapse_over_training(named, highlight=NAMES).data]


def test_a_gap_is_a_gap_with_its_reason():
    one = gapped("sce", "nc3", [math.nan, 0.5, 0.4], "all class means are one point")
    figure = collapse_over_training({"s<e": one, "mmc": history("mmc", 1)})
    assert list(lines(figure, "y4")["s&lt;e"].y) == [None, 0.5, 0.4]
    assert "no value" in plain(lines(figure, "y4")["s&lt;e"].text[0])
    told = plain(figure.layout.title.text)
    assert "No NC3: head off the means at 1 epoch: all class means are one point (s<e)" in told


def test_a_panel_without_a_value_says_why():
    one = gapped("cosface", "distance_to_centers", [math.nan] * 3, "the head has no centers")
    figure = collapse_over_training(one, measures=["distance_to_centers", "nc3"])
    assert list(lines(figure, "y")["cosface"].y) == [None] * 3
    assert "no value: the head has no centers" in [plain(n.text) for n in figure.layout.annotations]
    assert "NC3: head off the means through training" in plain(figure.layout.title.text)


def test_zero_on_a_logarithmic_axis_is_a_gap_and_said():
    one = history(nc1=torch.tensor([2.0, 0.5, 0.0]).double())
    figure = collapse_over_training(one)
    assert list(lines(figure, "y")["sce"].y) == [2.0, 0.5, None]
    assert "0 at 1 epoch, which a logarithmic axis cannot show" in plain(figure.layout.title.text)


def test_the_decisive_numbers_are_told():
    sce = history(distance_to_simplex=torch.tensor([0.5333, 0.5, 0.4484]).double())
    mmc = history("mmc", 1, distance_to_simplex=torch.tensor([0.5333, 0.2, 0.01194]).double())
    figure = collapse_over_training({"sce": sce, "mmc": mmc})
    told = plain(figure.layout.title.text)
    assert "360 images" in told and "sce 0.53 to 0.45; mmc 0.53 to 0.012" in told
    assert "class means at random 0.19" in told
    sentence = style.description(figure)
    assert "goes from 0.533 to 0.448 by epoch 60 for sce" in sentence
    assert "goes from 0.533 to 0.0119 by epoch 60 for mmc" in sentence
    assert "at random it is 0.193" in sentence
    words = plain(lines(figure, "y6")["mmc"].text[-1])
    assert words == "mmc, after epoch 60 distance to the simplex: 0.0119"
    assert "before training" in plain(lines(figure, "y6")["mmc"].text[0])


def test_the_two_extremes_of_many_are_told():
    ends = {name: 0.1 + 0.05 * s for s, name in enumerate(NAMES)}
    named = {
        name: history(name, distance_to_simplex=torch.tensor([0.5, 0.5, end]).double())
        for name, end in ends.items()
    }
    told = plain(collapse_over_training(named).layout.title.text)
    assert "least and most: center 0.5 to 0.1; simplex 0.5 to 0.6" in told


def test_one_epoch_alone_can_be_seen():
    figure = collapse_over_training(history(epochs=(7,)))
    assert "markers" in lines(figure, "y")["sce"].mode


def test_the_legend_has_room_below_the_panels():
    few, many = ALL["two heads"](), ALL["many heads"]()
    assert many.layout.margin.b > few.layout.margin.b
    assert many.layout.height - few.layout.height == many.layout.margin.b - few.layout.margin.b + (
        many.layout.margin.t - few.layout.margin.t
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"history": {}}, "at least one history; got none"),
        ({"measures": ["nc9"]}, "`measures` must be of nc1, .*; got 'nc9'"),
        ({"measures": []}, "`measures` must hold one at least"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        collapse_over_training(**({"history": history()} | settings))


# --- convergence ----------------------------------------------------------------------------------


def test_accuracies_stand_against_epochs_and_seconds():
    result = runs(sce=[0.2, 0.5, 0.91, 0.99], mmc=[0.9, 0.8, 1.0])
    figure = draw_convergence(result)
    for axis, courses in (("x", result.epochs), ("x2", result.seconds)):
        drawn = {t.name: t for t in figure.data if t.xaxis == axis and t.mode == "lines"}
        for r, name in enumerate(result.names):
            assert list(drawn[name].x) == courses[r]
            assert list(drawn[name].y) == result.accuracy[r]
    assert figure.layout.xaxis.type == figure.layout.xaxis2.type == "log"
    assert figure.layout.xaxis.title.text == "epoch"
    assert figure.layout.xaxis2.title.text == "seconds of training"
    assert figure.layout.yaxis2.matches == "y"  # one scale of accuracies
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert legend == ["sce", "mmc", "90 % of the final accuracy"]


def test_rings_mark_where_the_share_is_reached():
    result = runs(sce=[0.2, 0.5, 0.91, 0.99], mmc=[0.9, 0.8, 1.0])
    figure = draw_convergence(result)
    for axis, reached in (("x", result.epochs_to_share), ("x2", result.seconds_to_share)):
        rings = [t for t in figure.data if t.xaxis == axis and t.mode == "markers" and t.text]
        assert [ring.x[0] for ring in rings] == reached
        assert [ring.y[0] for ring in rings] == [0.91, 0.9]
    assert plain(rings[0].text[0]) == (
        "sce has 90 % of its final accuracy, 99 %, after 3 epochs, 1.5 s"
    )


def test_speeds_are_told():
    figure = draw_convergence(runs(sce=[0.2, 0.5, 0.91, 0.99], mmc=[0.9, 0.8, 1.0]))
    told = plain(figure.layout.title.text)
    assert "sce 3 epochs, 1.5 s (ends at 99 %); mmc 1 epoch, 0.5 s (ends at 100 %)" in told
    sentence = style.description(figure)
    assert "sce reaches it after 3 epochs, 1.5 seconds and ends at 99 %" in sentence
    words = [t.text[1] for t in figure.data if t.name == "sce" and t.mode == "lines"]
    assert plain(words[0]) == "sce after epoch 2, 1 s 50 % right, training loss 0.5"
    many = {name: [0.5 + 0.01 * s] * (s + 1) + [1.0] for s, name in enumerate(NAMES)}
    told = plain(draw_convergence(runs(**many)).layout.title.text)
    assert "soonest and latest: center 2 epochs" in told and "simplex 13 epochs" in told


def test_runs_that_do_not_stand_out_are_grey():
    result = runs(sce=[0.5, 0.9], mmc=[0.6, 0.9], emc=[0.7, 0.8])
    figure = draw_convergence(result, highlight=["mmc"])
    colours = {t.name: t.line.color for t in figure.data if t.mode == "lines" and t.xaxis == "x"}
    assert colours["sce"] == colours["emc"] != colours["mmc"]
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert legend == ["mmc", "90 % of the final accuracy", "others"]
    assert "sce" not in figure.layout.title.text


def test_a_single_history_needs_no_name():
    history = [{"epoch": 1, "loss": 1.0, "accuracy": 0.7, "seconds": 4000.0}]
    figure = draw_convergence(convergence(history))
    assert "To 90 % of the final accuracy: 1 epoch, 4000 s" in plain(figure.layout.title.text)
    assert "accuracy" in [t.name for t in figure.data if t.showlegend]


@pytest.mark.parametrize(
    ("values", "inside"),
    [([0.003, 2.1], [0.01, 0.1, 1]), ([0.1, 0.9], [0.1, 0.2, 0.5]), ([3.0], []), ([], [1])],
)
def test_a_logarithmic_axis_has_round_ticks_inside_its_range(values, inside):
    axis = log_ticks(values)
    low, high = axis["range"]
    assert axis["tickvals"] and all(low <= math.log10(t) <= high for t in axis["tickvals"])
    assert all(low < math.log10(value) < high for value in values)
    assert all(any(t == pytest.approx(tick) for t in axis["tickvals"]) for tick in inside)
    assert [float(text) for text in axis["ticktext"]] == pytest.approx(axis["tickvals"])


def test_a_history_with_one_name_and_changed_head_is_shown_under_its_key():
    figure = collapse_over_training({"mine & yours": replace(history(), head="x")})
    assert "mine &amp; yours" in [trace.name for trace in figure.data]
