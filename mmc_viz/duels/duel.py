"""Two or more training runs that take their steps together."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import fields

from mmc_viz.datasets import Dataset
from mmc_viz.duels.looking import Moment, look
from mmc_viz.networks import Classifier
from mmc_viz.training import TrainConfig
from mmc_viz.training.course import Course
from mmc_viz.training.threads import one_thread
from mmc_viz.unbroken import unbroken

#: What may differ between the sides; all else is the same, or the comparison would not be fair.
_OWN = ("head", "head_options", "lr", "radius", "weight_decay")


class Duel:
    """Training runs side by side: same first weights, same batches, different losses.

    It computes on the CPU with one thread, so the same steps give the same weights, bit for bit,
    whether they are taken in a row or one by one, here or in a thread.

    Parameters
    ----------
    configs : sequence of TrainConfig
        One for each side. They may differ in head, its options, learning rate, radius and weight
        decay.
    train_set, test_set : Dataset
        Images to learn from, and to look at.

    Attributes
    ----------
    history : list[Moment]
        The start and each epoch so far.
    test_set : Dataset
        The images that are looked at.
    taken, steps_per_epoch, steps : int
        Steps so far, batches in an epoch, steps of the whole run.

    Raises
    ------
    ValueError
        If there is no side, or two differ in more than that.
    """

    def __init__(self, configs: Sequence[TrainConfig], train_set: Dataset, test_set: Dataset):
        if not configs:
            raise ValueError("`configs` must hold at least one side; got none.")
        for field in fields(TrainConfig):
            values = [getattr(config, field.name) for config in configs]
            if field.name not in _OWN and any(value != values[0] for value in values):
                raise ValueError(
                    f"`configs` must agree in `{field.name}`, or the comparison would not be fair; "
                    f"got {values}."
                )
        self.configs = tuple(configs)
        self._train_set, self.test_set = train_set, test_set
        self._courses: list[Course]
        self.history: list[Moment]
        self.rewind()

    def rewind(self) -> None:
        """Go back to the first weights; they are drawn again from the same seed."""
        with one_thread():
            courses = [Course(config, self._train_set, device="cpu") for config in self.configs]
            history = [self._look(courses, None)]
        # At once, for an interrupt may have ended it before, and another thread may look.
        with unbroken():
            self._courses, self.history = courses, history
            self.steps_per_epoch, self.steps = courses[0].steps_per_epoch, courses[0].steps

    @property
    def taken(self) -> int:
        """Steps so far."""
        return min(course.taken for course in self._courses)

    @property
    def over(self) -> bool:
        """Whether all epochs have been trained."""
        return self.taken >= self.steps

    def step(self) -> None:
        """Let each model learn from the next batch; note the moment where an epoch ends.

        An interrupt waits until that is done.

        Raises
        ------
        ValueError
            If the run is over.
        FloatingPointError
            If a model's features stopped being finite numbers.
        """
        if self.over:
            raise ValueError("the run is over: all epochs have been trained; rewind it.")
        goal = self.taken + 1
        with unbroken():
            with one_thread():
                for course in self._courses:
                    if course.taken < goal:  # after an error one may be ahead
                        course.advance()
            if self.taken % self.steps_per_epoch == 0:
                self.history.append(self.look())

    def look(self) -> Moment:
        """Measure and map all models as they are now.

        Raises
        ------
        FloatingPointError
            If a feature is no finite number.
        """
        last = self.history[-1]
        return last if last.taken == self.taken else self._look(self._courses, last)

    def _look(self, courses: list[Course], last: Moment | None) -> Moment:
        sides = []
        with one_thread():
            for number, course in enumerate(courses):
                before = None if last is None else last.sides[number]
                try:
                    side = look(course.model, self.test_set, train_loss=course.loss, before=before)
                except FloatingPointError as error:
                    raise FloatingPointError(
                        f"{course.config.head}: {error} after {course.taken} batches; "
                        "a smaller learning rate usually helps."
                    ) from None
                sides.append(side)
        return Moment(min(course.taken for course in courses), tuple(sides))

    def fingerprint(self) -> str:
        """Give eight hexadecimal digits that change with any weight of any model."""
        digest = hashlib.sha256()
        for course in self._courses:
            for name, value in course.model.state_dict().items():
                digest.update(name.encode())
                digest.update(value.detach().contiguous().numpy())
        return digest.hexdigest()[:8]

    def models(self) -> list[Classifier]:
        """Give copies of the models as they are now, in evaluation mode."""
        return [copy.deepcopy(course.model).eval() for course in self._courses]
