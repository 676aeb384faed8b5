"""What topics of the benchmark measure with: processes, memory, parts. Nothing is timed here."""

import json
import sys
from types import SimpleNamespace

import nbformat
import pytest
import torch

from mmc_viz import load_dataset, load_model
from mmc_viz.bench import first_picture, machine, memory, notebooks, processes, profile, ui
from mmc_viz.bench.processes import Memory, answer_of, memory_of, peak_of
from mmc_viz.datasets.shard_checking import verify

linux = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that tells memory apart")


# --- processes ----------------------------------------------------------------------------------


def test_a_fresh_process_answers_with_its_last_line():
    code = "import json, os; print('a word'); print(json.dumps(os.environ['OMP_NUM_THREADS']))"
    assert answer_of(code, threads=3) == "3"


@linux
def test_memory_of_ones_own_is_told_from_pages_of_files(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(60 << 20))
    # 60 MiB of a file are looked at, and 30 MiB of memory are written to; both for a moment only.
    code = (
        "import mmap, time\n"
        f"file = open({str(path)!r}, 'rb')\n"
        "seen = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "sum(seen[i] for i in range(0, len(seen), 4096)); time.sleep(1); seen.close()\n"
        "held = bytearray(30 << 20)\n"
        "for i in range(0, len(held), 4096): held[i] = 1\n"
        "time.sleep(1)\n"
    )
    most, seconds = peak_of([sys.executable, "-c", code], threads=1)
    nothing, _ = peak_of([sys.executable, "-c", "import time; time.sleep(1)"], threads=1)
    assert most.mapped - nothing.mapped == pytest.approx(62.9, abs=5)
    assert most.anonymous - nothing.anonymous == pytest.approx(31.5, abs=5)
    assert seconds > 2


@linux
def test_a_process_that_has_ended_holds_nothing():
    assert isinstance(memory_of("self"), Memory)
    assert memory_of(2**22 + 1) is None  # larger than any number of a process


def test_a_command_that_fails_is_named():
    with pytest.raises(RuntimeError, match="boom"):
        peak_of([sys.executable, "-c", "raise SystemExit('boom')"], threads=1)


def test_a_system_that_does_not_tell_is_named(monkeypatch):
    def nothing(self):
        raise FileNotFoundError

    monkeypatch.setattr(processes.Path, "read_text", nothing)
    monkeypatch.setattr(processes.Path, "exists", lambda self: False)
    with pytest.raises(ValueError, match="does not say what memory"):
        memory_of(1)


# --- topics -------------------------------------------------------------------------------------


def test_images_for_the_memory_are_shards_with_the_labels_of_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "PIECE", 7)
    memory.make_subject(tmp_path / "model", tmp_path / "images", 20)
    assert verify(tmp_path / "images", progress=False).index.splits["test"].count == 20
    data, model = load_dataset(f"shards:{tmp_path / 'images'}"), load_model(tmp_path / "model")
    assert data.images.shape == (20, *memory.SHAPE) and data.images.float().std() > 70
    with torch.no_grad():
        assert torch.equal(model(data.inputs()).argmax(dim=1), data.labels)


@linux
def test_the_growth_of_memory_is_that_of_its_own(monkeypatch):
    monkeypatch.setattr(memory, "FEW", 10)
    monkeypatch.setattr(memory, "MANY", 40)
    held = {10: Memory(100.0, 50.0), 40: Memory(110.0, 500.0)}
    monkeypatch.setattr(memory, "evaluate", lambda model, images, count: (held[count], 1.0))
    rows = {row.name: row.value for row in memory.measure()}
    assert rows["evaluate, peak memory of its own, 40 images / 10"] == pytest.approx(1.1)
    assert rows["evaluate, 40 images, peak of pages of files"] == 500.0


def test_every_notebook_runs_and_the_seconds_add_up(tmp_path, monkeypatch):
    paths = [tmp_path / "a.ipynb", tmp_path / "b.ipynb"]
    ran = []
    monkeypatch.setattr(notebooks, "course", lambda: [SimpleNamespace(path=path) for path in paths])
    monkeypatch.setattr(notebooks, "execute", ran.append)
    *rows, total = notebooks.measure()
    assert ran == paths
    assert [row.name for row in rows] == ["notebook a", "notebook b"]
    assert total.value == sum(row.value for row in rows) and "aim 360 s" in total.note


def test_a_notebook_that_fails_is_no_measurement(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0", id="wrong")])
    nbformat.write(book, tmp_path / "broken.ipynb")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        notebooks._time(tmp_path / "broken.ipynb")


def test_without_a_browser_the_page_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(ui, "find_chromium", lambda: None)
    with pytest.raises(ValueError, match="Chromium"):
        ui.measure()
    parts = {"import torch": 2.0, "load": 1.0}
    monkeypatch.setattr(first_picture, "answer_of", lambda code, threads: parts)
    assert [row.value for row in first_picture.measure()] == [2.0, 1.0]
    assert "the page is left out" in capsys.readouterr().out
    monkeypatch.setattr(first_picture, "first_pictures", lambda times: [4.0, 5.0, 9.0][:times])
    *_, page = first_picture.measure()
    assert page.name.endswith("the page") and page.value == 2.0  # of the 5 s, 3 s are ours


def test_the_machine_is_described():
    found = machine.describe()
    assert int(found["cores"]) >= 1 and found["processor"]
    assert json.loads(json.dumps(found)) == found
    assert {"OMP_NUM_THREADS", "MALLOC_MMAP_MAX_"} <= found.keys()


# --- parts of a step ----------------------------------------------------------------------------


def test_operations_are_told_by_what_they_are_a_part_of():
    def event(name, parent=None):
        return SimpleNamespace(name=name, cpu_parent=parent)

    backward = event("autograd::engine::evaluate_function: ConvolutionBackward0")
    step = event("Optimizer.step#SGD.step")
    assert profile.part_of(event("aten::empty", backward)) == "convolutions, backward"
    assert profile.part_of(event("aten::mkldnn_convolution")) == "convolutions, forward"
    assert profile.part_of(event("aten::_foreach_add_", step)) == "optimizer"
    assert profile.part_of(event("aten::native_batch_norm")) == "batch norms"
    assert profile.part_of(event("NativeBatchNormBackward0")) == "batch norms"
    assert profile.part_of(event("aten::threshold_backward")) == "rectifiers"
    assert profile.part_of(event("aten::copy_")) == profile.REST


def test_every_part_of_a_training_step_is_found():
    parts = profile.parts_of(profile.training_step("small_cnn", "mmc"))
    assert all(parts[name] > 0 for name in profile.PARTS)


def test_an_attack_has_no_optimizer():
    run, images = profile.attack("small_cnn", "PGD")
    assert images == 64
    parts = profile.parts_of(run)
    assert parts["optimizer"] == 0
    assert all(parts[name] > 0 for name in profile.PARTS if name != "optimizer")
