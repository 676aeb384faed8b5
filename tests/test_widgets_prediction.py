import json
import threading
import zlib
from base64 import b64decode

import pytest
import torch
from ipywidgets import Widget

from mmc_viz import load_dataset, load_model, predictions
from mmc_viz.attacks import pgd
from mmc_viz.evaluation import wilson_interval
from mmc_viz.widgets import Prediction, PredictionCurve, replay
from mmc_viz.widgets.base import LabWidget

SECRET = 17.125  # as an answer: no other number of the state looks like it
EPSILONS = (0.0, 0.05, 0.1)


@pytest.fixture(autouse=True)
def fresh_ledger():
    predictions.ledger.clear()
    yield
    predictions.ledger.clear()


@pytest.fixture
def guess():
    return Prediction("How many?", {"SCE": (0.0, 30.0)}, answer=lambda: SECRET, lesson="08")


def everything_sent(widget):
    """Whatever a page could read of a widget: its synced state, as text."""
    return json.dumps(widget.get_state(), default=repr)


# ---- numbers and choices -------------------------------------------------------------------------


def test_before_the_commitment_no_state_holds_the_answer(guess):
    assert not guess.committed and guess.answers == {} and guess.sentences == []
    assert str(SECRET) not in everything_sent(guess)
    guess.commit({"SCE": 10.0})
    assert str(SECRET) in everything_sent(guess)  # so the search above could have found it


def test_an_answer_that_is_given_stays_in_the_kernel_too():
    guess = Prediction("How many?", {"SCE": (0.0, 30.0)}, {"SCE": SECRET})
    assert str(SECRET) not in everything_sent(guess)


def test_the_answer_is_computed_at_the_commitment_and_once():
    calls = []
    guess = Prediction("?", {"SCE": (0, 30)}, lambda: calls.append(1) or {"SCE": 12})
    assert calls == []
    guess.commit({"SCE": 12})
    guess.offline()
    assert calls == [1]


def test_a_commitment_answers_scores_and_unlocks(guess):
    told = []
    guess.on_commit(lambda: told.append(guess.answers))
    guess.commit({"SCE": 10.0})
    assert guess.committed and guess.guesses == {"SCE": 10.0} and told == [{"SCE": SECRET}]
    assert guess.sentences == [
        "SCE: 17.12; you said 10, 7.125 too low. A surprise: now there is something to explain."
    ]
    (entry,) = predictions.ledger.entries
    assert (entry.lesson, entry.question, entry.name) == ("08", "How many?", "SCE")
    assert entry.score == pytest.approx(100 * 7.125 / 30)
    guess.on_commit(lambda: told.append("at once"))
    assert told[-1] == "at once"


def test_a_committed_guess_stands(guess):
    guess.commit({"SCE": 10.0})
    with pytest.raises(ValueError, match="a committed guess stands"):
        guess.commit({"SCE": 17.0})
    assert guess.guesses == {"SCE": 10.0}


def test_an_incomplete_guess_is_refused_and_nothing_is_sent(guess):
    with pytest.raises(ValueError, match="SCE: make a guess first"):
        guess.commit({})
    with pytest.raises(ValueError, match="from 0 to 30"):
        guess.commit({"SCE": 31})
    assert not guess.committed and str(SECRET) not in everything_sent(guess)
    assert predictions.ledger.entries == []


def test_the_browser_commits_by_name_and_sets_nothing(guess):
    guess.set_state({"committed": True, "answers": {"SCE": 1}, "guesses": {"SCE": 1.0}})
    assert not guess.committed and guess.answers == {}
    guess._receive(guess, {"do": "commit", "guesses": {"SCE": 99}}, [])
    assert guess.status == "SCE: enter a number from 0 to 30."
    guess._receive(guess, {"do": "commit", "guesses": {"SCE": 10}}, [])
    guess.wait(30)
    assert guess.committed and not guess.busy


def test_an_answer_that_fails_leaves_the_guess_uncommitted():
    def fail():
        raise RuntimeError("no memory")

    guess = Prediction("?", {"SCE": (0, 30)}, fail)
    guess.do_commit({"SCE": 3})
    guess.wait(30)
    assert guess.status == "RuntimeError: no memory" and not guess.committed


def test_numbers_of_any_kind_are_answers():
    guess = Prediction(
        "?",
        {"SCE": (0, 30), "x": (0.0, 1.0)},
        lambda: {"SCE": torch.tensor(12), "x": torch.tensor(0.5)},
    )
    guess.commit({"SCE": 12, "x": 1.0})
    assert guess.answers == {"SCE": 12, "x": 0.5}


@pytest.mark.parametrize(
    ("answer", "says"),
    [({"MMC": 3}, "must name SCE; got MMC"), ({"SCE": 31}, "must lie on its scale")],
)
def test_a_wrong_answer_is_the_author_s_mistake(answer, says):
    with pytest.raises(ValueError, match=says):
        Prediction("?", {"SCE": (0, 30)}, answer)


def test_a_page_without_a_kernel_gets_the_answer_sealed(guess):
    found = guess.offline()
    assert found["after"] == guess.model_id
    assert str(SECRET) not in json.dumps(found)
    opened = json.loads(zlib.decompress(b64decode(found["sealed"])))
    assert opened == {"answers": {"SCE": SECRET}}
    assert not guess.committed and predictions.ledger.entries == []
    guess.commit({"SCE": 3.0})
    assert guess.offline() == {}


class Shown(LabWidget):
    """A widget that shows a text."""

    import traitlets

    words = traitlets.Unicode().tag(sync=True)


def test_what_comes_after_stays_locked_until_then(guess):
    shown = Shown(after=guess)
    shown._deliver(words="the answer")
    assert shown.locked and shown.words == ""
    guess.commit({"SCE": 3.0})
    assert not shown.locked and shown.words == "the answer"


def test_a_question_can_wait_for_another_one(guess):
    second = Prediction("Now you know. And then?", {"a": (0, 9)}, {"a": 3}, after=guess)
    assert second.locked and second.question == ""
    guess.commit({"SCE": 3.0})
    assert second.question == "Now you know. And then?" and len(second.fields) == 1
    second.commit({"a": 3})
    assert predictions.ledger.entries[-1].question == "Now you know. And then?"


# ---- curves --------------------------------------------------------------------------------------


@pytest.fixture
def curve():
    truth = {"SCE": [0.9, 0.5, 0.1], "MMC": ([0.8, 0.7, 0.6], [0.7, 0.6, 0.5], [0.9, 0.8, 0.7])}
    return PredictionCurve("Draw.", ["SCE", "MMC"], EPSILONS, lambda: truth, lesson="10")


def test_curves_are_answered_in_percent_with_intervals(curve):
    assert curve.answers == {} and "0.7" not in everything_sent(curve).partition("_css")[0]
    curve.commit({"SCE": [100, 50, 0], "MMC": [80, 70, 60]})
    assert curve.answers["SCE"] == {key: [90, 50, 10] for key in ("accuracy", "low", "high")}
    assert curve.answers["MMC"]["low"] == pytest.approx([70, 60, 50])
    assert curve.sentences[0].startswith("SCE: off by 6.7 percentage points on average")
    assert curve.sentences[-1] == "All together: 3.3 points."
    assert [entry.score for entry in predictions.ledger.entries] == pytest.approx([20 / 3, 0])


@pytest.mark.parametrize(
    ("drawn", "says"),
    [
        ({"SCE": [1, 2, 3]}, "MMC: draw a value at each of the 3"),
        ({"SCE": [1, 2], "MMC": [1, 2, 3]}, "SCE: draw a value"),
        ({"SCE": [1, 2, 101], "MMC": [1, 2, 3]}, "must lie in 0 .. 100"),
        ({"SCE": [1, 2, None], "MMC": [1, 2, 3]}, "must lie in 0 .. 100"),
    ],
)
def test_incomplete_curves_are_refused(curve, drawn, says):
    with pytest.raises(ValueError, match=says):
        curve.commit(drawn)
    assert not curve.committed


def test_budgets_must_rise():
    with pytest.raises(ValueError, match="epsilons"):
        PredictionCurve("?", ["a"], [0.1, 0.0], {"a": [1, 1]})


SETTINGS = {
    "models": ("digits-sce", "digits-mmc"),
    "dataset": "digits",
    "images": range(8),
    "objectives": ("margin",),
    "steps": 3,
    "epsilons": EPSILONS,
}


def test_the_true_curves_are_those_of_an_attack():
    curve = PredictionCurve.of(**SETTINGS)
    assert curve.names == ["SCE", "MMC"] and curve.epsilons == list(EPSILONS)
    assert "How many of 8 images does each model" in curve.question
    curve.commit({name: [50.0, 50.0, 50.0] for name in curve.names})
    data = load_dataset("digits", limit=8)
    for name, shipped in zip(curve.names, SETTINGS["models"], strict=True):
        model, images = load_model(shipped), data.inputs()
        alive = model(images).argmax(1) == data.labels
        for k, eps in enumerate(EPSILONS):
            if eps:
                found = pgd(
                    model,
                    images,
                    data.labels,
                    eps=eps,
                    steps=3,
                    objective="margin",
                    generator=torch.Generator().manual_seed(0),
                )
                alive = alive & (model(found).argmax(1) == data.labels)
            low, high = wilson_interval(alive.sum(), 8)
            answer = {key: values[k] for key, values in curve.answers[name].items()}
            assert answer == pytest.approx(
                {
                    "accuracy": 100 * alive.double().mean().item(),
                    "low": 100 * low.item(),
                    "high": 100 * high.item(),
                }
            )


def test_a_replay_code_asks_the_same_question_without_the_answer():
    curve = PredictionCurve.of(**SETTINGS, lesson="10")
    curve.commit({name: [50.0] * 3 for name in curve.names})
    again = replay(curve.code)
    assert isinstance(again, PredictionCurve) and not again.committed and again.answers == {}
    assert (again.code, again.settings, again.names) == (curve.code, curve.settings, curve.names)
    with pytest.raises(ValueError, match="a committed guess stands"):
        curve.restore(again.code)


def test_one_model_under_several_objectives():
    settings = SETTINGS | {"models": ("digits-mmc",), "objectives": ("cross_entropy", "margin")}
    curve = PredictionCurve.of(**settings)
    assert curve.names == ["cross-entropy", "margin"]
    both = PredictionCurve.of(**SETTINGS | {"objectives": ("cross_entropy", "margin")})
    assert both.names[:2] == ["SCE, cross-entropy", "SCE, margin"] and len(both.names) == 4
    assert PredictionCurve.of(**SETTINGS | {"objective": "distance"}).settings.objectives == (
        "distance",
    )


def test_an_unknown_objective_is_refused_at_once():
    with pytest.raises(ValueError, match="`objective` must be one of"):
        PredictionCurve.of(**SETTINGS | {"objective": "prayer"})


def test_stop_leaves_the_guess_uncommitted(monkeypatch):
    curve = PredictionCurve.of(**SETTINGS)
    begun, go_on = threading.Event(), threading.Event()

    def attack(*args, **kwargs):
        begun.set()
        go_on.wait(30)
        return args[1]

    monkeypatch.setattr("mmc_viz.widgets.prediction_curve.pgd", attack)
    curve.do_commit({name: [50.0] * 3 for name in curve.names})
    begun.wait(30)
    curve.do_stop()
    go_on.set()
    curve.wait(30)
    assert curve.status == "Stopped." and not curve.committed and curve.answers == {}


@pytest.mark.parametrize("widget", [Prediction, PredictionCurve])
def test_only_a_few_traits_go_to_the_browser(widget):
    own = set(widget.class_trait_names(sync=True)) - set(LabWidget.class_trait_names(sync=True))
    expected = {"question", "guesses", "answers", "committed"}
    expected |= {"fields"} if widget is Prediction else {"names", "epsilons"}
    assert own == expected
    assert issubclass(widget, Widget)
