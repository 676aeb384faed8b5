"""What lies under the microscope: a climb, and a picture of the hill that it climbs.

The picture is a plane of images: through the clean image, the start of the climb, and its end. So
the climb begins and ends in the picture, and on the way it is never far from it; how far is noted.
A climb that never leaves its start has no end. Its plane goes through the place that the climb on
the margin finds from the same start: the way that it does not see.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmc_viz.attacks import fgsm, frozen
from mmc_viz.contours import InputSurface, loss_surface
from mmc_viz.microscope.stepping import Climb, climbs

REACH = 1.4  # how far the plane is drawn, in budgets
CORNERS = 180  # of the outline of the budget


@dataclass(frozen=True)
class Slide:
    """One climb on its hill.

    Attributes
    ----------
    objective : str
        What is climbed.
    climb : Climb
        Every step of it.
    surface : InputSurface
        The objective and the margin on a grid of the plane.
    places : Float[Tensor, "iterates 2"]
        Where the foot of each iterate stands on the plane, [a, b].
    heights : Float[Tensor, "iterates"]
        How far each iterate lies from its foot, in l2.
    ahead : Float[Tensor, "iterates 2"]
        The same for the point to which each step leads before it is projected.
    outline : Float[Tensor, "corners 2"]
        Where the plane leaves the budget, [a, b].
    towards : tuple of str
        What lies along the two axes, in words.
    """

    objective: str
    climb: Climb
    surface: InputSurface
    places: Float[Tensor, "iterates 2"]
    heights: Float[Tensor, " iterates"]
    ahead: Float[Tensor, "iterates 2"]
    outline: Float[Tensor, "corners 2"]
    towards: tuple[str, str]


def slides(
    model: nn.Module,
    image: Float[Tensor, "channels height width"],
    label: int,
    *,
    eps: float | int,
    objectives: Sequence[str] = ("cross_entropy", "margin"),
    resolution: int = 33,
    class_names: list[str] | None = None,
    seed: int = 0,
    watch: Callable[[float], None] | None = None,
    **settings,
) -> dict[str, list[Slide]]:
    """Attack one image on several objectives, from the same starts.

    Parameters
    ----------
    model, image, label, eps, seed
        As `mmc_viz.microscope.climbs` takes them; `eps` is above 0.
    objectives : sequence of str
        What the attack climbs, one after the other.
    resolution : int
        Points of the grid along each axis.
    class_names : list of str, optional
        None: the numbers of the classes.
    watch : callable, optional
        Called often as `watch(share)` with the share done, 0..1; it may raise to stop the work.
    **settings
        `steps`, `step_size`, `momentum` and `restarts` of `climbs`.

    Returns
    -------
    slides : dict[str, list[Slide]]
        Objective to one for each start.

    Raises
    ------
    ValueError
        If an argument is out of range or a name unknown.
    """
    if not objectives:
        raise ValueError("`objectives` must name at least one objective; got none.")
    tell = watch or (lambda share: None)
    names = list(dict.fromkeys(objectives))
    result: dict[str, list[Slide]] = {name: [] for name in names}
    with torch.inference_mode(False), frozen(model, image[None].clone()) as view:

        def climb_all(objective: str, done: float) -> list[Climb]:
            return climbs(
                view,
                image,
                label,
                eps=eps,
                objective=objective,
                seed=seed,
                watch=lambda restart, step: tell(done),
                **settings,
            )

        margins = climb_all("margin", 0.0)
        for place, name in enumerate(names):
            done = (place + 0.3) / len(names)
            found = margins if name == "margin" else climb_all(name, done)
            for climb, guide in zip(found, margins, strict=True):
                tell(done)
                direction, other, towards = _axes(climb, guide, seed)
                surface = loss_surface(
                    view,
                    image,
                    label,
                    eps=eps,
                    shown=(name,),
                    direction=direction,
                    other=other,
                    extent=REACH * eps,
                    resolution=resolution,
                    attack=fgsm,  # its path is not used: the climb is known
                    class_names=class_names,
                    seed=seed,
                )
                places, heights = _place(surface, climb.changes)
                ahead, _ = _place(surface, climb.changes + climb.step_size * climb.directions)
                corners = _outline(surface)
                result[name].append(
                    Slide(name, climb, surface, places, heights, ahead, corners, towards)
                )
    return result


def _axes(climb: Climb, guide: Climb, seed: int) -> tuple[Tensor, Tensor | None, tuple[str, str]]:
    """Give two directions of the plane, the second None for a random one, and what they lead to."""
    start = climb.changes[0]
    shown, goal = (climb, "the end") if climb.moves else (guide, "where the margin leads")
    other = (start, "the start") if start.any() else (None, "any other way")
    if shown.moves and shown.changes[-1].any():
        return shown.changes[-1], other[0], (goal, other[1])
    if start.any():
        return start, None, ("the start", "any other way")
    # There is no gradient and no random start: any direction is as good as another.
    noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed + 1))
    return noise.sign(), None, ("any way", "any other way")


def _place(
    surface: InputSurface, changes: Float[Tensor, "iterates channels height width"]
) -> tuple[Float[Tensor, "iterates 2"], Float[Tensor, " iterates"]]:
    """Find the foot of each change on the plane, and how far it lies from it."""
    flat, axes = changes.double().flatten(1), _axes_of(surface)
    places = flat @ axes.T / axes.square().sum(dim=1)  # the axes are orthogonal
    return places, (flat - places @ axes).norm(dim=1)


def _outline(surface: InputSurface) -> Float[Tensor, "corners 2"]:
    r"""Find where $\lVert t (a d + b r) \rVert_\infty = \epsilon$, one corner for each angle."""
    angles = torch.arange(CORNERS, dtype=torch.float64) * (2 * math.pi / CORNERS)
    rays = torch.stack([angles.cos(), angles.sin()], dim=1)
    return rays * (surface.eps / (rays @ _axes_of(surface)).abs().amax(dim=1))[:, None]


def _axes_of(surface: InputSurface) -> Float[Tensor, "2 pixels"]:
    return torch.stack([surface.direction.flatten(), surface.other.flatten()]).double()
