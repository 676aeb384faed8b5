"""Train a classifier and save it as a model folder.

A recipe names all settings at once, DATA-NETWORK-HEAD[-at|-at-targeted][-fast|-cpu], such as
cifar10-resnet32-mmc (as the paper's authors did) or mnist-small_cnn-sce-at-fast;
`mmc_viz.training.recipes` explains them. What is given beside it replaces its part of the recipe.
Without a recipe every setting has the default of `mmc_viz.training.TrainConfig`, where it is
described.
"""

import argparse
import importlib.util
import pkgutil
import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_eps,
    write_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; what is not given is left to `TrainConfig`."""
    parser.add_argument("--recipe", metavar="NAME", help="a named configuration to start from")
    settings = parser.add_argument_group("settings of the run")

    def setting(flag: str, kind: Callable, text: str, **more) -> None:
        settings.add_argument(flag, type=kind, default=argparse.SUPPRESS, help=text, **more)

    setting("--dataset", str, "digits, fashion_mnist, mnist, cifar10, cifar100 or folder:PATH")
    setting("--head", str, f"training objective: {', '.join(head_names())} (mmc)")
    setting(
        "--head-option",
        _head_option,
        "a setting of the head's own, such as smoothing=0.2 or groups=0,1,0; may be repeated",
        metavar="NAME=VALUE",
        action="append",
    )
    setting("--network", str, "small_cnn, resnet20, resnet32, resnet110, resnet32v2, ...")
    setting("--dim", int, "dimension of the features; default: the network's own")
    setting("--radius", float, "norm of the class centers, not squared (10)")
    setting("--epochs", int, "passes over the training images (60)")
    setting("--batch-size", int, "images a step (128)")
    setting("--lr", float, "peak learning rate; default: what suits the head")
    setting("--momentum", float, "of SGD (0.9)")
    setting("--weight-decay", float, "(5e-4)")
    setting("--decay", str, "which weights decay: all or convolutions")
    setting("--schedule", str, "of the learning rate: one_cycle or steps (the authors')")
    setting("--augmentation", str, "none, shift or shift_flip; default: by data set")
    setting("--image-size", int, "pixels, for folder:PATH (32)")
    setting("--limit", int, "train on the first so many images")
    setting("--seed", int, "of weights, order, augmentation and the adversary (0)")
    setting("--adversarial", str, "train on images that an attack has changed: pgd, or none (none)")
    setting("--eps", parse_eps, "the adversary's budget in linf, such as 0.1 (default) or 8/255")
    setting("--attack-steps", int, "of the adversary (7)")
    setting("--attack-step-size", parse_eps, "length of its steps; default: 2.5 eps / steps")
    setting("--attack-objective", str, "what it climbs: the head's own loss (default), margin, ...")
    setting("--attack-targets", str, "random: it drives each image to a class drawn anew (none)")
    settings.add_argument(
        "--compiled",
        action="store_true",
        default=argparse.SUPPRESS,
        help="prepare the network with torch.compile, which needs a C++ compiler",
    )
    settings.add_argument(
        "--bfloat16",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="run convolutions in bfloat16, for processors that know it; default: on CUDA",
    )
    parser.add_argument("--out", type=Path, help="model folder (runs/DATASET-HEAD)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the card there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Load the data, train, save, and print what came out."""
    from mmc_viz.checkpoints import check_writable
    from mmc_viz.datasets import load_dataset
    from mmc_viz.devices import choose_device
    from mmc_viz.training import TrainConfig, recipe

    given = vars(arguments)
    names = [field.name for field in fields(TrainConfig)]
    settings = {name: given[name] for name in names if name in given}
    settings["head_options"] = _together(given.get("head_option", []))
    start = TrainConfig() if arguments.recipe is None else recipe(arguments.recipe)
    config = replace(start, **settings).resolved()
    source = Path(config.dataset.removeprefix("folder:")).absolute().name
    out = arguments.out or Path("runs") / f"{source}-{config.head}"
    device = choose_device(arguments.device)
    check_writable(out)
    check_output(arguments.json)
    train_set, test_set = (
        load_dataset(config.dataset, split, root=arguments.data_root, size=config.image_size)
        for split in ("train", "test")
    )
    card = train_and_save(
        config,
        train_set,
        test_set,
        out,
        device,
        command=_command(arguments.argv),
        progress=not arguments.quiet,
    )
    if arguments.json is not None:
        write_json(arguments.json, card.to_json())
    last = card.history[-1]
    seconds = sum(entry["seconds"] for entry in card.history)
    print(f"model              {out}")
    print(f"data               {train_set.source}; tested on {test_set.source}")
    print(f"clean accuracy     {last['accuracy']:.2%} of {len(test_set):,} test images")
    print(f"final loss         {last['loss']:.4g}")
    print(f"intra-class dist.  {last['intra_class_distance']:.4g}")
    print(f"training time      {seconds:.1f} s on {device} ({config.epochs} epochs)")
    print(f"weights sha256     {card.weights_sha256}")


def train_and_save(
    config: Any,
    train_set: Any,
    test_set: Any,
    out: Path,
    device: Any,
    *,
    command: str,
    progress: bool,
) -> Any:
    """Train, save the model with its card, and give the card."""
    from mmc_viz.checkpoints import Card, save_model, software_versions
    from mmc_viz.training import train

    result = train(config, train_set, test_set, device=device, progress=progress)
    accuracy = result.history[-1]["accuracy"]
    card = Card(
        network=config.network,
        head=config.head,
        in_channels=train_set.images.shape[1],
        num_classes=len(train_set.class_names),
        dim=result.model.backbone.dim,
        class_names=train_set.class_names,
        dataset={
            "name": train_set.name,
            "sha256": train_set.sha256,
            "image_size": train_set.images.shape[-1],
        },
        config=result.config.to_json(),  # with what the data decided
        seed=config.seed,
        history=result.history,
        measured=[
            {
                "attack": "none",
                "dataset": test_set.name,
                "images": len(test_set),
                "correct": round(accuracy * len(test_set)),
                "accuracy": accuracy,
            }
        ],
        versions=software_versions(device),
        reproducible=device.type == "cpu",
        command=command,
    )
    return save_model(out, result.model, card)


def head_names() -> list[str]:
    """Names of the heads in their folder, read from the files: importing them would need torch."""
    spec = importlib.util.find_spec("mmc_viz.heads")
    found = pkgutil.iter_modules(spec.submodule_search_locations)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def _head_option(text: str) -> tuple[str, Any]:
    """Read `NAME=VALUE`, where the value is a number or whole numbers with commas between."""
    name, equals, value = text.partition("=")
    try:
        if not (name and equals):
            raise ValueError
        if "," in value:
            return name, [int(part) for part in value.rstrip(",").split(",")]
        try:
            return name, int(value)
        except ValueError:
            return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be NAME=VALUE with a number, or whole numbers and commas; got {text!r}"
        ) from None


def _together(options: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in options]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`--head-option` must name each option once; got {name!r} twice.")
    return dict(options)


def _command(argv: list[str]) -> str:
    """Give the command line as it can be typed elsewhere: without the place of our data."""
    words = iter(argv)
    kept = []
    for word in words:
        if word == "--data-root":
            next(words, None)
        elif not word.startswith("--data-root="):
            kept.append(word)
    return shlex.join(["mmc-viz", *kept])
