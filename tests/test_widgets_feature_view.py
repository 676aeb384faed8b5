import json
import zlib

import numpy as np
import pytest
import torch
from traitlets import TraitError

from mmc_viz.bundles import unpack
from mmc_viz.checkpoints import load_model
from mmc_viz.embeddings import fit
from mmc_viz.journeys import Journey, draw, pack_maps, travel
from mmc_viz.networks import outputs
from mmc_viz.paths import EpsilonPath
from mmc_viz.widgets import FeatureView, Prediction, replay
from mmc_viz.widgets.subjects import find_images

SMALL = {"images": range(12), "background": 60, "eps": 0.08, "count": 3, "steps": 3}


@pytest.fixture(scope="module")
def shared():
    """A view of both models, computed once; tests that change it make their own."""
    return FeatureView.of(maps=("pca", "plane"), **SMALL)


def read_atlas(data):
    """Header and numbers of a packed atlas, read by the description of the format."""
    block = zlib.decompress(data)
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    return header, np.frombuffer(block[4 + -(-length // 4) * 4 :], "<f4")


def make_journey():
    """Two images of class 0 that walk from their anchor (0, 0) to that of class 1, (4, 0)."""
    features = torch.tensor([[[0.0, 0], [0, 1]], [[3, 0], [1, 1]]])
    path = EpsilonPath(
        epsilons=torch.tensor([0.0, 0.1]),
        images=torch.zeros(2, 2, 1, 2, 2, dtype=torch.uint8),
        logits=torch.zeros(2, 2, 3),
        features=features,
        success=torch.tensor([[False, False], [True, False]]),
        labels=torch.tensor([0, 0]),
    )
    anchors = torch.tensor([[0.0, 0], [4, 0], [0, 6]])
    clean = torch.tensor([[0.0, 0], [0, 1], [4, 0], [4, 1], [0, 6]])
    return Journey(path, clean, torch.tensor([0, 0, 1, 1, 2]), anchors, "centers")


# ---- journeys ------------------------------------------------------------------------------------


def test_distances_are_those_of_the_plane():
    journey = make_journey()
    assert journey.class_distance == 4  # nearest others: 4, 4, 6
    torch.testing.assert_close(journey.moved, torch.tensor([[0.0, 0], [3, 1]]).double())
    torch.testing.assert_close(journey.median_moved, torch.tensor([0.0, 2]).double())
    own = torch.tensor([[0, 1], [3, 2**0.5]]).double()
    other = torch.tensor([[4, 17**0.5], [1, 10**0.5]]).double()
    torch.testing.assert_close(journey.own, own)
    torch.testing.assert_close(journey.other, other)
    torch.testing.assert_close(journey.way, own / (own + other))


def test_mmc_is_fooled_exactly_past_half_of_the_way(shared):
    journey = shared.journeys["MMC"]
    wrong = journey.path.logits.argmax(dim=2) != journey.path.labels
    assert torch.equal(journey.way > 0.5, wrong)
    assert wrong.any() and not wrong.all()


def test_anchors_are_centers_or_class_means():
    data = find_images("fashion_mnist", range(40))
    images, labels = data.inputs(), data.labels
    for name, what in (("fashion-mmc", "centers"), ("fashion-sce", "class means")):
        model = load_model(name)
        journey = travel(
            model, images[:2], labels[:2], [0.0], background=images, background_labels=labels
        )
        assert journey.anchors_are == what
        _, features = outputs(model, images)
        means = torch.stack([features[labels == c].mean(dim=0) for c in range(10)])
        wanted = model.head.centers.cpu() if what == "centers" else means
        torch.testing.assert_close(journey.anchors, wanted)


def test_a_class_without_an_image_has_no_mean():
    data = find_images("fashion_mnist", range(9))
    images, labels = data.inputs(), data.labels
    with pytest.raises(ValueError, match="`background` must hold an image of each class"):
        travel(
            load_model("fashion-sce"),
            images,
            labels,
            [0.0],
            background=images,
            background_labels=labels,
        )


def test_a_plane_needs_three_classes():
    with pytest.raises(ValueError, match="`plane` must name three classes of 0 .. 2"):
        draw(make_journey(), "plane", plane=(0, 1, 1))


def test_the_packed_numbers_are_those_of_the_maps():
    journey = make_journey()
    drawn = draw(journey, "pca")
    header, numbers = read_atlas(pack_maps({"A": journey}, {"pca": {"A": drawn}}))
    panel, model = header["maps"][0]["panels"][0], header["models"][0]
    for offset, values in (
        (panel["positions"], drawn.positions),
        (panel["background"], drawn.map.positions),
        (panel["anchors"], drawn.anchors),
        (model["own"], journey.own),
        (model["other"], journey.other),
    ):
        found = numbers[offset : offset + values.numel()]
        np.testing.assert_allclose(found, values.flatten().numpy(), rtol=1e-6)
    assert model["moved"] == journey.median_moved.tolist()
    assert panel["quality"]["true_class_share"] == drawn.quality.true_class_share


# ---- the view ------------------------------------------------------------------------------------


def test_positions_are_the_maps_of_the_drawn_images_features(shared):
    """What the browser draws at step k is the map of model.features(x_k), from the sent bytes."""
    bundle = unpack(shared.bundle)
    header, numbers = read_atlas(shared.atlas)
    panels = bundle.runs["margin"].panels
    ground = find_images("fashion_mnist", range(60))
    for place, (title, name) in enumerate({"SCE": "fashion-sce", "MMC": "fashion-mmc"}.items()):
        model = load_model(name)
        images = panels[title].images.flatten(0, 1).float() / 255
        drawn = fit("pca", outputs(model, ground.inputs())[1])
        with torch.no_grad():
            wanted = drawn.place(model.features(images)).flatten().numpy()
        offset = header["maps"][0]["panels"][place]["positions"]
        found = numbers[offset : offset + len(wanted)]
        assert np.abs(found - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())


def test_the_bundle_holds_the_same_images_and_counts(shared):
    bundle = unpack(shared.bundle)
    assert bundle.runs["margin"].epsilons == [0.0, 0.04, 0.08]
    for title, journey in shared.journeys.items():
        panel = bundle.runs["margin"].panels[title]
        assert torch.equal(panel.images, journey.path.images)
        assert torch.equal(panel.success, journey.path.success)


@pytest.mark.parametrize("step", [0, 2])
def test_the_sentence_states_the_journeys_numbers(shared, step):
    shared.step = step
    said = shared.sentence
    assert said.startswith(f"ε = {0.04 * step:.3f}. SCE: ")
    for title, journey in shared.journeys.items():
        fooled = int(journey.path.success[step].sum())
        moved = float(journey.median_moved[step])
        assert f"{title}: {fooled} of 12 fooled; features moved {moved:.1f} (" in said
        assert f"({moved / journey.class_distance:.2f} class distances) and are " in said
        assert f"are {100 * float(journey.median_way[step]):.0f} % of the way" in said
    shared.step = 0


def test_what_cannot_be_shown_is_put_right_or_refused(shared):
    shared.step, shared.chosen, shared.classes = 99, [40, 3, 3, -1, 0], [11, 2]
    assert (shared.step, shared.chosen, shared.classes) == (2, [0, 3], [2])
    with pytest.raises(TraitError, match="`map` must be one of pca, plane"):
        shared.map = "umap"
    shared.step, shared.chosen, shared.classes = 0, [], []


def test_a_code_brings_back_the_view():
    settings = {**SMALL, "images": range(10), "count": 2, "maps": ("plane",)}
    view = FeatureView.of(**settings, step=1, chosen=[0, 1, 2, 7], classes=[0, 5], tails=False)
    again = replay(view.code, controls=False)
    assert again.code == view.code
    assert again.atlas == view.atlas and again.bundle == view.bundle
    assert (again.map, again.step, again.chosen) == ("plane", 1, [0, 1, 2, 7])
    assert (again.classes, again.tails, again.controls) == ([0, 5], False, False)


def test_a_map_is_added_without_a_new_attack():
    view = FeatureView.of(maps=("pca",), **SMALL)
    view.step, view.chosen = 2, [1, 4]
    journeys, bundle = view.journeys, view.bundle
    view.do_map("plane")
    view.wait(60)
    assert (view.map, view.settings.maps) == ("plane", ("pca", "plane"))
    assert view.journeys is journeys and view.bundle is bundle
    assert (view.step, view.chosen) == (2, [1, 4])
    assert [one["name"] for one in read_atlas(view.atlas)[0]["maps"]] == ["pca", "plane"]
    assert "maps=pca,plane" in view.code
    view.add_map("pca")  # from a cell, and it is drawn already
    assert (view.map, view.settings.maps) == ("pca", ("pca", "plane"))
    with pytest.raises(ValueError, match="`name` must be one of pca, plane, umap; got 'tsne'"):
        view.add_map("tsne")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"maps": ("tsne",)}, "`maps` must be of pca, plane, umap"),
        ({"maps": ()}, "`maps` must be of pca, plane, umap"),
        ({"count": 1}, "`count` must be 2 to 41"),
        ({"images": range(301)}, "`images` must be 1 to 300 images; got 301"),
        ({"background": 2}, "`background` must be at least 3"),
        ({"speed": 2}, "'speed' is none of the settings"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FeatureView.of(**{**SMALL, **wrong})


def test_an_unknown_map_is_a_line_of_the_status(shared):
    shared.do_map("tsne")
    shared.wait(60)
    assert shared.status == "`name` must be one of pca, plane, umap; got 'tsne'."


def test_before_the_prediction_nothing_is_sent():
    guess = Prediction("How many?", {"n": (0, 12)}, answer={"n": 3})
    view = FeatureView.of(after=guess, maps=("pca",), step=1, **SMALL)
    assert view.locked and view.atlas == b"" and view.bundle == b""
    guess.commit({"n": 4})
    assert not view.locked
    assert len(unpack(view.bundle).labels) == 12
    assert (view.map, view.step) == ("pca", 1)
