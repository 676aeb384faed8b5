"""What an audit found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mmc_viz import tables

PASS, WARN, FAIL = "pass", "warn", "fail"


class Check(NamedTuple):
    """One question and its answer.

    Attributes
    ----------
    name : str
        The question, in a few words.
    verdict : {"pass", "warn", "fail"}
        `fail` where the claim turned out optimistic.
    evidence : str
        The numbers behind the verdict.
    sentence : str
        What it means, for somebody who is new to this.
    """

    name: str
    verdict: str
    evidence: str
    sentence: str


@dataclass(frozen=True)
class AuditReport:
    """A claim, and what became of it.

    Attributes
    ----------
    claim : float
        The robust accuracy that somebody reports, 0..1.
    about : str
        Whose claim it is.
    checks : list[Check]
        One for each question.
    accuracies : dict[str, float]
        What each attack left of the accuracy at this budget, 0..1, the claim's own first where it
        is known image by image.
    accuracy : float
        What all of them together left, 0..1: the share of images that withstood every one.
    eps : float
        Budget in the unit of the images.
    norm : str
        In which it is measured.
    images : int
        How many were attacked.
    """

    claim: float
    about: str
    checks: list[Check]
    accuracies: dict[str, float]
    accuracy: float
    eps: float | int
    norm: str
    images: int

    @property
    def masked(self) -> bool:
        """Whether any check failed: the model is less robust than claimed."""
        return any(check.verdict == FAIL for check in self.checks)

    def rows(self) -> list[dict[str, Any]]:
        """Give one row a check."""
        return [check._asdict() for check in self.checks]

    def to_json(self, path: str | Path | None = None) -> str:
        """Give all as JSON; write it too if `path` is given."""
        return tables.to_json(self.values(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give `rows` as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)

    def values(self) -> dict[str, Any]:
        """Give all as plain values."""
        return {
            "claim": self.claim,
            "about": self.about,
            "masked": self.masked,
            "accuracy": self.accuracy,
            "accuracies": self.accuracies,
            "eps": self.eps,
            "norm": self.norm,
            "images": self.images,
            "checks": self.rows(),
        }
