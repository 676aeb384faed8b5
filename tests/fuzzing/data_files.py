"""Data sets: pictures, idx files plain and packed, CIFAR's pickles, and the samples that ship."""

import functools
import gzip
import hashlib
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np
import torch
from PIL import Image

from fuzzing.kind import Format
from fuzzing.mutating import BYTES, JSON, inside
from mmc_viz.datasets import digits, load_dataset
from mmc_viz.locations import SAMPLES_DIR

NOISE = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)


def no_network(*_, **__):
    """Stand for a network that is not there."""
    raise OSError("no network in the tests")


# ---- pictures


@functools.cache
def pictures() -> list[bytes]:
    """One small picture of each kind, and some with what kinds may hold besides."""
    photo = Image.fromarray(np.stack([NOISE[0], NOISE[1], NOISE[2]], axis=2)).resize((9, 7))
    exif = Image.Exif()
    exif[0x0112] = 6
    forms = [
        ("PNG", {}),
        ("PNG", {"exif": exif, "icc_profile": bytes(200)}),
        ("JPEG", {"exif": exif}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": exif}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("PPM", {}),
    ]
    found = [_saved(photo, form, **options) for form, options in forms]
    palette = photo.quantize(7)
    found += [_saved(palette, form) for form in ("PNG", "GIF", "BMP", "TIFF")]
    found += [_saved(photo.convert("1"), form) for form in ("PNG", "TIFF", "PPM")]
    found.append(_saved(photo, "GIF", save_all=True, append_images=[palette.convert("RGB")]))
    found.append(_saved(photo.convert("CMYK"), "JPEG"))
    found.append(b"P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 255\n")
    return found


def _saved(picture: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def read_picture(data: bytes, folder: Path) -> None:
    """Read it as the first picture of a folder, twice."""
    for split, name in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "dog")):
        (folder / split / name).mkdir(parents=True)
        (folder / split / name / "x.png").write_bytes(data)
    one = load_dataset(f"folder:{folder}", size=6)
    assert one.images.shape == (2, 3, 6, 6)
    assert torch.equal(one.images[0], one.images[1]), "the same file gave two pictures"


# ---- idx


@functools.cache
def _idx_images() -> bytes:
    return struct.pack(">4i", 0x803, 3, 28, 28) + NOISE[:3].tobytes()


_IDX_LABELS = struct.pack(">2i", 0x801, 3) + bytes([7, 0, 9])


def _pairs() -> list[bytes]:
    return [_idx_images(), _IDX_LABELS]


def _read_idx(folder: Path, place, data: bytes) -> torch.Tensor:
    """Let `place(path, content)` write the files of which `data` is one; compare with the truth."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    as_labels = len(data) < 400
    files = (_idx_images(), data) if as_labels else (data, _IDX_LABELS)
    for name, content in zip(("images-idx3", "labels-idx1"), files, strict=True):
        place(raw / f"t10k-{name}-ubyte", content)
    with mock.patch("urllib.request.urlopen", no_network):
        found = load_dataset("mnist", root=folder)
    return found.labels if as_labels else found.images


def _check_idx(found: torch.Tensor, plain: bytes) -> None:
    """Compare with an idx file, read by hand."""
    values = 1 if found.dtype == torch.int64 else 3
    magic, *shape = struct.unpack(f">{1 + values}I", plain[: 4 + 4 * values])
    assert magic == 0x800 + values
    assert plain[4 + 4 * values :] == found.to(torch.uint8).numpy().tobytes()
    assert shape == list(found.squeeze(1).shape if values == 3 else found.shape)


def read_idx(data: bytes, folder: Path) -> None:
    """Read a plain idx file, of images or labels."""
    _check_idx(_read_idx(folder, Path.write_bytes, data), data)


def read_packed_idx(data: bytes, folder: Path) -> None:
    """Read a packed idx file."""

    def place(path: Path, content: bytes) -> None:
        if content is data:
            Path(f"{path}.gz").write_bytes(content)
        else:
            path.write_bytes(content)

    plain = gzip.decompress
    _check_idx(_read_idx(folder, place, data), plain(data))


def _packed() -> list[bytes]:
    return [gzip.compress(data, mtime=0) for data in _pairs()]


# ---- CIFAR


@functools.cache
def _cifar() -> tuple[str, dict[str, bytes], dict]:
    """The folder of a small CIFAR-10, its files, and the MD5 sums that count as official."""
    from mmc_viz.datasets.torchvision_readers import import_torchvision

    reader = import_torchvision().datasets.CIFAR10
    batch = {"data": NOISE[:4].repeat(4, axis=0)[:, :, :24].reshape(-1)[:6144].reshape(2, 3072)}
    batch = pickle.dumps(batch | {"labels": [1, 0]}, protocol=2)
    meta = pickle.dumps({"label_names": ["a", "b"]}, protocol=2)
    md5 = hashlib.md5(batch).hexdigest()
    train = [[name, md5] for name, _ in reader.train_list]
    test = [[name, md5] for name, _ in reader.test_list]
    files = dict.fromkeys([name for name, _ in train + test], batch)
    files |= {reader.meta["filename"]: meta}
    known = {
        "train_list": train,
        "test_list": test,
        "meta": reader.meta | {"md5": hashlib.md5(meta).hexdigest()},
    }
    return reader.base_folder, files, known


class Bomb:
    """Unpickling it makes a file in the present folder."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def bomb(data: bytes, draw: Random) -> bytes:
    """Give a pickle that does harm."""
    return pickle.dumps(Bomb())


def _cifar_files() -> list[bytes]:
    _, files, _ = _cifar()
    return list(dict.fromkeys(files.values()))


def read_cifar(data: bytes, folder: Path) -> None:
    """Read CIFAR-10 with one of its files changed."""
    from mmc_viz.datasets.torchvision_readers import import_torchvision

    base, files, known = _cifar()
    (folder / base).mkdir()
    # Which one, the length says.
    small = len(data) < 1_000
    name = list(files)[-1 if small else len(data) % (len(files) - 1)]
    for other, content in (files | {name: data}).items():
        (folder / base / other).write_bytes(content)
    reader = import_torchvision().datasets.CIFAR10
    with mock.patch.multiple(reader, **known), mock.patch("urllib.request.urlopen", no_network):
        try:
            load_dataset("cifar10", "train" if len(data) % 2 else "test", root=folder)
        finally:
            assert not Path("unpickled").exists(), "unpickled"
    assert data == files[name], "a changed pickle was opened"


# ---- what ships


@functools.cache
def _sample() -> list[bytes]:
    """The sample itself, and stored anew without compression, so that its insides can be hit."""
    packed = (SAMPLES_DIR / "fashion_mnist_test.npz").read_bytes()
    return [packed, _zipped(_members(packed))]


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def read_sample(data: bytes, folder: Path) -> None:
    """Read the sample of Fashion-MNIST; what it holds can only be what its own checksums say."""
    (folder / "fashion_mnist_test.npz").write_bytes(data)
    with mock.patch("mmc_viz.datasets.fashion_sample.SAMPLES_DIR", folder):
        found = load_dataset("fashion_mnist", root=folder)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # the third array is for people to read
        members = {name: archive.read(name) for name in ("images.npy", "labels.npy")}
    assert members["images.npy"].endswith(found.images.numpy().tobytes())
    assert found.images.shape == (1000, 1, 28, 28)
    assert members["labels.npy"].endswith(found.labels.to(torch.uint8).numpy().tobytes())


def _array(data: bytes) -> bytes:
    return _members(data)["images.npy"]


def _with_array(data: bytes, array: bytes) -> bytes:
    return _zipped(_members(data) | {"images.npy": array})


def _array_header(data: bytes) -> bytes:
    return _array(data)[:128]


def _with_array_header(data: bytes, header: bytes) -> bytes:
    return _with_array(data, header + _array(data)[128:])


def _split() -> list[bytes]:
    return [(SAMPLES_DIR / "digits_split.json").read_bytes()]


def read_split(data: bytes, folder: Path) -> None:
    """Read which of the digits are for testing."""
    (folder / "digits_split.json").write_bytes(data)
    with mock.patch("mmc_viz.datasets.digits.SAMPLES_DIR", folder):
        found = digits._test_indices(1797)
    assert found == json.loads(data)["test"] and len(set(found)) == 360
    assert all(type(index) is int and 0 <= index < 1797 for index in found)


FORMATS = (
    Format("picture", pictures, read_picture),
    Format("idx", _pairs, read_idx),
    Format(
        "packed-idx",
        _packed,
        read_packed_idx,
        (*BYTES, inside(gzip.decompress, lambda _, d: gzip.compress(d, mtime=0), BYTES)),
    ),
    Format("cifar", _cifar_files, read_cifar, (*BYTES, bomb), cases=100),
    Format(
        "sample",
        _sample,
        read_sample,
        (
            *BYTES,
            inside(_array, _with_array, BYTES),
            inside(_array_header, _with_array_header, BYTES),
        ),
        cases=100,
    ),
    Format("split", _split, read_split, JSON),
)
