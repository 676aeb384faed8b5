"""Audit a model before the student's eyes: each check is filled in as soon as it is answered."""

from dataclasses import dataclass, replace
from typing import Any

import traitlets

from mmc_viz.audit import CHECKS, Check, audit
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models

NOBODY = -1.0  # as a claim: none is made


@dataclass(frozen=True)
class AuditSettings:
    """What is audited.

    Parameters
    ----------
    models : tuple of str
        Shipped names to choose from.
    model : str
        The one that is audited; empty: the first.
    dataset : str
        Name of the data set.
    images : tuple of int
        Places in its test split.
    eps : float
        Budget, in the unit of images in [0, 1].
    norm : str
        In which it is measured.
    claim : float
        Robust accuracy that somebody reports, 0..1; -1: what usual practice would report.
    seed : int
        Of all that is random.
    run : bool
        Whether the checks have been asked.
    """

    models: tuple[str, ...] = ("fashion-mmc", "fashion-sce")
    model: str = ""
    dataset: str = "fashion_mnist"
    images: tuple[int, ...] = tuple(range(40))
    eps: float | int = 0.03
    norm: str = "linf"
    claim: float | int = NOBODY
    seed: int = 0
    run: bool = False

    @property
    def subject(self) -> str:
        """Name of the model that is audited."""
        return self.model or self.models[0]


class AuditCard(LabWidget):
    """The checks of an audit, their verdicts, and what they rest on.

    `AuditCard.of(model=..., eps=..., run=True)` asks all checks at once; without `run` the card
    waits for its Run button. A page without a kernel shows the finished audit.

    Attributes
    ----------
    models : list[str]
        To choose from.
    model : str
    eps : float
    images : int
        How many are attacked.
    norm : str
    checks : list[dict]
        One for each name in `mmc_viz.audit.CHECKS`: `name`, `verdict` ("pass", "warn", "fail",
        "asking" or "" where it has not been asked), `evidence`, `sentence`.
    outcome : dict
        `claim` and `accuracy` (0..1), `about`, `masked`; empty until all checks are answered.
    sentence : str
        What the browser says of the outcome.

    Raises
    ------
    ValueError
        If there is no such model, or a setting is out of range.
    """

    kind = "audit-card"
    Settings = AuditSettings
    _esm = assemble("audit_card.js")
    _css = style("audit_card.css")

    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    model = traitlets.Unicode().tag(sync=True)
    eps = traitlets.Float().tag(sync=True)
    images = traitlets.Int().tag(sync=True)
    norm = traitlets.Unicode().tag(sync=True)
    checks = traitlets.List(traitlets.Dict()).tag(sync=True)
    outcome = traitlets.Dict().tag(sync=True)

    def __init__(self, **kwargs: Any):
        self._answered: list[dict[str, str]] = []
        super().__init__(**kwargs)

    @classmethod
    def of(
        cls, *, models: Any = None, claim: float | int | None = None, **settings: Any
    ) -> "AuditCard":
        """Open a card.

        Parameters
        ----------
        models : names, or dict from name to model, optional
            To choose from; `model` is one of them. None: the model alone, or the default menu.
        claim : float, optional
            Robust accuracy that somebody reports, 0..1. None: what usual practice would report.
        **settings : Any
            Other fields of `AuditSettings`, and `controls`, `after` as for every widget.

        Raises
        ------
        ValueError
            If a setting is unknown or impossible.
        """
        if claim is not None:
            settings["claim"] = claim
        named = settings.get("model")
        if models is None and named and named not in AuditSettings.models:
            models = (named,)
        return super().of(models=models, **settings)

    @property
    def sentence(self) -> str:
        """What the browser says of the outcome."""
        return write_outcome(self.model, self.outcome, self.checks) if self.outcome else ""

    @property
    def failed(self) -> int:
        """How many checks have failed."""
        return sum(check["verdict"] == "fail" for check in self._answered)

    def finish(self) -> "AuditCard":
        """Ask all checks that have not been asked; also while the card is locked.

        Returns
        -------
        self : AuditCard
        """
        if self.settings is not None and not self.settings.run:
            self._adopt(replace(self.settings, run=True))
        return self

    def do_audit(self, model: str, eps: float | int) -> None:
        """Audit the model at the budget that the student has chosen."""
        settings = replace(self.settings, model=model, eps=float(eps), run=False)
        if model not in settings.models:
            raise ValueError(f"`model` must be one of {', '.join(settings.models)}; got {model!r}.")
        if not 0 < settings.eps <= 1:
            raise ValueError(f"ε must lie in 0 .. 1, and above 0; got {eps}.")

        def work(report: Report) -> None:
            self._adopt(settings)  # a blank card, which a stopped audit leaves half filled
            self._adopt(replace(settings, run=True), report)

        self._start(work)

    def offline(self) -> dict[str, Any]:
        """Finish the audit, for a page that has no kernel to ask."""
        self.finish()
        return super().offline()

    def _compute(self, settings: AuditSettings, report: Report) -> dict[str, Any]:
        data = find_images(settings.dataset, settings.images)
        name = settings.subject
        if name not in settings.models:
            raise ValueError(f"`model` must be one of {', '.join(settings.models)}; got {name!r}.")
        checks = {check: _row(check) for check in CHECKS}
        shown = {
            "models": list(settings.models),
            "model": name,
            "eps": float(settings.eps),
            "images": len(data),
            "norm": settings.norm,
        }
        self._answered = []
        if not settings.run:
            return shown | {"checks": list(checks.values()), "outcome": {}}
        self._deliver(**shown, checks=list(checks.values()), outcome={})
        asked = 0

        def watch(check: str, answer: Check | None) -> None:
            nonlocal asked
            asked += answer is not None
            checks[check] = _row(check, "asking") if answer is None else dict(answer._asdict())
            self._deliver(checks=list(checks.values()))
            report(asked / len(CHECKS), f"{asked} of {len(CHECKS)} checks answered; now: {check}")

        try:
            found = audit(
                *find_models((name,), self._models).values(),
                data.inputs(),
                data.labels,
                eps=settings.eps,
                claim=None if settings.claim == NOBODY else settings.claim,
                norm=settings.norm,
                seed=settings.seed,
                watch=watch,
            )
        except BaseException:  # what was being asked will get no answer
            left = [
                _row(row["name"]) if row["verdict"] == "asking" else row for row in checks.values()
            ]
            self._deliver(checks=left)
            raise
        keys = ("claim", "about", "accuracy", "masked")
        outcome = {key: value for key, value in found.values().items() if key in keys}
        self._answered = found.rows()  # known here also while locked
        return shown | {"checks": self._answered, "outcome": outcome}


def _row(name: str, verdict: str = "") -> dict[str, str]:
    return {"name": name, "verdict": verdict, "evidence": "", "sentence": ""}


def write_outcome(model: str, outcome: dict[str, Any], checks: list[dict[str, str]]) -> str:
    """Say what an audit found; the browser writes the same words.

    Parameters
    ----------
    model : str
        Its name.
    outcome : dict
        `claim`, `accuracy`, `masked`.
    checks : list[dict]
        With a `verdict` each.
    """
    claimed, left = (_percent(outcome[key]) for key in ("claim", "accuracy"))
    failed = sum(check["verdict"] == "fail" for check in checks)
    says = "the claim does not hold" if outcome["masked"] else "no sign of masking"
    return (
        f"{model}: {says}. Claimed {claimed} %, found {left} %; "
        f"{failed} of {len(checks)} checks failed."
    )


def _percent(share: float | int) -> str:
    # Halves upwards, as the browser rounds; the small number undoes what 0.35 * 1000 loses.
    return f"{int(1000 * share + 0.5 + 1e-9) / 10:.1f}"
