import re
import threading
import time

import numpy as np
import pytest

from mmc_viz.duels import make_duel, pack
from mmc_viz.replay import split
from mmc_viz.widgets import LiveTrainer, Prediction, replay
from mmc_viz.widgets.live_trainer import write_epoch, write_loss

QUICK = {"epochs": 3}


@pytest.fixture
def trainer():
    trainer = LiveTrainer.of(**QUICK)
    yield trainer
    trainer.close()


def workers():
    return [one for one in threading.enumerate() if one.name == "live-trainer-work"]


def wait_for(condition):
    """Wait until something is so, and fail if it never is."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


def the_same_duel(batches):
    duel = make_duel(epochs=3)
    for _ in range(batches):
        duel.step()
    return duel


# ---- what it shows -------------------------------------------------------------------------------


def test_it_begins_before_the_first_batch(trainer):
    assert (trainer.taken, trainer.epoch, trainer.busy) == (0, -1, False)
    assert [moment["taken"] for moment in trainer.numbers] == [0]
    assert trainer.plan["steps"] == 36 and trainer.plan["steps_per_epoch"] == 12
    assert trainer.titles == ["SCE", "MMC"]
    assert list(trainer.labels) == trainer.duel.test_set.labels.tolist()
    assert len(trainer.pictures) == 360 * 64


def test_training_shows_what_a_duel_measures(trainer):
    trainer.train(epochs=1)
    duel = the_same_duel(12)
    assert (trainer.numbers, trainer.maps) == pack(duel.history)
    assert (trainer.taken, trainer.stamp) == (12, duel.fingerprint())
    points = np.frombuffer(trainer.maps, "<f4").reshape(2, 2, -1)[1, 0, :720].reshape(360, 2)
    np.testing.assert_array_equal(points, duel.history[1].sides[0].points)


def test_the_sentence_states_the_numbers_of_the_epoch_that_is_shown(trainer):
    trainer.train(epochs=2)
    for epoch, moment in ((-1, 2), (0, 0), (1, 1), (99, 2)):
        trainer.epoch = epoch
        sides = trainer.numbers[moment]["sides"]
        found = re.fullmatch(
            r"Epoch (\d+) of 3: SCE ([\d.]+) % right, loss ([\d.]+); "
            r"MMC ([\d.]+) % right, loss ([\d.]+)\.",
            trainer.sentence,
        ).groups()
        assert int(found[0]) == moment
        for i, side in enumerate(sides):
            assert float(found[1 + 2 * i]) == pytest.approx(100 * side["accuracy"], abs=0.05)
            assert float(found[2 + 2 * i]) == pytest.approx(side["loss"], rel=0.005)


def test_measures_and_first_epochs_are_those_of_the_duel(trainer):
    trainer.train(epochs=2)
    history = trainer.duel.history
    for epoch in (0, 1, -1):
        sce, mmc = history[epoch].sides
        assert trainer.measured("reach", epoch) == {"SCE": sce.reach, "MMC": mmc.reach}
    course = [moment.sides[0].accuracy for moment in history]
    for bar in (0, max(course), 1.01):
        first = [epoch for epoch, value in enumerate(course) if value >= bar]
        assert trainer.epochs_to(bar).get("SCE") == (first[0] if first else None)
    with pytest.raises(ValueError, match="`name` must be one of accuracy, loss,.* got 'speed'"):
        trainer.measured("speed")
    with pytest.raises(ValueError, match="no model came to 1.01"):
        trainer.first_to(1.01)
    best = {title: trainer.measured("accuracy", 2)[title] for title in trainer.titles}
    ahead = max(best, key=best.get)
    assert trainer.first_to(best[ahead]) == ahead


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (0.01234, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")],
)
def test_a_loss_is_written_with_three_digits_or_so(value, text):
    assert write_loss(value) == text


@pytest.mark.parametrize(("taken", "text"), [(0, "0"), (24, "2"), (25, "2 + 1/12")])
def test_an_epoch_is_written_exactly(taken, text):
    assert write_epoch(taken, 12) == text


# ---- start, pause, step, rewind ------------------------------------------------------------------


def test_a_thread_trains_to_the_end_and_goes(trainer):
    trainer.do_start()
    assert trainer.busy and len(workers()) == 1
    trainer.wait(120)
    assert workers() == [] and not trainer.busy
    assert (trainer.taken, trainer.stamp) == (36, the_same_duel(36).fingerprint())
    assert "The run is over" in trainer.status
    with pytest.raises(ValueError, match="over"):
        trainer.do_start()


def test_paused_stepped_and_resumed_it_comes_to_the_same_weights(trainer):
    trainer.do_start()
    wait_for(lambda: trainer.duel.taken > 2)
    trainer.pause()
    assert workers() == [] and 2 < trainer.taken == trainer.duel.taken < 36
    assert trainer.status == f"Paused after {trainer.taken} of 36 batches."
    before = trainer.taken
    trainer.do_step()
    assert trainer.taken == before + 1
    trainer.do_epoch()
    trainer.wait(60)
    assert trainer.taken % 12 == 0
    trainer.do_start()
    trainer.wait(120)
    assert trainer.stamp == the_same_duel(36).fingerprint()


def test_it_stops_twenty_times_and_leaves_no_thread(trainer):
    for _ in range(20):
        trainer.rewind()
        trainer.do_start()
        wait_for(lambda: trainer.duel.taken > 0)
        trainer.do_stop()
        trainer.wait(60)
        assert workers() == [] and not trainer.busy
    assert 0 < trainer.taken < 36


def test_a_stop_waits_for_one_batch_at_most(trainer, monkeypatch):
    """Instead of a clock: once Stop is asked for, no further batch begins."""
    step, began = trainer.duel.step, []

    def counted():
        began.append(trainer._stop.is_set())
        step()

    monkeypatch.setattr(trainer.duel, "step", counted)
    trainer.do_start()
    wait_for(lambda: len(began) > 1)
    trainer.do_stop()
    trainer.wait(60)
    assert began and not any(began)


def test_rewinding_while_it_trains_gives_the_first_weights(trainer):
    first = trainer.stamp
    trainer.do_start()
    wait_for(lambda: trainer.duel.taken > 0)
    trainer.do_rewind()
    trainer.wait(60)
    assert (trainer.taken, trainer.stamp, trainer.epoch) == (0, first, -1)
    trainer.train(epochs=1)
    again = trainer.stamp
    trainer.rewind()
    trainer.train(epochs=1)
    assert trainer.stamp == again != first


def test_while_it_trains_a_step_is_refused_and_one_thread_is_enough(trainer):
    trainer.do_start()
    with pytest.raises(ValueError, match="Press Pause first"):
        trainer.do_step()
    with pytest.raises(ValueError, match="one thing at a time"):
        trainer.do_start()
    assert len(workers()) == 1


def test_closing_leaves_no_thread(trainer):
    trainer.do_start()
    wait_for(lambda: trainer.duel.taken > 0)
    trainer.close()
    assert workers() == []


def test_what_the_browser_asks_for_reaches_the_methods(trainer):
    trainer._receive(trainer, {"do": "step"}, [])
    assert trainer.taken == 1
    setup = {"heads": ["mmc", "lgm"], "dim": 3, "epochs": 2, "learning_rate": 0.3, "radius": 5}
    trainer._receive(trainer, {"do": "setup", **setup}, [])
    trainer.wait(60)
    assert trainer.titles == ["MMC", "LGM"]
    assert (trainer.taken, trainer.plan["dim"], trainer.plan["steps"]) == (0, 3, 24)
    assert trainer.status == "Set up: press Start."


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ({"heads": ["sce", "sce"]}, "`heads` must be names"),
        ({"epochs": None}, "`epochs` must be a whole number; got None"),
        ({"epochs": 1000}, "`epochs` must lie in 1..200"),
        ({"radius": None}, "`radius` must be a number"),
        ({"radius": -1.0}, "`radius` must be positive"),
        ({"heads": []}, "`heads` must be 1 to 4 names"),
    ],
)
def test_an_impossible_setting_becomes_one_line_and_changes_nothing(trainer, setup, words):
    before = trainer.code
    trainer._receive(trainer, {"do": "setup", **setup}, [])
    trainer.wait(60)
    assert words in trainer.status and "\n" not in trainer.status
    assert trainer.code == before and not trainer.busy


def test_a_run_that_explodes_says_so_and_can_be_rewound():
    trainer = LiveTrainer.of(heads=["mmc"], epochs=2, learning_rate=1e6)
    trainer.do_start()
    trainer.wait(60)
    assert "a smaller learning rate usually helps" in trainer.status
    assert not trainer.busy and len(trainer.numbers) >= 1
    trainer.rewind()
    assert trainer.taken == 0


# ---- replay codes and locks ----------------------------------------------------------------------


def test_a_code_trains_to_the_same_batch_with_the_same_weights(trainer):
    trainer.train(epochs=1)
    trainer.do_step()
    trainer.epoch = 1
    again = replay(trainer.code)
    assert (again.code, again.maps) == (trainer.code, trainer.maps)
    assert again.status == f"Restored: the weights are those of the code, {trainer.stamp}."
    earlier = trainer.code.replace("taken=13", "taken=2").replace(trainer.stamp, "00000000")
    again.restore(earlier)
    assert (again.taken, again.stamp) == (2, the_same_duel(2).fingerprint())
    assert re.search(rf"but the weights are {again.stamp}, not 00000000", again.status)


def test_a_code_beyond_the_run_is_refused(trainer):
    with pytest.raises(ValueError, match=r"`taken` must lie in 0\.\.36; got 37"):
        trainer.restore(trainer.code.replace("taken=0", "taken=37"))


def test_the_code_names_all_settings(trainer):
    kind, fields = split(trainer.code)
    assert kind == "live-trainer"
    assert fields == {
        "heads": "sce,mmc",
        "dataset": "digits",
        "dim": "2",
        "epochs": "3",
        "learning_rate": "1",
        "radius": "10",
        "seed": "0",
        "taken": "0",
        "epoch": "-1",
        "stamp": trainer.stamp,
    }


def test_a_locked_trainer_trains_in_the_kernel_and_shows_itself_after_the_guess():
    guess = Prediction("Which?", {"leads": ["SCE", "MMC"]}, answer={"leads": "MMC"})
    trainer = LiveTrainer.of(after=guess, **QUICK)
    trainer.train(epochs=1)
    state = trainer.get_state()
    assert trainer.locked and state["numbers"] == [] and state["maps"] == b""
    assert state["stamp"] == "" and state["taken"] == 0
    guess.commit({"leads": "SCE"})
    guess.wait()
    assert not trainer.locked and trainer.taken == 12
    assert (trainer.numbers, trainer.maps) == pack(the_same_duel(12).history)


def test_the_browser_part_asks_no_other_place():
    for part in (LiveTrainer._esm, LiveTrainer._css):
        assert not re.search(r"https?://|\bimport\b|@import|\bfetch\(|innerHTML", str(part))
