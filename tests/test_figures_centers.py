"""Figures of class centers: what is drawn is what was measured."""

import json
import math
import re

import pytest
import torch
from plotly.colors import sample_colorscale, unlabel_rgb

from mmc_viz.centers import geometry, random_centers, spread_centers
from mmc_viz.figures import style
from mmc_viz.figures.centers import centers_3d, gram


def spread(num_classes, dim, **more):
    return geometry(spread_centers(num_classes, dim, dtype=torch.float64, restarts=16, **more))


@pytest.fixture(scope="module")
def antiprism():
    """Eight centers: the square antiprism."""
    return spread(8, 3)


UNEQUAL = torch.tensor([[3.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.6, 0.8]], dtype=torch.float64)


def plain(text):
    """What a reader sees of a text of plotly's."""
    text = re.sub(r"<br>", " ", text).replace("\u00a0", " ")
    text = re.sub(r"</?(b|i|span)[^>]*>", "", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def told(figure):
    return plain(figure.layout.title.text)


def points_of(trace):
    """Points of a trace, grouped by the gaps between its lines."""
    groups = [[]]
    for x, y, z in zip(trace.x, trace.y, trace.z, strict=True):
        if x is None:
            assert y is None and z is None
            groups.append([])
        else:
            groups[-1].append([x, y, z])
    return [torch.tensor(group, dtype=torch.float64) for group in groups if group]


def named(figure, name, mode=None):
    (found,) = [t for t in figure.data if name in (t.name or "") and mode in (None, t.mode)]
    return found


FIGURES = {
    "space": lambda **more: centers_3d(spread(5, 3), **more),
    "plane": lambda **more: centers_3d(spread(6, 2), **more),
    "gram": lambda **more: gram(spread(10, 64), **more),
    "large gram": lambda **more: gram(geometry(random_centers(40, 8)), **more),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = FIGURES[name](theme=theme)
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    assert figure.layout.font.size >= 14 and figure.layout.width is None
    text = figure.to_json()
    assert "bdata" not in text and "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["layout"]["height"] == figure.layout.height
    assert style.description(figure).endswith(".")


@pytest.mark.parametrize("name", FIGURES)
def test_a_title_is_shown_and_what_does_not_fit_refused(name):
    assert "Who" in FIGURES[name](title="Who < whom?").layout.title.text
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        FIGURES[name](theme="neon")
    with pytest.raises(ValueError, match="`class_names` must hold .* one for each center; got 2"):
        FIGURES[name](class_names=["a", "b"])


# --- in space -------------------------------------------------------------------------------------


def test_centers_stand_where_they_are(antiprism):
    trace = named(centers_3d(antiprism), "class center")
    assert points_of(trace)[0].tolist() == antiprism.centers.tolist()
    assert [plain(text) for text in trace.text] == [str(i) for i in range(8)]
    assert len(set(trace.marker.color)) == 8
    # Which side of 10 rounding leaves a norm on hangs on the processor, and must not show.
    for scale in (1 - 1e-6, 1, 1 + 1e-6):
        trace = named(centers_3d(geometry(scale * antiprism.centers)), "class center")
        assert plain(trace.customdata[0]) == "0 norm 10.0 at (10.0, 0, 0)"


def test_lines_join_the_tight_pairs_and_marks_say_which(antiprism):
    figure = centers_3d(antiprism, class_names=[f"<{c}>" for c in "abcdefgh"])
    tight = antiprism.tight.tolist()
    assert len(tight) == 16  # as the square antiprism has them
    drawn = points_of(named(figure, "tight pair", "lines"))
    assert [line.tolist() for line in drawn] == [antiprism.centers[pair].tolist() for pair in tight]
    marks = named(figure, "tight pair", "markers")
    middles = torch.stack([antiprism.centers[pair].mean(dim=0) for pair in tight])
    torch.testing.assert_close(points_of(marks)[0], middles)
    assert marks.marker.symbol == "diamond"  # not by colour alone
    i, j = tight[3]
    words = plain(marks.text[3])
    assert words.startswith(f"<{'abcdefgh'[i]}> and <{'abcdefgh'[j]}>: a tight pair angle 74.858")
    assert f"distance {antiprism.smallest_distance:.1f}" in words
    legend = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert legend == ["tight pair, 74.86 degrees"]


def test_the_sphere_goes_through_the_centers(antiprism):
    rings = points_of(named(centers_3d(antiprism), "sphere"))
    assert len(rings) == 11  # five circles of latitude, six meridians
    for ring in rings:
        torch.testing.assert_close(ring.norm(dim=1), torch.full((73,), 10.0).double())
        torch.testing.assert_close(ring[0], ring[-1])
    farthest = points_of(named(centers_3d(geometry(UNEQUAL)), "sphere"))
    torch.testing.assert_close(farthest[0].norm(dim=1), torch.full((73,), 5.0).double())
    box = centers_3d(antiprism).layout.scene
    assert box.xaxis.range == box.yaxis.range == box.zaxis.range
    assert box.xaxis.range[1] > 10


def test_centers_of_the_plane_lie_in_it_and_are_seen_from_above():
    found = spread(6, 2)
    figure = centers_3d(found)
    trace = named(figure, "class center")
    torch.testing.assert_close(points_of(trace)[0][:, :2], found.centers)
    (ring,) = points_of(named(figure, "sphere"))
    for points in (points_of(trace)[0], ring, *points_of(named(figure, "tight pair", "lines"))):
        assert (points[:, 2] == 0).all()
    eye = figure.layout.scene.camera.eye
    assert (eye.x, eye.y) == (0, 0) and eye.z > 0
    assert figure.layout.scene.camera.projection.type == "orthographic"
    assert trace.textposition[0] == "middle right" and "middle left" in trace.textposition
    assert "drag" not in told(figure)


def test_the_decisive_numbers_are_told(antiprism):
    words = told(centers_3d(antiprism))
    assert words.startswith(
        "8 class centers in 3 dimensions: the smallest angle is 74.86 degrees 16 of 28 pairs are "
        "tight; the simplex bound, for any dimension, is 98.21; all of norm 10; drag to turn"
    )
    assert "16 of 28 pairs are tight" in style.description(centers_3d(antiprism))
    words = told(centers_3d(spread(4, 3)))
    assert "109.47 degrees every pair is tight; the simplex bound" in words
    assert "for any dimension, is reached" in words
    words = told(centers_3d(geometry(UNEQUAL)))
    assert "1 of 3 pairs is tight" in words
    assert "norms from 1 to 5, so the smallest angle need not belong" in words
    assert f"smallest distance, {math.hypot(3, 1):.4g}" in words


def test_more_dimensions_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match="in 2 or 3 dimensions .* got 4. Use `gram`"):
        centers_3d(spread(5, 4))


# --- as a table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "of", "unit"),
    [
        ("angle", "angles", "angle (degrees)"),
        ("inner_product", "gram", "inner product"),
        ("distance", "distances", "distance"),
    ],
)
def test_cells_are_what_was_measured(antiprism, quantity, of, unit):
    figure = gram(antiprism, quantity=quantity)
    heat, values = figure.data[0], getattr(antiprism, of).tolist()
    for i in range(8):
        for j in range(8):
            assert heat.z[i][j] == (None if i == j else values[i][j])
    assert heat.colorbar.title.text == unit
    others = [values[i][j] for i in range(8) for j in range(8) if i != j]
    assert heat.zmin <= min(others) and max(others) <= heat.zmax
    numbers = next(t for t in figure.data[1:] if t.mode == "text")
    for x, y, text in zip(numbers.x, numbers.y, numbers.text, strict=True):
        assert float(text) == pytest.approx(values[y][x], abs=0.051, rel=0.006)
    assert len(numbers.text) == (64 if quantity == "inner_product" else 56)
    assert "angle 74.858 degrees" in plain(heat.text[antiprism.tight[0, 0]][antiprism.tight[0, 1]])
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # from the top


def test_dots_mark_the_tight_pairs_on_both_sides(antiprism):
    dots = named(gram(antiprism), "tight pair, 74.86 degrees")
    cells = {(round(y), round(x)) for x, y in zip(dots.x, dots.y, strict=True)}
    tight = [tuple(pair) for pair in antiprism.tight.tolist()]
    assert cells == {*tight, *((j, i) for i, j in tight)}
    assert len(dots.x) == 32 and dots.showlegend


def luminance(colour):
    shares = [v / 255 for v in unlabel_rgb(colour)]
    shares = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * shares[0] + 0.7152 * shares[1] + 0.0722 * shares[2]


def test_numbers_can_be_read_on_their_cells():
    figure = gram(geometry(random_centers(12, 3)))
    heat, numbers = figure.data[0], figure.data[1]
    assert numbers.mode == "text" and numbers.textfont.size >= 14
    assert set(numbers.textfont.color) == {"#000000", "#ffffff"}
    for x, y, ink in zip(numbers.x, numbers.y, numbers.textfont.color, strict=True):
        share = (heat.z[y][x] - heat.zmin) / (heat.zmax - heat.zmin)
        cell = luminance(sample_colorscale("cividis", [share])[0])
        letter = 0.0 if ink == "#000000" else 1.0
        contrast = (max(cell, letter) + 0.05) / (min(cell, letter) + 0.05)
        assert contrast >= 4.5


def test_names_stand_at_the_edges_and_many_classes_do_without_numbers():
    names = [f"a & {i}" for i in range(10)]
    figure = gram(spread(10, 64), class_names=names)
    assert [plain(text) for text in figure.layout.xaxis.ticktext] == names
    assert list(figure.layout.yaxis.tickvals) == list(range(10))
    assert "norm 10.0 at (10.0, 0, 0, ...)" in plain(figure.data[0].text[0][0])
    many = FIGURES["large gram"]()
    assert not [trace for trace in many.data[1:] if trace.mode == "text"]
    assert len(many.data[0].z) == 40 and many.layout.xaxis.ticktext is None
    assert many.layout.height < 1000


def test_rounding_gets_no_colours():
    """All pairs of a simplex have one angle, up to the last digits: one colour."""
    heat = gram(spread(10, 64)).data[0]
    values = [v for row in heat.z for v in row if v is not None]
    assert heat.zmax - heat.zmin >= 2 > 1e-6 > max(values) - min(values)
    assert (heat.zmax + heat.zmin) / 2 == pytest.approx(values[0])


def test_an_unknown_quantity_is_refused(antiprism):
    with pytest.raises(ValueError, match="one of angle, inner_product, distance; got 'size'"):
        gram(antiprism, quantity="size")
