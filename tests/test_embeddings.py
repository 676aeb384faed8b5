import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from torch import nn

from mmc_viz.attacks import pgd
from mmc_viz.checkpoints import load_model
from mmc_viz.embeddings import METHODS, assess, compare_maps, fit, layouts, map_path, view_map
from mmc_viz.embeddings import cache as disk
from mmc_viz.locations import cache_dir
from mmc_viz.networks import outputs
from mmc_viz.paths import epsilon_path

POINTS, DIM = 40, 8  # of each of three groups


@pytest.fixture(autouse=True)
def folder(tmp_path_factory, monkeypatch):
    """Keep maps in a folder of the test's own."""
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MMC_VIZ_CACHE", str(path))
    return path


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def groups():
    """Three groups, 20 standard deviations apart, and their labels."""
    labels = torch.arange(3).repeat(POINTS)
    return normal(3 * POINTS, DIM) + 20 * torch.eye(3, DIM)[labels], labels


@pytest.fixture(scope="session")
def drawn(groups):
    """A map of the groups by each method."""
    features, _ = groups
    maps = {name: fit(name, features, cache=False) for name in ("pca", "umap", "tsne")}
    return maps | {"plane": fit("plane", features, centers=20 * torch.eye(3, DIM))}


# --- linear maps ----------------------------------------------------------------------------------


def test_pca_is_scikit_learn_s_with_signs_that_are_fixed():
    features = normal(50, 6) * torch.tensor([5.0, 1.0, 3.0, 0.5, 2.0, 0.1])
    found, known = fit("pca", features), PCA(2, svd_solver="full").fit(features.double().numpy())
    largest = np.abs(known.components_).argmax(axis=1)
    signs = np.sign(known.components_[[0, 1], largest])
    np.testing.assert_allclose(found.axes, known.components_ * signs[:, None], atol=1e-9)
    expected = known.transform(features.double().numpy()) * signs
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)
    np.testing.assert_allclose(found.variance, known.explained_variance_ratio_, rtol=1e-9)
    # The largest entry of an axis is positive; turning all features round changes no sign of it.
    for axes in (found.axes, fit("pca", -features).axes):
        assert (axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_three_centers_land_where_they_must():
    centers = torch.zeros(3, 5)
    centers[1, 3], centers[2, 3], centers[2, 1] = 4.0, 1.0, 3.0
    found = fit("plane", normal(20, 5), centers=centers + 7)
    placed = found.place(centers + 7)
    # The mean is the origin; the first two lie level, the second to the right, the third above.
    expected = torch.tensor([[0.0, 0.0], [4.0, 0.0], [1.0, 3.0]]).double()
    torch.testing.assert_close(placed, expected - expected.mean(dim=0), atol=1e-6, rtol=0)


@given(st.integers(0, 2**31), st.integers(2, 40), st.sampled_from(["pca", "plane"]))
@settings(max_examples=40)
def test_a_projection_keeps_distances_in_its_plane_and_lengthens_none(seed, dim, method):
    features = normal(12, dim, seed=seed).double()
    centers = normal(3, dim, seed=seed + 1).double() if method == "plane" else None
    found = fit(method, features, centers=centers)
    torch.testing.assert_close(found.axes @ found.axes.T, torch.eye(2).double())
    true, flat = pdist(features.numpy()), pdist(found.positions.numpy())
    assert (flat <= true * (1 + 1e-9) + 1e-9).all()
    inside = found.origin + normal(6, 2, seed=seed).double() @ found.axes
    np.testing.assert_allclose(pdist(found.place(inside).numpy()), pdist(inside.numpy()), rtol=1e-6)
    assert 0 <= sum(found.variance) <= 1 + 1e-9
    if dim == 2:
        assert sum(found.variance) == pytest.approx(1)
    # Variance shown over variance there is, counted anew.
    share = found.positions.var(dim=0).sum() / features.var(dim=0).sum()
    assert sum(found.variance) == pytest.approx(share.item())


def test_pca_shows_at_least_as_much_as_any_plane(groups):
    features, _ = groups
    best = sum(fit("pca", features).variance)
    for seed in range(5):
        other = sum(fit("plane", features, centers=normal(3, DIM, seed=seed)).variance)
        assert other < best


# --- maps by neighbourhoods -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_groups_stay_apart(groups, drawn, method):
    _, labels = groups
    positions = drawn[method].positions
    assert positions.shape == (3 * POINTS, 2) and positions.dtype == torch.float64
    distances = cdist(positions, positions) + 1e9 * np.eye(len(labels))
    near = labels[torch.from_numpy(distances.argsort(axis=1)[:, :10].copy())]
    assert (near == labels[:, None]).float().mean() > 0.99


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_a_seed_is_a_map_and_no_other_randomness_is_touched(groups, drawn, method):
    features, _ = groups
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = fit(method, features, cache=False)
    if again.can_place:
        again.place(features + 1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.get_num_threads() == 1  # as conftest.py set it; Numba would raise it
    assert torch.equal(again.positions, drawn[method].positions)
    if method == "umap":  # t-SNE starts from PCA and draws no random number after it
        other = fit(method, features, seed=1, cache=False)
        assert not torch.equal(other.positions, again.positions)


def test_weights_of_neighbours_sum_to_what_umap_demands():
    distances = np.sort(np.random.default_rng(0).random((30, 15)), axis=1)
    weights = layouts.membership(distances)
    np.testing.assert_allclose(weights[:, 1:].sum(axis=1), np.log2(15), rtol=1e-6)
    assert ((0 < weights) & (weights <= 1)).all() and (np.diff(weights, axis=1) <= 0).all()
    assert (layouts.membership(np.zeros((2, 5))) == 1).all()


# --- placing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pca", "plane", "umap"])
def test_what_was_fitted_is_placed_where_it_lies(groups, drawn, method):
    features, _ = groups
    found = drawn[method]
    placed = found.place(features)
    spread = found.positions.std().item()
    torch.testing.assert_close(placed, found.positions, atol=1e-12 * spread, rtol=0)


@pytest.mark.parametrize("method", ["pca", "plane", "umap"])
def test_a_point_is_placed_alike_in_any_company_and_the_map_stays(groups, drawn, method):
    features, labels = groups
    found, new = drawn[method], features + 0.5 * normal(*features.shape, seed=9)
    before = found.positions.clone()
    together = found.place(new)
    assert torch.equal(found.place(new), together)
    rows = torch.tensor([5, 3, 100])
    torch.testing.assert_close(found.place(new[rows]), together[rows], rtol=0, atol=1e-12)
    torch.testing.assert_close(found.place(new[7:8]), together[7:8], rtol=0, atol=1e-12)
    assert torch.equal(found.positions, before)
    assert found.place(new[:0]).shape == (0, 2)
    # Each comes to lie in its own group.
    nearest = cdist(together, found.positions).argmin(axis=1)
    assert (labels[torch.from_numpy(nearest)] == labels).float().mean() > 0.95


def test_new_points_come_to_lie_where_umap_s_own_transform_puts_them(groups):
    """As near as that comes to itself with another seed."""
    features = groups[0].double().numpy()
    new = features + 0.5 * normal(*features.shape, seed=9).double().numpy()
    with layouts._threads_kept():
        theirs = layouts._umap().UMAP(n_neighbors=15, init="pca", random_state=0, n_jobs=1)
        fitted = theirs.fit_transform(features.astype(np.float32))
        placed = theirs.transform(new.astype(np.float32))
        theirs.transform_seed += 1
        again = theirs.transform(new.astype(np.float32))
    ours = layouts.umap_place(new, features, fitted, neighbours=15, min_dist=0.1, seed=0)
    size = np.sqrt(fitted.var(axis=0).sum())
    apart, noise = (np.median(np.linalg.norm(one - placed, axis=1)) / size for one in (ours, again))
    assert 0 < apart < 1.5 * noise < 0.1


def test_t_sne_cannot_place_and_says_what_to_do(groups, drawn):
    features, _ = groups
    assert [name for name in METHODS if not drawn[name].can_place] == ["tsne"]
    with pytest.raises(ValueError, match="`method` must be able to place .* Fit it to all points"):
        drawn["tsne"].place(features)


def test_what_cannot_be_placed_is_refused(drawn):
    with pytest.raises(ValueError, match="`features` must have dimension 8, .*; got 5"):
        drawn["pca"].place(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="must be finite; those of 1 points .* is point 1"):
        drawn["umap"].place(torch.tensor([[0.0] * DIM, [torch.inf] * DIM]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mds"}, "`method` must be one of pca, plane, umap, tsne; got 'mds'"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"features": torch.zeros(9, 1)}, "`features` must have at least 2 dimensions; got 1"),
        ({"features": torch.eye(2)}, "`features` must hold at least 3 points; got 2"),
        ({"features": torch.ones(9, 4)}, "`features` must differ .* all 9 are the same"),
        ({"features": torch.eye(9).index_fill(0, torch.tensor([4]), torch.nan)}, "is point 4"),
        ({"method": "plane"}, "`centers` must be given for the method 'plane'; got None"),
        ({"method": "plane", "centers": torch.eye(9)}, r"three points of dimension 9; .*\[9, 9\]"),
        ({"method": "plane", "centers": torch.ones(3, 9)}, "`centers` must span a plane"),
        (
            {"method": "plane", "centers": torch.arange(3.0)[:, None].expand(3, 9)},
            "`centers` must span a plane",
        ),
        ({"centers": torch.eye(3, 9)}, "`centers` must be None for the method 'pca'"),
        ({"method": "umap"}, "`neighbours` must be from 2 to 8, .*; got 15"),
        ({"method": "umap", "neighbours": 1}, "`neighbours` must be from 2 to 8, .*; got 1"),
        ({"method": "umap", "neighbours": 4, "min_dist": 2}, "`min_dist` must be in 0..1; got 2"),
        ({"method": "tsne"}, "`perplexity` must be .* less than the 9 points; got 30"),
        ({"method": "tsne", "perplexity": float("nan")}, "`perplexity` must be .*; got nan"),
    ],
)
def test_a_caller_s_mistake_is_named(changes, message):
    asked = {"method": "pca", "features": torch.eye(9)} | changes
    with pytest.raises(ValueError, match=message):
        fit(asked.pop("method"), asked.pop("features"), **asked)


# --- the cache ------------------------------------------------------------------------------------


def files(folder):
    return sorted(folder.rglob("*.*"))


@pytest.fixture
def slow(monkeypatch):
    """Count the layouts that are computed, and make them cheap."""
    calls = []

    def layout(features, *, seed, **_):
        calls.append(seed)
        return np.random.default_rng(seed).random((len(features), 2)).astype(np.float32)

    for name in ("umap_layout", "tsne_layout"):
        monkeypatch.setattr(layouts, name, layout)
    return calls


def test_a_map_is_computed_once_for_the_same_inputs_and_anew_for_others(groups, slow, folder):
    features, _ = groups
    first = fit("umap", features)
    assert torch.equal(fit("umap", features).positions, first.positions) and len(slow) == 1
    touched = features.clone()
    touched[3, 2] = torch.nextafter(touched[3, 2], torch.tensor(torch.inf))
    for again in (
        partial(fit, "umap", touched),
        partial(fit, "umap", features, seed=1),
        partial(fit, "umap", features, neighbours=10),
        partial(fit, "umap", features, min_dist=0.2),
        partial(fit, "tsne", features),
        partial(fit, "tsne", features, perplexity=20),
    ):
        count = len(slow)
        again()
        assert len(slow) == count + 1
        again()
        assert len(slow) == count + 1
    assert len(files(folder)) == 7


def test_another_version_of_a_library_is_another_map(groups, monkeypatch):
    features = groups[0].double().numpy()
    key = disk.key_of("umap", {}, features)
    monkeypatch.setattr(disk, "version", lambda library: "0.0")
    assert disk.key_of("umap", {}, features) != key


def test_a_stored_map_gives_the_same_bits_without_importing_umap(groups, drawn, folder):
    features, _ = groups
    stored = fit("umap", features)
    placed = stored.place(features + 0.1)
    assert torch.equal(stored.positions, drawn["umap"].positions)
    torch.save([features, stored.positions, placed], folder / "known.pt")
    code = """
import sys, torch
from mmc_viz.embeddings import fit
features, positions, placed = torch.load(sys.argv[1])
found = fit("umap", features)
assert torch.equal(found.positions, positions)
assert torch.equal(found.place(features + 0.1), placed)
assert "umap" not in sys.modules and "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, folder / "known.pt"], check=True)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _other_size(path):
    other = np.zeros((3, 2), dtype=np.float32)
    disk.store("0" * 64, other)
    path.write_bytes((path.parent / f"{'0' * 64}.safetensors").read_bytes())


def _swell(path):
    path.write_bytes(path.read_bytes() + b"0" * 10_000)


@pytest.mark.parametrize("spoil", [_cut, _flip, _other_size, _swell])
def test_a_spoilt_file_is_computed_again(groups, slow, folder, spoil):
    features, _ = groups
    first = fit("tsne", features)
    (path,) = files(folder)
    whole = path.read_bytes()
    spoil(path)
    assert torch.equal(fit("tsne", features).positions, first.positions) and len(slow) == 2
    assert path.read_bytes() == whole
    assert torch.equal(fit("tsne", features).positions, first.positions) and len(slow) == 2


def test_without_a_folder_all_works_and_nothing_is_left(groups, slow, tmp_path, monkeypatch):
    features, _ = groups
    expected = fit("umap", features, cache=False).positions
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MMC_VIZ_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert torch.equal(fit("umap", features).positions, expected)
    assert len(slow) == 3
    assert (tmp_path / "file").read_text() == "no folder"


def test_the_cache_can_be_switched_off(groups, slow, folder):
    features, _ = groups
    for _ in range(2):
        fit("umap", features, cache=False)
    assert len(slow) == 2 and not files(folder)


def test_what_was_not_used_for_longest_makes_room(folder, monkeypatch):
    positions = np.zeros((100, 2), dtype=np.float32)
    for age, name in enumerate("abc"):
        disk.store(name * 64, positions)
        path = folder / "maps" / f"{name * 64}.safetensors"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert disk.load("c" * 64, 100) is not None  # it is the oldest, but is used now
    monkeypatch.setattr(disk, "LIMIT", 3 * path.stat().st_size)
    disk.store("d" * 64, positions)
    assert [path.name[0] for path in files(folder)] == ["a", "c", "d"]


def test_the_folder_is_the_user_s_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("MMC_VIZ_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("MMC_VIZ_CACHE", "")
    assert cache_dir() == tmp_path / "xdg" / "mmc_viz"
    for relative in ("", "here"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_dir() == Path.home() / ".cache" / "mmc_viz"


# --- quality --------------------------------------------------------------------------------------


def test_a_map_that_changes_nothing_is_perfect():
    positions, labels = normal(60, 2), torch.arange(60) % 4
    found = assess(3 * positions + 1, positions, labels, neighbours=7)
    assert found.trustworthiness == found.continuity == 1
    assert found.distance_correlation == pytest.approx(1)
    assert found.class_share == found.true_class_share


@pytest.mark.parametrize("neighbours", [1, 5, 15])
def test_trustworthiness_and_continuity_are_scikit_learn_s(neighbours):
    true, flat = normal(90, 6), normal(90, 2, seed=1)
    flat += 2 * true[:, :2]
    found = assess(flat, true, torch.zeros(90, dtype=torch.int64), neighbours=neighbours)
    a, b = true.double().numpy(), flat.double().numpy()
    known = trustworthiness(a, b, n_neighbors=neighbours)
    assert found.trustworthiness == pytest.approx(known, abs=1e-12)
    known = trustworthiness(b, a, n_neighbors=neighbours)
    assert found.continuity == pytest.approx(known, abs=1e-12)
    assert found.trustworthiness < 1 and found.continuity < 1


def test_a_random_map_is_worth_about_a_half():
    labels = torch.zeros(400, dtype=torch.int64)
    found = assess(normal(400, 2), normal(400, 9, seed=1), labels)
    assert 0.45 < found.trustworthiness < 0.55 and abs(found.distance_correlation) < 0.1


def test_many_points_are_assessed_as_few_are(monkeypatch):
    from mmc_viz.embeddings import quality

    true, flat, labels = normal(70, 5), normal(70, 2, seed=1), torch.arange(70) % 3
    whole = assess(flat, true, labels)
    monkeypatch.setattr(quality, "_ROWS", 16)  # points held at once
    assert assess(flat, true, labels).to_json() == whole.to_json()


def test_shares_of_classes_are_counted(groups, drawn):
    features, labels = groups
    found = assess(drawn["pca"], features, labels, neighbours=10)
    for values, share in (
        (features, found.true_class_share),
        (drawn["pca"].positions, found.class_share),
    ):
        near = cdist(values, values).argsort(axis=1)[:, 1:11]
        assert share == pytest.approx(np.mean(labels.numpy()[near] == labels.numpy()[:, None]))


def test_the_histogram_holds_every_pair_once():
    features, labels = normal(80, 7), torch.arange(80) % 3
    found = assess(features[:, :2], features, labels, bins=25)
    distances = pdist(features.double().numpy())
    rows, columns = np.triu_indices(80, 1)
    same = (labels[rows] == labels[columns]).numpy()
    assert int(found.within.sum() + found.between.sum()) == 80 * 79 // 2
    edges = found.edges.numpy()
    assert edges[0] == 0 and edges[-1] == pytest.approx(distances.max())
    for counts, chosen, median in (
        (found.within, same, found.median_within),
        (found.between, ~same, found.median_between),
    ):
        assert counts.tolist() == np.histogram(distances[chosen], bins=edges)[0].tolist()
        assert abs(median - np.median(distances[chosen])) < edges[1]
    assert float(found.within_share.sum()) == pytest.approx(1)
    assert float(found.between_share.sum()) == pytest.approx(1)
    lines = found.to_csv().splitlines()
    assert len(lines) == 26 and lines[0] == "from,to,within,between"
    assert json.loads(found.to_json())["within"] == found.within.tolist()


def test_what_there_is_not_is_none():
    one = assess(normal(30, 2), normal(30, 4), torch.zeros(30, dtype=torch.int64), neighbours=3)
    assert one.median_between is None and one.median_within is not None
    alone = assess(normal(30, 2), normal(30, 4), torch.arange(30), neighbours=3)
    assert alone.median_within is None and alone.median_between is not None
    # All corners of a simplex are equally far apart: there is nothing to correlate with.
    equal = assess(normal(12, 2), torch.eye(12), torch.zeros(12, dtype=torch.int64), neighbours=3)
    assert equal.distance_correlation is None
    assert "NaN" not in equal.to_json() + one.to_json() + alone.to_json()


@pytest.mark.parametrize(
    ("positions", "changes", "message"),
    [
        (torch.zeros(5, 2), {}, "must be of the same points; got 12, 5 and 12"),
        (torch.full((12, 2), torch.nan), {}, "must be finite"),
        (normal(12, 2), {"neighbours": 6}, "less than half of the 12 points; got 6"),
        (normal(12, 2), {"neighbours": 0}, "`neighbours` must be at least 1 .*; got 0"),
        (normal(12, 2), {"neighbours": 3, "bins": 0}, "`bins` must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_assessed_is_refused(positions, changes, message):
    with pytest.raises(ValueError, match=message):
        assess(positions, torch.eye(12), torch.arange(12), **changes)


# --- models side by side --------------------------------------------------------------------------

NUMBER, ATTACKED = 120, 30


@pytest.fixture(scope="session")
def seen(digits):
    """Two shipped models, images, labels, and the first of the images under attack."""
    models = {title: load_model(f"digits-{title}") for title in ("sce", "mmc")}
    images, labels = digits.inputs()[:NUMBER], digits.labels[:NUMBER]
    attacked = {
        title: pgd(model, images[:ATTACKED], labels[:ATTACKED], eps=0.2, steps=5)
        for title, model in models.items()
    }
    return models, images, labels, attacked


def test_each_model_gets_a_map_of_its_own_features(seen):
    models, images, labels, attacked = seen
    found = compare_maps("pca", models, images, labels, adversarial=attacked)
    assert list(found.views) == ["sce", "mmc"] and found.class_names == list("0123456789")
    for name, view in found.views.items():
        logits, features = (values.detach() for values in outputs(models[name], images))
        one = fit("pca", features)
        assert torch.equal(view.positions, one.positions)
        assert torch.equal(view.predictions, logits.argmax(dim=1))
        assert torch.equal(view.images, (images * 255).round().to(torch.uint8))
        assert view.quality.to_json() == assess(one, features, labels).to_json()
        logits, moved = (values.detach() for values in outputs(models[name], attacked[name]))
        assert torch.equal(view.placed.positions, one.place(moved))
        assert view.fooled == int((logits.argmax(dim=1) != labels[:ATTACKED]).sum()) > 0
        assert view.placed.origins.tolist() == list(range(ATTACKED))
        # How isolated attacked features are, by brute force.
        nearest = cdist(moved.double(), features.double()).min(axis=1)
        np.testing.assert_allclose(view.placed.nearest, nearest)
        among = cdist(features.double(), features.double()) + 1e9 * np.eye(NUMBER)
        assert view.remoteness == pytest.approx(np.median(nearest) / np.median(among.min(axis=1)))
    assert found.views["sce"].centers is None
    centers = models["mmc"].head.centers.detach()
    assert torch.equal(found.views["mmc"].centers, found.views["mmc"].map.place(centers))


def test_all_numbers_can_be_saved(seen, tmp_path):
    models, images, labels, attacked = seen
    found = compare_maps("pca", models, images, labels, adversarial={"mmc": attacked["mmc"]})
    text = found.to_json(tmp_path / "maps.json")
    values = json.loads(text)["views"]["mmc"]
    assert (tmp_path / "maps.json").read_text() == text and "NaN" not in text
    assert values["fooled"] == found.views["mmc"].fooled
    assert len(values["points"]) == NUMBER + ATTACKED
    lines = found.to_csv(tmp_path / "maps.csv").splitlines()
    assert len(lines) == 1 + 2 * NUMBER + ATTACKED
    x, y = found.views["mmc"].placed.positions[-1].tolist()
    guess = int(found.views["mmc"].placed.predictions[-1])
    assert lines[-1] == f"mmc,placed,{ATTACKED - 1},{x},{y},{int(labels[ATTACKED - 1])},{guess}"
    one = found.views["mmc"].map
    assert json.loads(one.to_json())["positions"] == one.positions.tolist()
    assert len(one.to_csv().splitlines()) == NUMBER + 1


def test_a_plane_runs_through_centers_or_means(seen):
    models, images, labels, _ = seen
    mmc = {"mmc": models["mmc"]}
    found = compare_maps("plane", mmc, images, labels, classes=(2, 7, 5))
    assert (found.spanned_by, found.anchors) == ((2, 7, 5), "centers")
    centers = models["mmc"].head.centers.detach().double()
    view = found.views["mmc"]
    true = pdist(centers[[2, 7, 5]].numpy())
    np.testing.assert_allclose(pdist(view.centers[[2, 7, 5]].numpy()), true, rtol=1e-6)

    found = compare_maps("plane", models, images, labels, classes=(2, 7, 5), anchors="means")
    for name, view in found.views.items():
        _, features = outputs(models[name], images)
        means = torch.stack([features[labels == c].mean(dim=0) for c in (2, 7, 5)]).detach()
        flat = torch.stack([view.positions[labels == c].mean(dim=0) for c in (2, 7, 5)])
        np.testing.assert_allclose(pdist(flat.numpy()), pdist(means.double().numpy()), rtol=1e-4)


def test_t_sne_is_fitted_to_clean_and_attacked_images_together(seen):
    models, images, labels, attacked = seen
    mmc, one = {"mmc": models["mmc"]}, {"mmc": attacked["mmc"]}
    with pytest.raises(ValueError, match="t-SNE is not. Set `joint=True`"):
        compare_maps("tsne", mmc, images, labels, adversarial=one)
    found = compare_maps("tsne", mmc, images, labels, adversarial=one, joint=True).views["mmc"]
    clean, moved = (outputs(models["mmc"], batch)[1].detach() for batch in (images, one["mmc"]))
    whole = fit("tsne", torch.cat([clean, moved]), cache=False)
    assert torch.equal(found.positions, whole.positions[:NUMBER])
    assert torch.equal(found.placed.positions, whole.positions[NUMBER:])
    assert found.joint and found.remoteness is None and found.centers is None
    assert found.quality.to_json() == assess(found.positions, clean, labels).to_json()


class Bare(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {}}, "`models` must hold at least one model; got none"),
        ({"method": "mds"}, "`method` must be one of pca"),
        ({"models": {"bare": Bare()}}, "`models` must have features; 'bare' has none"),
        ({"adversarial": {"x": torch.zeros(1, 1, 8, 8)}}, "must name models of sce, mmc; got 'x'"),
        ({"adversarial": {"sce": torch.zeros(1, 1, 9, 9)}}, r"`adversarial` of 'sce' .*\[1, 1, 9,"),
        ({"adversarial": {"sce": torch.zeros(0, 1, 8, 8)}}, "must be 1 to 120 images"),
        ({"method": "plane"}, "centers"),
        ({"method": "plane", "anchors": "x"}, "`anchors` must be 'centers' or 'means'; got 'x'"),
        ({"class_names": ["a"]}, "`class_names` must name 10 classes; got 1"),
        ({"assess_neighbours": 60}, "`neighbours` must be .*; got 60"),
        ({"adversarial": {"sce": torch.zeros(1, 1, 8, 8)}, "method": "tsne"}, "`joint=True`"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(seen, changes, message):
    models, images, labels, _ = seen
    asked = {"method": "pca", "models": models, "images": images, "labels": labels} | changes
    with pytest.raises(ValueError, match=message):
        compare_maps(**asked)


def test_a_plane_needs_classes_that_are_there(seen):
    models, images, labels, _ = seen
    rows = labels != 2
    settings = {"classes": (0, 1, 2), "anchors": "means"}
    with pytest.raises(ValueError, match="class 2 has none"):
        compare_maps("plane", models, images[rows], labels[rows], **settings)
    with pytest.raises(ValueError, match=r"`classes` must be in 0 \.\. 9; got 10"):
        compare_maps("plane", {"mmc": models["mmc"]}, images, labels, classes=(0, 1, 10))


def test_a_view_refuses_what_is_not_of_its_points():
    one = fit("pca", normal(40, 5))
    labels = torch.arange(40) % 2
    view = view_map(one, labels, centers=torch.eye(2, 5))
    assert torch.equal(view.centers, one.place(torch.eye(2, 5)))
    assert view.fooled is None and view.remoteness is None
    with pytest.raises(ValueError, match="`labels` must be of the 40 points; got 3"):
        view_map(one, labels[:3])


# --- ways through a map ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def way(seen):
    """An epsilon path that tracks, from budget 0 on."""
    models, images, labels, _ = seen
    budgets = [0, 0.05, 0.2]
    attack = partial(pgd, steps=5)
    return epsilon_path(
        models["mmc"], images[:12], labels[:12], budgets, attack=attack, follow="track"
    )


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_a_path_is_placed_into_a_map_that_stays(seen, way, method):
    models, images, labels, _ = seen
    _, features = outputs(models["mmc"], images)
    view = view_map(fit(method, features), labels)
    found = map_path(view, way)
    assert torch.equal(found.map_labels, labels) and found.class_names == list("0123456789")
    # At budget 0 the images are clean: they lie where the map has them.
    torch.testing.assert_close(found.positions[0], view.positions[:12], rtol=0, atol=1e-5)
    assert torch.equal(found.positions[2], view.map.place(way.features[2]))
    moved = (way.features - way.features[0]).double().norm(dim=2)
    torch.testing.assert_close(found.moved, moved, rtol=1e-6, atol=1e-6)
    assert found.moved[0].max() == 0 and found.moved[1:].min() > 0
    nearest = cdist(way.features[2].double(), view.map.features.double()).min(axis=1)
    np.testing.assert_allclose(found.nearest[2], nearest)
    assert found.fooled.tolist() == way.success.sum(dim=1).tolist()
    assert torch.equal(found.predictions, way.logits.argmax(dim=2))
    assert found.median_moved[1].item() == pytest.approx(np.median(moved[1].numpy()))
    assert found.remoteness[2] == pytest.approx(np.median(nearest) / view.map.spacing)
    values = json.loads(found.to_json())
    assert values["epsilons"] == [0, 0.05, 0.2] and values["fooled"] == found.fooled.tolist()
    lines = found.to_csv().splitlines()
    assert len(lines) == 1 + 3 * 12
    assert lines[-1].startswith(f"0.2,11,{found.positions[2, 11, 0].item()}")


def test_a_map_without_labels_can_be_given_them(seen, way):
    models, images, labels, _ = seen
    one = fit("pca", outputs(models["mmc"], images)[1])
    assert map_path(one, way).map_labels is None
    assert torch.equal(map_path(one, way, map_labels=labels).map_labels, labels)
    with pytest.raises(ValueError, match="`map_labels` must be of the map's 120 points; got 3"):
        map_path(one, way, map_labels=labels[:3])
    with pytest.raises(ValueError, match="`class_names` must name 10 classes; got 1"):
        map_path(one, way, class_names=["a"])


def test_a_path_that_cannot_be_placed_is_refused(seen, way, linear):
    models, images, _, _ = seen
    _, features = outputs(models["mmc"], images)
    with pytest.raises(ValueError, match="`method` must be able to place"):
        map_path(fit("tsne", features, cache=False), way)
    with pytest.raises(ValueError, match="`features` must have dimension 5"):
        map_path(fit("pca", normal(20, 5)), way)
    model, images, labels = linear
    bare = epsilon_path(model, images[:3], labels[:3], [0.1])
    with pytest.raises(ValueError, match="`path` must hold features"):
        map_path(fit("pca", features), bare)
