"""What goes to pages and comes back: bundles, slides, replay codes, notebooks."""

import dataclasses
import functools
import json
import zlib
from pathlib import Path
from random import Random

import nbformat
import numpy as np
import torch

from fuzzing.kind import Format
from fuzzing.mutating import BYTES, EXTREMES, JSON, TEXTS, inside
from mmc_viz import replay
from mmc_viz.bundles import pack, unpack
from mmc_viz.export.lessons import read_lesson
from mmc_viz.paths import EpsilonPath

# ---- bundles


@functools.cache
def bundles() -> list[bytes]:
    """Two bundles: one of several runs, and the smallest."""

    def path(steps: int, count: int, seed: int) -> EpsilonPath:
        draw = torch.Generator().manual_seed(seed)
        return EpsilonPath(
            epsilons=torch.linspace(0, 0.3, steps),
            images=torch.randint(256, (steps, count, 1, 2, 3), generator=draw, dtype=torch.uint8),
            logits=torch.randn(steps, count, 3, generator=draw),
            features=torch.zeros(steps, count, 1),
            success=(torch.rand(steps, count, generator=draw) < 0.3).cumsum(dim=0) > 0,
            labels=torch.arange(count) % 3,
        )

    runs = {"margin": {"SCE": path(3, 4, 0), "MMC": path(3, 4, 1)}, "dlr": {"SCE": path(2, 4, 2)}}
    return [pack(runs, ["a", "b <b>", "ß"]), pack({"": {"": path(1, 1, 3)}}, ["a", "b", "c"])]


def read_bundle(data: bytes, folder: Path) -> None:
    """Read a bundle, and compare it with one read by hand."""
    found = unpack(data)
    block = zlib.decompress(data)
    size = int.from_bytes(block[:4], "little")
    header, payload = json.loads(block[4 : 4 + size]), block[4 + size + -size % 4 :]
    assert found.class_names == header["class_names"] and found.labels == header["labels"]
    count, *pixels = (header["shape"][name] for name in ("count", "channels", "height", "width"))
    assert list(found.runs) == [run["name"] for run in header["runs"]]
    for run in header["runs"]:
        assert found.runs[run["name"]].epsilons == run["epsilons"]
        for panel in run["panels"]:
            shape = (count, len(run["epsilons"]), *pixels)
            content = payload[panel["offset"] :][: int(np.prod(shape))]
            steps = np.frombuffer(content, np.uint8).reshape(shape).cumsum(axis=1, dtype=np.uint8)
            read = found.runs[run["name"]].panels[panel["title"]]
            assert (read.images.numpy() == steps.swapaxes(0, 1)).all()
            assert read.predictions.tolist() == panel["predictions"]
            assert read.right.tolist() == panel["right"]
            assert read.success.int().tolist() == panel["success"]


def _block_header(data: bytes) -> bytes:
    block = zlib.decompress(data)
    return block[4 : 4 + int.from_bytes(block[:4], "little")]


def _with_block_header(data: bytes, header: bytes) -> bytes:
    block = zlib.decompress(data)
    size = int.from_bytes(block[:4], "little")
    rest = block[4 + size + -size % 4 :]
    padding = bytes(-len(header) % 4)
    return zlib.compress(len(header).to_bytes(4, "little") + header + padding + rest)


_BLOCKS = (
    *BYTES,
    *(inside(zlib.decompress, lambda _, block: zlib.compress(block), BYTES),) * 11,
    *(inside(_block_header, _with_block_header, JSON),) * 33,
)

# ---- replay codes


@functools.cache
def codes() -> list[bytes]:
    """A code of each kind of widget."""
    from mmc_viz.widgets import kinds

    found = []
    for kind, widget in kinds().items():
        code = replay.write(
            kind, widget.Settings(), {"shown": 3, "words": "a b", "chosen": [1, 2, 3]}
        )
        found.append(f"{code}&weights=3f2a91b0".encode())
    return found


def change_code(data: bytes, draw: Random) -> bytes:
    """Put another value behind a name, or leave one out, or name it twice."""
    kind, _, rest = data.partition(b"?")
    pairs = rest.split(b"&")
    at = draw.randrange(len(pairs))
    name, _, text = pairs[at].partition(b"=")
    number = str(draw.choice([*EXTREMES, -1, 0.5, 10**14, 10**30])).encode()
    values = [number, number + b"," + text, text + b"-" + number, b"0-" + number, b"%ff", b"%00"]
    values += [draw.choice(TEXTS).encode(errors="replace"), text * 2, b"", b",", text[:-1], b"1e5"]
    pairs[at] = name + b"=" + draw.choice(values)
    if draw.random() < 0.2:
        pairs.insert(draw.randrange(len(pairs)), draw.choice([pairs[at], b"", b"=", b"a", b"x=1"]))
    return kind + b"?" + b"&".join(pairs)


def read_code(data: bytes, folder: Path) -> None:
    """Read a code as the widget of its kind would, and write it again."""
    from mmc_viz.widgets import kinds

    text = data.decode()
    kind, fields = replay.split(text)
    if kind not in kinds():
        raise ValueError("no kind of ours")
    settings, rest = replay.read(kinds()[kind].Settings, fields)
    again = replay.write(kind, settings)
    assert replay.read(type(settings), replay.split(again)[1]) == (settings, {})
    for value in dataclasses.astuple(settings):
        for one in value if isinstance(value, tuple) else [value]:
            assert type(one) in (str, int, float, bool)
    assert len(again) < 300_000 and len(rest) < replay.LONGEST


# ---- notebooks


@functools.cache
def notebooks() -> list[bytes]:
    """A notebook with a cell of each kind."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(
                "# Title\n\n**What you learn.**\n\nTime: 5 minutes", id="a"
            ),
            nbformat.v4.new_code_cell("print(1)", id="b"),
            nbformat.v4.new_raw_cell("raw", id="c"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    return [nbformat.writes(notebook).encode()]


def read_notebook(data: bytes, folder: Path) -> None:
    """Read what a notebook says of itself; nothing is run."""
    (folder / "x.ipynb").write_bytes(data)
    lesson = read_lesson(folder / "x.ipynb")
    assert all(type(words) is str for words in (lesson.title, lesson.promise, lesson.time))
    assert len(f"{lesson.title}{lesson.promise}{lesson.time}".splitlines()) <= 1


FORMATS = (
    Format("bundle", bundles, read_bundle, _BLOCKS),
    Format("code", codes, read_code, (*BYTES, *(change_code,) * 33)),
    Format("notebook", notebooks, read_notebook, JSON, cases=100),
)
