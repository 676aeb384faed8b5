r"""How a claim is tested.

A claim says which images are robust. Each question of the audit brings one more attack on the same
images. Let $b$ be the number of images that the claim calls robust and the attack fools, $c$ of
those that the claim gives up and the attack does not fool. A check fails when the claim is more
than 2 points above what the attack leaves, and when that is no accident: if claim and attack were
equally good, each of the $b + c$ images would fall to either side like a coin, and

$$p = P\bigl( B \ge b \bigr), \qquad B \sim \mathrm{Binomial}(b + c, \tfrac12)$$

is below 0.01 (an exact sign test). Where a claim is but a number, $b$ is the difference of the
counts and $c = 0$.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz.attacks import frozen
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.checks import check_eps, check_images, check_labels, check_norm
from mmc_viz.audit.questions import QUESTIONS, Question, Subject, usual_practice
from mmc_viz.audit.report import FAIL, PASS, WARN, AuditReport, Check
from mmc_viz.evaluation import WorstCase, worst_case, zero_gradient
from mmc_viz.networks import outputs

_NO_SLOPE, _NO_LIMIT = "zero gradient", "unlimited budget"
_NAMES = [question.name for question in QUESTIONS]
#: The names of all checks, in the order of a report.
CHECKS = (*_NAMES[:2], _NO_SLOPE, *_NAMES[2:], _NO_LIMIT)

_OPTIMISTIC = 0.02  # share of the images by which a claim may be wrong
_CHANCE = 0.01  # below this probability it is no accident
_FLAT = 0.05  # share of images without a gradient that calls for a warning
_UNCLEAR = (
    "This attack does a little better than the claim, but with so few images that may be chance: "
    "audit more of them to be sure."
)


@dataclass(frozen=True)
class _Claim:
    """How many images are said to be robust, and which, if that is known."""

    about: str
    count: int
    robust: Bool[Tensor, " batch"] | None


def audit(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    claim: float | int | WorstCase | Bool[Tensor, " batch"] | None = None,
    norm: str = "linf",
    seed: int = 0,
    progress: bool = False,
    watch: Callable[[str, Check | None], None] = lambda name, check: None,
) -> AuditReport:
    """Ask of a claimed robust accuracy what the literature asks of a defence.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in the unit of the images.
    claim : float or WorstCase or Bool[Tensor, "batch"], optional
        What somebody reports for these images and this budget: a share, 0..1, a result of
        `worst_case`, or which images are robust. None: what PGD on cross-entropy with 20 steps
        leaves, the usual practice.
    norm : {"linf", "l2"}
        In which the budget is measured.
    seed : int
        Of all that is random.
    progress : bool
        Whether to show a bar.
    watch : callable
        Called as `watch(name, None)` before a check of `CHECKS` and as `watch(name, check)` once it
        is answered; what it raises ends the audit.

    Returns
    -------
    report : AuditReport
        `masked` if any check failed. Zero gradients on more than 5 % of the images are a warning,
        and a failure together with another failed check.

    Raises
    ------
    ValueError
        If an argument is out of range, or the claim is about other images or another budget.
    """
    check_images(images)
    check_labels(labels, images)
    check_norm(norm, BALLS)
    check_eps(eps, images, norm)
    if len(images) == 0:
        raise ValueError("`images` must hold at least one image; got none.")
    _check_claim(claim, images, eps, norm)
    with frozen(model, images) as view:
        logits, _ = outputs(view.exact, images)
        subject = Subject(view, images, labels, eps, norm, seed, logits.shape[1])
        checks, withstood = [], {}
        # The claim, the questions, the two that are no attack within the budget.
        with tqdm(total=len(QUESTIONS) + 3, unit="check", disable=not progress) as bar:
            stated = _stated(claim, subject)
            bar.update()
            for question in QUESTIONS:
                bar.set_description(question.name)
                watch(question.name, None)
                robust = question.attacks(subject)
                checks.append(_answer(question, robust, stated))
                withstood |= robust
                watch(question.name, checks[-1])
                bar.update()
            watch(_NO_LIMIT, None)
            checks.append(_unbounded(subject, claim))
            watch(_NO_LIMIT, checks[-1])
            bar.update()
            watch(_NO_SLOPE, None)
            failed = any(check.verdict == FAIL for check in checks)
            flat = zero_gradient(view, images, labels)
            right = (logits.argmax(dim=1) == labels).cpu()
            checks.insert(CHECKS.index(_NO_SLOPE), _flat(flat, right, failed))
            watch(_NO_SLOPE, checks[CHECKS.index(_NO_SLOPE)])
            bar.update()
    if stated.robust is not None:
        withstood = {stated.about: stated.robust} | withstood
    return AuditReport(
        claim=float(claim) if isinstance(claim, float | int) else stated.count / len(images),
        about=stated.about,
        checks=checks,
        accuracies={name: _share(robust) for name, robust in withstood.items()},
        accuracy=_share(torch.stack(list(withstood.values())).all(dim=0)),
        eps=eps,
        norm=norm,
        images=len(images),
    )


def _check_claim(claim, images: Tensor, eps: float | int, norm: str) -> None:
    if isinstance(claim, float | int) and not 0 <= claim <= 1:
        raise ValueError(
            f"`claim` must be a share in 0 .. 1; got {claim}. Divide a percentage by 100."
        )
    robust = claim.robust if isinstance(claim, WorstCase) else claim
    if isinstance(robust, Tensor) and robust.shape != images.shape[:1]:
        raise ValueError(
            f"`claim` must be about the same {len(images)} images; got one about {len(robust)}."
        )
    if isinstance(claim, WorstCase) and (claim.eps, claim.norm) != (eps, norm):
        raise ValueError(
            f"`claim` must be about the same budget, {norm} {eps}; got {claim.norm} {claim.eps}."
        )


def _stated(claim, subject: Subject) -> _Claim:
    """Say what is claimed; where nothing is, measure what usual practice would report."""
    if isinstance(claim, float | int):
        return _Claim("the claim", round(claim * len(subject.images)), None)
    if claim is None:
        about, robust = "PGD-20 on cross-entropy", usual_practice(subject)
    elif isinstance(claim, WorstCase):
        about, robust = f"worst case ({claim.budget})", claim.robust
    else:
        about, robust = "the claim", claim.cpu()
    return _Claim(about, int(robust.sum()), robust)


def _share(robust: Bool[Tensor, " batch"]) -> float:
    return robust.double().mean().item()


@dataclass(frozen=True)
class _Comparison:
    """How many images one attack fools and the other does not, among all."""

    wins: int
    losses: int
    total: int

    @property
    def p(self) -> float:
        """Probability of such a lead by chance."""
        return sign_test(self.wins, self.losses)

    @property
    def ahead(self) -> bool:
        """Whether the lead is large enough to matter."""
        return self.wins - self.losses > _OPTIMISTIC * self.total

    @property
    def proven(self) -> bool:
        """Whether it matters and is no accident."""
        return self.ahead and self.p < _CHANCE


def _against(claim: Bool[Tensor, " batch"], attack: Bool[Tensor, " batch"]) -> _Comparison:
    """Compare what withstands a claim's attack with what withstands another."""
    return _Comparison(int((claim & ~attack).sum()), int((~claim & attack).sum()), len(attack))


def _answer(question: Question, robust: dict[str, Bool[Tensor, " batch"]], claim: _Claim) -> Check:
    """Hold the strongest attack of a question against the claim."""
    name, strongest = min(robust.items(), key=lambda item: int(item[1].sum()))
    total = len(strongest)
    if claim.robust is None:
        lead = _Comparison(max(0, claim.count - int(strongest.sum())), 0, total)
    else:
        lead = _against(claim.robust, claim.robust & strongest if question.joined else strongest)
    listed = ", ".join(f"{attack} {_share(mask):.1%}" for attack, mask in robust.items())
    evidence = f"left by {listed}; claimed {claim.count / total:.1%}"
    if lead.wins or lead.losses:
        evidence += f"; only {name} fools {lead.wins}"
        if lead.losses:
            evidence += f", only the claim's attack {lead.losses}"
        evidence += f" (p = {lead.p:.2g})"
    if not lead.ahead:
        return Check(question.name, PASS, evidence, question.passed)
    if not lead.proven:
        return Check(question.name, PASS, evidence, _UNCLEAR)
    if question.levelled is not None:
        *_, before, last = robust.values()
        if not _against(before, last).proven:
            return Check(question.name, FAIL, evidence, question.levelled)
    return Check(question.name, FAIL, evidence, question.failed)


def sign_test(wins: int, losses: int) -> float:
    """Probability of at least so many wins among wins and losses if both are equally likely."""
    total = wins + losses
    return sum(comb(total, k) for k in range(wins, total + 1)) / 2**total


def _unbounded(subject: Subject, claim) -> Check:
    """With a budget that allows every image nothing can be robust; if it is, the attack fails."""
    eps = BALLS[subject.norm].length(torch.ones_like(subject.images[:1])).item()
    if claim is None:
        attack, robust = "PGD-20 on cross-entropy", usual_practice(subject, eps=eps)
    else:
        # Whoever brings a claim vouches for the attack behind it; ours stands in for it.
        attack = "the worst of an ensemble"
        robust = worst_case(
            subject.model,
            subject.images,
            subject.labels,
            eps=eps,
            norm=subject.norm,
            budget="quick",
            seed=subject.seed,
        ).robust
    optimistic = _Comparison(int(robust.sum()), 0, len(robust)).proven
    evidence = f"{attack} leaves {_share(robust):.1%} when every image is allowed"
    if optimistic:
        sentence = (
            "An attacker who may turn an image into any other still fails: so what is measured is "
            "the failure of the attack."
        )
    else:
        sentence = (
            "As the budget grows to allow every image, the accuracy falls to nothing: the attack "
            "works."
        )
    return Check(_NO_LIMIT, FAIL if optimistic else PASS, evidence, sentence)


def _flat(flat: Bool[Tensor, " batch"], right: Bool[Tensor, " batch"], failed: bool) -> Check:
    """Images on which the usual attack has no direction to go."""
    count, total = int((flat & right).sum()), len(flat)
    evidence = f"cross-entropy has an exactly zero gradient on {count} of {total} images"
    if count <= _FLAT * total:
        sentence = "The usual attack finds a direction on nearly every image."
        return Check(_NO_SLOPE, PASS, evidence, sentence)
    sentence = (
        "On these images the usual attack has no direction to go: it stands still, and the image "
        "counts as robust though nothing was tried."
    )
    return Check(_NO_SLOPE, FAIL if failed else WARN, evidence, sentence)
