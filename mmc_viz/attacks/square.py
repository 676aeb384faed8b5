r"""Square: random search that changes one square window of the image at a time.

The best adversarial images of linf lie at corners of the ball, and convolutions respond to patches
rather than to single pixels. So from a random corner each try sets one random window to the low or
the high end of what each pixel may be,

$$\hat x_{s+1} = \begin{cases} \hat x_s & \text{outside of the window} \\
\mathrm{clip}(x \pm \epsilon) & \text{inside, one sign for each channel,} \end{cases}$$

and is kept if it raises the objective. The windows shrink as the search goes on. In l2 the budget
is a mass that can be moved: the change is taken out of one window, and what that frees goes into
another.

Only answers of the model are used, no gradient: Square finds what a masked gradient hides. What is
random depends on the image's place in the call and on the step, not on the batch.

Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a query-efficient black-box adversarial
attack via random search", ECCV 2020, https://arxiv.org/abs/1912.00049.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Attempt, Part, Trace, confirmed, within_budget
from mmc_viz.attacks.checks import check_count, check_norm, check_value
from mmc_viz.attacks.view import View
from mmc_viz.noise import bits, places, uniform
from mmc_viz.objectives import Objective

Images = Float[Tensor, "batch channels height width"]

#: The windows' share of the image is halved after these steps, of 10,000.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_HORIZON = 10_000

# Streams of the noise.
_START, _SIGN, _CORNER, _TURN = range(4)


def square(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int | Tensor,
    queries: int = 1000,
    p_init: float | int = 0.8,
    rescale: bool = True,
    norm: str = "linf",
    objective: str | Objective = "margin",
    targets: Int[Tensor, " batch"] | None = None,
    restarts: int = 1,
    generator: torch.Generator | None = None,
    trace: Trace | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Search at random, one square window at a time, without any gradient.

    Parameters
    ----------
    queries : int
        Points of each image that the model is asked about, at most, for each restart; the start is
        the first.
    p_init : float
        Share of the image that the first windows cover, in (0, 1].
    rescale : bool
        Whether the schedule by which the windows shrink is scaled to `queries`. False: as published
        for 10,000 queries, which keeps the windows of a short search large and its result weak.
    generator : torch.Generator, optional
        Source of one seed for each image of the call and restart. None: a private one, seeded 0.
    trace : callable, optional
        Called as `trace(step, images, logits, loss)` with the best point of each image so far, from
        step 0, the start, to step `queries - 1`, anew for each restart.

    Notes
    -----
    The other arguments are those of `pgd`. What comes back is the first adversarial image met, else
    the best point found.

    Two deliberate differences from the authors' code: the windows reach the last row and column,
    and a window that would change nothing takes the opposite signs, so no query is wasted on it.

    References
    ----------
    Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a query-efficient black-box adversarial
    attack via random search", ECCV 2020, https://arxiv.org/abs/1912.00049.
    """
    check_count("queries", queries, 1)
    check_count("restarts", restarts, 1)
    check_norm(norm, BALLS)
    if not 0 < p_init <= 1:
        raise ValueError(f"`p_init` must be in (0, 1], a share of the image; got {p_init}.")

    def attempts(images: Tensor, budgets: Tensor) -> Iterator[Attempt]:
        source = generator if generator is not None else torch.Generator().manual_seed(0)
        for _ in range(restarts):
            drawn = torch.randint(2**32, (len(images),), generator=source, device=source.device)
            seeds = drawn.to(images.device)

            def attempt(view, part, record, seeds=seeds):
                return search(
                    view,
                    part,
                    MOVES[norm](part, seeds[part.rows]),
                    queries=queries,
                    share=lambda step: window_share(step, p_init, queries if rescale else _HORIZON),
                    record=record,
                )

            yield attempt

    return within_budget(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        targets=targets,
        attempts=attempts,
        trace=trace,
        batch_size=batch_size,
        progress=progress,
    )


def window_share(step: int, p_init: float | int, queries: int) -> float:
    """Share of the image that a window covers at a step, scaled from 10,000 steps to `queries`."""
    at = step * _HORIZON / queries
    return p_init / 2 ** sum(at > halving for halving in HALVINGS)


@runtime_checkable
class Moves(Protocol):
    """Where a search starts, and what it tries next."""

    def start(self) -> Images:
        """Give a point for each image of the part."""

    def propose(
        self, step: int, rows: Int[Tensor, " some"], points: Images, share: float
    ) -> Images:
        """Change the points of these rows in a window that covers this share of the image."""


class LinfMoves:
    """Every pixel stands at one end of what it may be; a window is set to one end or the other."""

    def __init__(self, part: Part, seeds: Int[Tensor, " batch"]):
        rows = torch.arange(len(seeds), device=seeds.device)
        eps = part.eps[:, None, None, None]
        self.seeds = seeds
        self.low = part.within(BALLS["linf"], part.images - eps, rows)
        self.high = part.within(BALLS["linf"], part.images + eps, rows)

    def start(self):
        """Vertical stripes, one pixel wide, with random signs."""
        _, channels, _, width = self.low.shape
        signs = _signs(self.seeds, _START, 0, shape=(channels, 1, width))
        return torch.where(signs, self.high, self.low)

    def propose(self, step, rows, points, share):
        """Set one window, each channel to one random end."""
        _, channels, height, width = points.shape
        seeds, low, high = self.seeds[rows], self.low[rows], self.high[rows]
        side = min(max(round((share * height * width) ** 0.5), 1), height, width)
        top, left = _offsets(seeds, step, (height - side + 1, width - side + 1))
        window = _covers(top, side, height)[:, None, :, None]
        window = window & _covers(left, side, width)[:, None, None, :]
        signs = _signs(seeds, step, _SIGN, shape=(channels, 1, 1))
        ends = torch.where(signs, high, low)
        idle = ~((ends != points) & window).flatten(1).any(dim=1)
        if idle.any():
            ends = torch.where(signs ^ idle[:, None, None, None], high, low)
        return torch.where(window, ends, points)


class L2Moves:
    """The change has the norm of the budget; a move takes it out of one window into another."""

    def __init__(self, part: Part, seeds: Int[Tensor, " batch"]):
        self.part, self.seeds = part, seeds

    def start(self):
        """Tiles, about five along a side, each a `dipole` with random signs."""
        _, channels, height, width = self.part.images.shape
        side = max(min(height, width) // 5, 1)
        down, across = height // side, width // side
        signs = _signs(self.seeds, _START, 0, shape=(channels, down, across)) * 2.0 - 1
        signs = signs.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
        tiles = signs.to(self.part.images) * dipole(side).to(self.part.images).repeat(down, across)
        above, before = (height - down * side) // 2, (width - across * side) // 2
        below, behind = height - down * side - above, width - across * side - before
        tiles = functional.pad(tiles, (before, behind, above, below))
        change = BALLS["l2"].steepest(tiles) * self.part.eps[:, None, None, None]
        rows = torch.arange(len(change), device=change.device)
        return self.part.within(BALLS["l2"], self.part.images + change, rows)

    def propose(self, step, rows, points, share):
        """Empty one window, and put its change and what was left of the budget into another."""
        _, channels, height, width = points.shape
        seeds, images, eps = self.seeds[rows], self.part.images[rows], self.part.eps[rows]
        change = points - images
        # An odd side has a middle pixel.
        most = (min(height, width) - 1) | 1
        side = min(max(round((share * height * width) ** 0.5), 3) | 1, most)
        rooms = (height - side + 1, width - side + 1)
        top, left, top_from, left_from = _offsets(seeds, step, rooms + rooms)
        into = _window(top, left, side, channels)
        out_of = _window(top_from, left_from, side, channels)
        touched = torch.zeros_like(change)
        touched[into] = touched[out_of] = 1
        unused = (eps**2 - change.square().sum(dim=(1, 2, 3))).clamp_min(0) / channels
        freed = (change * touched).square().sum(dim=(2, 3), keepdim=True)
        length = (freed + unused[:, None, None, None]).sqrt()
        pattern = dipole(side).to(points)
        turned = _signs(seeds, step, _TURN, shape=(1, 1, 1))
        signs = _signs(seeds, step, _SIGN, shape=(channels, 1, 1)) * 2.0 - 1
        pattern = torch.where(turned, pattern.T, pattern) * signs.to(points)
        change[out_of], old = 0, change[into]
        change[into] = _unit(pattern + _unit(old)) * length
        # Rounding alone can carry it out of the ball. What the box cuts off is spent later.
        scale = (eps / BALLS["l2"].length(change).clamp_min(_TINY)).clamp_max(1)
        change = change * scale[:, None, None, None]
        return (images + change).clamp_(0, 1)


MOVES: dict[str, Callable[[Part, Tensor], Moves]] = {"linf": LinfMoves, "l2": L2Moves}


def search(
    view: View,
    part: Part,
    moves: Moves,
    *,
    queries: int,
    share: Callable[[int], float],
    record: Callable | None,
) -> tuple[Images, Bool[Tensor, " batch"]]:
    """Try one move after another, keep what raises the objective, stop at what fools the model."""
    result, fooled = part.images.clone(), torch.zeros_like(part.eps, dtype=torch.bool)
    active = torch.arange(len(result), device=result.device)  # rows still in the batch
    points = logits = values = None  # the best of each active row so far
    for step in range(queries):
        if len(active) == 0:
            if record is None:
                break
            record(step, active)
            continue
        tried = moves.propose(step, active, points, share(step)) if step else moves.start()
        goal = part.goal.at(active)
        with torch.no_grad():
            answers = view.fast(tried.clone())  # a copy: some models write into what they are given
            rated = goal.value(answers)
            check_value(rated, answers)
            done = confirmed(view, goal, tried, answers)
        if step == 0:
            points, logits, values = tried, answers, rated
        else:
            better = done | (rated > values)
            points = torch.where(better[:, None, None, None], tried, points)
            logits = torch.where(better[:, None], answers, logits)
            values = torch.where(better, rated, values)
        if record is not None:
            record(step, active, points, logits, values)
        # Where the budget is 0 there is nothing to search.
        goes_on = ~done & (part.eps[active] > 0)
        if not goes_on.all():
            result[active], fooled[active] = points, done
            active, points = active[goes_on], points[goes_on]
            logits, values = logits[goes_on], values[goes_on]
    if len(active):
        result[active] = points
    return result, fooled


@cache
def dipole(side: int) -> Float[Tensor, "side side"]:
    """Two bumps of opposite sign beside each other that fill a square; of norm 1."""
    half = side // 2
    return _unit(torch.cat([_bump(side, half), -_bump(side, side - half)], dim=1))


def _bump(height: int, width: int) -> Float[Tensor, "height width"]:
    """Rise towards the middle in rings, the more steeply the nearer it is."""
    reach = max(height, width) // 2
    down = (torch.arange(height) - height // 2).abs()[:, None]
    across = (torch.arange(width) - width // 2).abs()[None, :]
    rings = (1 / torch.arange(reach + 1, 0, -1.0).square()).cumsum(dim=0)
    return rings[reach - torch.maximum(down, across)]


_TINY = torch.finfo(torch.float32).tiny


def _unit(windows: Float[Tensor, "*batch height width"]) -> Float[Tensor, "*batch height width"]:
    return windows / windows.square().sum(dim=(-2, -1), keepdim=True).sqrt().clamp_min(_TINY)


def _signs(
    seeds: Int[Tensor, " batch"], step: int, stream: int, *, shape: tuple[int, int, int]
) -> Bool[Tensor, "batch a b c"]:
    """Throw a coin for each element of `shape`, for each image."""
    keys = bits(seeds, step, stream)[:, None, None, None]
    return (bits(keys, places(shape, seeds.device)) & 1).bool()


def _offsets(
    seeds: Int[Tensor, " batch"], step: int, rooms: tuple[int, ...]
) -> Int[Tensor, "numbers batch"]:
    """Draw a place for each image, one of as many as there are, for each of the `rooms`."""
    numbers = torch.arange(len(rooms), device=seeds.device)[:, None]
    drawn = uniform(bits(seeds, step, _CORNER), numbers)
    return (drawn * torch.tensor(rooms, device=seeds.device)[:, None]).long()


def _window(
    top: Int[Tensor, " batch"], left: Int[Tensor, " batch"], side: int, channels: int
) -> tuple[Tensor, ...]:
    """Index a square in all channels of each image."""
    span = torch.arange(side, device=top.device)
    return (
        torch.arange(len(top), device=top.device)[:, None, None, None],
        torch.arange(channels, device=top.device)[None, :, None, None],
        (top[:, None] + span)[:, None, :, None],
        (left[:, None] + span)[:, None, None, :],
    )


def _covers(offsets: Int[Tensor, " batch"], side: int, size: int) -> Bool[Tensor, "batch size"]:
    """Which of `size` places in a row a window covers."""
    behind = torch.arange(size, device=offsets.device) - offsets[:, None]
    return (behind >= 0) & (behind < side)
