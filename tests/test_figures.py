import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from mmc_viz import figures
from mmc_viz.attacks import pgd
from mmc_viz.audit import AuditReport, Check
from mmc_viz.evaluation import RobustnessCurve, TransferMatrix
from mmc_viz.figures import style
from mmc_viz.trajectories import Trajectory, attack_trajectory


def curve(seed=0, attacks=("pgd", "apgd"), images=30):
    generator = torch.Generator().manual_seed(seed)
    right = torch.rand(len(attacks), 5, images, generator=generator) < 0.6
    right = right.int().cummin(dim=1).values.bool()
    return RobustnessCurve(list(attacks), torch.linspace(0, 0.06, 5), right)


def trajectory(restarts=1, images=6, steps=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    count = restarts * (steps + 1)
    values = torch.randn(2, count, images, generator=generator, dtype=torch.float64)
    fooled = (values[1] > 1).int().cummax(dim=0).values.bool()
    return Trajectory(
        torch.arange(steps + 1).repeat(restarts),
        torch.arange(restarts).repeat_interleave(steps + 1),
        values[0],
        values[1],
        fooled,
        fooled[-1],
        torch.zeros(images, dtype=torch.int64),
    )


def matrix():
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(2, 3, 40, generator=generator) < torch.rand(2, 3, 1, generator=generator)
    return TransferMatrix(["sce", "mmc"], ["mmc", "sce", "a<b"], right)


def report(masked=True):
    words = "Somebody who is new to this should understand what was found out here, and why. "
    checks = [
        Check(
            name=f"question <{i}>",
            verdict=verdict,
            evidence=f"left by margin {i}.5%; claimed 72.5%; only margin fools {i} & more "
            f"(p = 0.{i})",
            sentence=f"Number {i}. {words * (i + 1)}".strip(),
        )
        for i, verdict in enumerate(["pass", "warn", "fail" if masked else "pass"])
    ]
    return AuditReport(
        claim=0.725,
        about="PGD-20 on cross-entropy",
        checks=checks,
        accuracies={},
        accuracy=0.005,
        eps=0.06,
        norm="linf",
        images=200,
    )


ALL = {
    "robustness_curves": lambda **more: figures.robustness_curves(curve(), **more),
    "attack_trajectory": lambda **more: figures.attack_trajectory(trajectory(), **more),
    "attack_matrix": lambda **more: figures.attack_matrix(matrix(), **more),
    "audit_card": lambda **more: figures.audit_card(report(), **more),
}


def plain(text):
    """What a reader sees of a text of plotly's."""
    text = re.sub(r"<br>", " ", text).replace("\u00a0", " ")
    text = re.sub(r"</?(b|i|span)[^>]*>", "", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def texts(figure):
    """All annotations of a figure, as a reader sees them."""
    return [plain(note.text) for note in figure.layout.annotations]


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = ALL[name](theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    assert figure.layout.width is None  # as wide as the cell
    values = json.loads(figure.to_json())
    # Lists, not base64: some readers of notebooks do not know typed arrays.
    assert "bdata" not in figure.to_json()
    assert values["layout"]["height"] == figure.layout.height


@pytest.mark.parametrize("name", ALL)
def test_a_sentence_made_from_the_numbers_says_what_is_shown(name):
    sentence = figures.description(ALL[name]())
    assert sentence.endswith(".") and "\n" not in sentence
    assert re.search(r"\d", sentence) and "nan" not in sentence


@pytest.mark.parametrize("name", ALL)
def test_a_title_is_shown_and_an_unknown_theme_refused(name):
    figure = ALL[name](title="Who < whom?")
    shown = [figure.layout.title.text or "", *(note.text for note in figure.layout.annotations)]
    assert any("Who" in text for text in shown)
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        ALL[name](theme="neon")


def contrast(one, other):
    """Contrast of two colours as WCAG 2 defines it, 1..21."""
    light = []
    for colour in (one, other):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize(
    ("theme", "page", "text"),
    [
        ("both", "#ffffff", 4),
        ("both", "#111111", 4),
        ("light", "#ffffff", 7),
        ("dark", "#111111", 7),
    ],
)
def test_colours_stand_out_from_their_pages(theme, page, text):
    colours = style.THEMES[theme]
    assert contrast(colours.text, page) >= text
    for colour in (
        colours.right,
        colours.wrong,
        colours.doubtful,
        *colours.series,
        *colours.classes,
    ):
        assert contrast(colour, page) >= 3, colour


def test_plotly_is_loaded_by_figures_alone():
    code = (
        "import sys, mmc_viz, mmc_viz.trajectories; assert 'plotly' not in sys.modules; "
        "import mmc_viz.figures; assert 'plotly' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


# --- robustness_curves ----------------------------------------------------------------------------


def test_lines_and_bands_are_the_numbers_of_the_curves():
    curves = {"sce": curve(0), "mmc": curve(1, attacks=("apgd", "square"))}
    figure = figures.robustness_curves(curves)
    lines = {trace.name: trace for trace in figure.data if trace.showlegend is not False}
    bands = {trace.name: trace for trace in figure.data if trace.showlegend is False}
    assert list(lines) == ["sce, pgd", "sce, apgd", "mmc, apgd", "mmc, square"]
    for model, one in curves.items():
        for a, attack in enumerate(one.attacks):
            line, band = lines[f"{model}, {attack}"], bands[f"{model}/{attack}"]
            assert list(line.y) == one.accuracy[a].tolist()
            assert list(line.x) == [0.0, 0.015, 0.03, 0.045, 0.06]
            assert list(band.x) == list(line.x) + list(line.x)[::-1]
            assert list(band.y[:5]) == one.high[a].tolist()
            assert list(band.y[5:]) == one.low[a].tolist()[::-1]
            assert line.legendgroup == band.legendgroup  # they vanish together
    assert lines["sce, pgd"].line.color == lines["sce, apgd"].line.color
    assert lines["sce, pgd"].line.color != lines["mmc, apgd"].line.color
    assert lines["sce, apgd"].line.dash == lines["mmc, apgd"].line.dash
    assert len({line.line.dash for line in lines.values()}) == 3


def test_one_curve_has_a_colour_for_each_attack():
    figure = figures.robustness_curves(curve(), norm="l2")
    lines = [trace for trace in figure.data if trace.showlegend is not False]
    assert [line.name for line in lines] == ["pgd", "apgd"]
    assert len({line.line.color for line in lines}) == 2
    assert len({line.line.dash for line in lines}) == 2
    assert figure.layout.xaxis.title.text == "budget epsilon (l2, pixel range 0..1)"
    assert "30 images" in figure.layout.title.text


def test_the_description_names_both_ends_of_every_line():
    right = torch.tensor([[[True] * 30 + [False] * 10, [False] * 40]])
    one = RobustnessCurve(["pgd"], torch.tensor([0.01, 0.06]), right)
    assert figures.description(figures.robustness_curves({"a<b": one})) == (
        "Accuracy as epsilon grows from 0.01 to 0.06: a&lt;b under pgd from 75 % to 0 %."
    )


def test_hovering_says_the_numbers_in_words():
    right = torch.tensor([[[True] * 30 + [False] * 10], [[False] * 40]])
    figure = figures.robustness_curves(
        {"a<b": RobustnessCurve(["pgd", "apgd"], torch.tensor([0.06]), right)}
    )
    lines = [trace for trace in figure.data if trace.showlegend is not False]
    words = plain(lines[0].text[0])
    # Wilson for 30 of 40, from published tables: 0.598 to 0.858.
    assert words == (
        "Under pgd with epsilon 0.06 a<b gets 75 % right (95 % sure: 59.8 % to 85.8 %)"
    )
    assert "gets 0 % right" in plain(lines[1].text[0])


def test_the_whole_range_of_accuracy_is_shown_in_percent():
    axis = figures.robustness_curves(curve()).layout.yaxis
    assert axis.range[0] < 0 and axis.range[1] > 1
    assert [f"{100 * mark:.0f}" for mark in axis.tickvals] == list(axis.ticktext)
    assert axis.title.text == "accuracy (%)"


def test_models_on_different_numbers_of_images_are_told_apart():
    figure = figures.robustness_curves({"a": curve(images=30), "b": curve(images=12)})
    assert "a: 30 images, b: 12 images" in figure.layout.title.text
    with pytest.raises(ValueError, match="at least one curve"):
        figures.robustness_curves({})


# --- attack_trajectory ----------------------------------------------------------------------------


def drawn(figure, axis, name):
    return [trace for trace in figure.data if trace.yaxis == axis and trace.name == name]


def split(values):
    """Cut a trace at its gaps."""
    parts = [[]]
    for value in values:
        if value is None:
            parts.append([])
        else:
            parts[-1].append(value)
    return [part for part in parts if part]


def test_every_image_is_drawn_with_its_own_numbers():
    one = trajectory()
    assert 0 < one.success.sum() < 6
    figure = figures.attack_trajectory(one)
    for axis, values, median in (
        ("y", one.loss, one.median_loss),
        ("y2", one.margin, one.median_margin),
    ):
        for name, chosen in (("still right", ~one.success), ("fooled", one.success)):
            (trace,) = drawn(figure, axis, name)
            assert split(trace.y) == values[:, chosen].T.tolist()
            assert split(trace.x) == [one.steps.tolist()] * int(chosen.sum())
        (trace,) = drawn(figure, axis, "median")
        assert list(trace.y) == median.tolist()
        (crosses,) = drawn(figure, axis, "first step that fools")
        places = [(i, s) for i, s in enumerate(one.first_fooled) if s is not None]
        assert list(crosses.x) == [s for _, s in places]
        assert list(crosses.y) == [values[s, i].item() for i, s in places]
    assert f"{int(one.success.sum())} of 6 images fooled" in figure.layout.title.text


def test_colour_is_not_alone_in_saying_who_is_fooled():
    one = trajectory()
    figure = figures.attack_trajectory(one)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(names) == ["first step that fools", "fooled", "median", "still right"]
    (line,) = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert line.y0 == line.y1 == 0 and line.yref == "y2"
    assert {"fooled", "right"} <= set(texts(figure))
    low, high = figure.layout.yaxis2.range
    assert low < min(0, one.margin.min()) and high > max(0, one.margin.max())


def test_one_image_alone():
    one = trajectory()
    for image, first in enumerate(one.first_fooled):
        figure = figures.attack_trajectory(one, image=image)
        (trace,) = [t for t in figure.data if t.yaxis == "y2" and "line" in t.mode]
        assert split(trace.y) == [one.margin[:, image].tolist()]
        end = "not fooled" if first is None else f"fooled at step {first}"
        assert f"image {image} {end}" in figure.layout.title.text
        assert ("still right" if first is None else "fooled") == trace.name
    for wrong in (-1, 6):
        with pytest.raises(ValueError, match=r"`image` must be in 0 \.\. 5"):
            figures.attack_trajectory(one, image=wrong)


def test_restarts_are_parted():
    one = trajectory(restarts=3)
    figure = figures.attack_trajectory(one)
    pieces = [piece for trace in drawn(figure, "y2", "fooled") for piece in split(trace.y)]
    assert all(len(piece) == 5 for piece in pieces)
    assert len(pieces) == 3 * int(one.success.sum())
    whole = one.margin[:, one.success].T.reshape(-1, 5).tolist()
    assert pieces == whole
    (median,) = drawn(figure, "y2", "median")
    assert split(median.x) == [list(range(5)), list(range(5, 10)), list(range(10, 15))]
    lines = [s.x0 for s in figure.layout.shapes if s.type == "line" and s.xref == "x2"]
    assert [x for x in lines if x] == [4.5, 9.5]


def test_several_stand_side_by_side_on_one_scale_of_margins():
    named = {"cross_entropy": trajectory(seed=0), "margin": trajectory(seed=1)}
    figure = figures.attack_trajectory(named)
    assert set(named) <= set(texts(figure))
    assert figure.layout.yaxis3.range == figure.layout.yaxis4.range
    for axis, one in (("y3", named["cross_entropy"]), ("y4", named["margin"])):
        (median,) = drawn(figure, axis, "median")
        assert list(median.y) == one.median_margin.tolist()
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert len(legend) == len(set(legend)) == 4
    with pytest.raises(ValueError, match="at least one trajectory"):
        figures.attack_trajectory({})


def test_what_only_the_last_look_fools_is_said():
    one = trajectory()
    late = Trajectory(
        one.steps,
        one.restarts,
        one.loss,
        one.margin,
        torch.zeros_like(one.fooled),
        torch.tensor([True] * 2 + [False] * 4),
        one.labels,
    )
    figure = figures.attack_trajectory(late)
    assert "2 of 6 images fooled, 2 of them after the last step" in plain(figure.layout.title.text)
    assert drawn(figure, "y", "first step that fools") == []
    figure = figures.attack_trajectory(late, image=0)
    assert "image 0 fooled after the last step" in figure.layout.title.text


def test_a_real_attack_is_drawn(linear):
    model, images, labels = linear
    eps = model.distance(images, labels, "linf").median().item()
    one = attack_trajectory(model, images, labels, eps=eps, attack=partial(pgd, steps=4))
    (trace,) = drawn(figures.attack_trajectory(one), "y2", "fooled")
    assert split(trace.y) == one.margin[:, one.success].T.tolist()


# --- attack_matrix --------------------------------------------------------------------------------


def test_cells_are_the_numbers_of_the_matrix():
    one = matrix()
    heat, numbers = figures.attack_matrix(one).data
    assert [list(row) for row in heat.z] == one.accuracy.tolist()
    assert (heat.zmin, heat.zmax) == (0, 1)
    for x, y, text in zip(numbers.x, numbers.y, numbers.text, strict=True):
        assert float(text.removesuffix(" %")) == pytest.approx(
            100 * one.accuracy[y, x].item(), abs=0.0501
        )
        name = one.targets[x]
        words = plain(heat.text[y][x])
        assert words == f"{name} gets {text} of 40 images crafted on {one.sources[y]} right"


def test_sources_go_down_targets_across_and_the_white_box_is_framed():
    one = matrix()
    figure = figures.attack_matrix(one)
    assert list(map(plain, figure.layout.xaxis.ticktext)) == one.targets
    assert list(map(plain, figure.layout.yaxis.ticktext)) == one.sources
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first on top
    framed = {(round((s.y0 + s.y1) / 2), round((s.x0 + s.x1) / 2)) for s in figure.layout.shapes}
    assert framed == {(0, 1), (1, 0)}  # by name, wherever they stand


@pytest.mark.parametrize("percent", range(0, 101, 4))
def test_every_number_can_be_read_on_its_cell(percent):
    share = percent / 100
    one = TransferMatrix(["a"], ["a"], (torch.arange(25) < percent / 4)[None, None])
    heat, numbers = figures.attack_matrix(one).data
    scale = [(place, colour) for place, colour in heat.colorscale]
    (ink,) = numbers.textfont.color
    # The colour of the cell, by the definition of a scale: linear between its points.
    after = next(k for k, (place, _) in enumerate(scale) if place >= share - 1e-9)
    (a, low), (b, high) = scale[max(after - 1, 0)], scale[max(after, 1)]
    part = (share - a) / (b - a)
    ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (low, high)]
    mixed = [round(x + part * (y - x)) for x, y in zip(*ends, strict=True)]
    assert contrast("#" + "".join(f"{value:02x}" for value in mixed), ink) >= 4.4


# --- audit_card -----------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [True, False])
def test_the_card_says_all_that_the_report_says(masked):
    one = report(masked)
    figure = figures.audit_card(one)
    shown = texts(figure)
    assert ("Masked: the claim does not hold" in shown) == masked
    assert ("No sign of masking" in shown) == (not masked)
    assert "72.5 %" in shown and "0.5 %" in shown
    assert "200 images, linf, epsilon 0.06" in shown
    for check in one.checks:
        assert check.name in shown and check.sentence in shown and check.evidence in shown
    for check in one.checks:
        place = shown.index(check.name)
        # Sign, name and verdict of a check follow one another, in one row.
        sign = figure.layout.annotations[place - 1]
        assert plain(sign.text) == {"pass": "✓", "warn": "!", "fail": "✕"}[check.verdict]
        assert shown[place + 1] == check.verdict


def test_bars_are_as_long_as_their_shares():
    figure = figures.audit_card(report())
    bars = [s for s in figure.layout.shapes if s.type == "rect"]
    frame, claim, _, found = bars[:4]
    whole = frame.x1 - frame.x0
    assert (claim.x1 - claim.x0) / whole == pytest.approx(0.725)
    assert (found.x1 - found.x0) / whole == pytest.approx(0.005)


def test_nothing_leaves_the_card():
    figure = figures.audit_card(report())
    card = figure.layout.shapes[-1]
    assert card.x1 - card.x0 <= 740  # fits into 760 pixels
    assert figure.layout.height >= card.y0 - card.y1
    for shape in figure.layout.shapes:
        assert card.x0 <= shape.x0 <= shape.x1 <= card.x1
        assert card.y1 <= shape.y1 <= shape.y0 <= card.y0
    for note in figure.layout.annotations:
        lines = note.text.count("<br>") + 1
        assert (
            note.yshift - (lines * 1.3 * note.font.size if note.yanchor == "top" else 0) >= card.y1
        )
        # In DejaVu Sans, the widest of the fonts, running text takes 0.51 em a letter.
        width = max(len(plain(line)) for line in note.text.split("<br>")) * 0.52 * note.font.size
        if note.xanchor == "left":
            assert card.x0 <= note.xshift and note.xshift + width <= card.x1


def test_whose_claim_it_is_is_said_and_an_unknown_verdict_refused():
    one = report()
    shown = texts(figures.audit_card(one, title="fashion-mmc, first 200 images"))
    assert "fashion-mmc, first 200 images" in shown
    assert "claimed (PGD-20 on cross-entropy)" in shown
    one = replace(one, checks=[one.checks[0]._replace(verdict="perhaps")])
    with pytest.raises(ValueError, match="`verdict` must be one of pass, warn, fail"):
        figures.audit_card(one)
