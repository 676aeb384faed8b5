"""The exercises of the lessons: `show` states one, `check` judges an answer.

One module a lesson holds its exercises, each with a checker and a solution; both are found by the
exercise's name, such as `02.1`.
"""

import importlib
import pkgutil
from typing import Any

from mmc_viz.exercises.exercise import Exercise as Exercise
from mmc_viz.exercises.exercise import Verdict as Verdict
from mmc_viz.exercises.exercise import Wrong as Wrong
from mmc_viz.exercises.exercise import returned as returned


def names() -> list[str]:
    """List the exercises of all lessons."""
    lessons = [one.name for one in pkgutil.iter_modules(__path__) if one.name != "exercise"]
    return [exercise.name for lesson in lessons for exercise in _of(lesson)]


def show(name: str) -> Exercise:
    """Give an exercise; the notebook shows its task, hints and solution, all but the first folded.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    lesson, _, _ = name.partition(".")
    module = f"lesson_{lesson}" if lesson.isdigit() else lesson
    try:
        found = {exercise.name: exercise for exercise in _of(module)}
    except ModuleNotFoundError:
        found = {}
    if name not in found:
        raise ValueError(f"`name` must be one of {', '.join(names())}; got {name!r}.")
    return found[name]


def check(name: str, answer: Any) -> Verdict:
    """Judge an answer to an exercise; whatever the answer does, a verdict comes back."""
    return show(name).verdict(answer)


def _of(module: str) -> list[Exercise]:
    return importlib.import_module(f"mmc_viz.exercises.{module}").EXERCISES
