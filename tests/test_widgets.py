import re
import subprocess
import sys

import pytest
import torch
from traitlets import TraitError

from mmc_viz.bundles import pack, unpack
from mmc_viz.paths import EpsilonPath
from mmc_viz.widgets import EpsilonExplorer, EpsilonLab

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
    own = set(explorer.keys) - set(EpsilonExplorer.__mro__[1].class_trait_names(sync=True))
    assert own == {"bundle", "live", "run", "step", "_esm", "_css", "_anywidget_id"}


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


# ---- lab -----------------------------------------------------------------------------------------


class Attack:
    """Stands for the attack: notes what it was asked and what the button looked like meanwhile."""

    def __init__(self, right=(3, 2), error=None):
        self.right, self.error = right, error
        self.asked, self.seen = [], None
        self.lab = None

    def __call__(self, *, eps, steps, objective):
        self.asked.append((eps, steps, objective))
        self.seen = (self.lab.button.disabled, self.lab.button.description, said(self.lab))
        if self.error:
            raise self.error
        return {
            title: make_path([8, right], epsilons=[0.0, eps])
            for title, right in zip(("SCE", "MMC"), self.right, strict=True)
        }


def make_lab(runs, attack, **settings):
    attack.lab = EpsilonLab(runs, NAMES, attack=attack, **settings)
    return attack.lab


def said(lab):
    """Return the text of the status line without its tags."""
    return re.sub(r"<[^>]*>", "", lab.status.value)


def test_attack_now_shows_what_came_out(runs):
    attack = Attack(right=(3, 2))
    lab = make_lab(runs, attack, device="cpu")
    lab.eps.value, lab.steps.value, lab.objective.value = 0.1, 50, "margin"
    lab.button.click()

    assert attack.asked == [(0.1, 50, "margin")]
    assert lab.explorer.run == "yours: margin, ε = 0.10, 50 steps"
    assert lab.explorer.step == 1
    assert lab.explorer.sentences["MMC"] == "MMC: 2 of 8 still right (25 %)."
    assert unpack(lab.explorer.live).runs[lab.explorer.run].epsilons == [0.0, 0.1]
    assert re.fullmatch(
        r"margin, ε = 0\.10, 50 steps: SCE 3 of 8 still right, MMC 2 of 8\. "
        r"Computed on cpu in \d+\.\d s\.",
        said(lab),
    )


def test_the_button_rests_while_it_attacks(runs):
    attack = Attack()
    lab = make_lab(runs, attack, device="cuda:0")
    assert (lab.button.disabled, lab.button.description) == (False, "Attack now")
    lab.button.click()
    disabled, description, status = attack.seen
    assert (disabled, description) == (True, "attacking…")
    assert "attacking on cuda:0" in status
    assert (lab.button.disabled, lab.button.description) == (False, "Attack now")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`steps` must be odd; got 50.\nMore."), "`steps` must be odd; got 50."),
        (RuntimeError("out of memory\nat 0x0"), "RuntimeError: out of memory"),
        (RuntimeError(), "RuntimeError: no reason was given"),
        (KeyboardInterrupt(), "margin, ε = 0.10, 50 steps: stopped."),
    ],
)
def test_an_error_becomes_one_line(runs, error, line):
    lab = make_lab(runs, Attack(error=error))
    lab.button.click()
    assert said(lab) == line
    assert (lab.button.disabled, lab.button.description) == (False, "Attack now")
    assert lab.explorer.live == b""
    assert lab.explorer.run == "cross_entropy"


def test_what_an_error_says_is_shown_as_text(runs):
    lab = make_lab(runs, Attack(error=ValueError("<img src=x> & so on")))
    lab.button.click()
    assert "&lt;img src=x&gt; &amp; so on" in lab.status.value


def test_paths_that_cannot_be_packed_become_one_line_too(runs):
    lab = make_lab(runs, lambda **_: {})
    lab.button.click()
    assert "`runs` must hold" in said(lab)
    assert lab.explorer.live == b""
    assert not lab.button.disabled


def test_several_results_stay_on_the_menu_and_the_newest_is_shown(runs):
    lab = make_lab(runs, Attack())
    names = []
    for steps in range(10, 17):
        lab.steps.value = steps
        lab.button.click()
        names.append(f"yours: margin, ε = 0.10, {steps} steps")
        assert lab.explorer.run == names[-1]
    assert list(lab.explorer.runs) == ["cross_entropy", "margin", *names[-5:]]


def test_the_same_attack_again_takes_the_place_of_the_first(runs):
    attack = Attack(right=(3, 2))
    lab = make_lab(runs, attack)
    lab.button.click()
    lab.steps.value = 20
    lab.button.click()
    lab.steps.value, attack.right = 50, (2, 1)
    lab.button.click()
    first, second = "yours: margin, ε = 0.10, 20 steps", "yours: margin, ε = 0.10, 50 steps"
    assert list(lab.explorer.runs)[2:] == [first, second]
    assert lab.explorer.sentences["SCE"] == "SCE: 2 of 8 still right (25 %)."


@pytest.mark.parametrize(
    ("eps", "written"), [(0.0, "0.00"), (0.1, "0.10"), (8 / 255, "0.031"), (1.0, "1.00")]
)
def test_the_budget_is_written_without_losing_it(runs, eps, written):
    lab = make_lab(runs, Attack())
    lab.eps.value = eps
    lab.button.click()
    assert f"ε = {written}," in said(lab)


def test_the_controls_keep_to_their_ranges(runs):
    lab = make_lab(runs, Attack(), objectives=["distance", "margin"])
    lab.eps.value, lab.steps.value = 7.0, 1000
    assert (lab.eps.value, lab.steps.value) == (1.0, 200)
    assert lab.objective.options == ("distance", "margin")
    with pytest.raises(TraitError):
        lab.objective.value = "prayer"
