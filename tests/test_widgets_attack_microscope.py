import re

import pytest
from traitlets import TraitError

from mmc_viz.microscope import read_header
from mmc_viz.widgets import AttackMicroscope, replay
from mmc_viz.widgets.attack_microscope import FATES, write_number

SETTINGS = {
    "models": ("digits-sce", "digits-mmc"),
    "dataset": "digits",
    "image": 1,
    "eps": 0.2,
    "steps": 4,
    "restarts": 2,
}


@pytest.fixture(scope="module")
def opened():
    return AttackMicroscope.of(**SETTINGS)


@pytest.fixture
def microscope(opened):
    opened.subject, opened.objective, opened.restart, opened.step = "SCE", "cross_entropy", 0, 0
    return opened


def test_it_begins_with_the_first_climb_and_its_start(microscope):
    header = read_header(microscope.slides)
    assert {(one["model"], one["objective"]) for one in header["slides"]} == {
        (model, objective) for model in ("SCE", "MMC") for objective in ("cross_entropy", "margin")
    }
    assert (microscope.subject, microscope.objective, microscope.step) == (
        "SCE",
        "cross_entropy",
        0,
    )
    assert microscope.form == {
        **{name: SETTINGS[name] for name in ("image", "eps", "steps", "restarts")},
        **{"step_size": 0.0, "momentum": False},
    }


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("objective", ["cross_entropy", "margin"])
def test_the_sentence_states_the_numbers_of_the_climb(microscope, objective, step):
    microscope.subject, microscope.objective, microscope.restart = "MMC", objective, 1
    microscope.step = step
    shown = microscope.shown
    said = microscope.sentence.replace("−", "-")
    assert f"Step {step} of 4 from start 2 of 2: " in said
    numbers = [float(text) for text in re.findall(r"-?\d+\.\d+", said)]
    wanted = [shown["reached"][step], *([] if objective == "margin" else [shown["margins"][step]])]
    assert numbers == pytest.approx(wanted, abs=0.06)
    names = read_header(microscope.slides)["class_names"]
    assert re.search(rf" {re.escape(names[shown['predicted'][step]])}[.:]", said)
    wrong = shown["predicted"][step] != read_header(microscope.slides)["label"]
    assert ("fooled" in said) == wrong
    assert wrong == (shown["margins"][step] > 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.125, "0.13"), (-0.125, "−0.13"), (9.999, "10.00"), (10.25, "10.3"), (-220.25, "−220.3")],
)
def test_numbers_are_rounded_as_the_browser_rounds_them(value, text):
    assert write_number(value) == text


def test_what_is_out_of_range_is_clamped_and_what_is_unknown_refused(microscope):
    microscope.step, microscope.restart = 99, 99
    assert (microscope.step, microscope.restart) == (4, 1)
    with pytest.raises(TraitError, match="`subject` must be one of SCE, MMC; got 'XYZ'"):
        microscope.subject = "XYZ"
    with pytest.raises(TraitError, match="`objective` must be one of cross_entropy, margin"):
        microscope.objective = "dlr"


def test_a_code_restores_the_situation_to_the_byte(microscope):
    microscope.subject, microscope.objective, microscope.restart, microscope.step = (
        *("MMC", "margin"),
        *(1, 3),
    )
    again = replay(microscope.code)
    assert isinstance(again, AttackMicroscope)
    assert again.slides == microscope.slides
    assert again.code == microscope.code and again.sentence == microscope.sentence


def test_the_fate_of_a_climb_is_what_its_numbers_say(microscope):
    fates = set()
    for one in read_header(microscope.slides)["slides"]:
        key = (one["model"], one["objective"], one["restart"])
        fooled, fate = microscope.fooled_at(*key), microscope.fate(*key)
        above = [k for k, margin in enumerate(one["margins"]) if margin > 0]
        assert fooled == (above[0] if above else None)
        assert (fate == FATES[2]) == bool(above)
        assert (fate == FATES[0]) == (not above and set(one["slopes"]) == {0})
        fates.add(fate)
    assert len(fates) > 1
    assert microscope.fooling("MMC", "margin") == sum(
        microscope.fate("MMC", "margin", restart) == FATES[2] for restart in range(2)
    )
    with pytest.raises(ValueError, match="no climb of 'SCE' on 'dlr'"):
        microscope.fate("SCE", "dlr")


def test_attacking_again_changes_the_settings_and_keeps_the_climb():
    widget = AttackMicroscope.of(**SETTINGS | {"objectives": ("margin",)})
    widget.subject, widget.restart = "MMC", 1
    before = widget.slides
    widget.do_attack(image=1, eps=0.1, steps=3, step_size=0.05, restarts=2, momentum=False)
    widget.wait(60)
    assert widget.status == "Done: this is the new attack."
    assert widget.slides != before
    header = read_header(widget.slides)
    assert (header["eps"], header["steps"]) == (0.1, 3)
    assert header["step_size"] == pytest.approx(0.05)
    assert (widget.subject, widget.restart, widget.step) == ("MMC", 1, 0)
    assert "eps=0.1&steps=3&step_size=0.05" in widget.code
    widget.attack(momentum=True)
    assert {one["restart"] for one in read_header(widget.slides)["slides"]} == {0}
    assert (widget.restart, widget.form["momentum"]) == (0, True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": None}, "`steps` must be a whole number, 1 to 100; got None."),
        ({"steps": 1000}, "`steps` must be a whole number, 1 to 100; got 1000."),
        ({"restarts": 0}, "`restarts` must be a whole number, 1 to 10; got 0."),
        ({"eps": None}, r"`eps` must lie in \[0, 1\]; got None."),
        ({"eps": 0}, "`eps` must be above 0"),
        ({"step_size": 2}, r"`step_size` must lie in \[0, 1\]; got 2."),
        ({"image": -1}, "`image` must be a whole number, 0 to 1000000; got -1."),
        ({"models": ("x",)}, "'models' is none of image, eps"),
    ],
)
def test_impossible_attacks_are_refused_and_change_nothing(microscope, asked, message):
    before = microscope.code
    with pytest.raises(ValueError, match=message):
        microscope.attack(**asked)
    microscope._receive(microscope, {"do": "attack", **asked}, [])
    assert re.match(message, microscope.status)
    assert microscope.code == before and not microscope.busy


def test_a_lesson_s_microscope_is_small_enough_for_its_page():
    widget = AttackMicroscope.of(steps=3, restarts=3)
    per_step = len(widget.slides) / 4
    assert per_step * 21 < 1_000_000
