"""Maps of several models, of the same images: what the figures draw side by side."""

from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from mmc_viz.embeddings.maps import METHODS, FeatureMap, fit
from mmc_viz.embeddings.quality import assess
from mmc_viz.embeddings.views import Embedding, MapView, Placed, check_count, nearest_distance
from mmc_viz.networks import outputs


def compare_maps(
    method: str,
    models: dict[str, nn.Module],
    images: Float[Tensor, "points channels height width"],
    labels: Int[Tensor, " points"],
    *,
    adversarial: dict[str, Tensor] | None = None,
    joint: bool = False,
    classes: tuple[int, int, int] = (0, 1, 2),
    anchors: str = "centers",
    class_names: list[str] | None = None,
    assess_neighbours: int = 15,
    **settings: Any,
) -> Embedding:
    """Map the features of the same images, for each of several models.

    Parameters
    ----------
    method : {"pca", "plane", "umap", "tsne"}
        See `fit`.
    models : dict[str, nn.Module]
        A name for each model with features. They stay as they are.
    images : Float[Tensor, "points channels height width"]
        In [0, 1], clean, on the device of the models.
    labels : Int[Tensor, "points"]
        True classes.
    adversarial : dict[str, Float[Tensor, "placed channels height width"]], optional
        For some of the models: the first `placed` of the images after an attack on this model. They
        are placed into the map.
    joint : bool
        Fit each map to the clean and the adversarial images together, the way out for t-SNE, which
        cannot place.
    classes : tuple of int
        For `plane`: three classes that span it.
    anchors : {"centers", "means"}
        For `plane`: their centers in the head, or the means of their images' features, which every
        model has.
    class_names : list[str], optional
        None: the classes' numbers.
    assess_neighbours : int
        `neighbours` of `assess`.
    **settings
        Passed on to `fit`.

    Returns
    -------
    embedding : Embedding

    Raises
    ------
    ValueError
        If there is no model, one has no features or no centers where they are needed, a class has
        no image where its mean is needed, or t-SNE is asked to place; and as `fit` and `assess`.
    """
    if not models:
        raise ValueError("`models` must hold at least one model; got none.")
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}; got {method!r}.")
    attacked = adversarial or {}
    if unknown := attacked.keys() - models.keys():
        raise ValueError(
            f"`adversarial` must name models of {', '.join(models)}; got {sorted(unknown)[0]!r}."
        )
    if method == "tsne" and attacked and not joint:
        raise ValueError(
            "`method` must be able to place adversarial images; t-SNE is not. Set `joint=True` to "
            "fit it to clean and adversarial images together, or use 'umap' or 'pca'."
        )
    if anchors not in ("centers", "means"):
        raise ValueError(f"`anchors` must be 'centers' or 'means'; got {anchors!r}.")
    check_count("labels", labels, len(images))
    views, most = {}, int(labels.max()) + 1
    for name, model in models.items():
        logits, features = _outputs(name, model, images)
        most = max(most, logits.shape[1])
        if method == "plane":
            settings["centers"] = _anchors(name, model, features, labels, classes, anchors)
        extra = attacked.get(name)
        placed = None if extra is None else _placed(name, model, extra, images)
        together = joint and placed is not None
        drawn = fit(method, torch.cat([features, placed[1]]) if together else features, **settings)
        views[name] = MapView(
            drawn,
            labels.cpu(),
            assess(drawn.positions[: len(labels)], features, labels, neighbours=assess_neighbours),
            logits.argmax(dim=1),
            _bytes(images),
            _centers(model, drawn),
            None if placed is None else _place(drawn, features, extra, *placed, joint=together),
            joint=together,
        )
    names = class_names or [str(label) for label in range(most)]
    if len(names) < most:
        raise ValueError(f"`class_names` must name {most} classes; got {len(names)}.")
    plane = (classes, anchors) if method == "plane" else ()
    return Embedding(views, names, *plane)


def _outputs(
    name: str, model: nn.Module, images: Float[Tensor, "batch channels height width"]
) -> tuple[Float[Tensor, "batch num_classes"], Float[Tensor, "batch dim"]]:
    """Logits and features on the CPU."""
    logits, features = (values.detach().cpu() for values in outputs(model, images))
    if not features.shape[1]:
        raise ValueError(
            f"`models` must have features; {name!r} has none. Give it a method `features` from "
            "images to [batch, dim]."
        )
    return logits, features


def _placed(
    name: str,
    model: nn.Module,
    extra: Tensor,
    images: Float[Tensor, "points channels height width"],
) -> tuple[Float[Tensor, "placed num_classes"], Float[Tensor, "placed dim"]]:
    if extra.shape[1:] != images.shape[1:] or not 0 < len(extra) <= len(images):
        raise ValueError(
            f"`adversarial` of {name!r} must be 1 to {len(images)} images like `images`; got "
            f"shape {list(extra.shape)}."
        )
    return _outputs(name, model, extra)


def _place(
    drawn: FeatureMap,
    clean: Float[Tensor, "points dim"],
    images: Float[Tensor, "placed channels height width"],
    logits: Float[Tensor, "placed num_classes"],
    features: Float[Tensor, "placed dim"],
    *,
    joint: bool,
) -> Placed:
    """Place the adversarial images, or find where they were fitted."""
    return Placed(
        drawn.positions[len(clean) :] if joint else drawn.place(features),
        torch.arange(len(features)),
        logits.argmax(dim=1),
        nearest_distance(features, clean),
        _bytes(images),
    )


def _anchors(
    name: str,
    model: nn.Module,
    features: Float[Tensor, "points dim"],
    labels: Int[Tensor, " points"],
    classes: tuple[int, int, int],
    anchors: str,
) -> Float[Tensor, "3 dim"]:
    """Three points that span the plane."""
    if anchors == "centers":
        centers = getattr(getattr(model, "head", None), "centers", None)
        if centers is None:
            raise ValueError(
                f"`models` must have class centers for the plane; {name!r} has none. Set "
                "`anchors='means'` to take the means of its features."
            )
        for label in classes:
            if not 0 <= label < len(centers):
                raise ValueError(f"`classes` must be in 0 .. {len(centers) - 1}; got {label}.")
        return centers.detach().cpu()[list(classes)]
    truth = labels.cpu()
    for label in classes:
        if not bool((truth == label).any()):
            raise ValueError(
                f"`classes` must have images; class {label} has none. Choose others or add images."
            )
    return torch.stack([features[truth == label].mean(dim=0) for label in classes])


def _centers(model: nn.Module, drawn: FeatureMap) -> Float[Tensor, "num_classes 2"] | None:
    centers = getattr(getattr(model, "head", None), "centers", None)
    return None if centers is None or not drawn.can_place else drawn.place(centers)


def _bytes(
    images: Float[Tensor, "batch channels height width"],
) -> UInt8[Tensor, "batch channels height width"]:
    return (images.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
