import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
import zlib

import pytest
import torch
from traitlets import Bool, TraitError

from mmc_viz.bundles import pack, unpack
from mmc_viz.checkpoints import load_model
from mmc_viz.paths import EpsilonPath, compare
from mmc_viz.widgets import EpsilonExplorer, LabWidget, base, offline_states, replay
from mmc_viz.widgets.base import Stopped
from mmc_viz.widgets.subjects import find_images, find_models

NAMES = ["Coat", "Bag", "Ankle boot"]


def make_path(right, *, count=8, epsilons=None):
    """Make a path on which exactly `right[k]` of `count` images are not fooled at step k."""
    steps = len(right)
    success = torch.arange(count) >= torch.tensor(right)[:, None]
    labels = torch.arange(count) % len(NAMES)
    predictions = torch.where(success, (labels + 1) % len(NAMES), labels)
    draw = torch.Generator().manual_seed(0)
    return EpsilonPath(
        epsilons=torch.linspace(0, 0.3, steps) if epsilons is None else torch.tensor(epsilons),
        images=torch.randint(256, (steps, count, 1, 4, 4), generator=draw, dtype=torch.uint8),
        logits=torch.nn.functional.one_hot(predictions, len(NAMES)).float(),
        features=torch.zeros(steps, count, 2),
        success=success,
        labels=labels,
    )


@pytest.fixture
def runs():
    return {
        "cross_entropy": {"SCE": make_path([8, 5, 1, 0]), "MMC": make_path([7, 7, 6, 6])},
        "margin": {"SCE": make_path([8, 3]), "MMC": make_path([7, 0])},
    }


@pytest.fixture
def explorer(runs):
    return EpsilonExplorer(runs, NAMES)


# ---- explorer ------------------------------------------------------------------------------------


def test_it_begins_with_the_first_run_and_no_attack(explorer):
    assert (explorer.run, explorer.step) == ("cross_entropy", 0)
    assert list(explorer.runs) == ["cross_entropy", "margin"]
    assert explorer.live == b""


def test_the_bundle_is_what_pack_makes(explorer, runs):
    assert explorer.bundle == pack(runs, NAMES)


def test_only_a_few_traits_go_to_the_browser(explorer):
    own = set(explorer.keys) - set(LabWidget.class_trait_names(sync=True))
    shown = {"bundle", "live", "run", "step", "perturbation", "own", "objectives"}
    assert own == shown | {"_esm", "_css", "_anywidget_id"}


def test_run_and_step_can_be_given_at_the_start(runs):
    explorer = EpsilonExplorer(runs, NAMES, run="margin", step=1)
    assert (explorer.run, explorer.step) == ("margin", 1)


@pytest.mark.parametrize("step", range(4))
def test_sentences_state_the_numbers_of_the_path(explorer, runs, step):
    explorer.step = step
    for title, path in runs["cross_entropy"].items():
        right = int((~path.success[step]).sum())
        title_said, right_said, count, percent = re.fullmatch(
            r"(\w+): (\d+) of (\d+) still right \((\d+) %\)\.", explorer.sentences[title]
        ).groups()
        assert (title_said, int(right_said), int(count)) == (title, right, 8)
        assert abs(int(percent) - 100 * right / 8) <= 0.5


def test_percentages_round_halves_upwards(explorer):
    explorer.step = 1
    assert explorer.sentences == {
        "SCE": "SCE: 5 of 8 still right (63 %).",  # 62.5 %
        "MMC": "MMC: 7 of 8 still right (88 %).",  # 87.5 %
    }


def test_a_step_out_of_range_is_clamped(explorer):
    explorer.step = 100
    assert explorer.step == 3
    explorer.step = -1
    assert explorer.step == 0


def test_the_step_stays_in_the_range_of_the_run(explorer):
    explorer.step = 3
    explorer.run = "margin"
    assert explorer.step == 1
    assert explorer.sentences["MMC"] == "MMC: 0 of 8 still right (0 %)."


def test_an_unknown_run_is_refused(explorer):
    with pytest.raises(TraitError, match="`run` must be one of 'cross_entropy', 'margin'; got 'x'"):
        explorer.run = "x"
    assert explorer.run == "cross_entropy"


def test_the_browser_may_change_run_and_step_together(explorer):
    explorer.step = 3
    explorer.set_state({"run": "margin", "step": 1})
    assert (explorer.run, explorer.step) == ("margin", 1)
    explorer.set_state({"step": 3, "run": "cross_entropy"})
    assert (explorer.run, explorer.step) == ("cross_entropy", 3)


@pytest.mark.parametrize("trait", ["bundle", "live"])
def test_bytes_that_are_no_bundle_are_refused(explorer, trait):
    before = getattr(explorer, trait)
    with pytest.raises(TraitError, match=f"`{trait}` cannot be shown: the bundle is"):
        setattr(explorer, trait, b"no bundle")
    assert getattr(explorer, trait) == before
    assert list(explorer.runs) == ["cross_entropy", "margin"]


def test_a_live_result_joins_the_menu_and_is_shown(explorer):
    mine = {"SCE": make_path([8, 2]), "MMC": make_path([7, 4])}
    explorer.live = pack({"mine": mine}, NAMES)
    assert list(explorer.runs) == ["cross_entropy", "margin", "mine"]
    assert (explorer.run, explorer.step) == ("mine", 1)
    assert explorer.sentences["SCE"] == "SCE: 2 of 8 still right (25 %)."


def test_when_the_live_result_goes_the_first_run_comes_back(explorer):
    explorer.live = pack({"mine": {"SCE": make_path([8, 2])}}, NAMES)
    explorer.live = b""
    assert (explorer.run, explorer.step) == ("cross_entropy", 1)


def test_the_bundle_can_be_replaced(explorer):
    explorer.run, explorer.step = "margin", 1
    explorer.bundle = pack({"dlr": {"SCE": make_path([8, 2, 1])}}, NAMES)
    assert (explorer.run, explorer.step) == ("dlr", 1)


def test_the_browser_part_is_sent_with_it(explorer):
    assert "export default { render }" in explorer._esm
    assert ".mmcviz-explorer" in explorer._css


def test_the_browser_part_asks_no_other_place():
    for part in (EpsilonExplorer._esm, EpsilonExplorer._css):
        assert not re.search(r"https?://|\bimport\b|@import|\bfetch\(|innerHTML", str(part))


def test_bundles_need_no_widgets():
    code = (
        "import sys, mmc_viz.bundles; "
        "print({'ipywidgets', 'anywidget', 'IPython', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---- attacks of one's own ------------------------------------------------------------------------


class Attack:
    """Stands for the attack: notes what it was asked and what the widget said meanwhile."""

    def __init__(self, right=(3, 2), error=None):
        self.right, self.error = right, error
        self.asked, self.seen = [], None
        self.widget = None

    def __call__(self, *, eps, steps, objective):
        self.asked.append((eps, steps, objective))
        self.seen = (self.widget.busy, self.widget.status)
        if self.error:
            raise self.error
        return {
            title: make_path([8, right], epsilons=[0.0, eps])
            for title, right in zip(("SCE", "MMC"), self.right, strict=True)
        }


def make_attacked(runs, attack):
    attack.widget = EpsilonExplorer(runs, NAMES, attack=attack)
    return attack.widget


def press(widget, *, eps=0.1, steps=50, objective="margin"):
    """Do what the browser's button does, and wait for the end."""
    content = {"do": "attack", "eps": eps, "steps": steps, "objective": objective}
    widget._receive(widget, content, [])
    widget.wait(20)


def test_attack_now_shows_what_came_out(runs):
    attack = Attack(right=(3, 2))
    widget = make_attacked(runs, attack)
    press(widget)
    assert attack.asked == [(0.1, 50, "margin")]
    assert widget.run == "yours: margin, ε = 0.10, 50 steps"
    assert widget.step == 1
    assert widget.sentences["MMC"] == "MMC: 2 of 8 still right (25 %)."
    assert unpack(widget.live).runs[widget.run].epsilons == [0.0, 0.1]
    assert re.fullmatch(
        r"margin, ε = 0\.10, 50 steps: SCE 3 of 8 still right, MMC 2 of 8\. "
        r"Computed on \w+ in \d+\.\d s\.",
        widget.status,
    )


def test_it_says_that_it_is_attacking(runs):
    attack = Attack()
    widget = make_attacked(runs, attack)
    assert not widget.busy
    press(widget)
    busy, status = attack.seen
    assert busy and "attacking on" in status
    assert not widget.busy


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`steps` must be odd; got 50.\nMore."), "`steps` must be odd; got 50."),
        (RuntimeError("out of memory\nat 0x0"), "RuntimeError: out of memory"),
        (RuntimeError(), "RuntimeError: no reason was given"),
        (Stopped(), "Stopped."),
    ],
)
def test_an_error_becomes_one_line(runs, error, line):
    widget = make_attacked(runs, Attack(error=error))
    press(widget)
    assert widget.status == line
    assert not widget.busy
    assert widget.live == b""
    assert widget.run == "cross_entropy"


def test_paths_that_cannot_be_packed_become_one_line_too(runs):
    widget = EpsilonExplorer(runs, NAMES, attack=lambda **_: {})
    press(widget)
    assert "`runs` must hold" in widget.status
    assert widget.live == b""
    assert not widget.busy


def test_finished_results_cannot_be_attacked(explorer):
    press(explorer)
    assert "nothing to attack" in explorer.status
    assert explorer.objectives == []


def test_several_results_stay_on_the_menu_and_the_newest_is_shown(runs):
    widget = make_attacked(runs, Attack())
    names = []
    for steps in range(10, 17):
        press(widget, steps=steps)
        names.append(f"yours: margin, ε = 0.10, {steps} steps")
        assert widget.run == names[-1]
    assert list(widget.runs) == ["cross_entropy", "margin", *names[-5:]]


def test_the_same_attack_again_takes_the_place_of_the_first(runs):
    attack = Attack(right=(3, 2))
    widget = make_attacked(runs, attack)
    press(widget)
    press(widget, steps=20)
    attack.right = (2, 1)
    press(widget)
    first, second = "yours: margin, ε = 0.10, 20 steps", "yours: margin, ε = 0.10, 50 steps"
    assert list(widget.runs)[2:] == [first, second]
    assert widget.sentences["SCE"] == "SCE: 2 of 8 still right (25 %)."
    assert widget.own == "margin 0.1 20; margin 0.1 50"


@pytest.mark.parametrize(
    ("eps", "written"), [(0.0, "0.00"), (0.1, "0.10"), (8 / 255, "0.031"), (1.0, "1.00")]
)
def test_the_budget_is_written_without_losing_it(runs, eps, written):
    widget = make_attacked(runs, Attack())
    press(widget, eps=eps)
    assert f"ε = {written}," in widget.status
    assert float(widget.own.split(" ")[1]) == eps


@pytest.mark.parametrize(
    "asked",
    [{"eps": 7.0}, {"eps": -0.1}, {"eps": None}, {"steps": 0}, {"steps": 1000}, {"steps": None}],
)
def test_what_the_browser_asks_for_is_checked(runs, asked):
    attack = Attack()
    widget = make_attacked(runs, attack)
    press(widget, **asked)
    (name,) = asked
    assert f"`{name}` must" in widget.status
    assert attack.asked == []


def test_an_action_that_there_is_not_does_nothing(explorer):
    before = explorer.get_state()
    explorer._receive(explorer, {"do": "explode"}, [])
    explorer._receive(explorer, {}, [])
    assert explorer.get_state() == before


# ---- settings and replay codes -------------------------------------------------------------------

FEW = {"dataset": "digits", "images": range(6), "steps": 3, "count": 4, "eps": 0.15}


@pytest.fixture(scope="module")
def computed():
    return EpsilonExplorer.of(models=("digits-sce", "digits-mmc"), **FEW)


def test_what_is_computed_is_what_compare_computes(computed):
    data = find_images("digits", range(6))
    models = find_models(("digits-sce", "digits-mmc"))
    runs = compare(
        models, data.inputs(), data.labels, [0.0, 0.05, 0.1, 0.15], steps=3, progress=False
    )
    assert computed.bundle == pack(runs, data.class_names)
    assert list(computed.runs) == ["cross_entropy", "distance", "margin"]


def test_a_code_restores_the_situation_in_another_process(computed):
    computed.attack(eps=0.2, steps=4, objective="distance")
    computed.run, computed.step = "margin", 2
    code = (
        "import hashlib, sys; from mmc_viz.widgets import replay; w = replay(sys.argv[1]); "
        "print(w.code, hashlib.sha256(w.bundle + w.live).hexdigest(), *w.sentences.values())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, computed.code], capture_output=True, text=True, check=True
    )
    digest = hashlib.sha256(computed.bundle + computed.live).hexdigest()
    expected = " ".join([computed.code, digest, *computed.sentences.values()])
    assert done.stdout.strip() == expected


def test_a_code_brings_back_its_own_attacks_and_no_others():
    widget = EpsilonExplorer.of(models=("digits-sce",), **FEW)
    widget.attack(eps=0.1, steps=2, objective="margin")
    code = widget.code
    widget.attack(eps=0.2, steps=3, objective="distance")
    widget.restore(code)
    assert widget.code == code
    assert list(widget.runs)[3:] == ["yours: margin, ε = 0.10, 2 steps"]
    widget.restore(EpsilonExplorer.of(models=("digits-sce",), **FEW).code)
    assert (widget.live, widget.own, len(widget.runs)) == (b"", "", 3)


def test_controls_can_be_hidden(computed):
    assert replay(computed.code, controls=False).controls is False


def test_a_view_can_be_asked_for_with_the_settings():
    widget = EpsilonExplorer.of(models=("digits-sce",), **FEW, run="margin", step=9)
    assert (widget.run, widget.step) == ("margin", 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("weights=", "weights=0"), "other weights"),
        (("digits-sce,", "no-such-model,"), "no-such-model"),
        (("digits-sce,", "..%2Fdigits-sce,"), "shipped"),
        (("steps=3", "steps=three"), "whole number"),
        (("count=4", "count=1"), "at least 2"),
        (("images=0-5", "images=0-999999999"), "ranges"),
        (("images=0-5", "images=5000"), "0..359"),
        (("&step=", "&stride=1&step="), "stride"),
        (("epsilon-explorer?", "explorer?"), "one of"),
        (("run=cross_entropy", "run=prayer"), "prayer"),
    ],
)
def test_a_damaged_code_is_refused_in_one_line(change, words, computed):
    fresh = EpsilonExplorer.of(models=("digits-sce", "digits-mmc"), **FEW)
    code = fresh.code.replace(*change)
    assert code != fresh.code
    with pytest.raises((ValueError, TraitError), match=words):
        replay(code)
    before = fresh.code
    fresh._receive(fresh, {"do": "restore", "code": code}, [])
    fresh.wait(20)
    assert fresh.status and "\n" not in fresh.status
    assert fresh.settings_code == before.partition("&own=")[0]


def test_models_of_ones_own_go_by_the_names_they_are_given():
    own = {"mine": load_model("digits-sce")}
    widget = EpsilonExplorer.of(models=own, **FEW)
    assert list(widget.sentences) == ["mine"]
    assert replay(widget.code, models=own).bundle == widget.bundle
    with pytest.raises(ValueError, match="mine"):
        replay(widget.code)


def test_the_bar_of_a_computation_leaves_nothing_behind(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # as in a notebook
    with base._bar() as report:
        report(0.5, "attacking on margin…")
    said = capsys.readouterr().out
    assert "attacking on margin" in said and "50 %" in said
    assert said.endswith("\r") and not said.split("\r")[-2].strip()


# ---- locks ---------------------------------------------------------------------------------------


class Question(LabWidget):
    """Stands for a prediction."""

    _esm = "export default { render() {} };"
    committed = Bool(False).tag(sync=True)


def test_data_stay_in_the_kernel_until_the_prediction_is_committed(computed):
    question = Question()
    widget = EpsilonExplorer.of(
        models=("digits-sce", "digits-mmc"), **FEW, after=question, run="margin", step=2
    )
    assert widget.locked
    assert widget.bundle == b"" and widget.run == ""
    sealed = widget.offline()
    assert sealed["after"] == question.model_id
    question.committed = True
    assert not widget.locked
    assert widget.bundle == computed.bundle
    assert (widget.run, widget.step) == ("margin", 2)
    assert widget.offline() == {}


def test_a_seal_holds_what_was_kept_back(computed):
    question = Question()
    widget = EpsilonExplorer.of(models=("digits-sce", "digits-mmc"), **FEW, after=question)
    sealed = json.loads(zlib.decompress(base64.b64decode(widget.offline()["sealed"])))
    assert base64.b64decode(sealed["bundle"]["bytes"]) == computed.bundle
    assert widget.model_id in offline_states()


def test_nothing_is_locked_after_a_prediction_that_was_committed():
    question = Question(committed=True)
    widget = EpsilonExplorer.of(models=("digits-sce",), **FEW, after=question)
    assert not widget.locked and widget.bundle


# ---- work ----------------------------------------------------------------------------------------


def test_work_can_be_stopped_and_leaves_no_thread(runs):
    widget = EpsilonExplorer(runs, NAMES)
    before = threading.active_count()
    for _ in range(10):
        started = threading.Event()

        def work(report, started=started):
            while True:
                report(0.5, "half way")
                started.set()

        widget._start(work)
        assert started.wait(20)
        assert widget.busy and widget.progress == 0.5 and widget.status == "half way"
        with pytest.raises(ValueError, match="one thing at a time"):
            widget._start(work)
        widget._receive(widget, {"do": "stop"}, [])
        widget.wait(20)
        assert not widget.busy and widget.status == "Stopped."
    assert threading.active_count() == before
