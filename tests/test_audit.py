import copy
import json

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from mmc_viz.audit import AuditReport, Check, audit
from mmc_viz.audit.auditing import _answer, _Claim, _stated, sign_test
from mmc_viz.audit.questions import QUESTIONS
from mmc_viz.audit.surrogate import imitate
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.evaluation import WorstCase, accuracy, worst_case
from mmc_viz.networks import outputs

EPS = 0.06
pytestmark = pytest.mark.usefixtures("unchecked_module")


@pytest.fixture(scope="module")
def clothes():
    data = load_dataset("fashion_mnist", limit=40)
    return data.inputs(), data.labels


@pytest.fixture(scope="module")
def numerals(digits):
    return digits.inputs()[:40], digits.labels[:40]


class Quantised(nn.Module):
    """Rounds every pixel to one of five grey levels first: what it decides is no safer for it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model((images * 4).round() / 4)


def scaled(model):
    """The same decisions, with logits ten thousand times as large."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.head.linear.parameters():
            weight *= 10_000
    return model


def by_name(report):
    return {check.name: check for check in report.checks}


# --- verdicts -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usual(numerals):
    """Reports under the default claim, of models whose truth is known."""
    sce, mmc = load_model("digits-sce"), load_model("digits-mmc")
    models = {"mmc": mmc, "quantised": Quantised(sce), "scaled": scaled(sce), "sce": sce}
    return {name: audit(model, *numerals, eps=0.15) for name, model in models.items()}


@pytest.mark.parametrize("name", ["mmc", "quantised", "scaled"])
def test_masked_models_are_flagged(usual, name):
    report = usual[name]
    assert report.masked
    # What hides behind the mask is a model that withstands next to nothing.
    assert report.claim > report.accuracy + 0.25
    flat = by_name(report)["zero gradient"]
    assert flat.verdict == "fail" and "exactly zero gradient on" in flat.evidence


def test_an_honest_model_is_cleared(usual):
    assert not usual["sce"].masked
    assert {check.verdict for check in usual["sce"].checks} == {"pass"}


def test_the_verdicts_say_what_is_wrong(usual):
    mmc, quantised, scaled = (by_name(usual[name]) for name in ("mmc", "quantised", "scaled"))
    # Blind in float32 alone: another objective sees, and so does the same one with more digits.
    assert mmc["another objective"].verdict == mmc["float32 and float64"].verdict == "fail"
    # No objective and no precision helps where the model itself cuts the gradient off.
    assert quantised["another objective"].verdict == "pass"
    assert quantised["black box against white box"].verdict == "fail"
    # Logits so large that even float64 has no digits left for them.
    assert scaled["another objective"].verdict == "fail"
    assert scaled["float32 and float64"].verdict == "pass"


@pytest.fixture(scope="module")
def worst(numerals):
    return worst_case(load_model("digits-mmc"), *numerals, eps=0.1, budget="quick")


@pytest.mark.parametrize("form", ["result", "number"])
def test_a_masked_model_is_cleared_when_the_claim_is_honest(numerals, worst, form):
    model = load_model("digits-mmc")
    claim = {"result": worst, "number": worst.accuracy}[form]
    report = audit(model, *numerals, eps=0.1, claim=claim)
    assert not report.masked
    assert report.claim == worst.accuracy
    # Nothing is left to be optimistic about; that the gradient vanishes is still worth a word.
    assert by_name(report)["zero gradient"].verdict == "warn"


def test_a_claim_about_each_image_is_that_of_the_result(worst):
    result, images = (_stated(claim, None) for claim in (worst, worst.robust))
    assert result.about == "worst case (quick)" and images.about == "the claim"
    assert images.count == result.count and torch.equal(images.robust, result.robust)


def test_a_claim_too_high_is_refuted_whoever_makes_it(numerals):
    model = load_model("digits-sce")
    assert audit(model, *numerals, eps=0.1, claim=0.5).masked
    assert audit(model, *numerals, eps=0.1, claim=torch.ones(40, dtype=torch.bool)).masked


def test_an_attack_that_fails_with_an_unlimited_budget_is_no_attack():
    class Step(nn.Module):
        """Tells bright from dark, with no slope anywhere."""

        def forward(self, images):
            bright = images.mean(dim=(1, 2, 3)) > 0.5
            return 2 * torch.stack([~bright, bright], dim=1) + 0 * images.sum()

    images = torch.linspace(0.2, 0.8, 40)[:, None, None, None].expand(-1, 1, 8, 8)
    labels = (torch.arange(40) >= 20).long()
    # From a random start half of the images are on the wrong side, by luck; the rest stay.
    report = audit(Step(), images, labels, eps=0.1)
    assert by_name(report)["unlimited budget"].verdict == "fail"
    # Whoever claims what is true is not blamed for that.
    truth = (images[:, 0, 0, 0] - 0.5).abs() > 0.1
    honest = audit(Step(), images, labels, eps=0.1, claim=truth)
    assert by_name(honest)["unlimited budget"].verdict == "pass" and not honest.masked


# --- the rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (7, 0), (6, 0), (12, 3), (3, 12), (40, 21)])
def test_the_sign_test_is_the_exact_one(wins, losses):
    expected = 1.0
    if wins + losses:
        expected = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
    assert sign_test(wins, losses) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("broken", "fails"), [(0, False), (6, False), (7, True)])
def test_seven_images_of_a_hundred_are_no_accident_and_six_may_be(broken, fails):
    class Brightness(nn.Module):
        def forward(self, images):
            mean = images.mean(dim=(1, 2, 3))
            return torch.stack([torch.full_like(mean, 0.5), mean], dim=1)

    images, labels = torch.zeros(100, 1, 8, 8), torch.zeros(100, dtype=torch.int64)
    images[:broken] = 0.45  # these, and no others, can be made brighter than 0.5
    report = audit(Brightness(), images, labels, eps=0.1, claim=torch.ones(100).bool())
    assert (by_name(report)["another objective"].verdict == "fail") is fails


# --- the report ---------------------------------------------------------------------------------


def test_a_report_says_all_in_plain_values(usual, tmp_path):
    report = usual["mmc"]
    assert isinstance(report, AuditReport)
    assert len(report.checks) == len(QUESTIONS) + 2
    for check in report.checks:
        name, verdict, evidence, sentence = check
        assert isinstance(check, Check) and verdict in ("pass", "warn", "fail")
        assert name and evidence and sentence.endswith(".")
    values = json.loads(report.to_json(tmp_path / "report.json"))
    assert values == json.loads((tmp_path / "report.json").read_text())
    assert values["masked"] is True and values["claim"] == report.claim
    assert [row["verdict"] for row in values["checks"]] == [c.verdict for c in report.checks]
    assert report.to_csv().splitlines()[0] == "name,verdict,evidence,sentence"
    assert len(report.to_csv().splitlines()) == 1 + len(report.checks)


def test_the_accuracy_is_what_withstood_everything(usual):
    report = usual["mmc"]
    assert report.accuracy <= min(report.accuracies.values())
    assert report.accuracies["PGD-20 on cross-entropy"] == report.claim


def test_the_same_seed_gives_the_same_report(numerals):
    images, labels = (part[:8] for part in numerals)
    model = load_model("digits-mmc")
    assert audit(model, images, labels, eps=0.1) == audit(model, images, labels, eps=0.1)


def test_an_audit_leaves_no_trace(numerals):
    images, labels = numerals[0][:10].clone(), numerals[1][:10]
    model = load_model("digits-sce").train()
    state, kept = torch.get_rng_state(), images.clone()
    audit(model, images, labels, eps=0.5, norm="l2")
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(images, kept)
    assert model.training and all(weight.grad is None for weight in model.parameters())


# --- the imitation ------------------------------------------------------------------------------


def test_an_imitation_agrees_with_what_it_imitates(numerals):
    images, _ = numerals
    model = load_model("digits-sce")
    student = imitate(model, images, num_classes=10, reach=0.1)
    answers = outputs(model, images)[0].argmax(dim=1)
    assert accuracy(student, images, answers) > 0.9
    assert not student.training


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"claim": 75.5}, r"`claim` must be a share in 0 \.\. 1; got 75.5. Divide"),
        ({"eps": 8}, r"Did you mean 8/255\?"),
        ({"norm": "l1"}, "`norm` must be one of linf, l2"),
        ({"images": torch.zeros(0, 1, 28, 28), "labels": torch.zeros(0).long()}, "at least one"),
    ],
)
def test_mistakes_are_named(clothes, change, words):
    call = {"images": clothes[0][:10], "labels": clothes[1][:10], "eps": EPS} | change
    with pytest.raises(ValueError, match=words):
        audit(load_model("fashion-sce"), **call)


def test_a_claim_about_another_budget_or_other_images_is_refused(clothes):
    for images, eps, words in (
        (40, 0.1, "about the same budget, linf 0.06; got linf 0.1"),
        (30, EPS, "about the same 40 images; got one about 30"),
    ):
        none = torch.zeros(images, dtype=torch.bool)
        claim = WorstCase(none, [None] * images, {}, none, eps, "linf", "quick")
        with pytest.raises(ValueError, match=words):
            audit(load_model("fashion-sce"), *clothes, eps=EPS, claim=claim)


# --- more and more work -------------------------------------------------------------------------


def test_a_claim_made_too_early_fails_with_a_sentence_of_its_own():
    question = next(question for question in QUESTIONS if question.levelled)
    claim = _Claim("somebody", 40, torch.arange(100) < 40)

    def verdict(*left):
        return _answer(question, {str(n): torch.arange(100) < n for n in left}, claim)

    assert verdict(40, 39) == verdict(40, 39)._replace(verdict="pass", sentence=question.passed)
    # More work finds more, but more work than that hardly any.
    assert verdict(31, 30).verdict == "fail" and verdict(31, 30).sentence == question.levelled
    # The end is not in sight.
    assert verdict(31, 20).verdict == "fail" and verdict(31, 20).sentence == question.failed
