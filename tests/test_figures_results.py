"""Figures of ablations and of all models on one plane: every number read back."""

import random
import re

import pytest

from mmc_viz.ablations import AblationResult, Outcome
from mmc_viz.checkpoints import load_card, shipped_models
from mmc_viz.figures import ablation, description, standings, style
from mmc_viz.figures.labels import Box, Page, place_names, text_box
from mmc_viz.results import AtBudget, Summary, summary


def outcome(group, x, clean, usual, worst, **changes):
    known = dict(
        test_accuracy=clean,
        low=worst - 0.02,
        high=worst + 0.03,
        eps=0.03,
        images=500,
        budget="quick",
        epochs=20,
        seconds=3.0,
        weights_sha256="0",
    )
    return Outcome(group, x, clean=clean, usual=usual, worst=worst, **(known | changes))


@pytest.fixture
def result():
    return AblationResult(
        "size",
        "Does it help?",
        "share of images",
        "images",
        [
            outcome("SCE", "1 %", 0.71, 0.31, 0.11),
            outcome("SCE", "5 %", 0.82, 0.42, 0.22),
            outcome("M<C", "1 %", 0.73, 0.63, 0.13),
            outcome("M<C", "5 %", 0.84, 0.74, 0.24),
        ],
    )


def traces(figure):
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("theme", style.THEMES)
def test_each_number_of_an_ablation_is_drawn(result, theme):
    figure = ablation(result, theme=theme)
    drawn = traces(figure)
    assert len(drawn) == 6
    for group, name in (("SCE", "SCE"), ("M<C", "M&lt;C")):
        outcomes = result.of(group)
        for key, words in (
            ("clean", "clean"),
            ("usual", "cross-entropy PGD-50"),
            ("worst", "worst case"),
        ):
            trace = drawn[f"{name}, {words}"]
            assert list(trace.x) == ["1 %", "5 %"]
            assert list(trace.y) == [getattr(one, key) for one in outcomes]
        bars = drawn[f"{name}, worst case"].error_y
        assert list(bars.array) == pytest.approx([0.03, 0.03])
        assert list(bars.arrayminus) == pytest.approx([0.02, 0.02])
    assert figure.layout.title.text.startswith("<b>Does it help?</b>")
    assert figure.layout.xaxis.title.text == "share of images"
    assert list(figure.layout.xaxis.categoryarray) == ["1 %", "5 %"]
    # Groups and quantities are told apart by more than colour.
    looks = {(t.marker.symbol, t.line.dash) for t in figure.data}
    assert len(looks) == 6


def test_the_sentence_of_an_ablation_holds_its_numbers(result):
    said = description(ablation(result))
    for one in result.outcomes:
        for value in (one.clean, one.usual, one.worst):
            assert style.percent(value) in said


def test_budgets_that_differ_between_lines_are_both_named(result):
    other = [*result.outcomes[:2], outcome("AT", "1 %", 0.8, 0.7, 0.6, eps=0.1)]
    text = ablation(AblationResult("n", "Q?", "a", "s", other)).layout.title.text
    assert "linf 0.03 for SCE" in text and "linf 0.1 for AT" in text


def test_an_ablation_without_outcomes_is_refused():
    with pytest.raises(ValueError, match="`result` must hold at least one outcome"):
        ablation(AblationResult("n", "Q?", "a", "s", []))


def model(name, dataset, clean, eps, usual, worst, adversarial=None):
    at = AtBudget(eps, usual, 0.5, worst, worst and worst - 0.01, worst and worst + 0.02)
    blank = dict.fromkeys(("cw", "spsa", "square", "noise", "rotation", "masked", "audit"))
    return Summary(
        name=name,
        dataset=dataset,
        network="small_cnn",
        head="mmc",
        dim=64,
        seed=0,
        adversarial=adversarial,
        test_accuracy=clean,
        clean=clean,
        at=[at],
        epochs=1,
        epochs_to_share=1,
        seconds=1.0,
        **blank,
    )


@pytest.fixture
def models():
    return [
        model("a", "mnist", 0.99, 0.3, 0.95, 0.0),
        model("b", "mnist", 0.98, 0.3, 0.93, 0.9, adversarial=0.3),
        model("c", "fashion_mnist", 0.92, 0.1, 0.72, 0.01),
        model("d", "fashion_mnist", 0.91, 0.1, 0.7, None),
        model("e", "cifar10", 0.9, 8 / 255, 0.8, 0.02),
    ]


@pytest.mark.parametrize("theme", style.THEMES)
def test_each_model_stands_at_its_numbers(models, theme):
    figure = standings(models, theme=theme)
    places = {
        data[0]: (x, y)
        for trace in figure.data
        if trace.mode == "markers"
        for data, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert places == {one.name: (one.clean, one.at[0].worst) for one in models if one.name != "d"}
    claims = [
        (x, low, high)
        for trace in figure.data
        if trace.mode == "lines+markers"
        for x, low, high in zip(trace.x[::3], trace.y[::3], trace.y[1::3], strict=True)
    ]
    assert sorted(claims) == sorted(
        (one.clean, one.at[0].worst, one.at[0].usual) for one in models if one.name != "d"
    )
    names = [trace.name for trace in figure.data if trace.mode == "markers"]
    assert names == ["MNIST", "MNIST, adversarially trained", "Fashion-MNIST", "CIFAR-10"]
    symbols = [trace.marker.symbol for trace in figure.data if trace.mode == "markers"]
    assert len(set(symbols)) == 4
    text = figure.layout.title.text.replace("<br>", " ")
    assert "MNIST 0.3" in text and "CIFAR-10 8/255" in text


def test_models_that_hold_or_seem_to_bear_their_names(models):
    models.append(model("mnist-f", "mnist", 0.97, 0.3, 0.1, 0.0))  # neither: no name
    models.append(model("mnist-sce-at", "mnist", 0.96, 0.3, None, 0.8, adversarial=0.3))
    found = {(note.text, note.x, note.y) for note in standings(models).layout.annotations}
    assert found == {
        *(("a", 0.99, 0.95), ("b", 0.98, 0.93), ("c", 0.92, 0.72), ("e", 0.9, 0.8)),
        ("sce-at", 0.96, 0.8),
    }


def test_names_have_room_on_both_sides(models):
    low, high = standings(models).layout.xaxis.range
    assert low == pytest.approx(0.9 - 0.1 * 0.09) and high == pytest.approx(0.99 + 0.1 * 0.09)
    low, high = standings(models[:1]).layout.xaxis.range
    assert low < 0.99 < high


@pytest.mark.parametrize("size", [(530, 320), (780, 430)])
def test_names_of_the_shipped_models_cover_no_model_and_no_other_name(size):
    figure = standings([summary(name, load_card(name)) for name in shipped_models()])
    ranges = figure.layout.xaxis.range, figure.layout.yaxis.range

    def pixels(*point):
        axes = zip(point, ranges, size, strict=True)
        return [length * (v - low) / (high - low) for v, (low, high), length in axes]

    models = [
        Box.about(*pixels(x, y), 12, 12)
        for trace in figure.data
        if trace.mode == "markers"
        for x, y in zip(trace.x, trace.y, strict=True)
    ]
    names = []
    for note in figure.layout.annotations:
        x, y = pixels(note.x, note.y)
        names.append(text_box(note.text, x + note.ax, y - note.ay, note.font.size))
    assert len(names) >= 10
    for number, box in enumerate(names):
        assert not any(box.meets(other) for other in [*models, *names[:number]])


@pytest.mark.parametrize("seed", range(5))
def test_names_cover_neither_each_other_nor_what_is_in_the_way_on_any_page(seed):
    drawn = random.Random(seed)
    points = [(drawn.uniform(0, 500), drawn.uniform(0, 300)) for _ in range(25)]
    texts = ["m" * drawn.randint(2, 10) for _ in points]
    pages = []
    for scale in (1, 1.5):
        here = [(scale * x, scale * y) for x, y in points]
        obstacles = [Box.about(x, y, 8, 8) for x, y in here]
        pages.append(Page(here, Box(0, 0, 500 * scale, 300 * scale), obstacles))
    offsets = place_names(texts, pages, size=14)
    assert sum(offset is not None for offset in offsets) > 12
    for page in pages:
        boxes = [
            text_box(text, x + offset[0], y + offset[1], 14)
            for (x, y), text, offset in zip(page.points, texts, offsets, strict=True)
            if offset is not None
        ]
        for number, box in enumerate(boxes):
            assert box.within(page.frame)
            assert not any(box.meets(other) for other in [*page.obstacles, *boxes[:number]])


def test_a_name_stands_beside_its_point_if_it_can_and_nowhere_without_room():
    frame = Box(0, 0, 500, 300)
    (left,) = place_names(["name"], [Page([(250, 150)], frame, [])], size=10)
    assert left[0] < 0 and left[1] == 0
    (right,) = place_names(["name"], [Page([(0, 150)], frame, [])], size=10)
    assert right == (-left[0], 0)
    assert place_names(["name"], [Page([(250, 150)], frame, [frame])], size=10) == [None]


def test_the_sentence_names_every_model_with_its_numbers(models):
    said = description(standings(models))
    assert said.startswith("4 models.")
    assert "c: 92 % clean, 72 % under cross-entropy, 1 % in the worst case" in said
    assert not re.search(r"\bd:", said)


def test_another_budget_can_be_asked_for(models):
    figure = standings(models, budgets={"mnist": 0.2})
    assert not [t for t in figure.data if (t.name or "").startswith("MNIST")]


def test_without_a_worst_case_there_is_nothing_to_draw(models):
    with pytest.raises(ValueError, match="must hold a model with a worst case"):
        standings([models[3]])
