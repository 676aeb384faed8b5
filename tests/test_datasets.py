import gzip
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmc_viz import locations
from mmc_viz.datasets import DATASETS, Dataset, folders, load_dataset
from mmc_viz.datasets.superclasses import CIFAR100_SUPERCLASSES, superclass_indices
from mmc_viz.datasets.torchvision_readers import import_torchvision

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = REPOSITORY.parent / "shared" / "datasets"
needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="no real data beside the clone")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every attempt to reach a network fails at once, here as on a machine without one."""

    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("no network in the tests")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.delenv("MMC_VIZ_DATA", raising=False)


def error_of(*args, **kwargs) -> str:
    """Return the message of the ValueError that loading raises; it must fit on one line."""
    with pytest.raises(ValueError) as raised:
        load_dataset(*args, **kwargs)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return str(raised.value)


# --- where things lie ---------------------------------------------------------------------------


def test_the_data_root_is_the_argument_else_the_environment_else_the_repository(monkeypatch):
    assert locations.data_root() == REPOSITORY / "data"
    monkeypatch.setenv("MMC_VIZ_DATA", "from-environment")
    assert locations.data_root() == Path("from-environment")
    assert locations.data_root("from-argument") == Path("from-argument")
    assert locations.data_root("~/x") == Path.home() / "x"


# --- the result ---------------------------------------------------------------------------------


def made_up(**changes) -> Dataset:
    fields = {
        "name": "made-up",
        "split": "test",
        "images": torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5),
        "labels": torch.tensor([1, 0]),
        "class_names": ["a", "b"],
        "source": "made up",
    }
    return Dataset(**fields | changes)


def test_inputs_are_the_bytes_over_255():
    data = made_up(images=torch.tensor([[[[0, 51, 255]]]] * 2, dtype=torch.uint8))
    inputs = data.inputs()
    assert inputs.dtype == torch.float32
    assert inputs[0].flatten().tolist() == [0.0, pytest.approx(0.2), 1.0]
    assert data.images.flatten().tolist() == [0, 51, 255] * 2
    assert data.inputs("meta").device.type == "meta"


def test_sha256_covers_shape_pixels_and_labels_and_nothing_else():
    data = made_up()
    by_hand = hashlib.sha256(b"[2, 3, 4, 5]" + bytes(range(120)) + struct.pack("<qq", 1, 0))
    assert data.sha256 == by_hand.hexdigest()
    assert made_up(name="x", source="y").sha256 == data.sha256
    assert made_up(images=data.images.reshape(2, 3, 5, 4)).sha256 != data.sha256
    assert made_up(images=data.images + 1).sha256 != data.sha256
    assert made_up(labels=torch.tensor([0, 1])).sha256 != data.sha256
    strided = data.images.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert made_up(images=strided).sha256 == data.sha256


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"class_names": ["a"]}, "0..0"),
        ({"labels": torch.tensor([0, 2])}, "0..1"),
        ({"labels": torch.tensor([0, -1])}, "0..1"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        made_up(**changes)


# --- arguments ----------------------------------------------------------------------------------


def test_unknown_names_and_splits_list_the_legal_ones():
    message = error_of("imagenet")
    assert "'imagenet'" in message
    assert all(name in message for name in [*DATASETS, "folder:PATH"])
    assert "'train' or 'test'" in error_of("digits", "validation")


@pytest.mark.parametrize("limit", [0, -3, True])
def test_a_limit_below_one_is_refused(limit):
    assert "`limit`" in error_of("digits", limit=limit)


def test_limit_takes_the_first_in_stored_order():
    whole, part = load_dataset("digits"), load_dataset("digits", limit=7)
    assert len(part) == 7
    assert torch.equal(part.images, whole.images[:7])
    assert torch.equal(part.labels, whole.labels[:7])
    assert part.source.startswith("the first 7 images of ")
    assert len(load_dataset("digits", limit=10**6)) == len(whole) == 360


def test_importing_is_light_and_mistaken_types_are_value_errors():
    # In a process of its own: here the type checker of the test run would speak first.
    program = """
import sys
from mmc_viz.datasets import load_dataset
heavy = {"torchvision", "sklearn", "PIL", "IPython", "plotly", "ipywidgets"} & set(sys.modules)
assert not heavy, heavy
load_dataset("fashion_mnist", root=sys.argv[1])
assert "torchvision" not in sys.modules
for mistake in ({"limit": 1.5}, {"limit": "3"}, {"size": 2.0}, {"size": 0}, {"size": True}):
    try:
        load_dataset("digits", **mistake)
    except ValueError as error:
        assert f"`{next(iter(mistake))}`" in str(error), error
    else:
        raise SystemExit(f"accepted {mistake}")
assert "sklearn" not in sys.modules, "arguments are checked first"

import torch
from mmc_viz.datasets import Dataset
images, labels = torch.zeros(2, 3, 4, 5, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
for named, *wrong in (
    ("images", images.float(), labels),
    ("images", images[0], labels),
    ("labels", images, labels.int()),
    ("labels", images, labels[:1]),
):
    try:
        Dataset("made-up", "test", *wrong, ["a"], "made up")
    except ValueError as error:
        assert str(error).startswith(f"`{named}`"), error
    else:
        raise SystemExit(f"accepted wrong {named}")
"""
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run([sys.executable, "-W", "error", "-c", program, empty], check=True)


# --- digits -------------------------------------------------------------------------------------


def test_digits_are_scikit_learns_split_once_for_all():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    test_indices = json.loads((locations.SAMPLES_DIR / "digits_split.json").read_text())["test"]
    train_indices = np.setdiff1d(np.arange(1797), test_indices)
    for split, indices in (("test", test_indices), ("train", train_indices)):
        data = load_dataset("digits", split)
        ink = torch.from_numpy(bunch.images[indices])
        # 255/16 = 15.9375, so that rounding half up is all that `round` can mean here.
        assert torch.equal(data.images[:, 0], (ink * 15.9375 + 0.5).floor().to(torch.uint8))
        assert data.labels.tolist() == bunch.target[indices].tolist()
        assert data.class_names == list("0123456789")
    assert load_dataset("digits", "train").images.shape == (1437, 1, 8, 8)
    assert load_dataset("digits", "test").images.max() == 255


def test_digits_are_stratified():
    test = load_dataset("digits", "test").labels.bincount()
    whole = test + load_dataset("digits", "train").labels.bincount()
    assert whole.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (test - whole * 360 / 1797).abs().max() < 1


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{}", "[]", '{"test": [3, 2]}', '{"test": [1, 1797]}', "[" * 100_000),
        json.dumps({"test": list(range(359))}),
        json.dumps({"test": [*range(359), 1797]}),
        json.dumps({"test": [float(i) for i in range(360)]}),
        json.dumps({"test": [False, True, *range(2, 360)]}),
    ],
)
def test_a_damaged_split_of_digits_is_reported(content, tmp_path, monkeypatch):
    monkeypatch.setattr("mmc_viz.datasets.digits.SAMPLES_DIR", tmp_path)
    if content is not None:
        (tmp_path / "digits_split.json").write_text(content)
    assert "digits_split.json" in error_of("digits")


def test_the_snippet_in_the_readme_makes_the_split_of_digits(tmp_path):
    readme = (locations.DATA_DIR / "README.md").read_text(encoding="utf-8")
    [snippet] = [
        code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "load_digits" in code
    ]
    subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, check=True)
    made = (tmp_path / "digits_split.json").read_text()
    assert made == (locations.SAMPLES_DIR / "digits_split.json").read_text()


# --- the shipped sample of Fashion-MNIST --------------------------------------------------------


def test_the_test_split_of_fashion_mnist_falls_back_to_the_sample(tmp_path, monkeypatch):
    def forbidden(*args):
        raise AssertionError("the fallback must not wait for a network")

    monkeypatch.setattr("mmc_viz.datasets.torchvision_readers.download", forbidden)
    data = load_dataset("fashion_mnist", root=tmp_path)
    assert data.images.shape == (1000, 1, 28, 28)
    assert data.labels.tolist() == list(range(10)) * 100
    assert "shipped sample" in data.source and "1,000 of 10,000" in data.source
    assert data.class_names[0] == "T-shirt/top" and data.class_names[9] == "Ankle boot"
    assert data.class_names == import_torchvision().datasets.FashionMNIST.classes


def test_the_sample_is_the_first_hundred_of_each_class_in_test_order():
    with np.load(locations.SAMPLES_DIR / "fashion_mnist_test.npz", allow_pickle=False) as stored:
        indices, labels = stored["test_indices"].astype(int), stored["labels"]
    for label in range(10):
        assert (np.diff(indices[labels == label]) > 0).all()
    # The official test labels begin 9 2 1 1 6 1 4 6 5 7.
    beginning = {int(i): int(label) for i, label in zip(indices, labels, strict=True) if i < 10}
    assert beginning == dict(enumerate([9, 2, 1, 1, 6, 1, 4, 6, 5, 7]))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive"])
def test_a_damaged_sample_is_reported(content, tmp_path, monkeypatch):
    monkeypatch.setattr("mmc_viz.datasets.fashion_sample.SAMPLES_DIR", tmp_path)
    if content is not None:
        (tmp_path / "fashion_mnist_test.npz").write_bytes(content)
    assert "fashion_mnist_test.npz" in error_of("fashion_mnist", root=tmp_path)


def test_a_truncated_sample_is_reported(tmp_path, monkeypatch):
    whole = (locations.SAMPLES_DIR / "fashion_mnist_test.npz").read_bytes()
    monkeypatch.setattr("mmc_viz.datasets.fashion_sample.SAMPLES_DIR", tmp_path)
    broken = bytearray(whole)
    broken[1000:1100] = bytes(100)
    for content in (whole[: len(whole) // 2], bytes(broken)):
        (tmp_path / "fashion_mnist_test.npz").write_bytes(content)
        assert "fashion_mnist_test.npz" in error_of("fashion_mnist", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("images", np.zeros((1000, 28, 27), np.uint8), "bytes for a shape of"),
        ("images", np.zeros((28, 1000, 28), np.uint8), "not bytes of [1000, 28, 28]"),
        ("images", np.zeros((1000, 28, 14), np.uint16), "not bytes of [1000, 28, 28]"),
        ("images", np.zeros((1000, 28, 28), np.uint8, order="F"), "not bytes of"),
        ("images", np.zeros((1000, 28, 28), np.int8), "holds int8 of shape"),
        ("labels", np.full(1000, 10, np.uint8), "it has a label 10"),
        ("labels", np.array([None] * 1000), "labels"),
    ],
)
def test_a_sample_of_another_shape_is_reported(name, array, words, tmp_path, monkeypatch):
    with np.load(locations.SAMPLES_DIR / "fashion_mnist_test.npz") as stored:
        arrays = dict(stored) | {name: array}
    monkeypatch.setattr("mmc_viz.datasets.fashion_sample.SAMPLES_DIR", tmp_path)
    np.savez_compressed(tmp_path / "fashion_mnist_test.npz", **arrays)
    assert words in error_of("fashion_mnist", root=tmp_path)


def test_a_sample_that_claims_or_holds_too_much_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("mmc_viz.datasets.fashion_sample.SAMPLES_DIR", tmp_path)
    path = tmp_path / "fashion_mnist_test.npz"
    claim = str({"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)})
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + claim.ljust(117).encode() + b"\n"
    for content in (header, header + bytes(784_000), bytes(50_000_000)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", content)
        assert "`images` h" in error_of("fashion_mnist", root=tmp_path)
    os.truncate(path, 10 << 30)
    assert "more than 1,000,000 bytes" in error_of("fashion_mnist", root=tmp_path)


def test_the_licence_of_the_sample_is_shipped():
    text = (locations.SAMPLES_DIR / "LICENSE-fashion-mnist.txt").read_text()
    assert "2017 Zalando SE" in text and "Permission is hereby granted" in text


# --- idx files ----------------------------------------------------------------------------------


def write_idx(folder: Path, stem: str, images: np.ndarray, labels: np.ndarray) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}-images-idx3-ubyte", folder / f"{stem}-labels-idx1-ubyte"]
    paths[0].write_bytes(struct.pack(">4i", 0x803, *images.shape) + images.tobytes())
    paths[1].write_bytes(struct.pack(">2i", 0x801, len(labels)) + labels.tobytes())
    return paths


@pytest.fixture
def idx(tmp_path):
    """A small MNIST test split: (root, paths, images, labels)."""
    images = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    return tmp_path, write_idx(tmp_path / "MNIST/raw", "t10k", images, labels), images, labels


def test_idx_files_are_read_as_they_are(idx, monkeypatch):
    root, _, images, labels = idx
    data = load_dataset("mnist", root=root)
    assert torch.equal(data.images, torch.from_numpy(images)[:, None])
    assert data.labels.tolist() == labels.tolist()
    assert data.class_names == list("0123456789")
    assert "12 images, not the official 10,000" in data.source
    assert str(root) not in data.source  # it goes into exported lessons
    monkeypatch.setenv("MMC_VIZ_DATA", str(root))
    assert load_dataset("mnist").sha256 == data.sha256


def test_fashion_mnist_is_read_from_files_where_they_are(idx):
    root, _, images, labels = idx
    write_idx(root / "FashionMNIST/raw", "t10k", images, labels)
    data = load_dataset("fashion_mnist", root=root, limit=3)
    assert torch.equal(data.images[:, 0], torch.from_numpy(images[:3]))
    assert "sample" not in data.source


def test_packed_idx_files_are_unpacked_beside_themselves(idx):
    root, paths, images, _ = idx
    for path in paths:
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert torch.equal(load_dataset("mnist", root=root).images[:, 0], torch.from_numpy(images))
    assert sorted(file.name for file in paths[0].parent.iterdir()) == sorted(
        name for path in paths for name in (path.name, path.name + ".gz")
    )


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("length", [0, 3, 9, -1])
def test_a_truncated_idx_file_is_reported(idx, which, length):
    root, paths, _, _ = idx
    paths[which].write_bytes(paths[which].read_bytes()[:length])
    message = error_of("mnist", root=root)
    assert str(paths[which]) in message and "Delete it" in message


def test_a_truncated_packed_file_is_reported_and_leaves_nothing(idx):
    root, paths, _, _ = idx
    archive = Path(f"{paths[0]}.gz")
    whole = gzip.compress(paths[0].read_bytes())
    paths[0].unlink()
    no_deflate = whole[:10] + b"\xff" * 50 + whole[60:]  # after gzip's header of 10 bytes
    wrong_checksum = whole[:-8] + bytes(8)
    for content in (whole[:-200], b"no gzip", no_deflate, wrong_checksum):
        archive.write_bytes(content)
        assert str(archive) in error_of("mnist", root=root)
        assert sorted(file.name for file in archive.parent.iterdir()) == [
            archive.name,
            paths[1].name,
        ]


def test_idx_files_that_do_not_belong_together_are_reported(idx):
    root, paths, images, labels = idx
    for wrong in (
        (images, labels[:-1]),
        (images[:, :14], labels),
        (images, labels + 1),
    ):
        write_idx(paths[0].parent, "t10k", *wrong)
        assert "do not belong together" in error_of("mnist", root=root)


@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (2**31, 28, 28), (0, 28, 28), (12, 28, 27)])
def test_a_header_that_claims_other_sizes_takes_no_memory(idx, sizes, monkeypatch):
    root, paths, images, _ = idx
    paths[0].write_bytes(struct.pack(">4I", 0x803, *sizes) + images.tobytes())
    monkeypatch.setattr(np, "frombuffer", lambda *a, **k: pytest.fail("took memory"))
    assert f"9,408 numbers for a shape of {list(sizes)}" in error_of("mnist", root=root)


def test_idx_files_beyond_the_official_size_are_refused_unread(idx):
    root, paths, _, _ = idx
    for path, most in zip(paths, (7_840_016, 10_008), strict=True):
        whole = path.read_bytes()
        os.truncate(path, 10 << 30)  # of which the disk holds nothing
        assert f"more than {most:,} bytes" in error_of("mnist", root=root)
        path.write_bytes(whole)


def test_of_a_packed_idx_file_no_more_is_unpacked_than_the_official_one_holds(idx):
    root, paths, _, _ = idx
    archive = Path(f"{paths[1]}.gz")
    paths[1].unlink()
    archive.write_bytes(gzip.compress(bytes(5_000_000)))  # of 5 kB
    assert "holds more than the 10,008 bytes of the official file" in error_of("mnist", root=root)
    os.truncate(archive, 10 << 30)
    assert "damaged or cannot be read (it has more than" in error_of("mnist", root=root)
    assert sorted(file.name for file in archive.parent.iterdir()) == [paths[0].name, archive.name]


def test_pipes_and_devices_do_not_stop_the_reading(idx):
    root, paths, _, _ = idx
    paths[0].unlink()
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(paths[0])
        assert "downloading it failed" in error_of("mnist", root=root)
        paths[0].rename(f"{paths[0]}.gz")
        assert "downloading it failed" in error_of("mnist", root=root)
        Path(f"{paths[0]}.gz").unlink()


def test_what_torchvision_once_converted_is_left_alone(idx):
    root, _, images, _ = idx
    bomb = pickle.dumps(Bomb(root / "opened"))
    (root / "MNIST" / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        (root / "MNIST" / "processed" / name).write_bytes(bomb)
    assert torch.equal(load_dataset("mnist", root=root).images[:, 0], torch.from_numpy(images))
    assert "downloading it failed" in error_of("mnist", "train", root=root)
    assert not (root / "opened").exists()


# --- downloads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_without_files_and_network_there_is_one_clear_error(name, split, tmp_path):
    message = error_of(name, split, root=tmp_path)
    assert message.startswith(f"`{name}` ({split}) was not found in {tmp_path}")
    assert "downloading it failed" in message and "no network in the tests" in message
    assert "`digits`" in message and "`fashion_mnist`" in message and "MMC_VIZ_DATA" in message
    assert list(tmp_path.iterdir()) == []


def test_the_train_split_of_fashion_mnist_never_falls_back(tmp_path):
    assert "downloading it failed" in error_of("fashion_mnist", "train", root=tmp_path)


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_root_that_is_no_folder_is_refused(name, tmp_path):
    (tmp_path / "file").touch()
    for root in (tmp_path / "missing", tmp_path / "file"):
        assert "`root` must be an existing folder" in error_of(name, root=root)
        assert not (tmp_path / "missing").exists()


@pytest.fixture
def server(tmp_path, monkeypatch, idx):
    """A stand-in for the network that serves a small MNIST; yields what it was asked for."""
    _, _, images, labels = idx
    served = tmp_path / "served"
    paths = write_idx(served, "t10k", images, labels) + write_idx(served, "train", images, labels)
    packed = {f"{path.name}.gz": gzip.compress(path.read_bytes()) for path in paths}
    asked = []

    def retrieve(url, filename):
        asked.append(Path(url).name)
        Path(filename).write_bytes(packed[asked[-1]])

    datasets = import_torchvision().datasets
    md5s = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", md5s)
    monkeypatch.setattr(datasets.utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(datasets.utils, "_urlretrieve", retrieve)
    return asked, packed


def test_a_download_brings_all_splits_and_is_needed_once(server, tmp_path, idx, capsys):
    root = tmp_path / "root"
    root.mkdir()
    data = load_dataset("mnist", "train", root=root)
    assert torch.equal(data.images[:, 0], torch.from_numpy(idx[2]))
    asked, packed = server
    assert sorted(asked) == sorted(packed)
    load_dataset("mnist", "test", root=root)
    load_dataset("mnist", "train", root=root)
    assert len(asked) == 4
    assert [entry.name for entry in root.iterdir()] == ["MNIST"]
    assert sorted(f.name + ".gz" for f in (root / "MNIST/raw").iterdir()) == sorted(packed)
    assert capsys.readouterr().out == ""


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()

    def interrupted(url, filename):
        Path(filename).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(import_torchvision().datasets.utils, "_urlretrieve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_dataset("mnist", root=root)
    assert list(root.iterdir()) == []
    assert len(load_dataset("mnist", root=root)) == 12


def test_a_download_that_arrives_damaged_is_refused(server, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    _, packed = server
    for name in packed:
        packed[name] = packed[name][:-9]
    assert "downloading it failed" in error_of("mnist", root=root)
    assert list(root.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(idx, monkeypatch):
    root, paths, _, _ = idx

    def refuse(dir, **kwargs):
        raise PermissionError(13, "Permission denied", str(dir))

    for path in paths:
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    message = error_of("mnist", root=root)
    assert "cannot be unpacked" in message and "Permission denied" in message
    message = error_of("cifar10", root=root)
    assert "downloading it failed" in message
    assert f"Permission denied: '{root}'" in message, "unfinished files belong in the root"


# --- CIFAR --------------------------------------------------------------------------------------


def dump(path: Path, content: dict) -> str:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture(params=["cifar10", "cifar100"])
def cifar(request, tmp_path, monkeypatch):
    """A small CIFAR whose MD5 sums count as official: (name, root, folder, rows, labels)."""
    name = request.param
    reader = getattr(import_torchvision().datasets, name.upper())
    root = tmp_path / "root"
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    rows = np.random.default_rng(1).integers(0, 256, (4, 3072), dtype=np.uint8)
    labels = [3, 1, 2, 0]
    key = "labels" if name == "cifar10" else "fine_labels"
    coarse = {} if name == "cifar10" else {"coarse_labels": [9] * 4}
    for files in ("train_list", "test_list"):
        made = [
            [file, dump(folder / file, {"data": rows + i, key: labels} | coarse)]
            for i, (file, _) in enumerate(getattr(reader, files))
        ]
        monkeypatch.setattr(reader, files, made)
    meta = {reader.meta["key"]: ["a", "b", "c", "d"]}
    md5 = dump(folder / reader.meta["filename"], meta)
    monkeypatch.setattr(reader, "meta", reader.meta | {"md5": md5})
    return name, root, folder, rows, labels


def test_cifar_is_read_channels_first_and_batch_after_batch(cifar):
    name, root, _, rows, labels = cifar
    test, train = load_dataset(name, "test", root=root), load_dataset(name, "train", root=root)
    assert torch.equal(test.images, torch.from_numpy(rows.reshape(4, 3, 32, 32)))
    assert test.images.is_contiguous()
    assert test.labels.tolist() == labels
    assert test.class_names == ["a", "b", "c", "d"]
    batches = 5 if name == "cifar10" else 1
    stacked = np.concatenate([rows + np.uint8(i) for i in range(batches)])
    assert torch.equal(train.images.flatten(1), torch.from_numpy(stacked))
    assert train.labels.tolist() == labels * batches


def test_a_truncated_cifar_file_is_reported(cifar):
    name, root, folder, _, _ = cifar
    for path in folder.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        message = error_of(name, root=root)
        assert str(path) in message and "MD5" in message
        path.write_bytes(whole)
    load_dataset(name, root=root)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_another_md5_is_never_opened(cifar, tmp_path):
    name, root, folder, _, _ = cifar
    marker = tmp_path / "opened"
    bomb = pickle.dumps(Bomb(marker))
    pickle.loads(bomb)
    assert marker.exists(), "the bomb does not work, so the test shows nothing"
    marker.unlink()
    for path in folder.iterdir():
        whole = path.read_bytes()
        path.write_bytes(bomb)
        for split in ("train", "test"):
            assert "MD5" in error_of(name, split, root=root)
        path.write_bytes(whole)
    assert not marker.exists()


def test_cifars_archive_in_the_root_is_unpacked_without_a_network(cifar, monkeypatch):
    name, root, folder, rows, _ = cifar
    reader = getattr(import_torchvision().datasets, name.upper())
    archive = root / reader.filename
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
        tar.add(folder / reader.meta["filename"], "../../../escaped")
    outside = {path.name for path in root.parent.iterdir()}
    shutil.rmtree(folder)
    assert "downloading it failed" in error_of(name, root=root), "its MD5 is not the official one"
    assert {path.name for path in root.parent.iterdir()} == outside
    assert [path.name for path in root.iterdir()] == [archive.name]
    with tarfile.open(archive, "w:gz") as tar:
        for file, content in kept.items():
            entry = tarfile.TarInfo(f"{folder.name}/{file}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(reader, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert torch.equal(load_dataset(name, root=root).images.flatten(1), torch.from_numpy(rows))
    assert sorted(path.name for path in root.iterdir()) == sorted([archive.name, folder.name])


# --- superclasses of CIFAR-100 ------------------------------------------------------------------


def test_twenty_superclasses_share_a_hundred_classes():
    assert len(CIFAR100_SUPERCLASSES) == 20
    assert {len(names) for names in CIFAR100_SUPERCLASSES.values()} == {5}
    everyone = [name for names in CIFAR100_SUPERCLASSES.values() for name in names]
    assert len(set(everyone)) == 100
    assert list(CIFAR100_SUPERCLASSES) == sorted(CIFAR100_SUPERCLASSES)
    assert all(list(names) == sorted(names) for names in CIFAR100_SUPERCLASSES.values())
    assert not CIFAR100_SUPERCLASSES.keys() & set(everyone)


def test_the_superclasses_of_the_fine_labels_are_the_official_coarse_labels():
    fine = sorted(name for names in CIFAR100_SUPERCLASSES.values() for name in names)
    assert (fine[0], fine[19], fine[99]) == ("apple", "cattle", "worm")
    # The coarse labels, one for each fine label, as the data set's own files pair them.
    official = """
         4  1 14  8  0  6  7  7 18  3  3 14  9 18  7 11  3  9  7 11
         6 11  5 10  7  6 13 15  3 15  0 11  1 10 12 14 16  9 11  5
         5 19  8  8 15 13 14 17 18 10 16  4 17  4  2  0 17  4 18 17
        10  3  2 12 12 16 12  1  9 19  2 10  0  1 16 12  9 13 15 13
        16 19  2  4  6 19  5  5  8 19 18  1  2 15  6  0 17  8 14 13
    """
    assert superclass_indices(fine) == [int(number) for number in official.split()]


def test_superclasses_of_some_classes_have_no_gaps():
    assert superclass_indices(["tiger", "trout", "bear"]) == [1, 0, 1]
    assert superclass_indices(["worm", "tractor", "crab", "seal"]) == [1, 2, 1, 0]
    assert superclass_indices([]) == []


@pytest.mark.parametrize("names", [["bear", "car", "cat"], ["Bear", "car"], ["fish"], ["sea", ""]])
def test_other_classes_have_no_superclass(names):
    unknown = next(name for name in names if name not in ("bear", "sea"))
    with pytest.raises(ValueError, match=f"names of CIFAR-100's classes, .*; got '{unknown}'"):
        superclass_indices(names)


# --- folders of pictures ------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    """Two classes; three and one picture for training, one each for testing."""
    for split, counts in (("train", {"cat": 3, "dog": 1}), ("test", {"cat": 1, "dog": 1})):
        for label, (class_name, count) in enumerate(counts.items()):
            (tmp_path / split / class_name).mkdir(parents=True)
            for i in range(count):
                picture = np.full((8, 8, 3), (100 * label + i, i, 7), dtype=np.uint8)
                Image.fromarray(picture).save(tmp_path / split / class_name / f"{i}.png")
    return tmp_path


def test_a_folder_is_read_class_by_class_in_turn(pictures):
    data = load_dataset(f"folder:{pictures}", "train", size=8)
    assert data.class_names == ["cat", "dog"]
    assert data.labels.tolist() == [0, 1, 0, 0]
    assert data.images[:, :, 4, 4].tolist() == [[0, 0, 7], [100, 0, 7], [1, 1, 7], [2, 2, 7]]
    part = load_dataset(f"folder:{pictures}", "train", limit=2, size=8)
    assert torch.equal(part.images, data.images[:2])
    assert part.source.startswith("the first 2 images of ") and " 4 in 2 classes" in part.source
    assert load_dataset(f"folder:{pictures}").images.shape == (2, 3, 32, 32)


def test_other_files_and_hidden_ones_are_left_alone(pictures):
    before = load_dataset(f"folder:{pictures}", size=8).sha256
    (pictures / "test" / "cat" / "notes.txt").write_text("no picture")
    (pictures / "test" / "cat" / "._0.png").write_text("no picture")
    (pictures / "test" / ".cache").mkdir()
    (pictures / "test" / "notes.txt").touch()
    assert load_dataset(f"folder:{pictures}", size=8).sha256 == before


def test_a_picture_of_the_right_size_keeps_every_pixel(pictures):
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(pictures / "test" / "cat" / "0.png")
    image = load_dataset(f"folder:{pictures}", size=8, limit=1).images[0]
    assert torch.equal(image, torch.from_numpy(pixels).permute(2, 0, 1))


@pytest.mark.parametrize("upright", [True, False])
def test_the_centre_of_the_long_side_is_cut_out(pictures, upright):
    pixels = np.random.default_rng(3).integers(0, 256, (48, 16, 3), dtype=np.uint8)
    resized, centre = (8, 24), (0, 8, 8, 16)
    if not upright:
        pixels, resized, centre = pixels.transpose(1, 0, 2), (24, 8), (8, 0, 16, 8)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(pictures / "test" / "cat" / "0.png")
    image = load_dataset(f"folder:{pictures}", size=8, limit=1).images[0]
    expected = np.asarray(picture.resize(resized, Image.Resampling.BILINEAR).crop(centre))
    assert torch.equal(image.permute(1, 2, 0), torch.tensor(expected))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(pictures, mode):
    picture = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    suffix = "jpg" if mode == "CMYK" else "png"
    options = {"transparency": bytes([0, 128])} if mode == "P" else {}
    (pictures / "test" / "cat" / "0.png").unlink()
    picture.save(pictures / "test" / "cat" / f"0.{suffix.upper()}", **options)
    image = load_dataset(f"folder:{pictures}", size=8, limit=1).images[0]
    assert image.shape == (3, 8, 8) and (image == 255).all()


def test_pictures_are_turned_as_the_camera_says(pictures):
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = 255  # white on top
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(pictures / "test" / "cat" / "0.png", exif=exif)
    image = load_dataset(f"folder:{pictures}", size=8, limit=1).images[0]
    assert (image[:, :4] == 0).all() and (image[:, 4:] == 255).all()


def test_one_broken_picture_is_named(pictures):
    path = pictures / "train" / "cat" / "1.png"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no picture"):
        path.write_bytes(content)
        assert str(path) in error_of(f"folder:{pictures}", "train")
    load_dataset(f"folder:{pictures}", "test")


def test_sixteen_bits_are_refused_rather_than_cut_off(pictures):
    path = pictures / "test" / "dog" / "0.png"
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(path)
    assert "8 bits" in error_of(f"folder:{pictures}")


@pytest.mark.parametrize("allowed", [50, 20])  # Pillow warns above, and gives up above twice that
def test_a_decompression_bomb_is_refused(pictures, monkeypatch, allowed):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed)
    message = error_of(f"folder:{pictures}")
    assert "decompression bomb" in message and "0.png" in message


def test_a_picture_beyond_all_measure_is_refused(pictures, monkeypatch):
    path = pictures / "test" / "cat" / "0.png"
    monkeypatch.setattr(folders, "LARGEST_PICTURE", 63)
    assert "more than 63 pixels" in error_of(f"folder:{pictures}")
    os.truncate(path, 10 << 30)
    assert "more than 268,435,456 bytes" in error_of(f"folder:{pictures}")


@pytest.mark.parametrize("name", ["x.png", "x.ppm", "x.gif"])
def test_pipes_and_devices_are_no_pictures(pictures, name):
    path = pictures / "test" / "cat" / name
    os.mkfifo(path)
    assert f"{path} cannot be read (it is no regular file)" in error_of(f"folder:{pictures}")
    path.unlink()
    path.symlink_to("/dev/zero")
    assert f"{path} is a link that leads out of {pictures}" in error_of(f"folder:{pictures}")


def test_a_file_that_pillow_would_hand_to_another_program_is_refused(pictures):
    path = pictures / "test" / "cat" / "0.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with Image.open(path) as picture:
        assert picture.format == "EPS", "Pillow knows it, so its ending would not have helped"
    assert "it is none of PNG, JPEG" in error_of(f"folder:{pictures}")


def test_links_lead_within_the_folder_alone(pictures, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(pictures / "test" / "cat" / "0.png", elsewhere / "private.png")
    inside = pictures / "test" / "cat" / "1.png"
    inside.symlink_to("../../train/cat/1.png")
    assert len(load_dataset(f"folder:{pictures}", size=8)) == 3
    (elsewhere / "link").symlink_to(pictures)
    assert len(load_dataset(f"folder:{elsewhere / 'link'}", size=8)) == 3, "PATH may be a link"
    inside.unlink()
    inside.symlink_to(elsewhere / "private.png")
    assert f"{inside} is a link that leads out of {pictures}" in error_of(f"folder:{pictures}")
    inside.unlink()
    shutil.rmtree(pictures / "test" / "cat")
    (pictures / "test" / "cat").symlink_to(elsewhere)
    assert "is a link that leads out of" in error_of(f"folder:{pictures}")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jcat", "\u202egnp", "a\u2028b"])
def test_names_that_cannot_be_printed_are_refused(pictures, name):
    for split in ("train", "test"):
        shutil.copytree(pictures / split / "dog", pictures / split / name)
    message = error_of(f"folder:{pictures}")
    assert "needs a name of one line" in message and repr(name) in message
    for split in ("train", "test"):
        shutil.rmtree(pictures / split / name)
    shutil.copy(pictures / "test" / "dog" / "0.png", pictures / "test" / "dog" / f"{name}.png")
    assert "needs a name of one line" in error_of(f"folder:{pictures}")


def test_names_in_other_scripts_are_welcome(pictures):
    names = ["Größe", "猫", "می\u200cخواهم", "👩\u200d🔬", "<b>"]
    for name in names:
        for split in ("train", "test"):
            shutil.copytree(pictures / split / "dog", pictures / split / name)
    assert set(load_dataset(f"folder:{pictures}", size=8).class_names) == {"cat", "dog", *names}


def test_missing_empty_and_different_folders_are_named(pictures):
    name = f"folder:{pictures}"
    (pictures / "train" / "emu").mkdir()
    for split in ("train", "test"):
        assert "emu only in train/" in error_of(name, split)
    (pictures / "test" / "emu").mkdir()
    assert str(pictures / "test" / "emu") in error_of(name)
    for split in ("train", "test"):
        (pictures / split / "emu").rmdir()
    load_dataset(name)
    for split in ("train", "test"):
        shutil.rmtree(pictures / split / "dog")
    assert "at least 2" in error_of(name)
    shutil.rmtree(pictures / "test")
    for split in ("train", "test"):
        assert str(pictures / "test") in error_of(name, split)
    assert "train" in error_of("folder:")
    assert str(pictures / "nowhere") in error_of(f"folder:{pictures / 'nowhere'}")


# --- the real thing, where it is there ----------------------------------------------------------


@needs_real_data
def test_real_mnist_from_its_official_archives(tmp_path):
    shutil.copytree(REAL_DATA / "MNIST", tmp_path / "MNIST")
    train = load_dataset("mnist", "train", root=tmp_path)
    assert train.labels.bincount().tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    header = struct.pack(">4i", 0x803, 60_000, 28, 28)
    file = hashlib.sha256(header + train.images.numpy().tobytes()).hexdigest()
    assert file == "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    test = load_dataset("mnist", "test", root=tmp_path)
    assert test.labels.bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    assert test.source.startswith("the full test split, 10,000 images")


@needs_real_data
def test_real_cifar10():
    with tempfile.TemporaryDirectory() as root:
        unpack = [sys.executable, str(REAL_DATA / "unpack.py"), root, "cifar10"]
        subprocess.run(unpack, check=True, capture_output=True)
        train = load_dataset("cifar10", "train", root=root)
        test = load_dataset("cifar10", "test", root=root)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert train.labels.bincount().tolist() == [5000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    assert test.class_names[:4] == ["airplane", "automobile", "bird", "cat"]
    means = [float(train.images[:, channel].double().mean()) / 255 for channel in range(3)]
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)


FULL_FASHION = locations.data_root() / "FashionMNIST" / "raw"


@pytest.mark.skipif(
    not (FULL_FASHION / "t10k-images-idx3-ubyte").is_file(),
    reason="no full Fashion-MNIST in the data root (MMC_VIZ_DATA)",
)
def test_the_sample_is_part_of_the_real_test_split(tmp_path):
    full = load_dataset("fashion_mnist", root=FULL_FASHION.parent.parent)
    sample = load_dataset("fashion_mnist", root=tmp_path)
    first = torch.stack([torch.nonzero(full.labels == i)[:100, 0] for i in range(10)], dim=1)
    assert torch.equal(sample.images, full.images[first.flatten()])
    assert torch.equal(sample.labels, full.labels[first.flatten()])
    with np.load(locations.SAMPLES_DIR / "fashion_mnist_test.npz", allow_pickle=False) as stored:
        assert stored["test_indices"].tolist() == first.flatten().tolist()
    assert full.labels.bincount().tolist() == [1000] * 10
