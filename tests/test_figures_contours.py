import json
import math

import pytest
import torch

from mmc_viz import contours
from mmc_viz.contours import AttackPath, InputSurface
from mmc_viz.figures import style
from mmc_viz.figures.contours import feature_scatter_2d, loss_surface, loss_volume
from mmc_viz.heads import make_head

NAMES = ["a<b", "b", "c", "d"]


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features_of(head, seed=0):
    labels = torch.arange(40) % 4
    places = head.centers if hasattr(head, "centers") else 5 * randn(4, head.dim, seed=9)
    return places[labels] + randn(40, head.dim, seed=seed), labels


def plane(name="mmc", dim=2, label=0):
    head = make_head(name, dim, 4, radius=6.0)
    if name == "sce":
        with torch.no_grad():
            head.linear.weight.copy_(randn(4, dim, seed=3))
    features, labels = features_of(head)
    where = contours.plane_of(head, (0, 2, 3), features=features, labels=labels)
    found = contours.loss_on_plane(
        head, label, where, features=features, labels=labels, class_names=NAMES, resolution=31
    )
    return head, found


def compared(name="mmc", dim=2, levels=(0.5, 4.0)):
    head, found = plane(name, dim)
    return found, contours.compare(head, found, list(levels))


def space(name="mmc", dim=3):
    head = make_head(name, dim, 4, radius=6.0)
    features, labels = features_of(head)
    return contours.loss_in_space(
        head, 1, features=features, labels=labels, class_names=NAMES, resolution=9
    )


def surface(flat=True, fooled=True, seed=0):
    ticks = torch.linspace(-0.1, 0.1, 7, dtype=torch.float64)
    margin = 40 * ticks[None, :] + 5 * ticks[:, None] - 1.0
    walk = torch.tensor([[0.0, 0.0], [0.02, 0.001], [0.05, 0.002]], dtype=torch.float64)
    climb = AttackPath(
        walk,
        torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64),
        {"margin": torch.tensor([-1.0, -0.2, 1.0]), "cross_entropy": torch.tensor([0.1, 0.5, 2.0])},
        torch.tensor([False, False, fooled]),
    )
    still = AttackPath(
        walk[:1],
        torch.zeros(1, dtype=torch.float64),
        {"margin": torch.tensor([-1.0]), "cross_entropy": torch.tensor([0.1])},
        torch.tensor([False]),
    )
    return InputSurface(
        a=ticks,
        b=ticks,
        values={"cross_entropy": margin.exp() + seed, "margin": margin},
        predicted=(margin > 0).long(),
        margin=margin,
        flat=(margin < -2) if flat else torch.zeros(7, 7, dtype=torch.bool),
        clamped=torch.full((7, 7), 0.25, dtype=torch.float64),
        change=ticks[None, :].abs() + ticks[:, None].abs(),
        paths={"cross_entropy": still if flat else climb, "margin": climb},
        label=0,
        eps=0.06,
        norm="linf",
        spanned_by="margin",
        image=torch.zeros(1, 2, 2),
        direction=torch.ones(1, 2, 2),
        other=torch.ones(1, 2, 2),
        class_names=("a<b", "b"),
    )


def scatter(**more):
    found, difference = compared()
    return feature_scatter_2d(found, difference, **more)


ALL = {
    "feature_scatter_2d": scatter,
    "loss_surface": lambda **more: loss_surface({"s": surface(False), "m": surface()}, **more),
    "loss_surface 3d": lambda **more: loss_surface(surface(), kind="3d", **more),
    "loss_volume": lambda **more: loss_volume(space(), **more),
}


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name and trace.x != (None,)]


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("theme", style.THEMES)
def test_a_figure_stands_on_any_page_and_travels_as_plain_json(name, theme):
    figure = ALL[name](theme=theme)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color == style.THEMES[theme].text
    text = figure.to_json()
    assert "bdata" not in text and "NaN" not in text
    sentence = style.description(figure)
    assert sentence.endswith(".") and any(sign.isdigit() for sign in sentence)
    json.loads(text)


@pytest.mark.parametrize("name", ALL)
def test_a_title_is_shown_and_an_unknown_theme_refused(name):
    assert "Who" in ALL[name](title="Who < whom?").layout.title.text
    with pytest.raises(ValueError, match="`theme` must be one of both, light, dark; got 'neon'"):
        ALL[name](theme="neon")


# --- features -------------------------------------------------------------------------------------


def test_the_features_and_the_loss_are_those_of_the_result():
    found, _ = compared()
    figure = feature_scatter_2d(found)
    (loss,) = named(figure, "loss")
    assert loss.z[3][20] == pytest.approx(float(found.log10[3, 20]), rel=1e-3)
    assert loss.x[20] == pytest.approx(float(found.ticks[0][20]), rel=1e-3)
    (of_class,) = named(figure, "a&lt;b")
    places = found.features.coordinates[found.features.labels == 0]
    assert list(of_class.x) == pytest.approx(places[:, 0].tolist(), rel=1e-3)
    assert list(of_class.y) == pytest.approx(places[:, 1].tolist(), rel=1e-3)
    assert of_class.marker.color == style.THEMES["both"].classes[0]
    assert of_class.marker.symbol == style.CLASS_SYMBOLS[0]
    assert f"{float(found.feature_losses[0]):.3g}" in of_class.text[0]
    (stars,) = named(figure, "class centers")
    assert list(stars.x) == pytest.approx(found.centers.coordinates[:, 0].tolist(), rel=1e-3)
    assert stars.text[0] == "<b>a&lt;b</b>"
    assert figure.layout.yaxis.scaleanchor == "x"


def test_the_theorem_is_drawn_with_its_difference():
    found, difference = compared("sce")
    figure = feature_scatter_2d(found, difference)
    curves = named(figure, "the theorem's contour")
    assert len(curves) == 2
    for curve, drawn in zip(difference.curves, curves, strict=True):
        assert len(drawn.x) == len(curve)
        for (x, y), left, right in zip(curve.tolist(), drawn.x, drawn.y, strict=True):
            if math.isnan(x):
                assert left is None and right is None
            else:
                assert (left, right) == pytest.approx((x, y), rel=1e-3)
    truth = named(figure, "true level set")
    assert [len(one.x) for one in truth] == [len(points) for points in difference.true_points]
    largest = max(row["max_distance"] for row in difference.rows())
    words = f"up to {largest:.2g} from the true level set"
    assert words in style.description(figure)
    row = difference.rows()[0]
    assert f"median {row['median_loss']:.4g}, at most {row['max_loss']:.4g}" in curves[0].hovertext
    exact = scatter()
    assert "circles, exact" in style.description(exact)


def test_a_plane_of_many_dimensions_says_what_it_leaves_out():
    _, found = plane(dim=8)
    figure = feature_scatter_2d({"one": found, "x<y": plane("sce", 8)[1]})
    share = style.percent(found.features.variance_left_out)
    assert f"Off this plane: {share} and " in style.description(figure)
    assert [note.text for note in figure.layout.annotations] == ["<b>one</b>", "<b>x&lt;y</b>"]
    others = named(figure, "other classes")
    assert len(others) == 2 and len(others[0].x) == 10  # class 1 spans neither plane
    away = float(found.features.distance[found.features.labels == 1][0])
    assert f"{away:.3g} off this plane" in others[0].text[0]
    (first, second) = named(figure, "class centers or means")
    assert first.hovertext[0] == "center of a&lt;b" and second.hovertext[0] == "mean of a&lt;b"
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert len(shown) == len(set(shown))


def test_features_outside_of_the_picture_are_counted():
    head, _ = plane()
    features, labels = features_of(head)
    found = contours.loss_on_plane(
        head, 0, features=features, labels=labels, extent=((0, 9), (-9, 9)), resolution=9
    )
    inside = (features[:, 0] >= 0) & (features.abs() <= 9).all(dim=1)
    outside = int((~inside).sum())
    assert outside > 0
    assert f"Outside the picture: {outside} features" in style.description(
        feature_scatter_2d(found)
    )


def test_the_least_loss_and_a_grid_without_features():
    head, _ = plane()
    least = contours.loss_on_plane(head, None, resolution=9)
    figure = feature_scatter_2d(least)
    assert "least loss over all classes" in style.description(figure)
    assert not named(figure, "edge of its region") and not named(figure, "b")


def test_what_cannot_be_drawn_over_features_is_refused():
    found, difference = compared()
    with pytest.raises(ValueError, match="`contours` must be one or two; got 3"):
        feature_scatter_2d(dict.fromkeys("abc", found))
    with pytest.raises(ValueError, match="Use `loss_volume` for a space"):
        feature_scatter_2d(space())
    with pytest.raises(ValueError, match="must be named like `contours`; got 'z'"):
        feature_scatter_2d({"a": found}, {"z": difference})
    with pytest.raises(ValueError, match="give a dict"):
        feature_scatter_2d({"a": found, "b": found}, difference)


# --- about an image -------------------------------------------------------------------------------


def test_a_surface_is_drawn_as_it_was_computed():
    one = surface()
    figure = loss_surface({"s": surface(False), "m": one})
    fields = [trace for trace in figure.data if trace.name in ("margin", "cross-entropy")]
    assert [trace.name for trace in fields] == ["cross-entropy"] * 2 + ["margin"] * 2
    assert fields[3].z[2] == pytest.approx(one.values["margin"][2].tolist(), rel=1e-3)
    assert fields[1].text[0][0] == "a&lt;b"
    (grey,) = named(figure, "its gradient is exactly 0")  # in the one panel that has it
    assert [list(row) for row in grey.z] == one.flat.int().tolist()
    assert len(named(figure, "the decision changes")) == 4
    edge = named(figure, "edge of the budget")[0]
    assert edge.contours.start == edge.contours.end == 0.06
    assert edge.z[0][0] == pytest.approx(0.2)
    (still,) = named(figure, "an attack that never moves")
    assert (still.x, still.y) == ((0,), (0,))
    assert still.line.color == style.THEMES["both"].right
    walks = named(figure, "path of an attack that fools")
    assert len(walks) == 3 and walks[0].x == (0, 0.02, 0.05)
    assert walks[-1].text[2] == "step 2<br>margin 1<br>0.2 off this plane (l2)<br>fooled"
    crosses = named(figure, "where it first fools")
    assert [(cross.x, cross.y) for cross in crosses] == [((0.05,), (0.002,))] * 3


def test_a_surface_says_its_numbers():
    figure = loss_surface({"s": surface(False), "m": surface()})
    words = style.description(figure)
    flat = style.percent(surface().flat_share)
    assert f"exactly no gradient on 0 % (s) and {flat} (m)" in words
    assert f"m errs on {style.percent(surface().wrong_share)}" in words
    assert (
        "the attack on cross-entropy never moves, the attack on margin fools it at step 2" in words
    )
    assert "Budget 0.06 in linf; pixels outside 0..1 clamped (25 % of all)" in words
    failed = loss_surface(surface(False, fooled=False), objectives=("margin",))
    assert "the attack on margin fails" in style.description(failed)
    assert named(failed, "path of an attack that fails")
    assert not named(failed, "where it first fools")


def test_a_surface_in_space_has_the_path_at_its_own_height():
    one = surface()
    figure = loss_surface(one, kind="3d", objectives=("margin",))
    (relief,) = [trace for trace in figure.data if trace.type == "surface"]
    assert relief.z[4] == pytest.approx(one.margin[4].tolist(), rel=1e-3)
    (walk,) = named(figure, "path of an attack that fools")
    assert walk.z == (-1.0, -0.2, 1.0)
    both = loss_surface(one, kind="3d")
    greys = [t for t in both.data if t.type == "surface" and t.name == "its gradient is exactly 0"]
    heights = one.values["cross_entropy"].tolist()
    for row, values, flat in zip(greys[0].z, heights, one.flat.tolist(), strict=True):
        for height, value, level in zip(row, values, flat, strict=True):
            assert height == (pytest.approx(value, rel=1e-3) if level else None)
    assert len([key for key in both.layout if key.startswith("scene") and both.layout[key]]) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: loss_surface({}), "at least one surface"),
        (lambda: loss_surface(surface(), kind="4d"), "`kind` must be '2d' or '3d'; got '4d'"),
        (lambda: loss_surface(surface(), objectives=("dlr",)), "must be among .*; got 'dlr'"),
        (lambda: loss_surface(surface(), objectives=()), "must name at least one"),
        (
            lambda: loss_surface(
                {"a": surface(), "b": surface()}, kind="3d", objectives=("margin", "cross_entropy")
            ),
            "at most 2 scenes in 3-D; got 2 times 2",
        ),
    ],
)
def test_what_cannot_be_drawn_about_an_image_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- in space -------------------------------------------------------------------------------------


def test_a_volume_is_drawn_as_it_was_computed():
    found = space()
    figure = loss_volume(found, between=(5.0, 20.0), count=3)
    volume = figure.data[0]
    assert volume.type == "isosurface" and volume.surface.count == 3
    assert (volume.isomin, volume.isomax) == pytest.approx((math.log10(5), math.log10(20)))
    # The value of each point of plotly's list is the loss there.
    for i in (0, 100, 500):
        point = torch.tensor([volume.x[i], volume.y[i], volume.z[i]])
        head = make_head("mmc", 3, 4, radius=6.0)
        loss = float((point - head.centers[1]).square().sum() / 2)
        assert volume.value[i] == pytest.approx(math.log10(loss), abs=5e-3)
    assert list(figure.layout.coloraxis.colorbar.ticktext) == ["5", "10", "20"]
    (of_class,) = named(figure, "b")
    places = found.features.coordinates[found.features.labels == 1]
    assert list(of_class.z) == pytest.approx(places[:, 2].tolist(), rel=1e-3)
    words = style.description(figure)
    assert words.startswith("Surfaces of equal loss at 5, 10, 20")
    inside = found.feature_losses[found.features.labels == 1] < 10
    assert f"{100 * inside.double().mean():.3g} % within loss 10" in words


def test_a_surface_that_the_grid_does_not_reach_is_named():
    figure = loss_volume({"one": space(dim=6), "two": space()}, between=(1.0, 1e6))
    words = style.description(figure)
    assert "no surface for loss 1e+06" in words and "of the variance lies off this space" in words


def test_what_cannot_be_drawn_in_space_is_refused():
    with pytest.raises(ValueError, match="Use `feature_scatter_2d` for a plane"):
        loss_volume(compared()[0])
    with pytest.raises(ValueError, match="`between` must be positive, finite and rise"):
        loss_volume(space(), between=(2.0, 1.0))
    with pytest.raises(ValueError, match="`count` must be at least 2; got 1"):
        loss_volume(space(), count=1)
    with pytest.raises(ValueError, match="`contours` must be one or two; got 0"):
        loss_volume({})
