import json
import math
import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmc_viz.bundles import pack, unpack
from mmc_viz.paths import EpsilonPath

NAMES = ["T-shirt/top", "Bag", "Größe <b>"]


def make_path(
    steps=3, count=4, channels=1, height=2, width=3, classes=3, seed=0, labels=None, epsilons=None
):
    """Make an epsilon path of random images; which images are fooled only grows."""
    draw = torch.Generator().manual_seed(seed)
    success = torch.rand(steps, count, generator=draw) < 0.3
    if labels is None:
        labels = torch.arange(count) % classes
    return EpsilonPath(
        epsilons=torch.linspace(0, 0.3, steps) if epsilons is None else epsilons,
        images=torch.randint(
            256, (steps, count, channels, height, width), generator=draw, dtype=torch.uint8
        ),
        logits=torch.randn(steps, count, classes, generator=draw),
        features=torch.randn(steps, count, 5, generator=draw),
        success=success.cumsum(dim=0) > 0,
        labels=labels,
    )


def make_runs():
    return {
        "cross_entropy": {"SCE": make_path(seed=0), "MMC": make_path(seed=1)},
        "margin": {"SCE": make_path(seed=2), "MMC": make_path(seed=3)},
    }


def take_apart(data):
    """Split a bundle into its header and its payload."""
    block = zlib.decompress(data)
    length = int.from_bytes(block[:4], "little")
    start = 4 + length + -length % 4
    return json.loads(block[4 : 4 + length]), block[start:]


def put_together(header, payload, *, announced=None, padding=None):
    text = json.dumps(header).encode()
    length = len(text) if announced is None else announced
    zeros = bytes(-len(text) % 4) if padding is None else padding
    return zlib.compress(length.to_bytes(4, "little") + text + zeros + payload)


@settings(max_examples=50)
@given(
    steps=st.integers(1, 4),
    count=st.integers(1, 6),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    classes=st.integers(1, 4),
    titles=st.lists(st.text(), min_size=1, max_size=3, unique=True),
    names=st.lists(st.text(), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 1000),
)
def test_what_is_packed_comes_back(
    steps, count, channels, height, width, classes, titles, names, seed
):
    runs = {
        name: {
            title: make_path(steps, count, channels, height, width, classes, seed + 10 * i + j)
            for j, title in enumerate(titles)
        }
        for i, name in enumerate(names)
    }
    class_names = [f"class {i}" for i in range(classes)]

    bundle = unpack(pack(runs, class_names))

    assert bundle.class_names == class_names
    assert list(bundle.runs) == names
    for name, panels in runs.items():
        assert list(bundle.runs[name].panels) == titles
        for title, path in panels.items():
            panel = bundle.runs[name].panels[title]
            assert bundle.labels == path.labels.tolist()
            assert torch.equal(torch.tensor(bundle.runs[name].epsilons), path.epsilons)
            assert torch.equal(panel.images, path.images)
            assert torch.equal(panel.success, path.success)
            assert torch.equal(panel.predictions, path.logits.argmax(dim=2))
            assert panel.right.tolist() == [(~fooled).sum().item() for fooled in path.success]


def test_the_same_paths_give_the_same_bytes():
    assert pack(make_runs(), NAMES) == pack(make_runs(), NAMES)


def test_the_block_is_laid_out_as_described():
    header, payload = take_apart(pack(make_runs(), NAMES))
    assert header["format"] == 1
    assert header["class_names"] == NAMES
    assert header["shape"] == {"count": 4, "channels": 1, "height": 2, "width": 3}
    assert [run["name"] for run in header["runs"]] == ["cross_entropy", "margin"]
    size = 3 * 4 * 1 * 2 * 3
    offsets = [panel["offset"] for run in header["runs"] for panel in run["panels"]]
    assert offsets == [0, size, 2 * size, 3 * size]
    assert len(payload) == 4 * size


def test_epsilons_are_written_as_a_person_would():
    path = make_path(epsilons=torch.tensor([0.0, 0.1, 0.3]))
    header, _ = take_apart(pack({"margin": {"MMC": path}}, NAMES))
    assert header["runs"][0]["epsilons"] == [0.0, 0.1, 0.3]


def test_images_that_stay_cost_next_to_nothing():
    noise = torch.randint(256, (1, 8, 1, 28, 28), dtype=torch.uint8)
    path = make_path(steps=50, count=8, height=28, width=28)
    still = EpsilonPath(**{**vars(path), "images": noise.expand(50, -1, -1, -1, -1).contiguous()})
    assert len(pack({"margin": {"MMC": still}}, NAMES)) < 1.5 * noise.numel()


@pytest.mark.parametrize(
    ("runs", "names", "message"),
    [
        ({}, NAMES, "at least one run"),
        ({"margin": {}}, NAMES, "at least one path"),
        ({"margin": {"MMC": make_path()}}, NAMES[:2], "name the 3 classes"),
        ({"margin": {"MMC": make_path(), "SCE": make_path(count=5)}}, NAMES, "same images"),
        (
            {
                "margin": {"MMC": make_path()},
                "dlr": {"MMC": make_path(labels=torch.zeros(4).long())},
            },
            NAMES,
            "same labels",
        ),
        (
            {"margin": {"MMC": make_path(), "SCE": make_path(steps=2)}},
            NAMES,
            "share their epsilons",
        ),
        ({"margin": {"MMC": make_path(labels=torch.arange(4))}}, NAMES, "below the number"),
        (
            {"margin": {"MMC": make_path(epsilons=torch.tensor([0.0, 0.1, math.nan]))}},
            NAMES,
            "finite",
        ),
    ],
)
def test_paths_that_do_not_belong_together_are_refused(runs, names, message):
    with pytest.raises(ValueError, match=message):
        pack(runs, names)


def test_a_bundle_too_large_for_a_browser_is_refused(monkeypatch):
    monkeypatch.setattr("mmc_viz.bundles.packing.MAX_BYTES", 10)
    with pytest.raises(ValueError, match="Use fewer images or fewer epsilons"):
        pack(make_runs(), NAMES)


def test_every_cut_is_refused():
    data = pack(make_runs(), NAMES)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="bundle") as refusal:
            unpack(data[:length])
        assert "\n" not in str(refusal.value)


@settings(max_examples=300)
@given(data=st.data())
def test_damage_is_refused_or_harmless(data):
    whole = pack(make_runs(), NAMES)
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255))
    try:
        bundle = unpack(whole[:at] + bytes([other]) + whole[at + 1 :])
    except ValueError as refusal:
        assert "\n" not in str(refusal)
    else:  # only a byte that says the same to zlib may pass
        for name, run in unpack(whole).runs.items():
            for title, panel in run.panels.items():
                assert torch.equal(bundle.runs[name].panels[title].images, panel.images)


@given(data=st.binary(max_size=200))
def test_noise_is_refused(data):
    with pytest.raises(ValueError, match="bundle"):
        unpack(data)
    with pytest.raises(ValueError, match="bundle"):
        unpack(zlib.compress(data))


def test_trailing_bytes_are_refused():
    data = pack(make_runs(), NAMES)
    with pytest.raises(ValueError, match="does not end"):
        unpack(data + b"\0")
    with pytest.raises(ValueError, match="does not end"):
        unpack(zlib.compress(zlib.decompress(data) + b"\0"))


def change(*keys, to):
    """Return a function that sets one entry deep in a header."""

    def apply(header):
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = to

    return apply


PANEL = ("runs", 1, "panels", 0)


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (change("format", to=2), "`format`"),
        (change("format", to=True), "`format`"),
        (change("surplus", to=2), "must hold"),
        (change("class_names", to=[]), "class_names"),
        (change("class_names", to=[1, 2, 3]), "class_names"),
        (change("labels", to=[0, 1, 2]), "labels"),
        (change("labels", to=[0, 1, 2, 3]), "labels"),
        (change("labels", to=[0, 1, 2, 2**70]), "labels"),
        (change("labels", to=[0, 1, 2, 0.5]), "labels"),
        (change("labels", to=["0", "1", "2", "0"]), "labels"),
        (change("shape", to={}), "shape"),
        (change("shape", "width", to=0), "positive"),
        (change("shape", "width", to=-3), "positive"),
        (change("shape", "width", to=3.0), "positive"),
        (change("shape", "width", to=10**9), "positive"),
        (change("runs", to=[]), "runs"),
        (change("runs", 1, to=None), "a run"),
        (change("runs", 1, "name", to="cross_entropy"), "differ"),
        (change("runs", 1, "epsilons", to=[]), "epsilons"),
        (change("runs", 1, "epsilons", to=[0, 0.1, math.nan]), "epsilons"),
        (change("runs", 1, "epsilons", to=[0, 0.1, 10**400]), "epsilons|JSON"),
        (change("runs", 1, "epsilons", to=[0.0, 0.1]), "predictions"),
        (change("runs", 1, "panels", to={}), "panels"),
        (change(*PANEL, to=[]), "a panel"),
        (change(*PANEL, "title", to="MMC"), "differ"),
        (change(*PANEL, "title", to=["MMC"]), "differ"),
        (change(*PANEL, "surplus", to=0), "a panel"),
        (change(*PANEL, "offset", to=0), "gaps"),
        (change(*PANEL, "offset", to=-1), "gaps"),
        (change(*PANEL, "offset", to=144.0), "gaps"),
        (change("runs", 0, "panels", 0, "offset", to=False), "gaps"),
        (change(*PANEL, "predictions", 0, 0, to=3), "predictions"),
        (change(*PANEL, "predictions", 0, to=[0]), "predictions"),
        (change(*PANEL, "success", 0, 0, to=2), "success"),
        (change(*PANEL, "right", 0, to=17), "right"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(apply, message):
    header, payload = take_apart(pack(make_runs(), NAMES))
    apply(header)
    with pytest.raises(ValueError, match=message) as refusal:
        unpack(put_together(header, payload))
    assert "\n" not in str(refusal.value)


def test_huge_announcements_are_refused_before_memory_is_taken():
    header, payload = take_apart(pack(make_runs(), NAMES))
    with pytest.raises(ValueError, match="cannot be in it"):
        unpack(put_together(header, payload, announced=2**32 - 1))
    header["shape"]["width"] = 2**20
    with pytest.raises(ValueError, match="cannot be in it"):
        unpack(put_together(header, payload))


def test_padding_must_be_zero():
    header, payload = take_apart(pack(make_runs(), NAMES))
    while len(json.dumps(header).encode()) % 4 == 0:
        header["class_names"][0] += "."
    size = -len(json.dumps(header).encode()) % 4
    with pytest.raises(ValueError, match="padding"):
        unpack(put_together(header, payload, padding=b"\1" * size))


def test_deep_nesting_is_refused():
    text = b"[" * 100_000
    with pytest.raises(ValueError, match="JSON"):
        unpack(zlib.compress(len(text).to_bytes(4, "little") + text))
