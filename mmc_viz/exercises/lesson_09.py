"""Exercises on what can be learned from answers alone."""

from typing import Any

import torch
from torch import Tensor

from mmc_viz.evaluation.intervals import wilson_interval
from mmc_viz.exercises.exercise import Exercise, Wrong, returned

_IMAGES = 1000
#: Images still right, of a thousand: white box, queries, transfer.
_REPORTS = {
    "A": (0, 310, 520),
    "B": (620, 80, 450),
    "C": (480, 550, 474),
    "D": (710, 740, 330),
    "E": (400, 610, 780),
}


def _check_gradient(answer: Any) -> str:
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(1, 4, 4, generator=generator, dtype=torch.float64)
    image = torch.rand(1, 4, 4, generator=generator, dtype=torch.float64)
    asked: list[Tensor] = []

    def slope(x: Tensor) -> float:
        asked.append(x.clone())
        return float((weight * x).sum())

    def bowl(x: Tensor) -> float:
        return float((weight * x**2).sum())

    before = image.clone()
    got = returned(answer, slope, image, 0.01)
    if not torch.equal(image, before):
        raise Wrong("The image itself has changed. Work on a copy: image.clone().")
    if not isinstance(got, Tensor) or got.shape != image.shape:
        shape = list(got.shape) if isinstance(got, Tensor) else type(got).__name__
        raise Wrong(
            f"One slope for each pixel is wanted, of shape {list(image.shape)}; got {shape}."
        )
    if not asked:
        raise Wrong("The model was never asked: call `value` with images a little beside this one.")
    if not torch.allclose(got.double(), weight, atol=1e-4):
        for factor, words in ((2.0, "twice"), (0.5, "half"), (0.01, "δ times")):
            if torch.allclose(got.double(), factor * weight, atol=1e-4):
                raise Wrong(f"The slopes are {words} too large or small: divide by the distance.")
        raise Wrong(
            "For a plain with known slopes your estimate is another. Change one pixel at a time, "
            "by +δ and by −δ, and divide the difference of the answers by 2 δ."
        )
    got = returned(answer, bowl, image.clone(), 0.1)
    if not torch.allclose(got.double(), 2 * weight * image, atol=1e-6):
        raise Wrong(
            "On a curved ground the slope to one side is not the slope here. Ask on both sides, at "
            "+δ and at −δ."
        )
    return f"A gradient from {len(asked)} answers. For 784 pixels it takes 1,568 of them a step."


def _cannot_be_true() -> str:
    """Letters of the reports whose white box leaves more than a weaker attacker, beyond chance."""
    found = []
    for letter, counts in _REPORTS.items():
        low, high = wilson_interval(torch.tensor(counts), _IMAGES)
        if (high[1:] < low[0]).any():
            found.append(letter)
    return "".join(found)


def _check_reports(answer: Any) -> str:
    if not isinstance(answer, str):
        raise Wrong('A text of letters is wanted, such as "AC".')
    letters = {letter for letter in answer.upper() if letter.isalpha()}
    if not letters <= set(_REPORTS):
        raise Wrong("The reports are called A to E.")
    wanted = set(_cannot_be_true())
    if missing := sorted(wanted - letters):
        raise Wrong(
            f"{len(missing)} more cannot be true. Who knows the model can do all that others can "
            "do, so nobody should fool it more often than the white box."
        )
    if "C" in letters - wanted:
        raise Wrong("Six pictures of a thousand between two attacks in C: that can be chance.")
    if letters - wanted:
        raise Wrong(
            f"{min(letters - wanted)} is possible: its white box fools it most often, as it should."
        )
    return "In both a weaker attacker does better than the one who knows everything: masking."


def _check_worst(answer: Any) -> str:
    generator = torch.Generator().manual_seed(1)
    for draws, images in ((1, 9), (5, 40), (12, 7)):
        correct = torch.rand(draws, images, generator=generator) < 0.7
        got = returned(answer, correct.clone())
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("Two numbers are wanted: return mean, worst.")
        mean, worst = (float(value) for value in got)
        if max(abs(mean), abs(worst)) > 1:
            raise Wrong("Shares are wanted, from 0 to 1, not counts.")
        if abs(mean - float(correct.double().mean())) > 1e-6:
            raise Wrong("The mean is the share of all pairs of draw and picture that are right.")
        if abs(worst - float(correct.all(dim=0).double().mean())) > 1e-6:
            raise Wrong(
                "The worst case is the share of pictures that are right in every draw: somebody "
                "who may choose takes the draw that fails."
            )
    return "The mean is what an accident does, the worst what somebody does who may choose."


def _table() -> str:
    """Write the reports as a table."""
    rows = "".join(
        f"<tr><th scope='row'>{letter}</th>"
        + "".join(f"<td>{count / 10:.1f} %</td>" for count in counts)
        + "</tr>"
        for letter, counts in _REPORTS.items()
    )
    head = "".join(
        f"<th scope='col'>{word}</th>" for word in ("model", "PGD, white box", "Square", "transfer")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


EXERCISES = [
    Exercise(
        name="09.1",
        title="A gradient without a gradient",
        minutes=8,
        difficulty=2,
        task="All you may do is ask: <code>value(x)</code> gives a number for an image. Estimate "
        "its slope at <code>image</code> in each pixel, from images that differ by +δ and by −δ in "
        "that pixel alone.",
        stub="def estimate_gradient(value, image, delta): ...  # your code",
        answer="estimate_gradient",
        solution="def estimate_gradient(value, image, delta):\n"
        "    slopes = image.clone()\n"
        "    for i in range(image.numel()):\n"
        "        ahead, behind = image.clone(), image.clone()\n"
        "        ahead.view(-1)[i] += delta\n"
        "        behind.view(-1)[i] -= delta\n"
        "        slopes.view(-1)[i] = (value(ahead) - value(behind)) / (2 * delta)\n"
        "    return slopes",
        hints=(
            "One pixel at a time: two images, two answers, one number.",
            "A change of one pixel: ahead = image.clone(); ahead.view(-1)[i] += delta.",
            "(value(ahead) - value(behind)) / (2 * delta), for every i.",
        ),
        check=_check_gradient,
    ),
    Exercise(
        name="09.2",
        title="Which report cannot be true?",
        minutes=5,
        difficulty=1,
        task="Five models, each attacked on the same 1,000 pictures with the same ε: the share "
        f"that is still right.{_table()}Which of the five white-box numbers cannot be the model’s "
        "robustness?",
        stub='suspects = None  # a text of letters, such as "AC"',
        answer="suspects",
        solution='suspects = "BD"',
        hints=(
            "Who has the gradients can also leave them unused, and ask or borrow like the others.",
            "So the first column should hold the smallest number of its row.",
            "With 1,000 pictures a share near one half is known to about ± 3 points.",
        ),
        check=_check_reports,
    ),
    Exercise(
        name="09.3",
        title="An accident, or somebody who chooses?",
        minutes=4,
        difficulty=1,
        task="<code>correct[k, n]</code> says whether picture n is right in draw k of the noise. "
        "Return two shares: right on average, and right in every draw.",
        stub="def mean_and_worst(correct): ...  # your code",
        answer="mean_and_worst",
        solution="def mean_and_worst(correct):\n"
        "    return correct.float().mean(), correct.all(dim=0).float().mean()",
        hints=(
            "The mean of a table of True and False, taken as 1 and 0, is a share.",
            "A picture withstands somebody who may choose if no draw makes it wrong.",
            "correct.all(dim=0) goes over the draws.",
        ),
        check=_check_worst,
    ),
]
