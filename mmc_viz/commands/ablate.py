"""Train the models of an ablation, one thing changed and the rest kept, and measure them.

radius: centers nearer and farther; centers: optimal against random; depth: SCE and MMC in deeper
networks; size: SCE and MMC on fewer images; form: the squared distance against the plain one, with
and without adversarial training; convergence: SCE and MMC trained in turns, epoch by epoch. The
models stay in --out; with --resume those that are there are not trained again. A shipped model that
was trained in the same way is taken as it is. The result goes to data/ablations/NAME.json, from
where `mmc-viz results --collect` takes it into the README, and with --figure to a picture or page.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    print_table,
    write_json,
)

NAMES = ("radius", "centers", "depth", "size", "form", "convergence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("ablation", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--limit", type=int, default=500, help="how many test images (500)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/ablations"), help="for models (runs/ablations)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="data/ablations/NAME.json")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw it too: .html, .png or .svg"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep models that are trained and measured already"
    )
    parser.add_argument(
        "--train-only", action="store_true", help="train what is missing and measure nothing"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train, measure, print a table, and write the result."""
    from mmc_viz.ablations import path_of
    from mmc_viz.devices import choose_device

    path = arguments.json or path_of(arguments.ablation)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_output(path)
    check_output(arguments.figure)
    device = choose_device(arguments.device)
    ablate = _converge if arguments.ablation == "convergence" else _compare
    figure = ablate(arguments, path, device)
    if arguments.figure is not None and figure is not None:
        from mmc_viz import figures

        figures.save(figure(), arguments.figure)


def _converge(arguments: argparse.Namespace, path: Path, device: Any) -> Callable:
    """Train the pair in turns; print how fast each got there."""
    from mmc_viz import figures
    from mmc_viz.ablations import RACE, load_race, race
    from mmc_viz.collapse import convergence
    from mmc_viz.datasets import load_dataset

    if not (arguments.resume and path.exists()):
        dataset = next(iter(RACE.values())).dataset
        sets = [
            load_dataset(dataset, split, root=arguments.data_root) for split in ("train", "test")
        ]
        found = race(RACE, *sets, device=device, progress=not arguments.quiet)
        write_json(path, {"name": "convergence", "device": str(device), "histories": found})
    course = convergence(load_race(path))
    print("How fast does MMC train, and what does it cost?")
    print_table(
        ["head", "final accuracy", "epochs to 90 % of it", "seconds to it", "seconds in all"],
        [
            [name, f"{end:.2%}", str(epoch), f"{seconds:.1f}", f"{course.seconds[place][-1]:.1f}"]
            for place, (name, end, epoch, seconds) in enumerate(
                zip(
                    course.names,
                    course.final_accuracy,
                    course.epochs_to_share,
                    course.seconds_to_share,
                    strict=True,
                )
            )
        ],
    )
    return lambda: figures.convergence(course)


def _compare(arguments: argparse.Namespace, path: Path, device: Any) -> Callable | None:
    """Train and measure each variant, and print one line each."""
    from mmc_viz import figures
    from mmc_viz.ablations import ABLATIONS, AblationResult, Outcome, measure
    from mmc_viz.checkpoints import load_card, load_model
    from mmc_viz.results import test_images

    ablation = ABLATIONS[arguments.ablation]
    # All variants have the same images.
    dataset = ablation.variants[0].config.dataset
    data = test_images(dataset, arguments.limit, arguments.data_root)
    known = _read(path) if arguments.resume else {}
    outcomes = []
    for variant in ablation.variants:
        place = arguments.out / ablation.name / variant.name
        model = _model(variant, place, arguments, device)
        if arguments.train_only:
            continue
        card = load_card(model)
        outcome = known.get((variant.group, variant.x))
        if outcome is None or (outcome.weights_sha256, outcome.images) != (
            card.weights_sha256,
            len(data),
        ):
            found = measure(
                load_model(model, device=device),
                data.inputs(device),
                data.labels.to(device),
                eps=ablation.eps[variant.group],
            )
            outcome = Outcome(
                group=variant.group,
                x=variant.x,
                test_accuracy=card.history[-1]["accuracy"],
                epochs=len(card.history),
                seconds=sum(entry["seconds"] for entry in card.history),
                weights_sha256=card.weights_sha256,
                **found,
            )
        outcomes.append(outcome)
        result = AblationResult(
            ablation.name, ablation.question, ablation.axis, data.source, outcomes
        )
        write_json(path, result.values())
    if arguments.train_only:
        return None
    result = _result(path)
    _print(result)
    return lambda: figures.ablation(result)


def _model(variant: Any, folder: Path, arguments: argparse.Namespace, device: Any) -> Path | str:
    """Give a model of this configuration: shipped, trained before, or trained now."""
    from mmc_viz.checkpoints import CARD, shipped_models
    from mmc_viz.commands.training_run import train_and_save
    from mmc_viz.datasets import load_dataset

    config = variant.config.resolved()
    for name in shipped_models():
        if _configuration(name) == config:
            return name
    if arguments.resume and (folder / CARD).is_file() and _configuration(folder) == config:
        return folder
    sets = [
        load_dataset(config.dataset, split, root=arguments.data_root) for split in ("train", "test")
    ]
    command = f"mmc-viz ablate {arguments.ablation}"
    train_and_save(config, *sets, folder, device, command=command, progress=not arguments.quiet)
    return folder


def _configuration(model: Path | str) -> Any:
    """Read from a card how a model was trained; older cards leave out what was the default."""
    from mmc_viz.checkpoints import load_card
    from mmc_viz.training import TrainConfig

    values = load_card(model).config
    return TrainConfig(**values | {"milestones": tuple(values["milestones"])}).resolved()


def _read(path: Path) -> dict[tuple[str, str], Any]:
    """Give the outcomes that a file holds, by group and place."""
    if not path.exists():
        return {}
    return {(outcome.group, outcome.x): outcome for outcome in _result(path).outcomes}


def _result(path: Path) -> Any:
    from mmc_viz.ablations import load_result

    return load_result(path)


def _print(result: Any) -> None:
    """Print one line a model."""
    print(result.question)
    header = [
        "group",
        result.axis,
        "test accuracy",
        "eps",
        "images",
        "cross-entropy PGD-50",
        "worst",
    ]
    print_table(
        header,
        [
            [
                one.group,
                one.x,
                f"{one.test_accuracy:.2%}",
                f"{one.eps:.4g}",
                str(one.images),
                f"{one.usual:.1%}",
                f"{one.worst:.1%} [{one.low:.1%}, {one.high:.1%}]",
            ]
            for one in result.outcomes
        ],
    )
    print(f"data: {result.source}; worst: the ensemble `{result.outcomes[0].budget}`")
