"""The frame of all attacks without a budget: look for the closest adversarial point of each image.

One run answers for every budget at once: an image withstands a budget exactly as far as its closest
adversarial point lies beyond it.

All these attacks raise the lead, of `mmc_viz.attacks.leads`. What they have found is drawn towards
the image at the end, as far as it stays adversarial.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Recorder, Trace
from mmc_viz.attacks.checks import (
    check_count,
    check_images,
    check_labels,
    check_norm,
    check_targets,
    check_value,
)
from mmc_viz.attacks.goals import Goal, make_goal
from mmc_viz.attacks.leads import Aim, slopes_of
from mmc_viz.attacks.view import View, clean_logits, frozen
from mmc_viz.objectives import margin

Images = Float[Tensor, "batch channels height width"]
Numbers = Float[Tensor, " batch"]
#: From changes of images to one number each: what is to be small.
Measure = Callable[[Tensor], Tensor]

#: In pixels: an image as near a boundary as this may be taken for either class, by rounding alone.
LEAST = 1e-5
_UNKNOWN = 0.2  # what stands for a distance before there is one
_HALVINGS = 12  # of the way from the image to the point found: a part in 4096 is left


class Hunt:
    """A batch of images under attack, and the closest adversarial point of each so far.

    Attributes
    ----------
    images : Float[Tensor, "batch channels height width"]
        Clean.
    clean : Float[Tensor, "batch num_classes"]
        Their logits.
    places : Int[Tensor, "batch"]
        Place of each in the images of the call.
    aim : Aim
        What is wanted of each.
    norm : str
        In which the attack moves; `ball` is that of the norm.
    found : Float[Tensor, "batch channels height width"]
        The closest adversarial point, or the clean image.
    sizes : Float[Tensor, "batch"]
        How far that is, in the measure of the attack; infinite where none was met.
    """

    def __init__(
        self,
        view: View,
        images: Images,
        places: Tensor,
        clean: Float[Tensor, "batch num_classes"],
        goal: Goal,
        *,
        norm: str,
        measure: Measure | None,
        confidence: float | int,
    ):
        self.view, self.images, self.places, self.clean = view, images, places, clean
        self.norm, self.ball = norm, BALLS[norm]
        self.measure = self.ball.length if measure is None else measure
        slopes = slopes_of(view, images, clean, goal, norm)
        self.aim = Aim(goal, slopes, confidence, torch.zeros_like(clean[:, 0]))
        # Of the pixels, but never more than a small part of the way that lies before an attack.
        blur = torch.finfo(images.dtype).eps * (1 if norm == "linf" else self.stretch() / 2)
        self.aim = replace(self.aim, blur=(self.estimates() / 200).clamp_max(blur))
        self.found = images.clone()
        self.sizes = torch.full_like(images[:, 0, 0, 0], torch.inf)

    def nearest_rivals(self) -> Int[Tensor, "batch rivals"]:
        """All classes but the one at stake, the nearest first if the model were linear."""
        classes = self.aim.goal.classes[:, None]
        leads = self.aim.leads(self.clean).scatter(1, classes, -torch.inf)
        return leads.argsort(dim=1, descending=True)[:, :-1]

    def estimates(self) -> Numbers:
        """Distance of each image to the boundary, if the model were linear."""
        return (-self.aim.lead(self.clean)).clamp_min(LEAST).to(self.images.dtype)

    def stretch(self) -> float:
        """How long in l2 a change of length 1 in linf can be."""
        return math.sqrt(math.prod(self.images.shape[1:]))

    def aside(self, offset: Float[Tensor, "call channels height width"]) -> Images:
        """Give starts beside the images, half as far as the closest adversarial point so far.

        `offset` holds points of the unit ball, for all images of the call.
        """
        reach = self.sizes.nan_to_num(posinf=_UNKNOWN) / 2
        return (self.images + column(reach) * offset[self.places]).clamp(0, 1)

    def in_l2(self, eps: Numbers) -> Numbers:
        """How long in l2 a change of these lengths can be."""
        return eps * self.stretch() if self.norm == "linf" else eps

    def visit(
        self,
        rows: Int[Tensor, " batch"],
        points: Images,
        *,
        aim: Aim | None = None,
        gradient: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Ask the model about points of these rows, and keep those that are the closest so far.

        Returns
        -------
        logits : Float[Tensor, "batch num_classes"]
        lead : Float[Tensor, "batch"]
            Of `aim`, which is that of the hunt if None.
        reached : Bool[Tensor, "batch"]
            What the fast form of the model takes to be fooled. It steers the attack; only what
            the exact form confirms is kept.
        gradient : Float[Tensor, "batch channels height width"] or None
            Of the lead.
        """
        aim = (self.aim if aim is None else aim).at(rows)
        logits, lead, slope = self._ask(aim, points, gradient)
        reached = aim.reached(logits)
        self.keep(rows[reached], points[reached], fooled=self.view.fast is self.view.exact)
        return logits, lead, reached, slope

    def slope(self, points: Images) -> tuple[Tensor, Tensor]:
        """Gradient of the lead, and what is fooled, at points of all images not to be kept."""
        logits, _, slope = self._ask(self.aim, points, True)
        return slope, self.aim.reached(logits)

    def _ask(
        self, aim: Aim, points: Images, gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if len(points) == 0:  # some models cannot take an empty batch
            return aim.slopes, points[:, 0, 0, 0], points
        with torch.set_grad_enabled(gradient):
            point = points.clone().requires_grad_(gradient)
            logits = self.view.fast(point.clone())  # some models write into what they are given
            lead = aim.lead(logits)
            check_value(lead, logits)
            slope = torch.autograd.grad(lead.sum(), point)[0].nan_to_num() if gradient else None
        return logits.detach(), lead.detach().to(points.dtype), slope

    def keep(self, rows: Tensor, points: Tensor, *, fooled: bool = False) -> Tensor:
        """Keep the points that fool the exact model and are closer; say which these are.

        With `fooled` the first is known already.
        """
        sizes = self.measure(points - self.images[rows])
        kept = sizes < self.sizes[rows]
        if kept.any() and not fooled:
            with torch.no_grad():
                logits = self.view.exact(points[kept])
            kept[kept.clone()] = self.aim.at(rows[kept]).reached(logits)
        self.found[rows[kept]], self.sizes[rows[kept]] = points[kept], sizes[kept]
        return kept

    def tighten(self) -> None:
        """Draw each point found towards its image, by bisection, as far as it is adversarial.

        The way is that of `Ball.project`: straight in l2; in linf the largest changes give way
        first.
        """
        rows = self.sizes.isfinite().nonzero()[:, 0]
        images, found = self.images[rows], self.found[rows]
        high = self.ball.length(found - images)
        # In linf pixels that rounding has kept short of the largest change come up to it.
        outer = found + 0.02 * (found - images)
        low = torch.zeros_like(high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            kept = self.keep(rows, self.ball.project(outer, images, middle))
            low, high = torch.where(kept, low, middle), torch.where(kept, middle, high)


#: One attack: called as `search(hunt, record)`, it visits points. `record(step, rows, images,
#: logits, values)` is to be called at every step with the rows that have changed, if not None.
Search = Callable[[Hunt, Callable | None], None]


def closest(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    search: Search,
    norm: str,
    norms: Iterable[str] = BALLS,
    measure: Measure | None = None,
    confidence: float | int = 0.0,
    targets: Int[Tensor, " batch"] | None,
    trace: Trace | None,
    batch_size: int,
    progress: bool,
) -> Float[Tensor, "batch channels height width"]:
    """Check the call, then search batch by batch for what the model does not get wrong already.

    The arguments are those of `fmn`, but for the `search` itself, the `norms` that the attack
    knows, and the `measure` of what is closest, which is the norm if None. What is random in a
    search must depend on an image's place in the call alone, `Hunt.places`.
    """
    check_images(images)
    check_labels(labels, images)
    check_count("batch_size", batch_size, 1)
    check_norm(norm, norms)
    if targets is not None:
        check_targets(targets, labels)
    if len(images) == 0:
        return images.clone()

    # Tensors made in inference mode have no gradient; copies made outside of it do.
    with torch.inference_mode(False):
        images = images.detach().clone()
        goal = make_goal(margin, labels, targets).at(torch.arange(len(images)))
        with frozen(model, images) as view:
            found = images.clone()
            logits = clean_logits(view, images, labels.clone(), targets, batch_size)
            recorder = None
            if trace is not None:
                batch_size = len(images)
                recorder = Recorder(trace, images, logits, goal.value(logits))
            batches = (~goal.reached(logits)).nonzero()[:, 0].split(batch_size)
            for places in tqdm(batches, unit="batch", leave=False, disable=not progress):
                if len(places) == 0 and recorder is None:
                    continue
                hunt = Hunt(
                    view,
                    images[places],
                    places,
                    logits[places],
                    goal.at(places),
                    norm=norm,
                    measure=measure,
                    confidence=confidence,
                )
                search(hunt, None if recorder is None else recorder.of(places))
                hunt.tighten()
                found[places] = hunt.found
    return found


def offsets(
    images: Images, norm: str, generator: torch.Generator | None
) -> Callable[[int], Tensor]:
    """Give random points of the unit ball for all images of a call, the same for each number.

    So a start depends on an image's place in the call, whatever the batches. Without a generator a
    private one is used, seeded 0.
    """
    source = generator if generator is not None else torch.Generator().manual_seed(0)

    @functools.cache
    def offset(number: int) -> Tensor:
        return BALLS[norm].sample(images.shape, source).to(images)

    return offset


def column(values: Numbers) -> Float[Tensor, "batch 1 1 1"]:
    """Give one number for each image a shape that goes with images."""
    return values[:, None, None, None]


def check_positive(name: str, value: float | int, *, below: float | int = math.inf) -> None:
    """Refuse a setting that is not above 0 and below a limit.

    Raises
    ------
    ValueError
        With the name, the rule and the value.
    """
    if not 0 < value < below:
        limit = "finite" if below == math.inf else f"below {below}"
        raise ValueError(f"`{name}` must be above 0 and {limit}; got {value}.")
