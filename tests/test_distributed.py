"""Several processes: the same weights and counts as one, and what happens when one is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from ranks import CONFIGS, STEPS, after, examined
from safetensors.torch import load_file
from torch import nn

from mmc_viz.checkpoints import has_progress, load_card, load_model, load_progress
from mmc_viz.commands import chunks
from mmc_viz.distributed import ALONE, Ranks, joined
from mmc_viz.files import locked
from mmc_viz.training.course import Course
from mmc_viz.training.loop import _plain

HERE = Path(__file__).parent
TRAIN = "train --limit 85 --batch-size 25 --epochs 40 --device cpu --quiet".split()
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


def launched(size, *words, **more):
    """A job of so many processes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*LAUNCH, f"--nproc_per_node={size}", *map(str, words)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def finished(job):
    """Its exit status, and what it said."""
    out, err = job.communicate(timeout=300)
    return job.returncode, out, err


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two ranks come to: a folder of tensors."""
    folder = tmp_path_factory.mktemp("pair")
    status, _, err = finished(launched(2, HERE / "ranks.py", folder))
    assert status == 0, err
    return folder


# --- the library --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "batch norm"])
def test_two_ranks_take_the_steps_of_one(name, pair):
    """Also the one image that is left at the end of an epoch, and the momentum of all weights."""
    alone, both = after(CONFIGS[name], STEPS[name]).tensors, load_file(pair / f"{name}.safetensors")
    assert alone.keys() == both.keys() and any(key.startswith("model.") for key in alone)
    start = after(CONFIGS[name], 1).tensors
    assert any((alone[key] - start[key]).abs().max() > 1e-4 for key in alone)  # they did move
    for key, value in alone.items():
        assert value.dtype in (torch.float64, torch.int64)
        torch.testing.assert_close(both[key], value, rtol=1e-10, atol=1e-10)


def test_with_batch_norms_ranks_keep_the_average_of_what_they_saw(pair):
    """The mean of the means of two halves is that of the whole; of variances that does not hold.

    In deeper layers each half has been normalised by itself, so nothing is the same there.
    """
    alone = after(CONFIGS["batch norm"], STEPS["batch norm"]).tensors
    both = load_file(pair / "batch norm.safetensors")
    assert alone.keys() == both.keys()
    mean, variance = "model.backbone.1.running_mean", "model.backbone.1.running_var"
    torch.testing.assert_close(both[mean], alone[mean], rtol=1e-10, atol=1e-10)
    assert not torch.allclose(both[variance], alone[variance], rtol=1e-10)
    torch.testing.assert_close(both[variance], alone[variance], rtol=0.1, atol=0.0)
    assert not torch.allclose(both["model.backbone.0.weight"], alone["model.backbone.0.weight"])


def test_what_is_measured_after_an_epoch_does_not_depend_on_the_ranks(pair):
    found = [load_file(pair / f"rank {rank}.safetensors") for rank in (0, 1)]
    for key, value in examined().items():
        assert found[0][key].item() == found[1][key].item() == pytest.approx(value, abs=1e-7)
    assert found[0]["accuracy"].item() == torch.tensor(examined()["accuracy"]).item()


def test_ranks_tell_each_other(pair):
    for rank in (0, 1):
        found = load_file(pair / f"rank {rank}.safetensors")
        assert found["gathered"].tolist() == [10, 11]
        assert found["anyone"].tolist() == [True, False]
        assert found["from first"].item() == 7


def test_a_process_on_its_own_has_nobody_to_wait_for():
    with joined(torch.device("cpu")) as ranks:
        assert ranks is ALONE
    tensor = torch.arange(3.0)
    ALONE.add_([tensor])
    assert tensor.tolist() == [0, 1, 2] and ALONE.gather("x") == ["x"]
    assert ALONE.any(True) and not ALONE.any(False) and ALONE.first
    assert ALONE.after_first(lambda: 5) == ALONE.from_first(lambda: 5) == 5


def test_batch_norms_that_talk_become_plain_ones_again():
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    images = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    plain(images)
    expected = plain.eval()(images)
    talking = nn.SyncBatchNorm.convert_sync_batchnorm(plain)
    assert isinstance(talking[1][0], nn.SyncBatchNorm)
    back = _plain(talking).eval()
    assert type(back[1][0]) is nn.BatchNorm2d and torch.equal(back(images), expected)


def test_a_batch_must_go_round(digits):
    config = replace(CONFIGS["mmc"], batch_size=2)
    with pytest.raises(ValueError, match="`batch_size` must be at least 3, an image for each"):
        Course(config, digits, device="cpu", ranks=Ranks(0, 3))


# --- the command --------------------------------------------------------------------------------


def test_a_shared_run_that_a_cluster_ends_is_gone_on_with_by_one_process(
    tmp_path, monkeypatch, run
):
    """Clusters end jobs by SIGTERM: the step is finished, and the run is kept."""
    monkeypatch.chdir(tmp_path)
    job = launched(2, "-m", "mmc_viz", *TRAIN, "--out", "m", "--keep-every", "0")
    until(lambda: has_progress("m"), job)
    job.send_signal(signal.SIGTERM)
    status, _, err = finished(job)
    assert status and "it is kept in m, and the same command with `--resume` goes on" in err
    taken = load_progress("m")[1]["taken"]
    assert 0 < taken < 160
    status, _, err = run(*TRAIN, "--out", "m", "--resume")
    assert status == 0, err
    card = load_card("m")
    assert [part["processes"] for part in card.versions["parts"]] == [2, 1]
    assert not card.reproducible and len(card.history) == 40
    assert card.history[-1]["accuracy"] > 0.5
    load_model("m")


def test_a_rank_that_dies_ends_the_job_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = launched(2, "-m", "mmc_viz", *TRAIN, "--out", "m", "--keep-every", "0")
    until(lambda: has_progress("m"), job)
    os.kill(rank_of(job, 1), signal.SIGKILL)
    status, _, err = finished(job)
    assert status and "Signal 9 (SIGKILL)" in err
    assert load_progress("m")[1]["taken"] > 0
    with locked("m"):  # nobody is left who holds the folder
        pass


def rank_of(job, rank):
    """Number of the process that has this rank in a job."""
    for child in psutil.Process(job.pid).children(recursive=True):
        if child.environ().get("RANK") == str(rank):
            return child.pid
    raise AssertionError(f"no rank {rank}")


def test_an_evaluation_that_two_ranks_go_on_with_gives_what_one_finds(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    words = "evaluate digits-mmc --attack pgd --steps 3 --eps 0.1 --limit 350 --device cpu".split()
    status, whole, err = run(*words, "--quiet", "--json", "whole.json")
    assert status == 0, err
    judge, judged = chunks._judge, []

    def interrupted(*arguments):
        judged.append(arguments)
        if len(judged) == 2:
            raise KeyboardInterrupt
        return judge(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_judge", interrupted)
        assert run(*words, "--quiet", "--json", "out.json")[0] == 130
    job = launched(2, "-m", "mmc_viz", *words, "--quiet", "--json", "out.json", "--resume")
    status, out, err = finished(job)
    assert status == 0, err
    found, expected = (json.loads(Path(name).read_text()) for name in ("out.json", "whole.json"))
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert out.count("digits-mmc") == whole.count("digits-mmc") > 0  # printed once, not twice
    assert not Path("out.json.partial").exists()


def test_other_commands_are_not_shared(monkeypatch, run):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    status, out, err = run("models")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("mmc-viz models (rank 1): `torchrun` can share train and evaluate")


def until(holds, job, seconds=200):
    """Wait for something that a job does."""
    end = time.monotonic() + seconds
    while not holds():
        assert job.poll() is None and time.monotonic() < end, job.stderr.read()
        time.sleep(0.02)
