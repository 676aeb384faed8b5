"""From images to features to logits: feature extractors, and `Classifier`, which joins the parts.

A `Classifier` is input normalisation + backbone + head. It takes images in [0, 1], so an attack
never needs to know how they are normalised inside. Each backbone ends in a linear layer with a bias
and no activation. Without it a feature would be an average of rectified values, hence never
negative, and could not reach class centers with negative coordinates; SCE gets the same layer, so
that the comparison is fair.

Backbones draw their first weights from a generator that is passed in, and never touch the global
random state.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmc_viz.heads import Head, check_options, make_head
from mmc_viz.unfilled import unfilled


class Classifier(nn.Module):
    """A feature extractor and a head behind one call: images in [0, 1] to logits.

    Parameters
    ----------
    backbone : nn.Module
        From normalised images `[N, C, H, W]` to features `[N, d]`.
    head : Head
        From features to logits, and to the training loss.
    mean, std : Float[Tensor, "channels"]
        Of the training images in [0, 1]; the input is shifted and scaled by them, channel by
        channel. They are buffers, so they travel with the weights.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: Head,
        *,
        mean: Float[Tensor, " channels"],
        std: Float[Tensor, " channels"],
    ):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1).clone())
        self.register_buffer("std", std.reshape(1, -1, 1, 1).clone())

    def features(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch dim"]:
        """Features of the images, before the head."""
        return self.backbone((images - self.mean) / self.std)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Logits of the images, one for each class."""
        return self.head.logits(self.features(images))


def make_classifier(
    network: str,
    head: str,
    *,
    in_channels: int,
    num_classes: int,
    dim: int | None = None,
    radius: float | int = 10.0,
    head_options: dict[str, Any] | None = None,
    preset: Float[Tensor, "..."] | None = None,
    mean: Float[Tensor, " channels"] | None = None,
    std: Float[Tensor, " channels"] | None = None,
    seed: int = 0,
) -> Classifier:
    """Build a classifier with fresh weights from the names of its parts.

    Parameters
    ----------
    network, head : str
        Names from `NETWORKS` and `mmc_viz.heads.HEADS`.
    in_channels : int
        1 for grey images, 3 for colour.
    num_classes : int
        Number of classes, at least 2.
    dim : int, optional
        Dimension of the features. None: the network's own, 64 or 256.
    radius : float
        Norm of the class centers, for heads that have centers.
    head_options : dict, optional
        Settings of the head's own; `mmc_viz.heads.options_of(head)` lists them.
    preset : Float[Tensor, "num_classes dim"], optional
        Points that the head takes over instead of placing them, for heads that place any.
    mean, std : Float[Tensor, "channels"], optional
        Input normalisation. None: 0.5 and 0.25, which suits images in [0, 1].
    seed : int
        Seed of the initial weights.

    Raises
    ------
    ValueError
        If a name is unknown, or a size does not fit; the message lists what does.
    """
    if network not in NETWORKS:
        raise ValueError(f"`network` must be one of {', '.join(NETWORKS)}; got {network!r}.")
    if dim is not None and dim < 1:
        raise ValueError(f"`dim` must be at least 1; got {dim}.")
    options = head_options or {}
    check_options(head, options)  # also that none has the name of another argument
    generator = torch.Generator().manual_seed(seed)
    build = NETWORKS[network]
    backbone = build(in_channels, dim=dim, generator=generator)
    return Classifier(
        backbone,
        make_head(
            head,
            backbone.dim,
            num_classes,
            radius=radius,
            generator=generator,
            preset=preset,
            **options,
        ),
        mean=torch.full((in_channels,), 0.5) if mean is None else mean,
        std=torch.full((in_channels,), 0.25) if std is None else std,
    )


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch every part of `model` to evaluation and back again as it was, part by part."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def outputs(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    batch_size: int = 512,
) -> tuple[Float[Tensor, "batch num_classes"], Float[Tensor, "batch dim"]]:
    """Logits and features of any number of images, in evaluation mode and without gradient.

    Parameters
    ----------
    model : nn.Module
        From images to logits. Features are those of its method `features`, if that gives
        `[batch, dim]`; of a model without they have dimension 0.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    batch_size : int
        How many images go through the model at once.

    Returns
    -------
    logits : Float[Tensor, "batch num_classes"]
    features : Float[Tensor, "batch dim"]
    """
    logits, features = [], []
    with eval_mode(model), torch.no_grad():
        for batch in images.split(batch_size):
            batch = batch.clone()  # some models write into what they are given
            if isinstance(model, Classifier):
                features.append(model.features(batch))
                logits.append(model.head.logits(features[-1]))
            else:
                features.append(_foreign_features(model, batch.clone()))
                logits.append(model(batch))
    return torch.cat(logits), torch.cat(features)


def _foreign_features(
    model: nn.Module, images: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch dim"]:
    """Features of a model that is not ours, if it has what we mean by the word."""
    if isinstance(getattr(type(model), "features", None), Callable):
        features = model.features(images)
        if isinstance(features, Tensor) and features.dim() == 2:
            return features
    return images.new_empty(len(images), 0)


class SmallCNN(nn.Sequential):
    """Five convolutions, at most 100,000 parameters: for grey images of 8x8 to 28x28.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    dim : int, optional
        Dimension of the features. None: 64.
    generator : torch.Generator
        Source of the initial weights.
    norms : bool
        Whether batch norms follow the convolutions. Without them no image of a batch has a part in
        what becomes of another, so it does not matter how a batch is shared among processes.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        dim: int | None,
        generator: torch.Generator,
        norms: bool = True,
    ):
        self.dim = dim or 64
        layers = _conv_norm_relu if norms else _conv_relu
        super().__init__(
            *layers(in_channels, 16, 1, generator),
            *layers(16, 32, 2, generator),
            *layers(32, 32, 1, generator),
            *layers(32, 64, 2, generator),
            *layers(64, 64, 1, generator),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            _linear(64, self.dim, generator),
        )


class ResNet(nn.Sequential):
    """Residual network for 32x32 images: a stem, three stages, average pooling, a linear layer.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    block : type
        `BasicBlock` (v1) or `PreActBottleneck` (v2).
    blocks : int
        Blocks in each stage, $n$: v1 has $6n + 2$ layers, v2 has $9n + 2$.
    dim : int, optional
        Dimension of the features. None: the width of the last stage, 64 (v1) or 256 (v2).
    generator : torch.Generator
        Source of the initial weights.

    References
    ----------
    He et al., https://arxiv.org/abs/1512.03385 (v1) and https://arxiv.org/abs/1603.05027 (v2).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        block: type["BasicBlock"] | type["PreActBottleneck"],
        blocks: int,
        dim: int | None,
        generator: torch.Generator,
    ):
        stem = _conv_norm_relu(in_channels, 16, 1, generator)
        # v2 normalises before each convolution, so its stem is the convolution alone.
        layers: list[nn.Module] = stem[:1] if block is PreActBottleneck else stem
        width = 16
        for stage, planes in enumerate((16, 32, 64)):
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(block(width, planes, stride, generator))
                width = planes * block.expansion
        if block is PreActBottleneck:
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.dim = dim or width
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), _linear(width, self.dim, generator)
        )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with batch norm; the rectifier follows the addition (v1)."""

    expansion = 1

    def __init__(self, width: int, planes: int, stride: int, generator: torch.Generator):
        super().__init__()
        self.residual = nn.Sequential(
            *_conv_norm_relu(width, planes, stride, generator),
            *_conv_norm_relu(planes, planes, 1, generator)[:2],
        )
        self.shortcut = _shortcut(width, planes, stride, generator, norm=True)

    def forward(
        self, x: Float[Tensor, "batch width height breadth"]
    ) -> Float[Tensor, "batch planes new_height new_breadth"]:
        """Add the residual to the (possibly projected) input, then rectify."""
        return functional.relu(self.residual(x) + self.shortcut(x))


class PreActBottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1 to four times the width, each after norm and rectifier (v2)."""

    expansion = 4

    def __init__(self, width: int, planes: int, stride: int, generator: torch.Generator):
        super().__init__()
        out = planes * self.expansion
        self.activation = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.residual = nn.Sequential(
            _conv(width, planes, 1, 1, generator),
            nn.BatchNorm2d(planes),
            nn.ReLU(),
            _conv(planes, planes, 3, stride, generator),
            nn.BatchNorm2d(planes),
            nn.ReLU(),
            _conv(planes, out, 1, 1, generator),
        )
        self.shortcut = _shortcut(width, out, stride, generator, norm=False)

    def forward(
        self, x: Float[Tensor, "batch width height breadth"]
    ) -> Float[Tensor, "batch planes new_height new_breadth"]:
        """Add the residual of the activated input; a projected shortcut sees the activation too."""
        active = self.activation(x)
        shortcut = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(active)
        return self.residual(active) + shortcut


def _shortcut(
    width: int, out: int, stride: int, generator: torch.Generator, *, norm: bool
) -> nn.Module:
    if stride == 1 and width == out:
        return nn.Identity()
    projection = _conv(width, out, 1, stride, generator)
    return nn.Sequential(projection, nn.BatchNorm2d(out)) if norm else projection


def _conv(width: int, out: int, kernel: int, stride: int, generator: torch.Generator) -> nn.Conv2d:
    conv = unfilled(nn.Conv2d, width, out, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    return conv


def _conv_norm_relu(
    width: int, out: int, stride: int, generator: torch.Generator
) -> list[nn.Module]:
    return [_conv(width, out, 3, stride, generator), nn.BatchNorm2d(out), nn.ReLU()]


def _conv_relu(width: int, out: int, stride: int, generator: torch.Generator) -> list[nn.Module]:
    conv = _conv(width, out, 3, stride, generator)
    conv.bias = nn.Parameter(torch.zeros(out))
    return [conv, nn.ReLU()]


def _linear(width: int, out: int, generator: torch.Generator) -> nn.Linear:
    linear = unfilled(nn.Linear, width, out)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="linear", generator=generator)
    nn.init.zeros_(linear.bias)
    return linear


def _resnet(block: type[nn.Module], blocks: int) -> Callable[..., ResNet]:
    def build(in_channels: int, *, dim: int | None, generator: torch.Generator) -> ResNet:
        return ResNet(in_channels, block=block, blocks=blocks, dim=dim, generator=generator)

    return build


#: Name of each network to the function that builds it. `resnet32` has 5 blocks a stage; the
#: pre-activation form with as many blocks is called `resnet32v2`, as in the authors' files, though
#: its bottleneck blocks make it 9 * 5 + 2 = 47 layers deep.
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small_cnn": SmallCNN,
    "plain_cnn": partial(SmallCNN, norms=False),
} | {
    f"resnet{6 * blocks + 2}{version}": _resnet(block, blocks)
    for version, block in (("", BasicBlock), ("v2", PreActBottleneck))
    for blocks in (1, 3, 5, 9, 18)
}
