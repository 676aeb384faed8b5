"""What `mmc-viz results` measures of one model: a list of methods, each with its images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mmc_viz.commands.accuracies import result_of
from mmc_viz.commands.chunks import Job, Verdicts
from mmc_viz.commands.methods import Method, choose, method_of, worst_case_of
from mmc_viz.commands.subjects import Subject
from mmc_viz.commands.verdicts import at_budget, by_ensembles

#: What everybody climbs, and what the paper proposes against its own loss.
OBJECTIVES = ("cross_entropy", "distance")
PGD_STEPS = (10, 50)
TARGETED = "pgd_targeted"


@dataclass(frozen=True)
class Measure:
    """Something to be found out about a model, and how it is written down.

    Attributes
    ----------
    methods : list[Method]
        One, or for a worst case one for each budget.
    images : int
        How many, at most.
    judge : callable
        From model, images, labels and a seed to verdicts.
    of : callable
        From verdicts and the number of a method to the verdicts of that method.
    """

    methods: list[Method]
    images: int
    judge: Callable[..., Verdicts]
    of: Callable[[Verdicts, int], Verdicts]

    @property
    def name(self) -> str:
        """Say what it is; no other measure of a model has this name."""
        method = self.methods[0]
        said = [method.settings[key] for key in ("objective", "steps") if key in method.settings]
        words = [method.name, *map(str, said)]
        if len(self.methods) == 1 and "eps" in method.settings:
            words.append(f"{method.settings['eps']:.4g}")
        return " ".join(words)

    def job(self, subject: Subject) -> Job:
        """Give the work that is to be done for it."""
        count = min(self.images, len(subject.images))

        def judge(part: slice, seed: int) -> Verdicts:
            return self.judge(subject.model, subject.images[part], subject.labels[part], seed)

        return Job(f"{subject.name}: {self.name}", count, judge)

    def entries(self, subject: Subject, verdicts: Verdicts, seed: int) -> list[dict[str, Any]]:
        """Sum the verdicts up, as the model's card keeps them."""
        clean = subject.right(min(self.images, len(subject.images)))
        return [
            result_of(subject, method, self.of(verdicts, number), clean, seed)
            for number, method in enumerate(self.methods)
        ]


def measures_of(dataset: str, *, images: int, costly: int) -> list[Measure]:
    """Give all that is measured of every model of a data set but the audit.

    Parameters
    ----------
    dataset : str
        A key of `mmc_viz.results.PROTOCOL`.
    images, costly : int
        How many images; how many for attacks by queries alone.
    """
    from mmc_viz.attacks import cw, pgd
    from mmc_viz.attacks.presets import towards_random_class
    from mmc_viz.results import PROTOCOL

    protocol = PROTOCOL[dataset]
    found = []
    for eps in protocol.epsilons:
        for steps in PGD_STEPS:
            for objective in OBJECTIVES:
                aimless = partial(pgd, objective=objective, steps=steps)
                aimed = partial(towards_random_class, attack=pgd, objective=objective, steps=steps)
                found.append(_one(method_of("pgd", aimless, eps), images))
                found.append(_one(_with_steps(TARGETED, aimed, eps), images))
    found.append(_one(method_of("cw", partial(cw, search_steps=5, steps=100), protocol.l2), images))
    middle = {"eps": protocol.middle}
    found += [_one(choose(name, {})[0], images) for name in ("gaussian_noise", "rotation")]
    for name, options in (("square", middle | {"queries": 1000}), ("spsa", middle)):
        found.append(_one(choose(name, options)[0], costly))
    worst = [worst_case_of({"eps": eps}) for eps in protocol.epsilons]
    return [*found, Measure(worst, images, partial(by_ensembles, protocol.epsilons), at_budget)]


def _one(method: Method, images: int) -> Measure:
    return Measure([method], images, method.judge, lambda verdicts, number: verdicts)


def _with_steps(name: str, attack: partial, eps: float) -> Method:
    """Write down the number of steps, which the frame of a targeted attack passes on unseen."""
    method = method_of(name, attack, eps)
    steps = {"steps": attack.keywords["steps"], "targets": "random"}
    return replace(method, settings=method.settings | steps)
