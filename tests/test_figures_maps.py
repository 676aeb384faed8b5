import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmc_viz.embeddings import Embedding, MapTrajectories, assess, fit
from mmc_viz.embeddings.views import MapView, Placed
from mmc_viz.figures import embedding, style, trajectories
from mmc_viz.figures.map_panels import spread
from mmc_viz.figures.pictures import braille

NAMES = ["Bag", "Boot", "Top <1>"]
POINTS, PLACED, STEPS, WAYS = 60, 20, 4, 9
COLOURS = style.THEMES["light"]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def view(seed=0, *, placed=True, images=True, centers=True, joint=False, method="pca", classes=3):
    """A map of 60 points of three classes with what may be known of them."""
    labels = torch.arange(POINTS) % classes
    features = normal(POINTS, 5, seed=seed) + 4 * torch.eye(5)[labels]
    moved = features[:PLACED] + normal(PLACED, 5, seed=seed + 1)
    drawn = fit("pca", torch.cat([features, moved]) if joint else features)
    if method != "pca":
        drawn = replace(drawn, method=method, axes=None, origin=None, variance=None)
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(256, (POINTS, 1, 8, 8), generator=generator, dtype=torch.uint8)
    guesses = torch.randint(classes, (POINTS,), generator=generator)
    attacked = Placed(
        normal(PLACED, 2, seed=seed + 3).double(),
        torch.arange(PLACED),
        torch.randint(classes, (PLACED,), generator=generator),
        torch.rand(PLACED, generator=generator, dtype=torch.float64) + 0.1,
        pictures[:PLACED] // 2 if images else None,
    )
    return MapView(
        drawn,
        labels,
        assess(drawn.positions[:POINTS], features, labels),
        guesses,
        pictures if images else None,
        normal(classes, 2, seed=seed + 4).double() if centers else None,
        attacked if placed else None,
        joint=joint,
    )


def both(**changes):
    return Embedding({"SCE": view(0, **changes), "M & <M>": view(5, **changes)}, NAMES)


def ways(seed=0, *, steps=STEPS, labels=True, images=True, method="pca"):
    """Ways of nine images; image 0 is wrong from the start, 1 is fooled last, 2 never."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.arange(WAYS) % 3
    first = torch.randint(1, steps + 1, (WAYS,), generator=generator)
    first[:3] = torch.tensor([0, steps - 1, steps])
    success = torch.arange(steps)[:, None] >= first
    seen = view(seed, method=method)
    return MapTrajectories(
        seen.map,
        normal(steps, WAYS, 2, seed=seed + 1).double(),
        torch.linspace(0, 0.06, steps),
        own,
        torch.where(success, (own + 1) % 3, own),
        success,
        torch.rand(steps, WAYS, generator=generator, dtype=torch.float64).cumsum(dim=0),
        torch.rand(steps, WAYS, generator=generator, dtype=torch.float64),
        NAMES,
        seen.labels if labels else None,
        torch.randint(256, (steps, WAYS, 1, 8, 8), generator=generator, dtype=torch.uint8)
        if images
        else None,
    )


ALL = {
    "embedding": lambda **more: embedding(both(), **more),
    "umap": lambda **more: embedding(both(method="umap"), **more),
    "trajectories": lambda **more: trajectories({"SCE": ways(), "MMC": ways(3)}, **more),
    "one": lambda **more: trajectories(ways(method="umap"), **more),
}


def plain(text):
    """What a reader sees of a text of plotly's."""
    text = re.sub(r"<br>", " ", text).replace("\u00a0", " ")
    text = re.sub(r"</?(b|i|span)[^>]*>", "", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def notes(figure):
    return [plain(note.text) for note in figure.layout.annotations]


def named(figure, name, axis="x"):
    """The traces of a name in a panel."""
    return [t for t in figure.data if t.name == name and (t.xaxis or "x") == axis]


def rounded(values):
    return [float(f"{value:.5g}") for value in values]


def has_picture(text):
    return any("\u2800" <= letter <= "\u28ff" for letter in text)


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = ALL[name](theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    assert figure.layout.width is None
    assert "bdata" not in figure.to_json() and "NaN" not in figure.to_json()
    assert json.loads(figure.to_json())["layout"]["height"] == figure.layout.height
    sentence = style.description(figure)
    assert sentence.endswith(".") and re.search(r"\d", sentence) and "nan" not in sentence


@pytest.mark.parametrize("name", ALL)
def test_a_title_is_shown_and_mistakes_are_refused(name):
    assert "Who" in ALL[name](title="Who < whom?").layout.title.text
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        ALL[name](theme="neon")
    with pytest.raises(ValueError, match="`pictures` must be at least 0; got -1"):
        ALL[name](pictures=-1)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="`result` must hold at least one map; got none"):
        embedding(Embedding({}, NAMES))
    with pytest.raises(ValueError, match="`result` must hold at least one result; got none"):
        trajectories({})


@pytest.mark.parametrize("name", ALL)
def test_each_name_stands_in_the_legend_once(name):
    shown = [t.name for t in ALL[name]().data if t.showlegend is not False]
    assert len(set(shown)) == len(shown) and {"Bag", "Boot", "Top &lt;1&gt;"} <= set(shown)


@pytest.mark.parametrize("name", ALL)
def test_a_unit_of_the_map_is_as_long_up_as_across(name):
    figure = ALL[name]()
    for axis, other in (("yaxis", "x"), ("yaxis2", "x2")):
        if name != "one" or axis == "yaxis":
            assert figure.layout[axis].scaleanchor == other
    # Coordinates have a unit in projections only; elsewhere no number invites to read one.
    assert (figure.layout.xaxis.showticklabels is False) == (name in ("umap", "one"))
    assert ("of the variance" in (figure.layout.xaxis.title.text or "")) != (
        name in ("umap", "one")
    )


@pytest.mark.parametrize("name", ALL)
def test_the_subtitle_says_what_the_map_distorts(name):
    words = plain(ALL[name]().layout.title.text)
    if name in ("umap", "one"):
        assert "a feature far from all others is drawn among them" in words
    else:
        assert "Distances are true or too short" in words


# --- maps -----------------------------------------------------------------------------------------


def test_clean_points_stand_where_the_map_has_them_in_their_class_s_look():
    result = both()
    figure = embedding(result, theme="light")
    for axis, one in zip(("x", "x2"), result.views.values(), strict=True):
        for label, name in enumerate(NAMES):
            (trace,) = named(figure, style.quote(name), axis)
            rows = one.labels == label
            assert list(trace.x) == rounded(one.positions[rows, 0].tolist())
            assert list(trace.y) == rounded(one.positions[rows, 1].tolist())
            assert trace.marker.symbol == style.CLASS_SYMBOLS[label]
            assert trace.marker.color == COLOURS.classes[label]
            assert trace.type == "scatter"  # SVG: no limit on contexts, and it prints
            guesses = one.predictions[rows].tolist()
            for n, guess, text in zip(
                rows.nonzero()[:, 0].tolist(), guesses, trace.text, strict=True
            ):
                said = plain(text)
                assert f"image {n}: {name}" in said and has_picture(text)
                assert ("taken for" in said) == (guess != label)
                assert guess == label or said.endswith(f"taken for {NAMES[guess]}")


def test_attacked_points_are_open_and_joined_to_the_clean_ones():
    result = both()
    figure = embedding(result)
    for axis, one in zip(("x", "x2"), result.views.values(), strict=True):
        placed = one.placed
        count = 0
        for label, name in enumerate(NAMES):
            (trace,) = named(figure, f"{style.quote(name)}, under attack", axis)
            rows = (one.labels[placed.origins] == label).nonzero()[:, 0]
            assert list(trace.x) == rounded(placed.positions[rows, 0].tolist())
            assert list(trace.y) == rounded(placed.positions[rows, 1].tolist())
            assert trace.marker.symbol == f"{style.CLASS_SYMBOLS[label]}-open"
            for row, text in zip(rows.tolist(), trace.text, strict=True):
                assert f"taken for {NAMES[placed.predictions[row]]} " in plain(text)
                assert f"{placed.nearest[row]:.3g} from the nearest clean feature" in plain(text)
                assert has_picture(text)
            count += len(rows)
        assert count == PLACED
        (joins,) = named(figure, "from clean to attacked", axis)
        starts, ends = one.positions[placed.origins], placed.positions
        assert list(joins.x[0::3]) == rounded(starts[:, 0].tolist())
        assert list(joins.y[1::3]) == rounded(ends[:, 1].tolist())
        assert set(joins.x[2::3]) == {None} and joins.hoverinfo == "skip"
        (centers,) = named(figure, "class center", axis)
        assert list(centers.x) == rounded(one.centers[:, 0].tolist())
        assert plain(centers.text[2]) == "center of Top <1>"


def test_the_numbers_of_quality_stand_over_each_map():
    result = both()
    words = notes(embedding(result))
    assert len(words) == 4
    for name, above, below in zip(result.views, words[0::2], words[1::2], strict=True):
        one = result.views[name]
        quality = one.quality
        assert above.startswith(name)
        assert f"trustworthiness {quality.trustworthiness:.3f}" in above
        assert f"continuity {quality.continuity:.3f}" in above
        assert style.percent(quality.true_class_share) in above
        assert f"{one.fooled} of {PLACED} fooled" in above
        assert f"{one.remoteness:.1f} times as isolated" in above
        assert below == (
            f"median within {quality.median_within:.3g}, between {quality.median_between:.3g}"
        )
    sentence = style.description(embedding(result))
    assert f"{result.views['SCE'].quality.trustworthiness:.3f}" in sentence


def test_distances_of_the_true_space_are_drawn_as_they_were_counted():
    result = both()
    figure = embedding(result)
    for axis, one in zip(("x3", "x4"), result.views.values(), strict=True):
        for name, shares, counts in (
            ("pairs within a class", one.quality.within_share, one.quality.within),
            ("pairs of two classes", one.quality.between_share, one.quality.between),
        ):
            (trace,) = named(figure, name, axis)
            assert list(trace.y[:-1]) == shares.tolist() and trace.y[-1] == trace.y[-2]
            assert list(trace.x) == rounded(one.quality.edges.tolist())
            assert trace.text[3].startswith(f"{int(counts[3])} {name}")
        assert sum(trace.y[:-1]) == pytest.approx(1)


def test_what_is_not_known_is_not_drawn():
    bare = embedding(Embedding({"one": view(placed=False, images=False, centers=False)}, NAMES))
    names = {trace.name for trace in bare.data}
    assert not names & {"under attack", "class center", "from clean to attacked"}
    assert not any(has_picture(text) for trace in bare.data for text in trace.text or ())
    assert "fooled" not in "".join(notes(bare)) and "isolated" not in "".join(notes(bare))
    assert "one model" in bare.layout.title.text
    single = embedding(Embedding({"one": view(classes=1)}, NAMES[:1]))
    assert "pairs of two classes" not in {trace.name for trace in single.data}
    assert "between" not in notes(single)[1]
    joint = embedding(Embedding({"one": view(joint=True)}, NAMES))
    assert "fitted to clean and attacked images together" in plain(joint.layout.title.text)
    assert "isolated" not in "".join(notes(joint))
    spanned = embedding(Embedding({"one": view()}, NAMES, (2, 0, 1), "means"))
    assert "through the means of Top <1>, Bag and Boot" in plain(spanned.layout.title.text)


# --- ways -----------------------------------------------------------------------------------------


def pieces(trace):
    """Parts of a line between gaps, as lists of points."""
    parts, points = [], list(zip(trace.x, trace.y, strict=True))
    while points:
        end = points.index((None, None))
        parts.append(points[:end])
        points = points[end + 1 :]
    return parts


def test_a_way_is_solid_while_right_and_dotted_from_the_step_that_fools():
    result = ways()
    figure = trajectories({"SCE": result}, theme="light")
    for axis, at in (
        ("x", lambda k, n: result.positions[k, n].tolist()),
        ("x2", lambda k, n: [result.epsilons[k].item(), result.moved[k, n].item()]),
    ):
        drawn = {"solid": 0, "dot": 0}
        for label, name in enumerate(NAMES):
            own = [n for n in range(WAYS) if n % 3 == label]
            for word, dash in (("right", "solid"), ("fooled", "dot")):
                expected = []
                for n in own:
                    steps = [k for k in range(1, STEPS) if result.success[k, n] == (dash == "dot")]
                    if steps:
                        expected.append([at(k, n) for k in (steps[0] - 1, *steps)])
                traces = named(figure, f"{style.quote(name)}, {word}", axis)
                found = [part for trace in traces for part in pieces(trace)]
                assert len(found) == len(expected)
                for part, known in zip(found, expected, strict=True):
                    np.testing.assert_allclose(part, known, rtol=1e-4)
                    drawn[dash] += len(part) - 1
                for trace in traces:
                    assert trace.line.dash == dash
                    assert trace.line.color == COLOURS.classes[label]
        # Every step of every image is drawn once.
        assert drawn["dot"] == int(result.success[1:].sum())
        assert sum(drawn.values()) == WAYS * (STEPS - 1)


def test_a_way_begins_in_the_look_of_the_true_class_and_ends_in_that_of_the_class_seen():
    result = ways()
    figure = trajectories(result, theme="light")
    for label, name in enumerate(NAMES):
        (trace,) = [t for t in named(figure, style.quote(name)) if t.text]
        rows = [n for n in range(WAYS) if n % 3 == label]
        symbol = style.CLASS_SYMBOLS[label]
        assert list(trace.x) == rounded(result.positions[:, rows, 0].flatten().tolist())
        assert list(trace.y) == rounded(result.positions[:, rows, 1].flatten().tolist())
        count = len(rows)
        assert trace.marker.symbol[:count] == (symbol,) * count
        assert set(trace.marker.color[:-count]) == {COLOURS.classes[label]}
        sizes = trace.marker.size[count:-count]
        assert list(sizes) == sorted(sizes) and sizes[0] < sizes[-1]  # later is larger
        for place, n in enumerate(rows):
            seen = int(result.predictions[-1, n])
            assert trace.marker.symbol[place - count] == f"{style.CLASS_SYMBOLS[seen]}-open"
            assert trace.marker.color[place - count] == COLOURS.classes[seen]
        for place, text in enumerate(trace.text):
            k, n = place // count, rows[place % count]
            said, guess = plain(text), int(result.predictions[k, n])
            assert has_picture(text)
            assert f"image {n}: {name} epsilon {result.epsilons[k].item():.3g}" in said
            assert (f"taken for {NAMES[guess]}" in said) == (guess != label)
            assert f"moved {result.moved[k, n].item():.3g} in feature space" in said
    assert named(figure, "class seen at the largest budget")
    assert named(figure, "way after being fooled")


def test_the_map_s_own_points_lie_behind():
    result = ways()
    figure = trajectories(result)
    faint = [t for t in named(figure, "Boot") if t.marker.opacity == 0.3]
    rows = result.map_labels == 1
    assert list(faint[0].x) == rounded(result.map.positions[rows, 0].tolist())
    assert figure.data[0].marker.opacity == 0.3  # below everything else
    plain_map = trajectories(ways(labels=False))
    (points,) = named(plain_map, "points of the map")
    assert list(points.y) == rounded(result.map.positions[:, 1].tolist())


def test_the_words_over_a_map_are_its_numbers():
    result = ways()
    words = notes(trajectories({"A < B": result}))[0]
    fooled = result.fooled.tolist()
    assert words.startswith("A < B")
    assert f"fooled: {fooled[0]} of {WAYS} at 0, {fooled[-1]} at 0.06" in words
    assert f"moved {result.median_moved[-1].item():.3g} in feature space (median)" in words
    assert f"{result.remoteness[-1]:.1f} times as isolated" in words
    sentence = style.description(trajectories({"A": result}))
    assert f"{fooled[0]} are fooled at epsilon 0 and {fooled[-1]} at 0.06" in sentence
    (median,) = named(trajectories(result), "median of all images", "x2")
    assert list(median.y) == rounded(result.median_moved.tolist())
    assert list(median.x) == rounded(result.epsilons.tolist())
    assert f"{fooled[2]} of {WAYS} fooled" in median.text[2]


def test_an_image_that_is_right_again_says_so():
    result = ways()
    again = result.predictions.clone()
    again[-1, 0] = 0  # image 0, fooled from the start
    figure = trajectories(replace(result, predictions=again))
    (trace,) = [t for t in named(figure, "Bag") if t.text]
    assert "right again; a smaller budget fooled it" in trace.text[-3]


def test_one_budget_is_a_beginning_without_a_way():
    figure = trajectories(ways(steps=1))
    assert not named(figure, "Bag, right") and not named(figure, "way after being fooled")
    (trace,) = [t for t in named(figure, "Bag") if t.text]
    assert list(trace.marker.symbol) == [style.CLASS_SYMBOLS[0]] * 3


# --- pictures -------------------------------------------------------------------------------------


def dots(text):
    """Read the dots of a picture back: rows of 0 and 1."""
    lines = text.split("<br>")
    width = max(map(len, lines))
    bits = {(0, 0): 0, (1, 0): 1, (2, 0): 2, (3, 0): 6, (0, 1): 3, (1, 1): 4, (2, 1): 5, (3, 1): 7}
    found = np.zeros((4 * len(lines), 2 * width), dtype=int)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            for (down, right), bit in bits.items():
                found[4 * row + down, 2 * column + right] = (ord(letter) - 0x2800) >> bit & 1
    return found


def test_black_and_white_pictures_come_back_dot_for_dot():
    generator = np.random.default_rng(0)
    for height, width in ((28, 28), (30, 21), (17, 32)):
        picture = generator.integers(0, 2, (3, 1, height, width))
        picture[..., -1] = 1  # what is dark at the end of a line is left out
        texts = braille((picture * 255).astype(np.uint8))
        for known, text in zip(picture[:, 0], texts, strict=True):
            assert (dots(text)[:height, :width] == known).all()


def test_small_pictures_are_enlarged_by_a_whole_factor():
    picture = np.eye(8, dtype=np.uint8)[None, None] * 255
    expected = np.kron(np.eye(8, dtype=int), np.ones((4, 4), dtype=int))
    assert (dots(braille(picture)[0]) == expected).all()
    large = braille(np.full((1, 1, 96, 64), 255, np.uint8), side=24)
    assert dots(large[0]).shape == (24, 16) and dots(large[0]).all()


def test_brighter_greys_raise_more_dots_and_colours_their_lightness():
    shares = []
    for grey in range(0, 256, 51):
        text = braille(np.full((1, 1, 32, 32), grey, np.uint8))[0]
        shares.append(dots(text).sum() / 32**2)
    np.testing.assert_allclose(shares, (np.arange(0, 256, 51) / 255) ** 0.5, atol=0.03)
    red, green, blue = (
        dots(
            braille(
                (np.eye(3)[c][None, :, None, None] * np.full((1, 3, 32, 32), 255)).astype("u1")
            )[0]
        )
        for c in range(3)
    )
    assert green.sum() > red.sum() > blue.sum() > 0


def test_a_dark_picture_keeps_its_height():
    assert braille(np.zeros((1, 1, 28, 28), np.uint8)) == ["<br>".join("\u2800" * 7)]
    assert braille(np.zeros((0, 1, 28, 28), np.uint8)) == []


@pytest.mark.parametrize(
    ("images", "side", "message"),
    [
        (np.zeros((1, 1, 8, 8)), 32, "`images` must be bytes .*; got float64"),
        (np.zeros((1, 8, 8), np.uint8), 32, r"got uint8 \[1, 8, 8\]"),
        (np.zeros((1, 1, 0, 8), np.uint8), 32, r"with pixels; got uint8 \[1, 1, 0, 8\]"),
        (np.zeros((1, 1, 8, 8), np.uint8), 0, "`side` must be at least 1; got 0"),
    ],
)
def test_what_is_no_picture_is_refused(images, side, message):
    with pytest.raises(ValueError, match=message):
        braille(images, side=side)


@pytest.mark.parametrize(
    ("total", "count"), [(0, 3), (5, 9), (7, 7), (100, 1), (1000, 333), (9, 0)]
)
def test_pictures_are_spread_evenly(total, count):
    chosen = spread(total, count)
    assert len(chosen) == total and sum(chosen) == min(total, count)
    if 0 < count < total:
        gaps = np.diff(np.flatnonzero(chosen))
        assert not len(gaps) or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("draw", [lambda **k: embedding(both(), **k), ALL["trajectories"]])
def test_the_number_of_pictures_is_limited_and_that_is_said(draw):
    def count(figure):
        return sum(has_picture(text) for trace in figure.data for text in trace.text or ())

    every = count(draw())
    assert every in (2 * (POINTS + PLACED), 2 * STEPS * WAYS)
    assert "Pictures" not in draw().layout.title.text
    assert count(draw(pictures=10)) == 10
    assert f"Pictures: 10 of {every} points." in plain(draw(pictures=10).layout.title.text)
    assert count(draw(pictures=0)) == 0 and "Pictures" not in draw(pictures=0).layout.title.text


def test_a_figure_of_a_thousand_points_a_model_stays_small():
    one = view()
    labels = torch.arange(1000) % 10
    drawn = fit("pca", normal(1000, 5))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (1000, 1, 28, 28), generator=generator, dtype=torch.uint8)
    large = MapView(drawn, labels, one.quality, labels, noise)
    figure = embedding(Embedding({"a": large, "b": large}, [f"class {c}" for c in range(10)]))
    assert len(figure.to_json().encode()) < 1.6e6
