"""The model as an attack sees it: frozen, in evaluation mode, and as fast as it can be made.

An attack works on a copy, so that nothing it does can be seen on the model. The copy comes in two
forms. `fast` has its batch norms folded into the convolutions before them, where torch can trace
the model; it is what gradients are taken of. `exact` computes what the model computes; it decides
whether an image is fooled. Folding changes logits by rounding alone, but a verdict must never hang
on rounding that is ours.
"""

import copy
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mmc_viz.attacks.checks import check_classes, check_logits, warn_of_probabilities
from mmc_viz.networks import eval_mode

_AGREEMENT = 1e-4  # of folded logits, relative to the largest logit


class View(nn.Module):
    """A model frozen for attack.

    Attributes
    ----------
    exact : nn.Module
        Computes what the model computes in evaluation mode.
    fast : nn.Module
        The same up to rounding, and cheaper where folding was possible; else `exact` itself.
    """

    def __init__(self, exact: nn.Module, fast: nn.Module):
        super().__init__()
        self.exact = exact
        self.fast = fast

    def __getattr__(self, name: str) -> Any:
        # Whoever is handed a view in place of a model finds what the model has: features, a head.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("exact"), name)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Logits of the images, as the model gives them."""
        return self.exact(images)


@contextmanager
def frozen(
    model: nn.Module, images: Float[Tensor, "batch channels height width"]
) -> Iterator[View]:
    """Give a view of `model` for attacks on images like `images`.

    A `View` is given back as it is, so many attacks in a row can share one.

    Parameters
    ----------
    model : nn.Module
        From images to logits.
    images : Float[Tensor, "batch channels height width"]
        A few of them are used to check that the fast form agrees with the exact one.
    """
    if isinstance(model, View):
        yield model
        return
    try:
        # What is copied in inference mode has no gradient afterwards.
        with torch.inference_mode(False):
            exact = copy.deepcopy(model).eval().requires_grad_(False)
            view = View(exact, _folded(exact, images[:2].clone()))
    except (RuntimeError, TypeError):
        # Some models cannot be copied (a tensor with a history as an attribute, an open file).
        # Then the model itself is used, its modes put back afterwards.
        with eval_mode(model):
            yield View(model, model)
        return
    yield view


def clean_logits(
    view: View,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    targets: Int[Tensor, " batch"] | None,
    batch_size: int,
) -> Float[Tensor, "batch num_classes"]:
    """Ask the exact model once for all images, and refuse what no attack can work with.

    Raises
    ------
    ValueError
        If these are no finite logits, or a label or target has none.
    """
    with torch.no_grad():
        # Copies, because some models write into what they are given.
        logits = torch.cat([view.exact(part.clone()) for part in images.split(batch_size)])
    check_logits(logits, images)
    check_classes("labels", labels, logits.shape[1])
    if targets is not None:
        check_classes("targets", targets, logits.shape[1])
    warn_of_probabilities(logits)
    return logits


def _folded(model: nn.Module, images: Float[Tensor, "batch channels height width"]) -> nn.Module:
    """Fold batch norms where the model can be traced and the logits stay; else give it back."""
    try:
        folded = _fold_batch_norms(model)
        with torch.no_grad():
            # Copies, because some models write into what they are given.
            expected, found = model(images.clone()), folded(images.clone())
    except Exception:  # tracing runs the model's code with stand-ins: anything can be raised
        return model
    agree = (found - expected).abs().max() <= _AGREEMENT * expected.abs().max().clamp_min(1.0)
    return folded if agree else model


def _fold_batch_norms(model: nn.Module) -> nn.Module:
    """Put each batch norm that follows a convolution, and it alone, into its weights."""
    model = copy.deepcopy(model)  # its weights are about to change
    # Shapes cannot be checked on the stand-ins that tracing passes through the model.
    with _shapes_unchecked():
        graph = fx.Tracer().trace(model)
    modules = dict(model.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        source = node.args[0]
        if (
            source.op == "call_module"
            and isinstance(modules[source.target], nn.Conv2d)
            and len(source.users) == 1
            and calls.count(source.target) == 1
        ):
            conv, norm = modules[source.target], modules[node.target]
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight,
                conv.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    _work_in_place(graph, modules)
    traced = fx.GraphModule(model, graph)
    return traced.requires_grad_(False).to(memory_format=torch.channels_last)


def _work_in_place(graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Let sums and rectifiers overwrite their input where nothing else will look at it."""

    def free(value: Any) -> bool:
        # Neither a convolution nor a sum needs its own result to find its gradient.
        if not isinstance(value, fx.Node) or len(value.users) != 1:
            return False
        if value.op == "call_module":
            return isinstance(modules[value.target], nn.Conv2d)
        return value.op == "call_function" and value.target in (operator.add, operator.iadd)

    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is operator.add and free(node.args[0]):
            node.target = operator.iadd
        elif node.op == "call_function" and node.target is functional.relu and free(node.args[0]):
            node.kwargs = {"inplace": True}
        elif node.op == "call_module" and type(modules[node.target]) is nn.ReLU:
            if free(node.args[0]):
                with graph.inserting_before(node):
                    overwriting = graph.call_function(torch.relu_, node.args)
                node.replace_all_uses_with(overwriting)
                graph.erase_node(node)


@contextmanager
def _shapes_unchecked() -> Iterator[None]:
    # Only the test run checks shapes at all; there, tracing would fail and hide the folded form.
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
