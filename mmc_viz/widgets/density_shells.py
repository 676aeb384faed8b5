"""Shells of the loss in two feature spaces: slide the loss, count features, measure the room.

`mmc_viz.density.flat` counts and measures; the browser draws. All is sent once.

    shells  features, heads, counts and room, packed
    label   the class whose shells are shown
    shell   which shell
    frame   0, 1, 2: how wide the frame is
"""

import json
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz.density.flat import FRAMES, FlatShells, flat_shells
from mmc_viz.heads import Head
from mmc_viz.networks import outputs
from mmc_viz.widgets.assembling import assemble, style
from mmc_viz.widgets.base import LabWidget, Report
from mmc_viz.widgets.subjects import find_images, find_models


@dataclass(frozen=True)
class ShellsSettings:
    """What the widget computes.

    Parameters
    ----------
    models : tuple of str
        Shipped names of models with features of two dimensions, one panel each.
    dataset : str
        Name of the data set.
    count : int
        How many of its test images.
    """

    models: tuple[str, ...] = ("fashion-sce-2d", "fashion-mmc-2d")
    dataset: str = "fashion_mnist"
    count: int = 1000


class DensityShells(LabWidget):
    """Shells of the loss of one class, in the feature spaces of several models.

    `DensityShells.of(models=...)` computes what its settings ask for.

    Attributes
    ----------
    shells : bytes
        What is drawn: deflated, the length of a header as 4 bytes, the header as JSON, padded to a
        multiple of 4, then float32: for each model features [N, 2], weights [L, 2], offsets [L].
    label, shell, frame : int
        Beyond their range, the nearest one is taken.
    found : dict[str, FlatShells]
        Title of each model to what was counted.
    """

    _esm = assemble("density_shells.js")
    _css = style("density_shells.css")
    kind = "density-shells"
    Settings = ShellsSettings
    view = ("label", "shell", "frame")

    shells = traitlets.Bytes().tag(sync=True)
    label = traitlets.Int(0).tag(sync=True)
    shell = traitlets.Int(10).tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)

    def __init__(self, **kwargs: Any):
        self.found: dict[str, FlatShells] = {}
        self._class_names: list[str] = []
        super().__init__(**kwargs)

    @property
    def sentence(self) -> str:
        """What the browser says under the picture."""
        return write_sentence(self.found, self._class_names, self.label, self.shell, self.frame)

    def _compute(self, settings: ShellsSettings, report: Report) -> dict[str, Any]:
        data = find_images(settings.dataset, range(settings.count))
        found, features, heads = {}, {}, {}
        for title, model in find_models(settings.models, self._models).items():
            features[title] = outputs(model, data.inputs())[1]
            heads[title] = model.head
            found[title] = flat_shells(features[title], data.labels, model.head)
        self.found, self._class_names = found, list(data.class_names)
        return {"shells": _pack(found, features, heads, data.labels, data.class_names)}

    @traitlets.validate("label", "shell", "frame")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        one = next(iter(self.found.values()), None)
        if one is None:
            return max(proposal["value"], 0)
        classes, shells = one.counts.shape
        last = {"label": classes, "shell": shells, "frame": len(FRAMES)}[proposal["trait"].name] - 1
        return min(max(proposal["value"], 0), last)


def write_sentence(
    found: dict[str, FlatShells], class_names: list[str], label: int, shell: int, frame: int
) -> str:
    """Say how many features a shell holds and how much room; the browser says the same.

    Parameters
    ----------
    found : dict[str, FlatShells]
        Title of each model to what was counted.
    class_names : list[str]
    label, shell, frame : int
        What is shown.
    """
    edges = next(iter(found.values())).edges
    low, high = (write_short(float(edges[i])) for i in (shell, shell + 1))
    parts = [f"{class_names[label]}, loss from {low} to {high}."]
    for title, one in found.items():
        count, room = int(one.counts[label, shell]), float(one.room[frame, label, shell])
        where = "in the ring" if one.bounded else "in this frame"
        density = f"density {write_short(count / room)}" if room else "no density"
        parts.append(
            f"{title}: {count} of {int(one.totals[label])} features, room {where} "
            f"{write_short(room)}, {density}."
        )
    return " ".join(parts)


def write_short(value: float | int) -> str:
    """Write a number with three digits, as JavaScript's Number(x.toPrecision(3)) does."""
    return format(Decimal(f"{value:.3g}"), "f")


def _pack(
    found: dict[str, FlatShells],
    features: dict[str, Float[Tensor, "batch dim"]],
    heads: dict[str, Head],
    labels: Int[Tensor, " batch"],
    class_names: list[str],
) -> bytes:
    models, parts = [], []
    for title, one in found.items():
        weights, offsets, places = _linear(heads[title])
        models.append(
            {
                "title": title,
                "bounded": one.bounded,
                "half": one.half,
                "counts": one.counts.tolist(),
                "below": one.below.tolist(),
                "totals": one.totals.tolist(),
                "room": one.room.tolist(),
                "centers": None if places is None else places.tolist(),
            }
        )
        for values in (features[title], weights, offsets):
            parts.append(values.detach().cpu().float().numpy().astype("<f4").tobytes())
    header = {
        "class_names": list(class_names),
        "labels": labels.tolist(),
        "edges": next(iter(found.values())).edges.tolist(),
        "frames": list(FRAMES),
        "models": models,
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4)]
    return zlib.compress(b"".join([*head, *parts]))


def _linear(head: Head) -> tuple[Tensor, Tensor, Tensor | None]:
    """Give weights and offsets of the logits, up to what all classes share, and the centers."""
    form = head.generalized_sce()
    if head.loss_form == "distance":
        centers = head.centers.detach().cpu()
        return 2 * centers, -centers.square().sum(dim=1), centers
    if form is None or not torch.allclose(form.scales, form.scales[0]):
        raise ValueError(
            "`models` must have a squared distance as their loss, or a softmax of equal scales; "
            f"{type(head).__name__} has neither."
        )
    scale, means = form.scales[0].detach().cpu(), form.means.detach().cpu()
    squares = scale * means.square().sum(dim=1)
    return 2 * scale * means, form.offsets.detach().cpu() - squares, None
