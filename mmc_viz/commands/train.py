"""Train a classifier and save it as a model folder.

A recipe names all settings at once, DATA-NETWORK-HEAD[-at|-at-targeted][-fast|-cpu], such as
cifar10-resnet32-mmc (as the paper's authors did) or mnist-small_cnn-sce-at-fast;
`mmc_viz.training.recipes` explains them. What is given beside it replaces its part of the recipe.
Without a recipe every setting has the default of `mmc_viz.training.TrainConfig`, where it is
described.

While it trains, the run is kept in its folder (--keep-every). Ctrl-C keeps it and leaves; --resume
goes on, also after the process was killed: on the CPU, with the same versions and threads, to the
same weights. Under `torchrun --nproc_per_node=N -m mmc_viz train ...` N processes share each batch.
"""

import argparse
import importlib.util
import os
import pkgutil
import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
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
from mmc_viz.commands.resuming import Kept, claimed, finished_card, stop_asked
from mmc_viz.commands.training_run import train_and_save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; what is not given is left to `TrainConfig`."""
    parser.add_argument("--recipe", metavar="NAME", help="a named configuration to start from")
    settings = parser.add_argument_group("settings of the run")

    def setting(flag: str, kind: Callable, text: str, **more) -> None:
        settings.add_argument(flag, type=kind, default=argparse.SUPPRESS, help=text, **more)

    setting(
        "--dataset",
        str,
        "digits, fashion_mnist, mnist, cifar10, cifar100, folder:PATH or shards:PATH",
    )
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
    settings.add_argument(
        "--float64",
        action="store_true",
        default=argparse.SUPPRESS,
        help="compute in double precision, several times slower",
    )
    settings.add_argument(
        "--deterministic",
        action="store_true",
        default=argparse.SUPPRESS,
        help="the same weights every time on CUDA too, for some speed; on the CPU they always are",
    )
    parser.add_argument(
        "--keep-every",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how often the run is kept in its folder, so that it can be resumed (30; 0: after "
        "every step)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted run that the folder keeps; on the CPU the weights will be "
        "those of an uninterrupted one",
    )
    parser.add_argument("--out", type=Path, help="model folder (runs/DATASET-HEAD)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the card there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> int:
    """Load the data, train, save, and print what came out."""
    from mmc_viz.checkpoints import check_writable, has_progress
    from mmc_viz.devices import choose_device
    from mmc_viz.distributed import joined
    from mmc_viz.training import Diverged, Stopped

    config, out = _configuration(arguments)
    if config.deterministic:  # read by cuBLAS at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = choose_device(arguments.device)
    if arguments.keep_every < 0:
        raise ValueError(f"`--keep-every` must be at least 0; got {arguments.keep_every}.")
    check_writable(out)
    check_output(arguments.json)
    with joined(device) as ranks, claimed(out) if ranks.first else nullcontext():
        try:
            return _train(config, out, device, ranks, arguments)
        except Stopped as stopped:
            if ranks.first:
                print(
                    f"mmc-viz train: {stopped}; it is kept in {out}, and the same command with "
                    "`--resume` goes on",
                    file=sys.stderr,
                )
            return 130
        except Diverged as error:
            kept = "Nothing was kept before."
            if has_progress(out):
                kept = f"The last good step is kept in {out}: `--resume --lr SMALLER` goes on."
            raise Diverged(f"{error} {kept}", error.epoch, error.step) from None


def _configuration(arguments: argparse.Namespace) -> tuple[Any, Path]:
    """Read what is to be trained, and where to."""
    from mmc_viz.training import TrainConfig, recipe

    given = vars(arguments)
    names = [field.name for field in fields(TrainConfig)]
    settings = {name: given[name] for name in names if name in given}
    settings["head_options"] = _together(given.get("head_option", []))
    start = TrainConfig() if arguments.recipe is None else recipe(arguments.recipe)
    config = _augmented_as_written(replace(start, **settings)).resolved()
    source = Path(config.dataset.partition(":")[2] or config.dataset).absolute().name
    return config, arguments.out or Path("runs") / f"{source}-{config.head}"


def _augmented_as_written(config: Any) -> Any:
    """Let shards be augmented as the data set that was written to them, where nothing is said."""
    from mmc_viz.datasets import SHARDS_PREFIX
    from mmc_viz.datasets.shard_index import read_index

    if config.augmentation is not None or not config.dataset.startswith(SHARDS_PREFIX):
        return config
    written = read_index(config.dataset.removeprefix(SHARDS_PREFIX)).index.name
    return replace(config, augmentation=replace(config, dataset=written).resolved().augmentation)


def _train(config: Any, out: Path, device: Any, ranks: Any, arguments: argparse.Namespace) -> int:
    from mmc_viz.checkpoints import remove_progress, software_versions
    from mmc_viz.datasets import load_dataset
    from mmc_viz.training import Keeping

    def load() -> list[Any]:
        return [
            load_dataset(config.dataset, split, root=arguments.data_root, size=config.image_size)
            for split in ("train", "test")
        ]

    train_set, test_set = ranks.after_first(load)
    run = config.resolved(train_set.class_names).to_json() | {
        "training images": train_set.sha256,
        "test images": test_set.sha256,
    }
    kept = Kept(out, run, software_versions(device) | {"processes": ranks.size})
    state = ranks.from_first(lambda: kept.load(resume=arguments.resume))
    card = None
    if arguments.resume and state is None:
        card = ranks.from_first(lambda: finished_card(out, run))
        if ranks.first:
            what = "the model is there already" if card else "nothing to resume, so it starts anew"
            print(f"mmc-viz train: {what}", file=sys.stderr)
    if card is None:
        with stop_asked() as stop:
            card = train_and_save(
                config,
                train_set,
                test_set,
                out,
                device,
                command=_command(arguments.argv, ranks),
                progress=not arguments.quiet,
                keeping=Keeping(kept.write, arguments.keep_every, state, stop),
                kept=kept,
                ranks=ranks,
            )
    if not ranks.first:
        return 0
    remove_progress(out)
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
    return 0


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


def _command(argv: list[str], ranks: Any) -> str:
    """Give the command line as it can be typed elsewhere, to the same end.

    Without the place of our data, and without what only says how an interrupted run goes on.
    """
    dropped = {"--data-root": True, "--keep-every": True, "--resume": False}  # has a value?
    words = iter(argv)
    kept = []
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in dropped:
            kept.append(word)
        elif dropped[name] and not equals:
            next(words, None)
    start = ["mmc-viz"]
    if ranks.size > 1:
        start = ["torchrun", f"--nproc_per_node={ranks.size}", "-m", "mmc_viz"]
    return shlex.join([*start, *kept])
