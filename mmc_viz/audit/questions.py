"""The questions of an audit: for each an attack, and what its success or failure means."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import fgsm, mim, pgd, square, transfer
from mmc_viz.attacks.balls import BALLS
from mmc_viz.audit.surrogate import imitate
from mmc_viz.evaluation import correct


@dataclass(frozen=True)
class Subject:
    """A model under audit, and the images it is audited on.

    Attributes
    ----------
    model : nn.Module
        Frozen; from images to logits.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in the unit of the images.
    norm : str
        In which it is measured.
    seed : int
        Of all that is random.
    num_classes : int
        How many the model tells apart.
    """

    model: nn.Module
    images: Float[Tensor, "batch channels height width"]
    labels: Int[Tensor, " batch"]
    eps: float | int
    norm: str
    seed: int
    num_classes: int

    def under(
        self, attack: Callable[..., Tensor], eps: float | int | None = None, **settings
    ) -> Bool[Tensor, " batch"]:
        """Which images the model gets right after a fixed-budget attack."""
        generator = torch.Generator().manual_seed(self.seed)
        found = attack(
            self.model,
            self.images,
            self.labels,
            eps=self.eps if eps is None else eps,
            norm=self.norm,
            generator=generator,
            **settings,
        )
        return self.right(found)

    def right(self, images: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Which of these images the model gets right, on the CPU."""
        return correct(self.model, images.clamp(0, 1), self.labels).cpu()


@dataclass(frozen=True)
class Question:
    """One more attack, and how to read its outcome.

    Attributes
    ----------
    name : str
        The question, in a few words.
    attacks : callable
        From the subject to the images that withstand, for each attack by name. The strongest one
        counts.
    joined : bool
        Whether the claim's own successes count beside it: so where the question is what the claim
        has missed, not which of the two attacks is better.
    passed, failed : str
        What each answer means, in a sentence.
    levelled : str, optional
        Of a question whose attacks are one attack with more and more work: what it means if the
        claim fails, but the last attack does no better than the one before.
    """

    name: str
    attacks: Callable[[Subject], dict[str, Bool[Tensor, " batch"]]]
    joined: bool
    passed: str
    failed: str
    levelled: str | None = None


def usual_practice(
    subject: Subject, *, eps: float | int | None = None, **settings
) -> Bool[Tensor, " batch"]:
    """Which images withstand what nearly everybody runs: PGD on cross-entropy, 20 steps."""
    return subject.under(pgd, eps, **({"objective": "cross_entropy", "steps": 20} | settings))


def _objectives(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    names = ["margin", "distance"] + ["dlr"] * (subject.num_classes >= 3)
    return {name: usual_practice(subject, objective=name) for name in names}


def _precision(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    robust = usual_practice(subject, objective="cross_entropy_float64")
    return {"cross-entropy in float64": robust}


def _more(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    efforts = ((40, 2), (100, 5))
    return {
        f"{steps} steps, {restarts} starts": usual_practice(subject, steps=steps, restarts=restarts)
        for steps, restarts in efforts
    }


def _single_step(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    return {"one step": subject.under(fgsm, objective="cross_entropy")}


def _black_box(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    return {"Square, 1000 queries": subject.under(square, queries=1000)}


def _random_search(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    """Ask for 200 points of the ball: half of them uniform, half as far out as they can be."""
    ball = BALLS[subject.norm]
    generator = torch.Generator().manual_seed(subject.seed)
    budgets = torch.full(subject.images.shape[:1], float(subject.eps)).to(subject.images)
    robust = torch.ones(len(subject.images), dtype=torch.bool)
    for number in range(200):
        offset = ball.sample(subject.images.shape, generator)
        if number % 2:
            offset = ball.steepest(offset)
        offset = offset.to(subject.images) * budgets[:, None, None, None]
        robust &= subject.right(ball.project(subject.images + offset, subject.images, budgets))
    return {"200 random points": robust}


def _transferred(subject: Subject) -> dict[str, Bool[Tensor, " batch"]]:
    largest = BALLS[subject.norm].length(torch.ones_like(subject.images[:1])).item()
    student = imitate(
        subject.model,
        subject.images,
        num_classes=subject.num_classes,
        reach=max(0.1, subject.eps / largest),
        seed=subject.seed,
    )

    def attack(model, images, labels, **more):
        return mim(model, images, labels, eps=subject.eps, norm=subject.norm, **more)

    found = transfer(student, subject.model, subject.images, subject.labels, attack=attack)
    return {"made on an imitation": subject.right(found)}


QUESTIONS = (
    Question(
        "another objective",
        _objectives,
        joined=False,
        passed="Climbing the margin, the distance or a ratio of logits fools no more than claimed: "
        "the result does not hang on what the attacker maximises.",
        failed="The same attack with another objective fools images that were called robust. The "
        "usual objective was blind; the images were never safe.",
    ),
    Question(
        "float32 and float64",
        _precision,
        joined=False,
        passed="Computing cross-entropy with more digits changes nothing that matters.",
        failed="With more digits the same cross-entropy attack succeeds. In float32 softmax had "
        "rounded the gradient away, and the attacker stood still.",
    ),
    Question(
        "black box against white box",
        _black_box,
        joined=False,
        passed="An attacker who sees only the outputs does no better than one who sees the "
        "gradient, as it should be.",
        failed="An attacker who sees less achieves more. That can only be if the gradient leads "
        "attackers astray.",
    ),
    Question(
        "random search",
        _random_search,
        joined=True,
        passed="Blind guessing within the ball finds nothing that following gradients has missed.",
        failed="Blind guessing finds adversarial images that following gradients has missed.",
    ),
    Question(
        "one step against many",
        _single_step,
        joined=False,
        passed="One large step fools no more than claimed; many small ones are no worse.",
        failed="One large step fools more than many small ones: the small ones are caught in a "
        "gradient that leads nowhere.",
    ),
    Question(
        "more steps and starts",
        _more,
        joined=True,
        passed="Many times the work with the usual attack finds hardly more: it had converged.",
        failed="More work with the same attack fools more images, and still more work still more: "
        "the attack does not converge, and no number it gives can be trusted.",
        levelled="More work with the same attack fools more images, still more work hardly any: "
        "the claim was made too early, but once the attack has converged nothing hides behind it.",
    ),
    Question(
        "transferred attack",
        _transferred,
        joined=False,
        passed="Images made to fool an imitation of the model do not beat the claim.",
        failed="Images made to fool another network fool this one better than its own gradient "
        "does: that gradient hides the way.",
    ),
)
