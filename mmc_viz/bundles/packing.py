"""From finished epsilon paths to a block of bytes."""

import json
import zlib
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mmc_viz.bundles.content import FORMAT, MAX_BYTES
from mmc_viz.paths import EpsilonPath


def pack(runs: dict[str, dict[str, EpsilonPath]], class_names: list[str]) -> bytes:
    """Put the epsilon paths of a lesson into one deflated block of bytes.

    Parameters
    ----------
    runs : dict[str, dict[str, EpsilonPath]]
        Run name (such as the attacker's objective) to panel title (such as the name of the model)
        to path. The panels of a run have the same epsilons; all paths show the same images.
    class_names : list[str]
        One name per class, in the order of the logits.

    Returns
    -------
    data : bytes
        See the module's docstring. The same paths give the same bytes.

    Raises
    ------
    ValueError
        If there is nothing to pack, if paths do not belong together, if a class has no name, or if
        the block would be larger than a browser can hold.
    """
    paths = [path for panels in runs.values() for path in panels.values()]
    if not paths or not all(runs.values()):
        raise ValueError("`runs` must hold at least one run, and each run at least one path.")
    labels, shape = paths[0].labels, paths[0].images.shape[1:]
    for path in paths:
        _check_path(path, labels, shape, class_names)
    total = sum(path.images.numel() for path in paths)
    if total > MAX_BYTES:
        raise ValueError(
            f"`runs` must hold at most {MAX_BYTES} pixel values for a browser; got {total}. "
            "Use fewer images or fewer epsilons."
        )
    count, channels, height, width = shape
    header: dict[str, Any] = {
        "format": FORMAT,
        "class_names": list(class_names),
        "labels": labels.tolist(),
        "shape": {"count": count, "channels": channels, "height": height, "width": width},
        "runs": [],
    }
    payload, offset = [], 0
    for name, panels in runs.items():
        entries = []
        epsilons = _epsilons(next(iter(panels.values())))
        for title, path in panels.items():
            if _epsilons(path) != epsilons:
                raise ValueError(
                    f"the panels of a run must share their epsilons; {title!r} of run {name!r} "
                    "has others than the first."
                )
            entries.append(
                {
                    "title": title,
                    "offset": offset,
                    "predictions": path.logits.argmax(dim=-1).tolist(),
                    "right": (~path.success).sum(dim=1).tolist(),
                    "success": path.success.int().tolist(),
                }
            )
            payload.append(_differences(path.images.cpu()))
            offset += path.images.numel()
        header["runs"].append({"name": name, "epsilons": epsilons, "panels": entries})
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    deflate = zlib.compressobj()
    parts = [len(text).to_bytes(4, "little"), text, bytes(-len(text) % 4), *payload]
    return b"".join([deflate.compress(part) for part in parts]) + deflate.flush()


def _epsilons(path: EpsilonPath) -> list[float]:
    """Epsilons as Python floats: the shortest decimals that name them (0.1, not 0.10000000149)."""
    return [float(str(epsilon)) for epsilon in path.epsilons.cpu().numpy()]


def _differences(images: UInt8[Tensor, "steps count channels height width"]) -> bytes:
    """Image by image: step 0 as it is, later ones as differences to the step before."""
    changed = images.clone()
    changed[1:] -= images[:-1]  # uint8 arithmetic wraps around, here and in the browser
    return changed.transpose(0, 1).contiguous().numpy().tobytes()


def _check_path(
    path: EpsilonPath, labels: Int64[Tensor, " count"], shape: torch.Size, class_names: list[str]
) -> None:
    """Refuse a path that does not belong to the others or whose classes have no name."""
    if path.images.shape[1:] != shape or not torch.equal(path.labels, labels):
        raise ValueError("all paths of a bundle must show the same images with the same labels.")
    if 0 in path.images.shape:
        raise ValueError(
            f"paths must not be empty; got images of shape {tuple(path.images.shape)}."
        )
    if path.logits.shape[-1] != len(class_names):
        raise ValueError(
            f"`class_names` must name the {path.logits.shape[-1]} classes of the logits; "
            f"got {len(class_names)} names."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        raise ValueError(f"labels must be below the number of classes, {len(class_names)}.")
    if not (path.epsilons.isfinite() & (path.epsilons >= 0)).all():
        raise ValueError("epsilons must be finite and not negative.")
