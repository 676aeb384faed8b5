"""Data sets on the disk: the same as in memory, whole or refused."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from faults import killed_at
from PIL import Image

from mmc_viz.datasets import load_dataset, shard_writing, shards
from mmc_viz.datasets.shard_checking import verify
from mmc_viz.datasets.shard_index import INDEX, read_index
from mmc_viz.datasets.shard_writing import write_shards
from mmc_viz.training import TrainConfig, train

PER_SHARD = 100  # digits
FILES = {INDEX, "train.images", "train.labels", "test.images", "test.labels"}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Digits in many small shards."""
    folder = tmp_path_factory.mktemp("shards") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writing, "SHARD_BYTES", PER_SHARD * 64 + 7)
        write_shards("digits", folder, progress=False)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy that may be spoiled."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in written.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.fixture
def large(monkeypatch):
    """Take every split for one that is too large to be read at each start."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 0)


def load(folder, split="train", limit=None):
    return load_dataset(f"shards:{folder}", split, limit)


def refusal(act, *words, **more):
    """Message of the ValueError that is raised, in one line."""
    with pytest.raises(ValueError) as raised:
        act(*words, **more)
    assert "\n" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return str(raised.value)


def change(folder, act):
    """Let somebody change the index."""
    values = json.loads((folder / INDEX).read_text())
    act(values)
    (folder / INDEX).write_text(json.dumps(values))


def put(folder, split, labels):
    """Put labels in the place of others, as the index knows them."""
    content = np.asarray(labels, dtype="<i8").tobytes()
    (folder / f"{split}.labels").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    change(folder, lambda values: values["splits"][split].update(labels_sha256=sha256))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


# --- the same as in memory ----------------------------------------------------------------------


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("limit", [None, 1, 250, 10_000])
@pytest.mark.parametrize("split", ["train", "test"])
def test_shards_hold_what_was_in_memory(split, limit, size, written, request):
    if size == "large":
        request.getfixturevalue("large")
    found, expected = load(written, split, limit), load_dataset("digits", split, limit)
    assert torch.equal(found.images, expected.images) and found.images.dtype == torch.uint8
    assert torch.equal(found.labels, expected.labels)
    assert found.class_names == expected.class_names and found.split == split
    assert found.sha256 == expected.sha256
    assert torch.equal(found.inputs(), expected.inputs())
    assert found.name == f"shards:{written}" and found.source == f"{expected.source}, as shards"


def test_the_files_hold_the_bytes_and_nothing_else(written):
    assert {path.name for path in written.iterdir()} == FILES
    for split in ("train", "test"):
        data = load_dataset("digits", split)
        assert (written / f"{split}.images").read_bytes() == data.images.numpy().tobytes()
        labels = np.fromfile(written / f"{split}.labels", dtype="<i8")
        assert labels.tolist() == data.labels.tolist()
    train_set = json.loads((written / INDEX).read_text())["splits"]["train"]
    content = (written / "train.images").read_bytes()
    starts = range(0, len(content), PER_SHARD * 64)
    stretches = [content[start : start + PER_SHARD * 64] for start in starts]
    assert train_set["shards"] == [hashlib.sha256(s).hexdigest() for s in stretches]
    assert len(stretches) == 15 and len(stretches[-1]) == 37 * 64


def test_a_model_comes_out_the_same_bit_for_bit(written):
    config = TrainConfig(
        dataset="digits", network="small_cnn", epochs=2, batch_size=64, limit=500, seed=3
    )

    def weights(train_set, test_set):
        return train(config, train_set, test_set, device="cpu", progress=False).model.state_dict()

    memory = weights(load_dataset("digits", "train"), load_dataset("digits", "test", 50))
    mapped = weights(load(written), load(written, "test", 50))
    assert memory.keys() == mapped.keys()
    assert all(torch.equal(memory[name], mapped[name]) for name in memory)


def test_the_command_trains_the_same_model(written, run, tmp_path, monkeypatch):
    """Augmented the same way too, though nobody says that these are digits."""
    monkeypatch.chdir(tmp_path)
    words = ["--network", "small_cnn", "--epochs", 1, "--limit", 100, "--device", "cpu", "--quiet"]
    cards = []
    for name in ("digits", f"shards:{written}"):
        words += ["--out", f"model-{len(cards)}"]
        assert run("train", "--dataset", name, *words)[::2] == (0, "")
        cards.append(json.loads((tmp_path / f"model-{len(cards)}" / "card.json").read_text()))
    memory, mapped = cards
    assert mapped["weights_sha256"] == memory["weights_sha256"]
    assert mapped["dataset"] == memory["dataset"] | {"name": f"shards:{written}"}
    assert mapped["config"] == memory["config"] | {"dataset": f"shards:{written}"}
    assert mapped["config"]["augmentation"] == "shift"


def test_pictures_are_read_as_by_the_folder_itself(tmp_path):
    generator = np.random.default_rng(0)
    for split, class_name, count in itertools.product(("train", "test"), "abc", (3,)):
        place = tmp_path / "pictures" / split / class_name
        place.mkdir(parents=True)
        for number in range(count + (class_name == "b")):
            pixels = generator.integers(0, 256, (20 + number, 31, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    name = f"folder:{tmp_path / 'pictures'}"
    write_shards(name, tmp_path / "out", size=12, progress=False)
    for split in ("train", "test"):
        found, expected = load(tmp_path / "out", split), load_dataset(name, split, size=12)
        assert torch.equal(found.images, expected.images) and found.images.shape[1:] == (3, 12, 12)
        assert torch.equal(found.labels, expected.labels)
        assert found.class_names == expected.class_names == ["a", "b", "c"]
        assert found.sha256 == expected.sha256
        assert found.source == f"{expected.source}, as shards"


def test_shards_can_be_written_from_shards(written, tmp_path):
    write_shards(f"shards:{written}", tmp_path / "again", splits=["test"], progress=False)
    assert load(tmp_path / "again", "test").sha256 == load(written, "test").sha256
    assert read_index(tmp_path / "again").index.name == "digits"
    message = refusal(load, tmp_path / "again", "train")
    assert "has no split 'train', only test" in message


# --- mapped -------------------------------------------------------------------------------------


def test_the_file_cannot_be_written_through_the_tensor(folder):
    before = (folder / "test.images").read_bytes()
    data, other = load(folder, "test"), load(folder, "test")
    data.images.fill_(255)
    data.first(3).images.zero_()
    assert data.images[:3].eq(0).all() and data.images[3:].eq(255).all()
    assert (folder / "test.images").read_bytes() == before
    assert other.images.numpy().tobytes() == before


def test_the_first_images_are_no_copy(folder, large):
    data = load(folder)
    assert data.first(20).images.data_ptr() == data.images.data_ptr()
    assert data.first(20).sha256 == load_dataset("digits", "train", 20).sha256
    assert data.first(5000) is data


@pytest.mark.skipif(sys.platform != "linux", reason="how much is mapped, Linux alone tells")
def test_a_split_may_be_larger_than_the_memory(tmp_path):
    """A file of 1 TB with nothing in it: holes take no room on the disk."""
    count, side = 1 << 12, 1 << 14
    sha256 = "0" * 64
    labels = bytes(8 * count)
    split = {
        "count": count,
        "source": "nothing",
        "sha256": sha256,
        "labels_sha256": hashlib.sha256(labels).hexdigest(),
        "shards": [sha256] * count,
    }
    index = {
        **{"format": 1, "name": "holes", "class_names": ["a"], "images_per_shard": 1},
        **{"channels": 1, "height": side, "width": side, "splits": {"test": split}},
    }
    (tmp_path / INDEX).write_text(json.dumps(index))
    (tmp_path / "test.labels").write_bytes(labels)
    with (tmp_path / "test.images").open("wb") as file:
        try:
            file.truncate(count * side * side)
        except OSError:
            pytest.skip("this file system knows no such files")
    data = load(tmp_path, "test")
    assert data.images.shape == (count, 1, side, side) and int(data.images[-1, 0, -1, -1]) == 0
    assert data.sha256 == sha256  # as it was recorded; nobody reads so much
    data.images[7, 0, 0, 0] = 1
    assert data.images[7, 0, 0].sum() == 1


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train.images", "train.labels"])
@pytest.mark.parametrize("cut", [-1, 1, 64])
def test_a_file_of_another_size_is_refused(name, cut, folder):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-cut] if cut > 0 else content + b"\0")
    message = refusal(load, folder)
    assert name in message and f"{len(content) - cut:,} bytes" in message
    load(folder, "test")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, kept: os.mkfifo(path),
        lambda path, kept: path.mkdir(),
        lambda path, kept: path.symlink_to(kept),
        lambda path, kept: path.symlink_to("/dev/zero"),
        lambda path, kept: None,
    ],
    ids=["pipe", "folder", "link", "device", "nothing"],
)
@pytest.mark.parametrize("name", ["test.images", "test.labels"])
def test_nothing_but_a_regular_file_is_read(name, spoil, folder, tmp_path):
    (folder / name).rename(tmp_path / "kept")
    spoil(folder / name, tmp_path / "kept")
    assert name in refusal(load, folder, "test")
    assert name in refusal(verify, folder, progress=False)


@pytest.mark.parametrize("name", ["channels", "height", "width", "images_per_shard"])
@pytest.mark.parametrize("value", [0, -8, 9, 2**70, 8.0, "8", True, None])
def test_sizes_that_are_not_those_of_the_files_are_refused(name, value, folder):
    change(folder, lambda values: values.update({name: value}))
    assert INDEX in refusal(load, folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.update(format=2),
        lambda v: v.pop("format"),
        lambda v: v.update(more=1),
        lambda v: v.pop("name"),
        lambda v: v.update(name=3),
        lambda v: v.update(name="\x1b[2J"),
        lambda v: v.update(class_names="0123456789"),
        lambda v: v.update(class_names=[]),
        lambda v: v["class_names"].__setitem__(0, "a\nb"),
        lambda v: v.update(splits={}),
        lambda v: v.update(splits=[]),
        lambda v: v["splits"].update({"../train": v["splits"]["train"]}),
        lambda v: v["splits"].update({"/etc/passwd": v["splits"]["train"]}),
        lambda v: v["splits"].update(train=None),
        lambda v: v["splits"]["train"].pop("shards"),
        lambda v: v["splits"]["train"].update(images="../../secret"),
        lambda v: v["splits"]["train"].update(count=0),
        lambda v: v["splits"]["train"].update(count=1436),
        lambda v: v["splits"]["train"].update(count=2**62),
        lambda v: v["splits"]["train"].update(count=True),
        lambda v: v["splits"]["train"].update(source=None),
        lambda v: v["splits"]["train"].update(sha256="x" * 64),
        lambda v: v["splits"]["train"].update(labels_sha256="0" * 64),
        lambda v: v["splits"]["train"]["shards"].pop(),
        lambda v: v["splits"]["train"]["shards"].append("0" * 64),
        lambda v: v["splits"]["train"]["shards"].__setitem__(0, None),
    ],
)
def test_an_index_that_is_not_ours_is_refused(spoil, folder):
    change(folder, spoil)
    assert str(folder) in refusal(load, folder)
    assert str(folder) in refusal(verify, folder, progress=False)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": NaN}', "[" * 10**5, b"\xff"])
def test_an_index_that_is_no_object_is_refused(text, folder):
    (folder / INDEX).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert INDEX in refusal(load, folder)


def test_an_index_is_not_waited_for(folder):
    (folder / INDEX).unlink()
    os.mkfifo(folder / INDEX)
    assert "no regular file" in refusal(load, folder)


@pytest.mark.parametrize("wrong", [-1, 10, 2**40, -(2**63)])
def test_labels_out_of_range_are_refused(wrong, folder):
    put(folder, "test", [*load_dataset("digits", "test").labels[:-1].tolist(), wrong])
    message = refusal(load, folder, "test")
    assert "must lie in 0..9" in message and str(wrong) in message


def test_labels_are_compared_with_their_checksum_at_each_start(folder, large):
    flip(folder / "train.labels", 0)
    assert "train.labels is damaged" in refusal(load, folder)


def test_the_images_of_a_small_split_are_compared_at_each_start(folder):
    flip(folder / "train.images", 1234 * 64)
    message = refusal(load, folder)
    assert "Shard 12 of train" in message and "images 1200 to 1299" in message


def test_those_of_a_large_one_when_somebody_asks(folder, large):
    flip(folder / "train.images", 0)
    flip(folder / "train.images", 1437 * 64 - 1)
    load(folder)
    message = refusal(verify, folder, progress=False)
    assert "Shard 0 of train" in message and "Shard 14 of train" in message
    assert "Shard 1 " not in message and "of test" not in message
    assert "bytes 89600 to 91967 of train.images" in message


def test_a_stretch_that_is_copied_again_is_enough(folder, written):
    flip(folder / "train.images", 700 * 64)
    assert "bytes 44800 to 51199" in refusal(verify, folder, progress=False)
    with (folder / "train.images").open("r+b") as file:
        file.seek(44800)
        file.write((written / "train.images").read_bytes()[44800:51200])
    assert verify(folder, progress=False).index.splits.keys() == {"train", "test"}


def test_a_false_fingerprint_is_found_by_verify_and_not_taken_where_it_can_be_computed(folder):
    change(folder, lambda values: values["splits"]["test"].update(sha256="0" * 64))
    assert load(folder, "test").sha256 == load_dataset("digits", "test").sha256
    assert "`sha256` of test" in refusal(verify, folder, progress=False)


# --- writing ------------------------------------------------------------------------------------


def names_below(folder):
    return sorted(path.name for path in folder.rglob("*"))


#: Among the images too: the file has some of them by then.
IMAGES = [(torch.Tensor, "numpy")]


@pytest.mark.parametrize("moment", [*range(1, 8), 400, 1437, *range(1438, 1446), 1700, 1802, 1803])
def test_a_writer_killed_at_any_moment_leaves_nothing_that_loads(moment, tmp_path):
    folder = tmp_path / "out"
    status = killed_at(moment, lambda: write_shards("digits", folder, progress=False), IMAGES)
    assert status == signal.SIGKILL
    assert "written last" in refusal(load, folder)


def test_a_writer_killed_between_any_two_of_the_last_calls_leaves_nothing_or_all(tmp_path):
    """The last calls give the files their names, and the index comes after all of them."""
    calls = 1437 + 360
    ends = []
    for moment in range(calls + 3, calls + 40):
        folder = tmp_path / str(moment)
        status = killed_at(moment, partial(write_shards, "digits", folder, progress=False), IMAGES)
        if (folder / INDEX).exists():
            assert load(folder).sha256 == load_dataset("digits", "train").sha256
            assert load(folder, "test").sha256 == load_dataset("digits", "test").sha256
            ends.append(status)
        else:
            assert status == signal.SIGKILL and "written last" in refusal(load, folder)
        if status == 0:
            break
    assert ends[-1] == 0 and len(ends) > 1  # it was killed after the index, too


def test_a_new_writer_removes_what_a_killed_one_has_left(tmp_path):
    folder = tmp_path / "out"
    killed_at(900, lambda: write_shards("digits", folder, progress=False), IMAGES)
    assert "train.images.part" in names_below(folder)
    write_shards("digits", folder, progress=False)
    assert set(names_below(folder)) == FILES
    verify(folder, progress=False)


def test_nobody_writes_over_what_is_there(written, tmp_path):
    assert "There are shards in" in refusal(write_shards, "digits", written, progress=False)
    (tmp_path / "train.images").write_text("mine")
    message = refusal(write_shards, "digits", tmp_path, progress=False)
    assert "is not empty (train.images)" in message
    assert (tmp_path / "train.images").read_text() == "mine"
    assert names_below(tmp_path) == ["train.images"]


def test_two_cannot_write_at_once(tmp_path):
    code = (
        "import sys; from mmc_viz.files import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, tmp_path / INDEX]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert "Another process is writing" in refusal(write_shards, "digits", tmp_path)
        holder.stdin.close()
    write_shards("digits", tmp_path, progress=False)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_nothing(error, tmp_path, monkeypatch):
    calls = itertools.count()
    numpy = torch.Tensor.numpy

    def full(image):
        if next(calls) == 1500:
            raise error
        return numpy(image)

    monkeypatch.setattr(torch.Tensor, "numpy", full)
    if isinstance(error, OSError):
        message = refusal(write_shards, "digits", tmp_path / "out", progress=False)
        assert "cannot be written (No space left on device)" in message
    else:
        with pytest.raises(KeyboardInterrupt):
            write_shards("digits", tmp_path / "out", progress=False)
    assert next(calls) == 1501 and names_below(tmp_path) == []


def test_what_does_not_fit_on_the_disk_is_refused_at_once(tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shard_writing.shutil, "disk_usage", lambda path: free)
    message = refusal(write_shards, "digits", tmp_path / "out", progress=False)
    assert "need 129,384 bytes" in message and "has 1,000 left" in message
    assert names_below(tmp_path) == []


def test_a_broken_picture_stops_the_writing(tmp_path):
    for split, class_name in itertools.product(("train", "test"), "ab"):
        (tmp_path / "pictures" / split / class_name).mkdir(parents=True)
        path = tmp_path / "pictures" / split / class_name / "0.png"
        Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:40])
    message = refusal(write_shards, f"folder:{tmp_path / 'pictures'}", tmp_path / "out", size=4)
    assert str(path) in message and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("dataset", "more", "said"),
    [
        ("digits", {"splits": []}, "`splits` must be some of train, test"),
        ("digits", {"splits": ["valid"]}, "`splits` must be some of train, test"),
        ("unknown", {}, "`name` must be one of"),
        ("folder:/nowhere", {}, "no folder"),
        ("folder:/nowhere", {"size": 0}, "`size` must be"),
        ("shards:/nowhere", {}, "no shards in"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(dataset, more, said, tmp_path):
    assert said in refusal(write_shards, dataset, tmp_path / "out", **more)
    assert names_below(tmp_path) == []


# --- the command --------------------------------------------------------------------------------


def test_the_command_writes_and_verifies(run, tmp_path):
    out = tmp_path / "out"
    status, said, err = run("shards", "digits", "--out", out, "--splits", "test", "--quiet")
    assert (status, err) == (0, "") and f"use it as shards:{out}" in said
    assert load_dataset("digits", "test").sha256 in said and "360 images of 1x8x8" in said
    assert run("shards", "--verify", out, "--quiet")[::2] == (0, "")
    flip(out / "test.images", 5)
    status, said, err = run("shards", "--verify", out, "--quiet")
    assert (status, said) == (2, "") and err.count("\n") == 1 and "Shard 0 of test" in err


@pytest.mark.parametrize("words", [[], ["digits"], ["--out", "a"], ["digits", "--verify", "a"]])
def test_the_command_does_one_thing(words, run):
    status, out, err = run("shards", *words)
    assert (status, out) == (2, "") and "either DATASET and `--out DIR`, or" in err
