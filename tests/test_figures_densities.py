"""Figures of density: what is drawn is what was counted, predicted and correlated."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch

from mmc_viz.density import DensityDistance, correlate, partial_correlation, shell_density
from mmc_viz.figures import style
from mmc_viz.figures.densities import density_vs_distance, density_vs_loss
from mmc_viz.heads import make_head

DECADE = math.log(10)


def normal(count, dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)


def plain(text):
    """What a reader sees of a text of plotly's."""
    text = re.sub(r"<br>", " ", text).replace("\u00a0", " ")
    text = re.sub(r"</?(b|i|span)[^>]*>", "", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def told(figure):
    return plain(figure.layout.title.text)


def on(figure, axis, name=None):
    """Traces that draw something on an axis, by name; or the one of a name."""
    found = {t.name: t for t in figure.data if (t.yaxis or "y") == axis and list(t.x) != [None]}
    return found if name is None else found[name]


def decades(values):
    return pytest.approx((values / DECADE).tolist(), rel=1e-12, abs=1e-12)


def shells(head_name="mmc", dim=8, count=600, **more):
    """Features of a Gaussian about each center, or about the origin."""
    head = make_head(head_name, dim, 3)
    labels = torch.arange(count) % 3
    points = normal(count, dim)
    if head_name == "mmc":
        points = points + head.centers.double()[labels]
    if head_name == "lgm":
        with torch.no_grad():
            head.scaled_log_variance += torch.tensor([-1.0, 0.0, 0.5])
    return shell_density(points, labels, head, **more)


def distances(dim=64, count=60, seed=0, slope=0.5, norm="linf"):
    """A result with all kinds of images: 0 misclassified, 1 without an end, 2 of copies."""
    density, noise, closeness = normal(count, 3, seed).T
    distance = (0.05 + 0.02 * (slope * density + noise).sigmoid()).clone()
    density, labels = 30 * density.clone(), torch.arange(count) % 3
    status = ["misclassified", "not found", *["measured"] * (count - 2)]
    distance[0], distance[1], density[2] = 0, math.inf, math.inf
    kept = torch.tensor([one == "measured" for one in status])
    measures = {"density": density, "closeness": -closeness.abs(), "margin": 10 * distance + noise}
    measures["margin"][1] = 1.0
    return DensityDistance(
        distance=distance,
        status=status,
        labels=labels,
        measures=measures,
        correlations={
            name: correlate(values[kept], distance[kept], labels[kept], samples=100)
            for name, values in measures.items()
        },
        beyond_margin=partial_correlation(
            density[kept], distance[kept], measures["margin"][kept], labels[kept], samples=100
        ),
        adversarial_density=torch.zeros(count, dtype=torch.float64),
        norm=norm,
        k=10,
        dim=dim,
        reference="60 features of these images, each without itself",
        ties=1,
    )


@pytest.fixture(scope="module")
def mmc():
    return shells()


@pytest.fixture(scope="module")
def apart():
    return distances()


FIGURES = {
    "loss": lambda **more: density_vs_loss(shells(), **more),
    "classes": lambda **more: density_vs_loss(
        {"a": shells(), "b": shells(dim=2)}, classes=[0, 2], **more
    ),
    "two classes": lambda **more: density_vs_loss(shells("lgm", 4), **more),
    "gap": lambda **more: density_vs_loss({"sce": shells("sce"), "mmc": shells()}, **more),
    "distance": lambda **more: density_vs_distance(distances(), **more),
    "distances": lambda **more: density_vs_distance(
        {"sce": distances(), "mmc": distances(2, seed=1)}, **more
    ),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = FIGURES[name](theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    assert figure.layout.font.size >= 14 and figure.layout.width is None
    assert all(note.font.size >= 14 for note in figure.layout.annotations)
    text = figure.to_json()
    assert "bdata" not in text and "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["layout"]["height"] == figure.layout.height
    assert style.description(figure).endswith(".")


@pytest.mark.parametrize("name", FIGURES)
def test_a_title_is_shown_and_an_unknown_theme_refused(name):
    assert "Who" in FIGURES[name](title="Who < whom?").layout.title.text
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        FIGURES[name](theme="neon")


# --- density against loss -------------------------------------------------------------------------


def test_points_are_counts_with_their_poisson_bars(mmc):
    m = mmc.classes[0].measured
    figure = density_vs_loss(mmc)
    for axis, (middle, low, high) in (
        ("y", (m.log_density, m.low, m.high)),
        ("y2", m.log_ratio),
    ):
        points = on(figure, axis, "counted in shells, 95 %")
        assert points.x == pytest.approx(m.log_loss.exp().tolist())
        assert points.y == decades(middle)
        bars = points.error_y
        assert bars.symmetric is False and bars.type == "data"
        assert [y + up for y, up in zip(points.y, bars.array, strict=True)] == decades(high)
        assert [y - down for y, down in zip(points.y, bars.arrayminus, strict=True)] == decades(low)
    words = plain(points.text[2])
    assert f"{int(m.counts[2])} of {m.counted} features counted" in words
    assert f"loss {m.log_edges[2].exp():.3g} to {m.log_edges[3].exp():.3g}" in words
    assert f"density {m.log_density[2].exp():.3g} " in words


def test_lines_are_the_forms_and_their_parts(mmc):
    p = mmc.classes[0].predicted
    figure = density_vs_loss(mmc)
    rows = {
        "y": {
            "exact form": p.log_exact,
            "the paper's form, as recalled": p.log_paper,
            "Gaussian fitted at the center": p.log_gauss,
        },
        "y2": {"the paper's form, as recalled": p.log_paper - p.log_exact},
        "y3": {
            "what p(c) contributes": p.from_p,
            "what geometry contributes": p.from_geometry,
            "the paper's form, as recalled": p.from_paper_geometry,
        },
    }
    for axis, lines in rows.items():
        drawn = {name: t for name, t in on(figure, axis).items() if t.mode == "lines"}
        assert set(drawn) == set(lines)
        for name, values in lines.items():
            assert drawn[name].x == pytest.approx(p.log_loss.exp().tolist())
            assert drawn[name].y == decades(values)
        assert len({t.line.dash for t in drawn.values()}) == len(drawn)  # not by colour alone
    level = figure.layout.shapes[0]
    assert (level.y0, level.y1, level.yref) == (0, 0, "y2")  # the exact form over itself
    legend = [t.name for t in figure.data if t.showlegend is not False]
    names = {name for row in rows.values() for name in row}
    assert sorted(legend) == sorted(names | {"counted in shells, 95 %"})


def test_axes_are_logarithmic_and_said_in_powers(mmc):
    figure = density_vs_loss(mmc)
    assert [figure.layout[f"xaxis{i}"].type for i in ("", 2, 3)] == ["log"] * 3
    assert figure.layout.xaxis3.title.text == "c (half the squared distance)"
    titles = [plain(figure.layout[f"yaxis{i}"].title.text) for i in ("", 2, 3)]
    assert titles == ["features per unit of volume", "over the exact form", "over value at median"]
    for number in ("", 2, 3):
        axis = figure.layout[f"yaxis{number}"]
        assert sum(axis.range[0] <= at <= axis.range[1] for at in axis.tickvals) >= 2
        for at, text in zip(axis.tickvals, axis.ticktext, strict=True):
            power = re.fullmatch(r"10<sup>(-?\d+)</sup>", text)
            assert at == pytest.approx(float(power[1]) if power else math.log10(float(text)))
        drawn = [
            y
            for t in on(figure, f"y{number}").values()
            if t.name != "Gaussian fitted at the center"
            for y in t.y
        ]
        assert axis.range[0] < min(drawn) and max(drawn) < axis.range[1]


def test_the_decisive_numbers_are_told(mmc):
    m = mmc.classes[0].measured
    expected = (
        f"class 0, N = 200, d = 8: counts are off the exact form by a factor of "
        f"{math.exp(m.off_exact):.2f}, off the paper's by {math.exp(m.off_paper):.2f} (rms); "
        f"{m.within} of {len(m.counts)} intervals hold the exact form"
    )
    figure = density_vs_loss(mmc)
    assert expected in told(figure) and expected in style.description(figure)
    named = density_vs_loss(mmc, classes=[1], class_names=["x", "b<c", "y"])
    assert "b<c, N = 200, d = 8" in told(named)
    assert "b<c" in plain(on(named, "y", "exact form").text[0])


def test_empty_shells_are_left_out_and_counted():
    result = shells(bins=60)
    m = result.classes[0].measured
    assert m.empty > 0
    figure = density_vs_loss(result)
    assert len(on(figure, "y", "counted in shells, 95 %").x) == len(m.counts) - m.empty
    assert f"{m.empty} empty shells are left out" in told(figure)


def test_classes_differ_in_colour_and_symbol_and_lines_in_dash(mmc):
    figure = density_vs_loss(mmc, classes=[0, 2])
    marks = [t for t in figure.data if t.mode == "markers" and (t.yaxis or "y") == "y"]
    assert [t.name for t in marks] == ["class 0", "class 2"]
    assert marks[0].marker.color != marks[1].marker.color
    assert marks[0].marker.symbol != marks[1].marker.symbol
    for t, label in zip(marks, (0, 2), strict=True):
        assert t.y == decades(mmc.classes[label].measured.log_density)
    exact = [t for t in figure.data if t.name == "exact form" and list(t.x) != [None]]
    assert [t.line.color for t in exact] == [t.marker.color for t in marks]
    assert {t.line.dash for t in exact} == {"solid"}
    legend = [t.name for t in figure.data if t.showlegend is not False]
    assert len(legend) == len(set(legend)) == 7  # classes, and kinds of lines
    ratio = [math.exp(mmc.classes[k].measured.off_exact) for k in (0, 2)]
    assert f"class 0 (N = 200) {ratio[0]:.2f} /" in told(figure)
    assert f"class 2 (N = 200) {ratio[1]:.2f} /" in told(figure)


def test_columns_are_models_each_with_its_dimension(mmc):
    plane = shells(dim=2)
    figure = density_vs_loss({"s<e": plane, "mmc": mmc})
    for axis, result in (("y", plane), ("y2", mmc)):
        drawn = on(figure, axis, "counted in shells, 95 %")
        assert drawn.y == decades(result.classes[0].measured.log_density)
    assert [plain(n.text) for n in figure.layout.annotations] == ["s<e", "mmc"]
    assert "s<e, d = 2: class 0" in told(figure) and "mmc, d = 8: class 0" in told(figure)
    assert "s&lt;e" in figure.layout.title.text
    # In the plane geometry contributes nothing.
    assert on(figure, "y5", "what geometry contributes").y == pytest.approx([0] * 201, abs=1e-12)


def test_what_has_no_density_is_a_gap_with_its_reason(mmc):
    figure = density_vs_loss({"sce": shells("sce"), "mmc": mmc})
    notes = " ".join(plain(n.text) for n in figure.layout.annotations)
    assert "No density here: level sets are unbounded planes: a shell has infinite volume" in notes
    assert on(figure, "y") == {} and on(figure, "y3") == {} and len(on(figure, "y2")) == 4
    assert "class 0 nothing counted" in told(figure)
    assert "no density, level sets are unbounded" in style.description(figure)
    assert figure.layout.yaxis2.title.text.startswith("features per")
    alone = density_vs_loss(shells("sce"))
    assert "No density here" in plain(alone.layout.annotations[0].text)
    assert not [t for t in alone.data if list(t.x) != [None]]


def test_a_two_class_loss_names_its_rival():
    result = shells("lgm", 4)
    shown = next(one for one in result.classes if one.measured is not None)
    figure = density_vs_loss(result)
    assert f"class {shown.label} against class {shown.rival}, N = {shown.count}" in told(figure)
    assert figure.layout.xaxis3.title.text == "c (two-class loss, nats)"
    assert "Gaussian fitted at the center" not in on(figure, "y")
    assert on(figure, "y", "exact form").y == decades(shown.predicted.log_exact)


@pytest.mark.parametrize(
    ("result", "settings", "words"),
    [
        ({}, {}, "`result` must hold at least one result; got none"),
        (None, {"classes": [3]}, r"`classes` must be of \[0, 1, 2\]; got 3"),
    ],
)
def test_what_cannot_be_drawn_is_refused(mmc, result, settings, words):
    with pytest.raises(ValueError, match=words):
        density_vs_loss(mmc if result is None else result, **settings)


# --- density against distance ---------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["density", "closeness", "margin"])
def test_each_measured_image_is_a_point_of_its_class(apart, measure):
    figure = density_vs_distance(apart, measure=measure)
    values = apart.measures[measure]
    scale = DECADE if measure == "density" else 1
    clouds = on(figure, "y")
    assert list(clouds) == ["class 0", "class 1", "class 2"]
    for label, cloud in enumerate(clouds.values()):
        rows = [i for i in range(2, 60) if i % 3 == label and not (measure == "density" and i == 2)]
        assert cloud.x == pytest.approx([float(values[i]) / scale for i in rows])
        assert list(cloud.y) == [float(apart.distance[i]) for i in rows]
        assert plain(cloud.text[0]).startswith(f"image {rows[0]}, class {label}")
        rho = apart.correlations[measure].classes[label].rho
        assert f"rho within the class {rho:+.2f}" in plain(cloud.text[0])
    looks = {(t.marker.color, t.marker.symbol) for t in clouds.values()}
    assert len({c for c, _ in looks}) == len({s for _, s in looks}) == 3
    assert figure.layout.yaxis.title.text == "distance (linf, pixel range 0..1)"


def test_rho_with_its_interval_stands_above_each_panel(apart):
    other = distances(2, seed=1)
    figure = density_vs_distance({"s<e": apart, "mmc": other})
    heads = [plain(n.text) for n in figure.layout.annotations]
    for head, name, one in zip(heads[:2], ("s<e", "mmc"), (apart, other), strict=True):
        for found, start in (
            (one.correlations["density"].overall, "rho"),
            (one.correlations["density"].pooled, "within classes"),
        ):
            words = f"{found.rho:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
            assert f"{start} {words}" in head and words in style.description(figure)
        assert head.startswith(f"{name}, d = {one.dim}")
    assert "density at the feature" in heads[2]
    assert "58 images" in told(figure)
    assert "1 misclassified left out, 1 without an adversarial image left out" in told(figure)
    assert "1 of infinite density not drawn" in told(figure)
    assert "density of 60 features of these images" in told(figure)
    assert figure.layout.yaxis2.matches == "y"  # one scale of distances
    legend = [t.name for t in figure.data if t.showlegend]
    assert legend == ["class 0", "class 1", "class 2"]
    assert len(on(figure, "y2")) == 3


def test_powers_of_ten_label_densities(apart):
    axis = density_vs_distance(apart).layout.xaxis
    for at, text in zip(axis.tickvals, axis.ticktext, strict=True):
        assert text == f"10<sup>{at:g}</sup>"
    words = plain(density_vs_distance(apart).data[0].text[0])
    value = float(apart.measures["density"][3]) / DECADE
    mantissa, power = re.search(r"density (\S+) x 10<sup>(-?\d+)</sup>", words).groups()
    assert math.log10(float(mantissa)) + int(power) == pytest.approx(value, abs=0.01)


def test_questions_and_names_follow_what_is_shown(apart):
    assert told(density_vs_distance(apart)).startswith("Are images in dense places more robust?")
    for measure, words in (("closeness", "close to their center"), ("margin", "a large margin")):
        figure = density_vs_distance(apart, measure=measure, class_names=["a", "b<c", "d"])
        assert words in told(figure) and "infinite" not in told(figure)
        assert [plain(name) for name in on(figure, "y")] == ["a", "b<c", "d"]
    many = density_vs_distance({str(i): distances(seed=i, count=30) for i in range(3)})
    assert many.layout.yaxis3.title.text == many.layout.yaxis.title.text
    assert "d = 64" in many.layout.annotations[2].text


def test_a_correlation_that_is_unknown_is_said(apart):
    few = distances(count=6)
    figure = density_vs_distance(few)
    assert few.correlations["density"].overall.rho is None
    assert "rho unknown within classes unknown" in plain(figure.layout.annotations[0].text)
    assert "is unknown over 4 images" in style.description(figure)


@pytest.mark.parametrize(
    ("result", "settings", "words"),
    [
        ({}, {}, "`result` must hold at least one result; got none"),
        (None, {"measure": "size"}, "one of density, closeness, margin; got 'size'"),
        ("two", {}, "`result` must hold distances in one norm; got linf, l2"),
    ],
)
def test_what_cannot_be_compared_is_refused(apart, result, settings, words):
    if result == "two":
        result = {"a": apart, "b": replace(apart, norm="l2")}
    with pytest.raises(ValueError, match=words):
        density_vs_distance(apart if result is None else result, **settings)
