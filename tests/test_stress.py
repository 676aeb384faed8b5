"""Widgets and notebooks under stress; what is left must be whole.

Stopped at random moments, asked from several threads at once, cells out of order, run twice,
interrupted, the kernel restarted.

MMC_VIZ_STRESS=all runs every notebook of the course instead of a short lesson.
"""

import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import traitlets
from kernels import THREAD_COUNT, THREADS, code_cells, kernel

from mmc_viz import load_model
from mmc_viz.audit import CHECKS, AuditReport, Check
from mmc_viz.duels import make_duel
from mmc_viz.training.course import Course
from mmc_viz.widgets import (
    AttackMicroscope,
    AuditCard,
    ContourFilm,
    DrawDigit,
    EpsilonExplorer,
    FeatureView,
    LiveTrainer,
    NoiseBench,
    Prediction,
    replay,
    working,
)
from mmc_viz.widgets.base import LabWidget
from mmc_viz.widgets.cells import Cell

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def workers():
    return [one for one in threading.enumerate() if one.name.endswith("-work")]


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)


# ---- several threads change one widget -----------------------------------------------------------


class Probe(LabWidget):
    """A widget with two numbers."""

    kind = "probe"
    step = traitlets.Int().tag(sync=True)
    taken = traitlets.Int().tag(sync=True)

    @traitlets.validate("step")
    def _at_most_100(self, proposal):
        if proposal["value"] > 1000:
            raise traitlets.TraitError("far too many")
        return min(proposal["value"], 100)


class Page:
    """What a page has been told of a widget."""

    def __init__(self, widget, monkeypatch):
        self.state = {}
        monkeypatch.setattr(widget.comm, "send", self.hear)

    def hear(self, data=None, metadata=None, buffers=None):
        self.state |= data.get("state", {})


@pytest.fixture
def probe():
    widget = Probe()
    yield widget
    widget.close()


def test_what_a_page_says_amiss_takes_nothing_back_that_a_thread_has_done(probe, monkeypatch):
    page = Page(probe, monkeypatch)
    with suppress(traitlets.TraitError), probe.hold_trait_notifications():
        in_a_thread(lambda: probe.set_trait("taken", 7))
        probe.step = 2000
    assert (probe.taken, probe.step) == (7, 0) and page.state["taken"] == 7


def test_what_one_thread_holds_back_does_not_keep_another_from_telling(probe, monkeypatch):
    page = Page(probe, monkeypatch)
    with probe.hold_sync():
        probe.step = 3
        in_a_thread(lambda: probe.set_trait("taken", 8))
        assert page.state == {"taken": 8}
    assert page.state == {"taken": 8, "step": 3}


def test_an_echo_of_the_page_is_one_only_in_the_thread_that_heard_it(probe, monkeypatch):
    page = Page(probe, monkeypatch)
    with probe._lock_property(taken=9):
        in_a_thread(lambda: probe.set_trait("taken", 9))
    assert page.state == {"taken": 9}


def test_a_page_comes_to_know_the_last_of_all_that_two_threads_tell_at_once(monkeypatch):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(10):
            probe = Probe()
            page = Page(probe, monkeypatch)

            def work(report, probe=probe):
                for k in range(40):
                    with probe.hold_sync():
                        probe.taken = k + 1
                    report(k / 40, f"at {k}")

            probe._start(work, "done")
            said = 0
            while probe.busy:
                said += 1
                probe.set_state({"step": said % 101})
            probe.wait(60)
            known = {name: getattr(probe, name) for name in ("taken", "status", "busy", "step")}
            assert known == {"taken": 40, "status": "done", "busy": False, "step": said % 101}
            assert {name: page.state.get(name) for name in known} == known | {
                "step": page.state.get("step")
            }
            probe.close()
    finally:
        sys.setswitchinterval(interval)


class Unlocking(dict):
    """What is kept back; as soon as something is put in, a page unlocks the widget."""

    def __ior__(self, traits):
        self.page = threading.Thread(target=self.unlock)
        self.page.start()
        self.page.join(0.2)  # it waits until all has been put in
        self.update(traits)
        return self


def test_what_arrives_while_a_page_unlocks_is_not_kept_back(probe):
    probe.locked, probe._withheld = True, (kept := Unlocking(step=5))
    kept.unlock = probe.unlock
    probe._deliver(taken=6)
    kept.page.join(60)
    assert (probe.locked, probe.step, probe.taken) == (False, 5, 6)


def test_a_guess_that_is_committed_while_a_widget_is_opened_unlocks_it():
    class Hasty(Prediction):
        def observe(self, handler, names=None, **kwargs):
            if names == "committed" and not self.committed:
                self.commit({"a": 1})  # the page was faster
            super().observe(handler, names, **kwargs)

    assert not Probe(after=Hasty("How many?", {"a": (0, 2)}, answer={"a": 1})).locked


def test_of_many_that_ask_at_once_one_gets_to_work(probe):
    begun, refused, go = [], [], threading.Event()

    def ask():
        go.wait(60)
        try:
            probe._start(lambda report: begun.append(probe._stop.wait(60)))
        except ValueError:
            refused.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 7 and len(workers()) == 1
    probe.do_stop()
    probe.wait(60)
    assert begun == [True] and not probe.busy and workers() == []


def test_work_that_cannot_begin_leaves_the_widget_free(probe, monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            probe._start(lambda report: None)
    assert not probe.busy
    probe._start(lambda report: None, "done")
    probe.wait(60)
    assert probe.status == "done"


def test_what_an_earlier_run_of_a_cell_began_is_stopped(monkeypatch):
    runs = iter([Cell("a", "1"), Cell("a", "1"), Cell("b", "2"), None, Cell("a", "3")])
    monkeypatch.setattr(working, "running_cell", lambda: next(runs))
    probes = [Probe() for _ in range(4)]
    for probe in probes:
        probe._start(lambda report, probe=probe: probe._stop.wait(60), "done")
    Probe().close()
    for probe in probes[:2]:
        probe.wait(60)
    assert [probe.busy for probe in probes] == [False, False, True, True]
    for probe in probes:
        probe.close()
        probe.wait(60)
    assert workers() == []


def test_a_widget_that_shows_nothing_is_closed(monkeypatch):
    made = []

    def interrupted(self, settings, report):
        made.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(NoiseBench, "_compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        NoiseBench.of()
    assert made[0].comm is None


# ---- the live trainer ----------------------------------------------------------------------------

RUNS = {("sce", "mmc"): 3, ("mmc",): 2}  # heads to epochs


@pytest.fixture(scope="module")
def stamps():
    """Of each run, the stamp of the weights after every number of batches, uninterrupted."""
    found = {}
    for heads, epochs in RUNS.items():
        duel = make_duel(heads, epochs=epochs)
        found[heads] = [duel.fingerprint()]
        while not duel.over:
            duel.step()
            found[heads].append(duel.fingerprint())
    return found


def setup_of(heads):
    return {"heads": list(heads), "epochs": RUNS[heads]}


def test_stopped_a_hundred_times_at_random_moments_the_weights_are_those_of_the_batches(stamps):
    rng = random.Random(0)
    trainer = LiveTrainer.of(**setup_of(("sce", "mmc")))
    # As the page asks: what is refused becomes a line of the status.
    asks = ["start", "start", "start", "start", "epoch", "step", "rewind", "setup"]
    done = dict.fromkeys(asks, 0)
    for _ in range(100):
        for _ in range(rng.choice((1, 1, 1, 2, 3))):  # also pressed twice, and all at once
            ask = rng.choice(asks)
            done[ask] += 1
            content = setup_of(rng.choice(list(RUNS))) if ask == "setup" else {}
            trainer._receive(trainer, {"do": ask, **content}, [])
        time.sleep(rng.uniform(0, 0.15))
        trainer._receive(trainer, {"do": "stop"}, [])
        trainer.wait(60)
        assert workers() == [] and not trainer.busy
        heads = trainer.settings.heads
        assert trainer.taken == trainer.duel.taken
        assert trainer.stamp == stamps[heads][trainer.taken]
        assert len(trainer.duel.history) == 1 + trainer.taken // trainer.duel.steps_per_epoch
        assert trainer.plan["titles"] == trainer.titles == [head.upper() for head in heads]
        assert trainer.sentence.startswith("Epoch ")
    assert min(done.values()) > 5
    trainer.rewind()
    trainer.train(epochs=RUNS[heads])
    assert trainer.stamp == stamps[heads][-1]
    trainer.close()
    assert workers() == []


def test_interrupted_in_every_batch_a_duel_takes_whole_steps_and_misses_no_epoch(
    stamps, monkeypatch
):
    advance = Course.advance

    def interrupted(course):
        signal.raise_signal(signal.SIGINT)
        advance(course)

    duel = make_duel(("mmc",), epochs=RUNS["mmc",])
    with monkeypatch.context() as patch:
        patch.setattr(Course, "advance", interrupted)
        for batches in range(1, 1 + duel.steps):
            with pytest.raises(KeyboardInterrupt):
                duel.step()
            assert duel.fingerprint() == stamps["mmc",][batches]
    each = duel.steps_per_epoch
    assert [moment.taken for moment in duel.history] == [0, each, 2 * each]


def test_an_interrupted_cell_stops_the_training_that_it_waits_for(stamps):
    trainer = LiveTrainer.of(**setup_of(("sce", "mmc")))
    step = trainer.duel.step

    def interrupting():
        step()
        if trainer.duel.taken == 3:
            os.kill(os.getpid(), signal.SIGINT)

    trainer.duel.step = interrupting
    with pytest.raises(KeyboardInterrupt):
        trainer.train(epochs=3)
    assert workers() == [] and not trainer.busy
    assert 3 <= trainer.taken < trainer.duel.steps
    assert trainer.stamp == stamps["sce", "mmc"][trainer.taken]
    trainer.train(epochs=3)
    assert trainer.stamp == stamps["sce", "mmc"][-1]
    with pytest.raises(ValueError, match=r"`epoch` must lie in -1\.\.3; got 4"):
        trainer.measured("accuracy", 4)


def test_a_page_that_rewinds_while_a_cell_trains_is_obeyed(stamps):
    trainer = LiveTrainer.of(**setup_of(("sce", "mmc")))
    begun, step = threading.Event(), trainer.duel.step

    def told():
        step()
        begun.set()

    trainer.duel.step = told
    cell = threading.Thread(target=lambda: trainer.train(epochs=3))
    cell.start()
    begun.wait(60)
    trainer._receive(trainer, {"do": "rewind"}, [])
    cell.join(60)
    trainer.wait(60)
    assert (trainer.taken, trainer.stamp) == (0, stamps["sce", "mmc"][0])
    assert trainer.status == "Rewound to the first weights." and workers() == []


# ---- the other widgets that work in a thread -----------------------------------------------------

FEW = {"dataset": "digits", "images": range(4)}


@pytest.fixture(scope="module")
def models():
    """Models that are at hand: a shipped one would be read from the disk each time."""
    return {"sce": load_model("digits-sce"), "mmc": load_model("digits-mmc")}


def attack_with(widget, rng):
    widget.do_attack(steps=rng.choice((3, 6)))


def attack_now(widget, rng):
    widget.do_attack(eps=rng.choice((0.1, 0.2)), steps=5, objective="margin")


def restore_another(widget, rng):
    code = widget.settings_code
    seeds = [f"seed={n}" for n in (0, 1)]
    widget.do_restore(code.replace(*rng.sample(seeds, 2)))


#: How each is opened, and what is asked of it.
OTHERS = {
    "microscope": (
        lambda models: AttackMicroscope.of(
            models=models, dataset="digits", image=0, steps=3, restarts=1
        ),
        attack_with,
    ),
    "explorer": (
        lambda models: EpsilonExplorer.of(
            models=models, **FEW, steps=3, count=3, objectives=["margin"]
        ),
        attack_now,
    ),
    "noise": (
        lambda models: NoiseBench.of(models=models, **FEW, sigmas=3, angles=3),
        lambda widget, rng: widget.do_redraw(),
    ),
    "film": (
        lambda models: ContourFilm.of(heads=("sce", "mmc"), epochs=1, at=(0, 1), images=range(50)),
        restore_another,
    ),
    "features": (
        lambda models: FeatureView.of(
            models=models, **FEW, steps=2, count=2, maps=("pca",), background=40
        ),
        restore_another,
    ),
}


def data_of(widget):
    """All that a page is told, but what is said of the work."""
    beside = ("_esm", "_css", "layout", "status", "progress")
    return {name: value for name, value in widget.get_state().items() if name not in beside}


@pytest.mark.parametrize("kind", OTHERS)
def test_stopped_at_random_moments_a_widget_shows_what_its_code_gives_afresh(kind, models):
    open_it, ask = OTHERS[kind]
    widget, rng, found = open_it(models), random.Random(1), {}
    for _ in range(5):
        for _ in range(rng.choice((1, 1, 2))):  # also pressed twice
            with suppress(ValueError):
                ask(widget, rng)
        time.sleep(rng.uniform(0, 0.15))
        widget.do_stop()
        widget.wait(60)
        assert workers() == [] and not widget.busy
        assert found.setdefault(widget.code, data_of(widget)) == data_of(widget)
    for code, data in found.items():
        again = replay(code, models=models)
        assert data_of(again) == data
        again.close()
    widget.close()


def test_a_drawing_keeps_the_opinions_of_the_drawing_that_was_asked_about(models):
    drawing, rng = DrawDigit.of(models=models, count=2), random.Random(1)
    opinions = {drawing.asked: drawing.opinions}
    drawing.do_look(drawing.drawing[::-1])
    drawing.wait(60)
    opinions[drawing.asked] = drawing.opinions
    assert len(opinions) == 2
    for _ in range(12):
        with suppress(ValueError):
            drawing.do_look(drawing.drawing[::-1])
        time.sleep(rng.uniform(0, 0.03))
        drawing.do_stop()
        drawing.wait(60)
        assert workers() == [] and not drawing.busy
        assert drawing.opinions == opinions[drawing.asked]
    drawing.close()


def test_a_stopped_audit_has_answers_and_gaps_and_nothing_that_is_still_asked(models, monkeypatch):
    rng, begun = random.Random(1), threading.Event()

    def slow(model, images, labels, *, watch, **settings):
        checks = [Check(name, "pass", "evidence", "sentence") for name in CHECKS]
        begun.set()
        for check in checks:
            watch(check.name, None)
            time.sleep(0.01)
            watch(check.name, check)
        return AuditReport(0.9, "PGD-20", checks, {}, 0.35, 0.1, "linf", 4)

    monkeypatch.setattr("mmc_viz.widgets.audit_card.audit", slow)
    card, answered = AuditCard.of(models=models, **FEW), set()
    for _ in range(20):
        begun.clear()
        card._receive(card, {"do": "audit", "model": "mmc", "eps": 0.1}, [])
        begun.wait(60)
        time.sleep(rng.uniform(0, 0.12))
        card.do_stop()
        card.wait(60)
        assert workers() == [] and not card.busy
        verdicts = [check["verdict"] for check in card.checks]
        answered.add(verdicts.count("pass"))
        assert verdicts == ["pass"] * verdicts.count("pass") + [""] * verdicts.count("")
        # Stopped after the last answer and before the sum of them, it has all answers and no sum.
        assert card.settings.run == bool(card.outcome)
        assert len(CHECKS) == verdicts.count("pass") or not card.outcome
    assert len(answered) > 2
    card.close()


# ---- notebooks in a kernel -----------------------------------------------------------------------

#: A short lesson: cells of the fourth, with two epochs instead of ten.
SHORT = ("train-both-live-01", "train-both-live-14", "train-both-live-15", "train-both-live-19")


def lesson(name):
    """The code cells of a notebook, cut short where all are not asked for."""
    cells = code_cells(NOTEBOOKS / name)
    if os.environ.get("MMC_VIZ_STRESS") == "all":
        return cells
    for cell in cells:
        cell.source = cell.source.replace("epochs=10", "epochs=2")
    return [cell for cell in cells if cell.id in SHORT]


def lessons():
    if os.environ.get("MMC_VIZ_STRESS") == "all":
        return sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    return ["04_train_both_live.ipynb"]


#: The guesses that are kept, as `Kernel.value` takes it.
LEDGER = (
    "[(one.question, one.name, one.guess)"
    " for one in __import__('mmc_viz.predictions').predictions.ledger.entries]"
)


@pytest.mark.parametrize("name", lessons())
def test_whatever_has_been_done_to_it_a_notebook_run_from_the_top_shows_what_a_fresh_one_shows(
    name, tmp_path
):
    cells, rng = lesson(name), random.Random(4)
    own = {"MMC_VIZ_CACHE": str(tmp_path / "cache")}
    fresh, seconds = {}, {}
    with kernel(tmp_path, **own) as student:
        for cell in cells:
            begin = time.monotonic()
            ran = student.cell(cell)
            seconds[cell.id] = time.monotonic() - begin
            assert ran.status == "ok", ran
            fresh[cell.id] = student.shown(ran)
        threads = student.value(THREAD_COUNT)
        dear = max(cells[1:], key=lambda cell: seconds[cell.id])

        # Out of order: names that are not there yet are the student's.
        student.restart()
        for cell in [*cells[:0:-1], *rng.sample(cells, len(cells))]:
            assert student.cell(cell).error in ("", "NameError", "ValueError")

        # Interrupted, twice each where it takes long.
        for cell in [cells[0], *(one for one in cells[1:] for _ in range(2))]:
            if cell is not cells[0] and seconds[cell.id] > 0.4:
                ran = student.cell(cell, interrupt_after=rng.uniform(0, seconds[cell.id]))
                assert ran.error in ("", "KeyboardInterrupt", "NameError", "ValueError")

        # Every cell twice, from the top.
        for cell in cells:
            for _ in range(2):
                ran = student.cell(cell)
                assert ran.status == "ok", ran
                assert student.shown(ran) == fresh[cell.id]
        assert student.value(THREADS) == []
        assert student.value(THREAD_COUNT) <= threads

        # The first commitment stands, however often it is pressed and asked.
        commit_all(student, high=False)
        kept = student.value(LEDGER)
        assert len({(question, name) for question, name, _ in kept}) == len(kept)
        for cell in cells:
            if "Prediction" in cell.source:
                student.cell(cell)
        commit_all(student, high=True)
        assert student.value(LEDGER) == kept

        # The kernel restarted in the middle of a cell.
        student.begin(dear.source)
        student.restart()
        assert student.shown(student.cell(cells[0])) == fresh[cells[0].id]


def commit_all(student, *, high):
    """Press Commit twice on each question, the second time with other guesses."""
    for model, state in list(student.states.items()):
        if not state.get("fields") or state["committed"] or state["locked"]:
            continue
        ends = ("high", "low") if high else ("low", "high")
        first, second = (
            {
                one["name"]: one["choices"][end == "high"] if one["choices"] else one[end]
                for one in state["fields"]
            }
            for end in ends
        )
        student.say(model, do="commit", guesses=first)
        student.say(model, do="commit", guesses=second)
        student.hear_until(lambda m=model: student.states[m]["committed"])
        assert student.states[model]["guesses"] == first


def test_a_kernel_says_which_cell_runs_and_restarts_while_a_widget_trains(tmp_path):
    with kernel(tmp_path) as student:
        ran = student.run(
            "from mmc_viz.widgets import LiveTrainer, cells; print(cells.running_cell().name)\n"
            "trainer = LiveTrainer.of(epochs=200); trainer",
            cell_id="here",
        )
        assert ran.text.splitlines()[0] == "here"
        (model,) = (one for one, state in student.states.items() if "taken" in state)
        student.say(model, do="start")
        student.hear_until(lambda: student.states[model]["taken"] > 0)
        student.restart()
        assert student.value("1 + 1") == 2 and student.value(THREADS) == []
        assert student.states == {}


#: Draws a map that the cache keeps, twice, and says what came of it.
DRAW = """
import hashlib, torch
from mmc_viz.embeddings import fit
features = torch.randn(120, 5, generator=torch.Generator().manual_seed(1))
for _ in range(2):
    found = fit("tsne", features, perplexity=10).positions
    print(hashlib.sha256(found.numpy().tobytes()).hexdigest())
"""
COMMIT = """
from mmc_viz.predictions import Entry, ledger
for k in range(3):
    ledger.record([Entry("1", f"question {{k}}", "SCE", {name!r}, "2", 50.0)])
print(*[entry.guess for entry in ledger.entries])
"""


def test_two_notebooks_at_once_share_the_cache_and_keep_their_own_ledgers(tmp_path):
    own = {"MMC_VIZ_CACHE": str(tmp_path / "cache")}
    with kernel(tmp_path, **own) as one, kernel(tmp_path, **own) as other:
        both = {"a": one, "b": other}
        asked = {name: student.begin(DRAW) for name, student in both.items()}
        drawn = [student.finish(asked[name]).text.split() for name, student in both.items()]
        asked = {name: student.begin(COMMIT.format(name=name)) for name, student in both.items()}
        said = [student.finish(asked[name]).text for name, student in both.items()]
    (first,) = {digest for two in drawn for digest in two}
    assert len(first) == 64 and [len(two) for two in drawn] == [2, 2]
    assert said == ["a a a\n", "b b b\n"]
    (kept,) = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept.endswith(".safetensors")
