"""Interrupted runs: what is left, and that going on from it gives what would have come anyway."""

import json
import os
import random
import shutil
import signal
import time
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faults import in_a_child, killed_after, killed_at, with_small_files

from mmc_viz.checkpoints import has_progress, load_card, load_model, load_progress, save_progress
from mmc_viz.datasets import load_dataset
from mmc_viz.files import locked
from mmc_viz.training import Diverged, Keeping, Snapshots, State, Stopped, TrainConfig, train
from mmc_viz.training.course import Course
from mmc_viz.training.divergence import Watch

QUICK = "--limit 60 --batch-size 25 --epochs 3 --device cpu --quiet".split()  # 9 steps


@pytest.fixture(scope="module")
def few():
    return load_dataset("digits", "train", limit=60)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """Weights of the run that nobody interrupts, as bytes."""
    from mmc_viz.__main__ import main

    folder = tmp_path_factory.mktemp("wanted") / "model"
    assert main(["train", *QUICK, "--out", str(folder)]) == 0
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quick(config, data, **more):
    return train(config, data, data, device="cpu", progress=False, **more)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(some, others):
    return some.keys() == others.keys() and all(torch.equal(some[k], others[k]) for k in some)


class Kept(list):
    """Takes the states of a run."""

    def keeping(self, **more):
        return Keeping(self.append, every=0, **more)


# --- the library --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"head": "sce", "momentum": 0.0},
        {"head": "center", "schedule": "steps", "milestones": (1, 2), "nesterov": False},
        {"head": "lgm", "adversarial": "pgd", "attack_steps": 2, "attack_targets": "random"},
        {"network": "resnet8v2", "augmentation": "shift_flip"},
        {"network": "plain_cnn", "float64": True},
        {"bfloat16": True},
    ],
)
def test_a_run_goes_on_from_any_step_to_the_same_bits(changes, few):
    config = replace(TrainConfig(epochs=2, batch_size=25, limit=60), **changes)  # 2 x 3 steps
    states = Kept()
    whole = quick(config, few, keeping=states.keeping())
    assert [state.values["taken"] for state in states] == [1, 2, 3, 4, 5, 6]
    plain = quick(config, few)  # keeping changes nothing
    assert equal(weights(whole.model), weights(plain.model))
    for state in states:
        run = quick(config, few, keeping=Kept().keeping(state=state))
        assert equal(weights(run.model), weights(whole.model)), state.values["taken"]
        for entry, expected in zip(run.history, whole.history, strict=True):
            same = entry.keys() - {"seconds"}
            assert {key: entry[key] for key in same} == {key: expected[key] for key in same}


def test_an_entry_s_seconds_add_up_over_the_parts(few):
    config = TrainConfig(epochs=1, batch_size=25, limit=60)
    states = Kept()
    quick(config, few, keeping=states.keeping())
    state = State(states[1].tensors, states[1].values | {"spent": 1000.0})
    (entry,) = quick(config, few, keeping=Kept().keeping(state=state)).history
    assert 1000 < entry["seconds"] < 1100


def test_a_run_that_goes_on_tells_the_epochs_that_are_left(few):
    config = TrainConfig(epochs=3, batch_size=60)
    states = Kept()
    quick(config, few, keeping=states.keeping())
    told, snapshots = [], Snapshots(few.images[:5], few.labels[:5])
    quick(
        config,
        few,
        on_epoch=lambda entry: told.append(entry["epoch"]),
        probe=snapshots,
        keeping=Kept().keeping(state=states[0]),
    )
    assert told == [2, 3] and [snapshot.epoch for snapshot in snapshots.taken] == [2, 3]


def test_a_run_is_kept_and_left_when_asked(few):
    config = TrainConfig(epochs=2, batch_size=20)
    states, asked = Kept(), iter([False, False, True])
    with pytest.raises(Stopped, match="stopped after step 3 of 6") as stopped:
        quick(config, few, keeping=Keeping(states.append, 1e9, stop=lambda: next(asked)))
    assert isinstance(stopped.value, KeyboardInterrupt) and stopped.value.taken == 3
    assert [state.values["taken"] for state in states] == [3]


def test_an_interval_is_kept(few):
    states = Kept()
    quick(TrainConfig(epochs=2, batch_size=20), few, keeping=Keeping(states.append, 3600))
    assert states == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"taken": 0}, "`taken` must be"),
        ({"taken": 7}, "`taken` must be"),
        ({"taken": True}, "`taken` must be"),
        ({"taken": None}, "`taken` must be"),
        ({"history": []}, "history does not fit"),
        ({"history": None}, "history does not fit"),
        ({"spent": "x"}, "history does not fit"),
    ],
)
def test_values_that_do_not_fit_are_refused(change, words, few):
    config = TrainConfig(epochs=2, batch_size=20)
    states = Kept()
    quick(config, few, keeping=states.keeping())
    state = State(states[3].tensors, states[3].values | change)
    with pytest.raises(ValueError, match=words):
        quick(config, few, keeping=Kept().keeping(state=state))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.pop("model.mean"),
        lambda tensors: tensors.pop("total"),
        lambda tensors: tensors.pop(next(name for name in tensors if name.startswith("momentum"))),
        lambda tensors: tensors.update(other=torch.zeros(1)),
        lambda tensors: tensors.update({"model.mean": torch.zeros(2)}),
        lambda tensors: tensors.update(total=torch.zeros((), dtype=torch.float64)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(spoil, few):
    config = TrainConfig(epochs=1, batch_size=20)
    states = Kept()
    quick(config, few, keeping=states.keeping())
    tensors = dict(states[0].tensors)
    spoil(tensors)
    course = Course(config, few, device="cpu")
    before = weights(course.model)
    with pytest.raises(ValueError, match="another network"):
        course.restore(State(tensors, states[0].values))
    assert equal(weights(course.model), before) and course.taken == 0


# --- the files ----------------------------------------------------------------------------------

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5, dtype=torch.float64)}


def test_what_is_kept_is_read(tmp_path):
    save_progress(tmp_path / "run", TENSORS, {"taken": 3, "history": [{"loss": 0.1 + 0.2}]})
    tensors, values = load_progress(tmp_path / "run")
    assert equal(tensors, TENSORS) and tensors["b"].dtype == torch.float64
    assert values == {"taken": 3, "history": [{"loss": 0.1 + 0.2}]}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "resume.json",
        "resume.safetensors",
    }


@pytest.mark.parametrize("moment", range(1, 9))
@pytest.mark.parametrize("older", [False, True])
def test_killed_while_writing_the_older_or_the_newer_state_is_there(older, moment, tmp_path):
    newer = {name: value + 1 for name, value in TENSORS.items()}
    if older:
        save_progress(tmp_path, TENSORS, {"taken": 1})
    status = killed_at(moment, lambda: save_progress(tmp_path, newer, {"taken": 2}))
    if not has_progress(tmp_path):
        assert status and not older
        return
    tensors, values = load_progress(tmp_path)
    assert (values["taken"], equal(tensors, newer)) in [(2, True), *[(1, False)] * older]
    assert equal(tensors, newer if values["taken"] == 2 else TENSORS)
    assert status or values["taken"] == 2


@pytest.mark.parametrize("second", range(1, 9))
@pytest.mark.parametrize("first", range(1, 9))
def test_killed_twice_in_a_row_one_of_three_states_is_there(first, second, tmp_path):
    """What the first kill left waiting must not be overwritten before it is in its place."""
    states = [{name: value + k for name, value in TENSORS.items()} for k in range(3)]
    save_progress(tmp_path, states[0], {"taken": 0})
    killed_at(first, lambda: save_progress(tmp_path, states[1], {"taken": 1}))
    killed_at(second, lambda: save_progress(tmp_path, states[2], {"taken": 2}))
    tensors, values = load_progress(tmp_path)
    assert equal(tensors, states[values["taken"]])


@pytest.mark.parametrize("name", ["resume.json", "resume.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty", "pipe"])
def test_a_damaged_state_is_refused_in_one_line(name, damage, tmp_path):
    save_progress(tmp_path, TENSORS, {"taken": 1})
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage != "gone":
        content[len(content) // 2] ^= 1
        path.write_bytes({"cut": content[:-3], "flip": content, "empty": b""}[damage])
    with pytest.raises(ValueError, match="is damaged") as caught:
        load_progress(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_state_that_was_changed_with_all_checksums_but_its_own_is_refused(tmp_path):
    save_progress(tmp_path, TENSORS, {"taken": 1})
    stated = json.loads((tmp_path / "resume.json").read_text())
    stated["values"]["taken"] = 2
    (tmp_path / "resume.json").write_text(json.dumps(stated))
    with pytest.raises(ValueError, match="its own checksum"):
        load_progress(tmp_path)


# --- the command --------------------------------------------------------------------------------


def resumed(run, folder, wanted, *more):
    """Go on as often as it takes; the weights are those of the run that nobody interrupted."""
    status, _, err = run("train", *QUICK, "--out", str(folder), "--resume", *more)
    assert status == 0, err
    assert (Path(folder) / "model.safetensors").read_bytes() == wanted
    assert {path.name for path in Path(folder).iterdir()} == {"card.json", "model.safetensors"}
    load_model(folder)


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 21, 30, 33, 40, 49, 52, 55])
def test_killed_at_any_write_it_goes_on_to_the_same_weights(moment, run, wanted, elsewhere):
    from mmc_viz.__main__ import main

    words = ["train", *QUICK, "--out", "runs/m", "--keep-every", "0"]
    killed_at(moment, lambda: main(words))
    resumed(run, "runs/m", wanted)


def test_killed_at_any_time_it_goes_on_to_the_same_weights(run, wanted, elsewhere):
    """Twenty times, each time going on from what the time before has left; over and over."""
    from mmc_viz.__main__ import main

    def begin(folder):
        return lambda: main(["train", *QUICK, "--out", folder, "--keep-every", "0", "--resume"])

    began = time.perf_counter()
    assert in_a_child(begin("whole")) == 0
    whole = time.perf_counter() - began  # so that kills fall into a run, however fast the machine
    chance, killed = random.Random(0), 0
    while killed < 20:
        ended = killed_after(chance.uniform(0, whole), begin("m"))
        killed += ended == signal.SIGALRM
        if ended != signal.SIGALRM:  # it was done before
            assert ended == 0
            resumed(run, "m", wanted)
            shutil.rmtree("m")
    resumed(run, "m", wanted)


def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(run, wanted, elsewhere, monkeypatch):
    original, steps = Course.advance, []

    def advance(course):
        original(course)
        steps.append(course.taken)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Course, "advance", advance)
        status, out, err = run("train", *QUICK, "--out", "m")
    assert (status, out) == (130, "")
    said = "stopped after step 4 of 9; it is kept in m, and the same command with `--resume` goes"
    assert said in err and err.count("\n") == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # Neither forgotten nor overwritten.
    status, _, err = run("train", *QUICK, "--out", "m")
    assert status == 2 and "keeps an interrupted run; add `--resume`" in err
    resumed(run, "m", wanted)
    card = load_card("m")
    assert card.reproducible and "parts" not in card.versions
    assert card.command == "mmc-viz train " + " ".join([*QUICK, "--out", "m"])


def test_a_second_ctrl_c_does_not_wait(run, elsewhere, monkeypatch):
    def advance(course):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    monkeypatch.setattr(Course, "advance", advance)
    status, _, err = run("train", *QUICK, "--out", "runs/m")
    assert (status, err) == (130, "mmc-viz train: interrupted\n")
    assert list(elsewhere.iterdir()) == []


def interrupted(run, folder, monkeypatch, *words, after=4):
    """Train so many steps, and leave."""
    original = Course.advance

    def advance(course):
        original(course)
        if course.taken == after:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Course, "advance", advance)
        assert run("train", *QUICK, "--out", str(folder), *words)[0] == 130


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "4"], "`epochs` was 3 there and is 4 here"),
        (["--seed", "1"], "`seed` was 0 there and is 1 here"),
        (["--head", "sce"], "`head` was mmc there and is sce here"),
        (["--limit", "59"], "`limit` was 60 there and is 59 here"),
    ],
)
def test_another_run_is_not_gone_on_with(words, said, run, elsewhere, monkeypatch):
    interrupted(run, "m", monkeypatch)
    before = {path.name: path.read_bytes() for path in Path("m").iterdir()}
    status, _, err = run("train", *QUICK, *words, "--out", "m", "--resume")
    assert status == 2 and said in err and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in Path("m").iterdir()} == before


def test_the_learning_rate_may_change_and_the_card_says_so(run, wanted, elsewhere, monkeypatch):
    interrupted(run, "m", monkeypatch)
    status, _, err = run("train", *QUICK, "--lr", "0.001", "--out", "m", "--resume")
    assert status == 0, err
    card = load_card("m")
    assert not card.reproducible and card.config["lr"] == 0.001
    assert Path("m", "model.safetensors").read_bytes() != wanted


def test_another_number_of_threads_is_said_in_the_card(run, elsewhere, monkeypatch):
    interrupted(run, "m", monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    status, _, err = run("train", *QUICK, "--out", "m", "--resume")
    assert status == 0, err
    card = load_card("m")
    assert not card.reproducible
    assert [part["threads"] for part in card.versions["parts"]] == [1, 7]


def test_with_nothing_to_resume_it_starts_anew(run, wanted, elsewhere):
    status, _, err = run("train", *QUICK, "--out", "m", "--resume")
    assert (status, err) == (0, "mmc-viz train: nothing to resume, so it starts anew\n")
    assert Path("m", "model.safetensors").read_bytes() == wanted


def test_a_run_that_is_done_is_not_done_again(run, wanted, elsewhere, monkeypatch):
    assert run("train", *QUICK, "--out", "m")[0] == 0
    monkeypatch.setattr(Course, "advance", None)  # nothing is trained
    status, out, err = run("train", *QUICK, "--out", "m", "--resume")
    assert (status, err) == (0, "mmc-viz train: the model is there already\n")
    assert load_card("m").weights_sha256 in out


def test_a_model_that_is_there_stays_until_the_new_one_is_done(run, elsewhere, monkeypatch):
    assert run("train", *QUICK, "--seed", "1", "--out", "m")[0] == 0
    before = load_card("m").weights_sha256
    interrupted(run, "m", monkeypatch)
    assert load_card("m").weights_sha256 == before
    load_model("m")
    assert run("train", *QUICK, "--out", "m", "--resume")[0] == 0
    assert load_card("m").weights_sha256 != before


# --- faults of the machine ----------------------------------------------------------------------


def test_a_full_disk_stops_no_training_and_spoils_nothing(run, wanted, elsewhere, monkeypatch):
    """Files end at 100 kB: neither the state nor the model, of three times as much, fits."""
    from mmc_viz.__main__ import main

    interrupted(run, "m", monkeypatch, after=2)
    before = {path.name: path.read_bytes() for path in Path("m").iterdir()}
    words = ["train", *QUICK, "--out", "m", "--keep-every", "0", "--resume"]

    def act():
        with open("said", "w") as said, redirect_stderr(said):
            return main(words)

    status = with_small_files(100_000, act)
    said = Path("said").read_text()
    assert os.waitstatus_to_exitcode(status) == 2, said
    assert said.count("could not be kept in m (File too large)") == 1  # and not after every step
    assert said.count("\n") == 2 and "Traceback" not in said
    assert "`--resume` goes on" in said.splitlines()[1]
    assert {path.name: path.read_bytes() for path in Path("m").iterdir()} == before
    resumed(run, "m", wanted)


def test_a_folder_that_nobody_can_write_is_refused_before_the_work(run, elsewhere):
    status, _, err = run("train", *QUICK, "--out", "/proc/self/m")
    assert status == 2 and "cannot be written" in err and err.count("\n") == 1


def test_two_processes_do_not_write_one_folder(run, elsewhere):
    with locked("m"):
        status, _, err = run("train", *QUICK, "--out", "m")
        assert status == 2 and err.count("\n") == 1
        assert f"Another process is writing {elsewhere / 'm'}" in err
        assert run("train", *QUICK, "--out", "other")[0] == 0
    assert not Path("m").exists()
    assert run("train", *QUICK, "--out", "m")[0] == 0


def test_a_clock_that_jumps_changes_nothing(run, wanted, elsewhere, monkeypatch):
    chance = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: chance.uniform(-1e9, 4e9))
    loud = [word for word in QUICK if word != "--quiet"]
    status, _, err = run("train", *loud, "--out", "m", "--keep-every", "0")
    assert status == 0, err
    assert Path("m", "model.safetensors").read_bytes() == wanted
    assert 0 < sum(entry["seconds"] for entry in load_card("m").history) < 600


# --- numbers that are none ----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [20, 100])
def test_a_loss_that_explodes_ends_the_run_in_one_line(batch_size, few):
    """Also where only the last step spoils the weights, after the last loss was taken."""
    config = TrainConfig(epochs=1, lr=1e30, batch_size=batch_size)
    with pytest.raises(Diverged, match="stopped being finite in epoch 1, at step ") as caught:
        quick(config, few)
    message = str(caught.value)
    assert isinstance(caught.value, FloatingPointError) and "\n" not in message
    assert "A smaller `lr` than 1e+30" in message
    assert message.startswith("The features" if batch_size == 100 else "The loss")
    assert caught.value.step == (1 if batch_size == 100 else 2)


def watched(losses, **changes):
    """The message after these losses, ten steps an epoch."""
    watch = Watch(replace(TrainConfig(lr=0.5), **changes), 10, 100, torch.device("cpu"))
    for step, loss in enumerate(losses):
        watch.note(torch.tensor(loss), step)
    with pytest.raises(Diverged) as caught:
        watch.look()
    return caught.value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_epoch_and_step_are_those_of_the_first_bad_loss_however_late_one_looks(bad):
    error = watched([1.0] * 36 + [bad] + [1.0, bad] * 20)
    assert (error.epoch, error.step) == (4, 37)
    assert "in epoch 4, at step 37 of 100" in str(error)


def test_the_likely_cause_is_named():
    rising = watched([3.0] * 20 + [2.0, 9.0, 50.0, 3e30, float("inf")])
    assert "the loss had risen from 2 to 3e+30 within 15 steps" in str(rising)
    assert "the learning rate" in str(rising) and "smaller `lr` than 0.5" in str(rising)
    sudden = watched([2.0] * 30 + [float("nan")])
    assert "the loss before was 2; a single step" in str(sudden)
    assert "bfloat16" not in str(sudden)
    assert "`--no-bfloat16`" in str(watched([2.0] * 30 + [float("nan")], bfloat16=True))
    first = watched([float("nan")], radius=1e30)
    assert "the very first, so no step is to blame" in str(first) and "`radius` (1e+30)" in str(
        first
    )


def test_all_is_well_while_losses_are_finite():
    watch = Watch(TrainConfig(), 10, 100, torch.device("cpu"))
    for step in range(100):
        watch.note(torch.tensor(3e38), step)
    watch.look()


def test_a_radius_too_large_for_float32_is_told_from_a_learning_rate(few):
    with pytest.raises(Diverged, match="in epoch 1, at step 1 of 3: the very first"):
        quick(TrainConfig(epochs=1, batch_size=20, radius=1e25), few)
    run = quick(TrainConfig(epochs=1, batch_size=20, radius=1e25, float64=True, lr=1e-60), few)
    assert run.history[0]["loss"] > 1e49


def test_the_last_good_step_is_kept_and_a_smaller_rate_goes_on(run, elsewhere, monkeypatch):
    original = Course.advance

    def advance(course):
        original(course)
        if course.taken == 5:  # as a step that went too far leaves them
            with torch.no_grad():
                next(course.model.parameters()).fill_(torch.nan)

    with monkeypatch.context() as patch:
        patch.setattr(Course, "advance", advance)
        status, out, err = run("train", *QUICK, "--out", "m", "--keep-every", "0")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "The loss stopped being finite in epoch 2, at step 6 of 9" in err
    assert "The last good step is kept in m: `--resume --lr SMALLER` goes on." in err
    tensors, values = load_progress("m")
    assert values["taken"] == 4 and all(value.isfinite().all() for value in tensors.values())
    status, _, err = run("train", *QUICK, "--out", "m", "--resume", "--lr", "0.01")
    assert status == 0, err
    assert len(load_card("m").history) == 3 and not load_card("m").reproducible


# --- other commands -----------------------------------------------------------------------------

SHORT = "--attack fgsm --eps 0.1 --limit 250 --device cpu --quiet --json out.json".split()


def without_seconds(path):
    return {
        key: value for key, value in json.loads(Path(path).read_text()).items() if key != "seconds"
    }


@pytest.mark.parametrize("moment", range(1, 24, 2))
def test_an_evaluation_killed_at_any_write_goes_on_to_the_same_result(moment, run, elsewhere):
    from mmc_viz.__main__ import main

    assert run("evaluate", "digits-mmc", *SHORT[:-1], "whole.json")[0] == 0
    killed_at(moment, lambda: main(["evaluate", "digits-mmc", *SHORT]))
    if not Path("out.json").exists() or Path("out.json.partial").exists():
        status, _, err = run("evaluate", "digits-mmc", *SHORT, "--resume")
        assert status == 0, err
    assert without_seconds("out.json") == without_seconds("whole.json")
    left = {path.name for path in Path().iterdir() if not path.name.startswith(".")}
    assert {name for name in left if not name.endswith(".part")} == {"out.json", "whole.json"}


def test_two_evaluations_do_not_write_one_file(run, elsewhere):
    with locked("out.json"):
        status, _, err = run("evaluate", "digits-mmc", *SHORT)
    assert status == 2 and "Another process is writing" in err and err.count("\n") == 1


def test_an_interrupted_export_says_how_to_go_on(run, elsewhere, monkeypatch):
    def interrupt(lessons, folder, **more):
        folder.mkdir()
        (folder / "00_start_here.html").write_text("done")
        raise KeyboardInterrupt

    monkeypatch.setattr("mmc_viz.export.write_site", interrupt)
    status, out, err = run("export", "all", "--out", "site", "--quiet")
    assert (status, out) == (130, "") and err.count("\n") == 1
    assert "kept in site, and the same command with `--resume` goes on" in err
    assert Path("site", "00_start_here.html").exists()
    with locked("site"):
        status, _, err = run("export", "all", "--out", "site", "--quiet")
    assert status == 2 and "Another process is writing" in err and err.count("\n") == 1


def test_a_child_reports_what_it_did():
    """The instrument itself: a fault that is not injected would let every test above pass."""
    assert os.waitstatus_to_exitcode(in_a_child(lambda: 3)) == 3
    assert os.waitstatus_to_exitcode(in_a_child(lambda: 1 / 0)) == 99
    assert killed_at(1, lambda: os.unlink("nowhere")) == signal.SIGKILL
    assert killed_after(0.01, lambda: time.sleep(5)) == signal.SIGALRM
