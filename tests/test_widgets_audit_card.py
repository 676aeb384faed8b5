import threading

import pytest
import torch
from traitlets import TraitError

from mmc_viz import load_dataset, load_model
from mmc_viz.audit import CHECKS, AuditReport, Check, Tempered, audit
from mmc_viz.widgets import AuditCard, Prediction, replay
from mmc_viz.widgets.audit_card import NOBODY, write_outcome

SETTINGS = {"models": ("digits-mmc", "digits-sce"), "dataset": "digits", "images": range(6)}


def report(masked):
    verdict = "fail" if masked else "pass"
    checks = [Check(name, verdict, f"evidence of {name}", "sentence") for name in CHECKS]
    return AuditReport(0.9, "PGD-20", checks, {}, 0.35, 0.1, "linf", 6)


@pytest.fixture
def quick(monkeypatch):
    """An audit that answers at once; notes what it was asked."""
    asked = []

    def stand_in(model, images, labels, *, watch, **settings):
        asked.append((model, len(images), settings))
        found = report(masked=settings["eps"] > 0.05)
        for check in found.checks:
            watch(check.name, None)
            watch(check.name, check)
        return found

    monkeypatch.setattr("mmc_viz.widgets.audit_card.audit", stand_in)
    return asked


def verdicts(card):
    return [check["verdict"] for check in card.checks]


def test_a_new_card_is_blank():
    card = AuditCard.of(**SETTINGS, eps=0.1)
    assert [check["name"] for check in card.checks] == list(CHECKS)
    assert set(verdicts(card)) == {""} and card.outcome == {} and card.sentence == ""
    assert (card.model, card.eps, card.images, card.norm) == ("digits-mmc", 0.1, 6, "linf")


@pytest.mark.usefixtures("unchecked")
def test_the_card_shows_what_the_audit_finds():
    card = AuditCard.of(**SETTINGS, eps=0.1, run=True)
    data = load_dataset("digits", limit=6)
    seen = []
    found = audit(
        load_model("digits-mmc"),
        data.inputs(),
        data.labels,
        eps=0.1,
        watch=lambda name, check: seen.append((name, check)),
    )
    assert card.checks == found.rows()
    assert card.outcome == {
        "claim": found.claim,
        "about": found.about,
        "accuracy": found.accuracy,
        "masked": found.masked,
    }
    # The audit announces each check, then gives it; the last depends on all others.
    assert [name for name, check in seen if check is None] == [
        name for name in CHECKS if name != "zero gradient"
    ] + ["zero gradient"]
    assert {check for _, check in seen if check} == set(found.checks)
    assert [check.name for check in found.checks] == list(CHECKS)


def test_what_watch_raises_ends_the_audit():
    def watch(name, check):
        raise KeyboardInterrupt

    data = load_dataset("digits", limit=2)
    with pytest.raises(KeyboardInterrupt):
        audit(load_model("digits-sce"), data.inputs(), data.labels, eps=0.1, watch=watch)


def test_the_button_audits_what_is_chosen(quick):
    card = AuditCard.of(**SETTINGS)
    card._receive(card, {"do": "audit", "model": "digits-sce", "eps": 0.1}, [])
    card.wait(30)
    assert (card.model, card.eps) == ("digits-sce", 0.1)
    assert set(verdicts(card)) == {"fail"} and card.outcome["masked"]
    assert card.sentence == (
        "digits-sce: the claim does not hold. Claimed 90.0 %, found 35.0 %; 9 of 9 checks failed."
    )
    ((model, count, settings),) = quick
    assert count == 6 and settings == {"eps": 0.1, "claim": None, "norm": "linf", "seed": 0}
    torch.testing.assert_close(
        model.state_dict(), load_model("digits-sce").state_dict(), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("model", "eps", "says"),
    [("fashion-mmc", 0.1, "`model` must be one of"), ("digits-sce", 0, "ε must lie in")],
)
def test_an_impossible_choice_becomes_one_line(quick, model, eps, says):
    card = AuditCard.of(**SETTINGS)
    card._receive(card, {"do": "audit", "model": model, "eps": eps}, [])
    card.wait(30)
    assert says in card.status and quick == [] and card.model == "digits-mmc"


def test_checks_are_filled_in_one_by_one_and_stop_keeps_them(monkeypatch):
    card = AuditCard.of(**SETTINGS)
    third, go_on = threading.Event(), threading.Event()

    def stand_in(*args, watch, **settings):
        for k, check in enumerate(report(masked=True).checks):
            watch(check.name, None)
            if k == 2:
                third.set()
                go_on.wait(30)
            watch(check.name, check)

    monkeypatch.setattr("mmc_viz.widgets.audit_card.audit", stand_in)
    card.do_audit("digits-mmc", 0.1)
    third.wait(30)
    assert verdicts(card) == ["fail", "fail", "asking", *[""] * 6]
    assert card.progress == pytest.approx(2 / 9) and card.busy
    card.do_stop()
    go_on.set()
    card.wait(30)
    assert card.status == "Stopped." and not card.busy and card.outcome == {}
    assert verdicts(card)[:2] == ["fail", "fail"]


def test_the_code_restores_the_finished_card(quick):
    card = AuditCard.of(**SETTINGS, eps=0.1, run=True, claim=0.9, seed=3)
    again = replay(card.code)
    assert (again.checks, again.outcome, again.code) == (card.checks, card.outcome, card.code)
    assert quick[0][2] == quick[1][2] == {"eps": 0.1, "claim": 0.9, "norm": "linf", "seed": 3}
    assert AuditCard.of(**SETTINGS).settings.claim == NOBODY


def test_a_page_without_a_kernel_gets_the_finished_audit(quick):
    card = AuditCard.of(**SETTINGS)
    assert card.offline() == {}
    assert card.outcome and len(quick) == 1
    card.offline()
    assert len(quick) == 1


def test_a_locked_card_keeps_its_verdicts(quick):
    guess = Prediction("Masked?", {"it is": ["yes", "no"]}, {"it is": "yes"})
    card = AuditCard.of(**SETTINGS, eps=0.1, run=True, after=guess)
    assert card.locked and card.checks == [] and card.outcome == {}
    guess.commit({"it is": "no"})
    assert set(verdicts(card)) == {"fail"}


def test_a_model_of_one_s_own(quick):
    own = Tempered(load_model("digits-sce"), 0.001)
    card = AuditCard.of(**SETTINGS | {"models": {"planted": own}}, run=True)
    assert card.model == "planted" and quick[0][0] is own
    assert AuditCard.of(model="digits-mmc", dataset="digits").models == ["digits-mmc"]


def test_the_outcome_in_words():
    outcome = {"claim": 0.7755, "accuracy": 0.0745, "masked": False}
    said = write_outcome("SCE", outcome, [{"verdict": "pass"}, {"verdict": "warn"}])
    assert said == "SCE: no sign of masking. Claimed 77.6 %, found 7.5 %; 0 of 2 checks failed."


def test_another_temperature_changes_logits_and_no_decision():
    model, data = load_model("digits-mmc"), load_dataset("digits", limit=50)
    hot = Tempered(model, 100.0)
    torch.testing.assert_close(hot(data.inputs()), model(data.inputs()) / 100)
    assert (hot(data.inputs()).argmax(1) == model(data.inputs()).argmax(1)).all()
    assert not hot.training
    with pytest.raises(ValueError, match="`temperature` must be above 0"):
        Tempered(model, 0)


def test_a_trait_of_another_kind_is_refused():
    with pytest.raises(TraitError):
        AuditCard().eps = "much"
