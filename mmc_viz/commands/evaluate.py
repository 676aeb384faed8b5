"""Measure clean and robust accuracy of models.

A label that is wrong on the clean image counts as not robust. Images are those of the test split,
the first `--limit` in stored order.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_eps,
    parse_seed,
    print_table,
    write_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="shipped name or model folder")
    parser.add_argument("--dataset", help="default: the one the model was trained on")
    parser.add_argument("--attack", default="pgd", help="fgsm, pgd or all")
    parser.add_argument(
        "--objective", default="margin", help="cross_entropy, distance, margin or dlr"
    )
    parser.add_argument(
        "--eps", type=parse_eps, default=8 / 255, help="budget, such as 0.1 or 8/255 (default)"
    )
    parser.add_argument("--norm", default="linf", help="of the budget: linf or l2")
    parser.add_argument("--steps", type=int, default=50, help="of iterative attacks (50)")
    parser.add_argument("--restarts", type=int, default=1, help="random starts of pgd (1)")
    parser.add_argument("--limit", type=int, default=1000, help="how many test images (1000)")
    parser.add_argument("--seed", type=parse_seed, default=0, help="of the random starts (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--record", action="store_true", help="add the results to the models' cards"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate each model under each attack; print a table, and write JSON on request."""
    from mmc_viz.attacks import FIXED_BUDGET
    from mmc_viz.checkpoints import record_measurement
    from mmc_viz.devices import choose_device
    from mmc_viz.objectives import resolve

    check_output(arguments.json)
    device = choose_device(arguments.device)
    resolve(arguments.objective)
    if arguments.attack != "all" and arguments.attack not in FIXED_BUDGET:
        legal = ", ".join([*FIXED_BUDGET, "all"])
        raise ValueError(f"`--attack` must be one of {legal}; got {arguments.attack!r}.")
    attacks = list(FIXED_BUDGET) if arguments.attack == "all" else [arguments.attack]
    # All mistakes before any work.
    subjects = {name: _prepare(name, arguments, device) for name in arguments.models}
    results = [
        _evaluate(name, *subject, attack, arguments)
        for name, subject in subjects.items()
        for attack in attacks
    ]
    print_table(
        ["model", "attack", "objective", "eps", "images", "clean", "correct", "robust", "seconds"],
        [
            [
                r["model"],
                r["attack"],
                r["objective"],
                f"{r['eps']:.4g}",
                str(r["images"]),
                f"{r['clean_accuracy']:.1%}",
                str(r["correct"]),
                f"{r['accuracy']:.1%} [{r['low']:.1%}, {r['high']:.1%}]",
                f"{r['seconds']:.1f}",
            ]
            for r in results
        ],
    )
    print(f"data: {'; '.join(dict.fromkeys(r['source'] for r in results))}")
    if arguments.record:
        for result in results:
            record_measurement(result["model"], result)
    if arguments.json is not None:
        write_json(arguments.json, results[0] if len(results) == 1 else {"results": results})


def _prepare(name: str, arguments: argparse.Namespace, device: Any) -> tuple[Any, Any]:
    """Load a model, and the data that it is to be judged on; refuse what does not fit together."""
    from mmc_viz.checkpoints import load_card, load_model
    from mmc_viz.datasets import load_dataset

    card = load_card(name)
    model = load_model(name, device=device)
    data = load_dataset(
        arguments.dataset or card.dataset["name"],
        split="test",
        limit=arguments.limit,
        root=arguments.data_root,
        size=card.dataset["image_size"],
    )
    if (data.images.shape[1], len(data.class_names)) != (card.in_channels, card.num_classes):
        raise ValueError(
            f"`--dataset` {data.name} has {data.images.shape[1]} channels and "
            f"{len(data.class_names)} classes; the model {name} expects {card.in_channels} and "
            f"{card.num_classes}."
        )
    for found, expected in zip(data.class_names, card.class_names, strict=True):
        if found != expected:  # a label means something else here: any accuracy would mislead
            raise ValueError(
                f"`--dataset` {data.name} has other classes than the model {name}: {found!r} in "
                f"place of {expected!r}."
            )
    if data.images.shape[-1] != card.dataset["image_size"]:
        raise ValueError(
            f"`--dataset` {data.name} has images of {data.images.shape[-1]} pixels a side; the "
            f"model {name} was trained on {card.dataset['image_size']}."
        )
    return model, data


def _evaluate(
    name: str, model: Any, data: Any, attack: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run one attack on one model; what comes back can be written as JSON."""
    import torch

    from mmc_viz.attacks import FIXED_BUDGET
    from mmc_viz.evaluation import accuracy, robustness_curve

    device = model.mean.device
    images, labels = data.inputs(device), data.labels.to(device)
    settings: dict[str, Any] = {"norm": arguments.norm, "objective": arguments.objective}
    if attack == "pgd":
        settings |= {"steps": arguments.steps, "restarts": arguments.restarts}
    run_attack = partial(FIXED_BUDGET[attack], **settings, progress=not arguments.quiet)
    if attack == "pgd":
        run_attack.keywords["generator"] = torch.Generator().manual_seed(arguments.seed)
    start = time.perf_counter()
    curve = robustness_curve(model, images, labels, [arguments.eps], {attack: run_attack})
    seconds = time.perf_counter() - start
    row = curve.rows()[0]
    return {
        "model": str(name),
        "dataset": data.name,
        "source": data.source,
        "attack": attack,
        **settings,
        "eps": arguments.eps,
        "seed": arguments.seed,
        "images": row["images"],
        "clean_accuracy": accuracy(model, images, labels),
        "correct": row["correct"],
        "accuracy": row["accuracy"],
        "low": row["low"],
        "high": row["high"],
        "device": str(device),
        "seconds": seconds,
    }
