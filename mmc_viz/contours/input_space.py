r"""What an attack sees about an image: its objectives over a plane of images.

Through the image $x$ go two directions: $d$, from the image to what an attack found, and $r$, a
random one orthogonal to it. Both have length 1 in the norm of the budget, so along each axis a
coordinate is the size of the change. On a grid over

$$x(a, b) = \mathrm{clamp}_{[0, 1]}(x + a d + b r)$$

one batched evaluation of the model gives the logits, and from these come all objectives, the
predicted class, and where the cross-entropy has saturated. Pixels are clamped, because no other
images exist and no attacker may use them: so every value drawn is that of an image, and the plane
is bent where pixels leave the box. `clamped` says, for each point of the grid, how many did.

**Saturation.** The gradient of the cross-entropy in the logits is softmax minus one-hot. In float32
it is exactly 0 once every wrong logit lies some 104 or more below the true one, and then so is the
gradient in the image: there is nothing to follow. `flat` marks these points. The model decides
there as anywhere else, and the margin has a slope.

The path of an attack is where its iterates fall on the plane. They need not lie on it, so a path
carries their distance from it, and the values along it are those of the iterates themselves.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmc_viz.attacks import bim, frozen
from mmc_viz.attacks.checks import check_classes, check_images, check_norm
from mmc_viz.contours.input_surface import AttackPath, InputSurface
from mmc_viz.networks import outputs
from mmc_viz.objectives import cross_entropy, resolve

_NORMS = {"linf": torch.inf, "l2": 2.0}


def loss_surface(
    model: nn.Module,
    image: Float[Tensor, "channels height width"],
    label: int,
    *,
    eps: float | int,
    norm: str = "linf",
    objective: str = "margin",
    shown: tuple[str, ...] = ("cross_entropy", "margin", "distance"),
    direction: Float[Tensor, "channels height width"] | None = None,
    other: Float[Tensor, "channels height width"] | None = None,
    extent: float | int | None = None,
    resolution: int = 101,
    attack: Callable[..., Tensor] = bim,
    class_names: list[str] | None = None,
    seed: int = 0,
) -> InputSurface:
    """Compute objectives on a grid of images about one, and the paths of attacks on it.

    Parameters
    ----------
    model : nn.Module
        From images in [0, 1] to logits. It stays as it is.
    image : Float[Tensor, "channels height width"]
        In [0, 1], where the model is.
    label : int
        Its true class.
    eps : float
        Budget of the attacks, in the unit of the image.
    norm : {"linf", "l2"}
        In which the budget is measured.
    objective : str
        Which attack gives the first direction.
    shown : tuple of str
        Names of the objectives to compute on the grid; each is attacked too, for its path.
    direction : Float[Tensor, "channels height width"], optional
        First direction, of any length. None: from the image to what the attack on `objective`
        found.
    other : Float[Tensor, "channels height width"], optional
        Second direction, of any length; its part along the first is taken out. None: random signs
        for `linf`, normally distributed for `l2`, of equal length with the first in the norm.
    extent : float, optional
        Largest coordinate along both axes. None: 1.5 `eps`.
    resolution : int
        Points along each axis, at least 3; an odd number puts the image itself on the grid.
    attack : callable
        Called as `attack(model, images, labels, eps=, norm=, objective=, generator=, trace=)`. By
        default `bim`, which is PGD from the image itself, so that paths begin in the middle.
    class_names : list of str, optional
        None: the numbers of the classes.
    seed : int
        Of the random direction and of the attacks, each from a generator of its own.

    Returns
    -------
    surface : InputSurface

    Raises
    ------
    ValueError
        If an argument is out of range, the model errs on the image already, or the attack has not
        moved, so that there is no direction.
    """
    if image.dim() != 3:
        raise ValueError(
            f"`image` must be one image [channels, height, width]; got {list(image.shape)}."
        )
    check_images(image[None])
    check_norm(norm, _NORMS)
    if not 0 < eps < float("inf"):
        raise ValueError(f"`eps` must be positive and finite; got {eps}.")
    if resolution < 3:
        raise ValueError(f"`resolution` must be at least 3; got {resolution}.")
    reach = 1.5 * eps if extent is None else extent
    if not 0 < reach < float("inf"):
        raise ValueError(f"`extent` must be positive and finite; got {reach}.")
    if not shown:
        raise ValueError("`shown` must name at least one objective; got none.")
    for name in dict.fromkeys((objective, *shown)):
        resolve(name)
    clean, labels = image.detach()[None], torch.tensor([label], device=image.device)
    # Copies made in inference mode could not be attacked.
    with torch.inference_mode(False), frozen(model, clean.clone()) as view:
        clean = clean.clone()
        logits = outputs(view.exact, clean)[0]
        check_classes("label", labels, logits.shape[1])
        found = int(logits.argmax())
        if found != label and direction is None:
            raise ValueError(
                f"`image` must be one that the model gets right; it says {found}, not {label}. "
                "Choose another, or give a `direction`."
            )
        iterates = {
            name: _iterates(attack, view, clean, labels, eps, norm, name, seed)
            for name in dict.fromkeys((*shown, *(() if direction is not None else (objective,))))
        }
        first = iterates[objective][-1] - image if direction is None else direction
        if not first.any():
            raise ValueError(
                f"The attack on `{objective}` has not moved, so there is no direction: its "
                "gradient is zero. Span the plane by another objective, or give a `direction`."
            )
        first = first.detach().double().cpu()
        first = first / _size(first, norm)
        second = _second(other, first, norm, seed)
        # Symmetric to the last digit, so that the image itself, if on the grid, is unchanged.
        steps = torch.arange(1 - resolution, resolution, 2, dtype=torch.float64)
        a = b = float(reach) * steps / (resolution - 1)
        points, clamped = _grid_images(image, first, second, a, b)
        # The form with its batch norms folded gives the same logits to 1e-4, in half the time.
        logits = outputs(view.fast, points, batch_size=256)[0].cpu()
        paths = {
            name: _path(view.exact, torch.stack(iterates[name]), image, label, first, second, shown)
            for name in shown
        }
    truth = torch.full((len(logits),), label)
    shape = (resolution, resolution)
    names = range(logits.shape[1]) if class_names is None else class_names
    if len(names) != logits.shape[1]:
        raise ValueError(f"`class_names` must be {logits.shape[1]}; got {len(names)}.")
    return InputSurface(
        a,
        b,
        {name: _values(name, logits, truth).reshape(shape) for name in shown},
        logits.argmax(dim=1).reshape(shape),
        _values("margin", logits, truth).reshape(shape),
        _no_slope(logits, truth).reshape(shape),
        clamped.reshape(shape),
        _size((points - image).cpu().double(), norm).reshape(shape),
        paths,
        label,
        float(eps),
        norm,
        objective if direction is None else "given",
        image.detach().cpu().clone(),
        first.to(image.dtype),
        second.to(image.dtype),
        tuple(str(name) for name in names),
    )


def surfaces(
    models: dict[str, nn.Module],
    image: Float[Tensor, "channels height width"],
    label: int,
    **settings,
) -> dict[str, InputSurface]:
    """Compute `loss_surface` of several models about the same image.

    The random direction is the same for all but for what lies along each model's own first one,
    which is taken out. The settings are those of `loss_surface`.

    Raises
    ------
    ValueError
        As `loss_surface`, with the name of the model; or if there is no model.
    """
    if not models:
        raise ValueError("`models` must hold at least one model; got none.")
    found = {}
    for name, model in models.items():
        try:
            found[name] = loss_surface(model, image, label, **settings)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return found


def _iterates(
    attack: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float | int,
    norm: str,
    objective: str,
    seed: int,
) -> list[Tensor]:
    """Run an attack on one image; give its iterates, and last what it gave back."""
    iterates: list[Tensor] = []

    def trace(step: int, points: Tensor, logits: Tensor, loss: Tensor) -> None:
        iterates.append(points[0].detach().to(images).clone())

    found = attack(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        objective=objective,
        generator=torch.Generator().manual_seed(seed),
        trace=trace,
    )[0].detach()
    if not iterates or not torch.equal(iterates[-1], found):
        iterates.append(found)
    # An image keeps its last place in the trace once the model errs on it.
    while len(iterates) > 1 and torch.equal(iterates[-1], iterates[-2]):
        iterates.pop()
    return iterates


def _second(other: Tensor | None, first: Tensor, norm: str, seed: int) -> Tensor:
    """Give a direction of length 1 in the norm, orthogonal to the first."""
    if other is None:
        generator = torch.Generator().manual_seed(seed)
        other = torch.randn(first.shape, generator=generator, dtype=torch.float64)
        # What attacks in linf find is nearly all of full size, pixel by pixel.
        other = other.sign() if norm == "linf" else other
    elif other.shape != first.shape:
        raise ValueError(f"`other` must be {list(first.shape)}; got {list(other.shape)}.")
    other = other.detach().double().cpu()
    rest = other - (other * first).sum() / first.square().sum() * first
    if not float(rest.norm()) > 1e-6 * float(other.norm()):
        raise ValueError("`other` must point another way than the first direction; it does not.")
    return rest / _size(rest, norm)


def _grid_images(
    image: Tensor, first: Tensor, second: Tensor, a: Tensor, b: Tensor
) -> tuple[Tensor, Float[Tensor, " batch"]]:
    """Give all images of the grid, row by row, and the share of pixels that clamping moved."""
    rows, columns = torch.meshgrid(b, a, indexing="ij")
    first, second = (one.to(image) for one in (first, second))
    rows, columns = (
        one.reshape(-1, 1, 1, 1).to(dtype=image.dtype, device=image.device)
        for one in (rows, columns)
    )
    points = image + columns * first + rows * second
    inside = points.clamp(0, 1)
    moved = (inside != points).flatten(1).double().mean(dim=1).cpu()
    return inside, moved


def _path(
    model: nn.Module,
    iterates: Tensor,
    image: Tensor,
    label: int,
    first: Tensor,
    second: Tensor,
    shown: tuple[str, ...],
) -> AttackPath:
    logits = outputs(model, iterates)[0].cpu()
    truth = torch.full((len(iterates),), label)
    change = (iterates - image).cpu().double().flatten(1)
    axes = torch.stack([first.flatten(), second.flatten()])
    coordinates = change @ axes.T / axes.square().sum(dim=1)  # the axes are orthogonal
    return AttackPath(
        coordinates,
        (change - coordinates @ axes).norm(dim=1),
        {name: _values(name, logits, truth) for name in shown},
        logits.argmax(dim=1) != truth,
    )


def _values(objective: str, logits: Tensor, labels: Tensor) -> Float[Tensor, " batch"]:
    # 0 is added because cross-entropy in float32 may be -0.0.
    return resolve(objective)(logits, labels).detach().double() + 0.0


def _no_slope(logits: Tensor, labels: Tensor) -> Bool[Tensor, " batch"]:
    """Where the cross-entropy's gradient in the logits is exactly 0, as autograd computes it."""
    with torch.enable_grad():
        logits = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(logits, labels).sum(), logits)
    return ~gradient.any(dim=1)


def _size(change: Tensor, norm: str) -> Tensor:
    """Size of one change, or of each in a batch."""
    flat = change.flatten() if change.dim() == 3 else change.flatten(1)
    return torch.linalg.vector_norm(flat, ord=_NORMS[norm], dim=-1)
