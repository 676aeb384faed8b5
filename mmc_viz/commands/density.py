"""Measure how densely models pack their features, and whether density goes with robustness.

For each class: the density at its features by nearest neighbours, and at its center by a radial
fit. For each image: its density against the distance to its closest adversarial image, by rank.
Densities are natural logarithms of the share of the class's features in a unit of volume.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_seed,
    print_table,
    write_json,
)
from mmc_viz.commands.subjects import Subject, load_subject


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="shipped name or model folder")
    parser.add_argument("--dataset", help="default: the one the model was trained on")
    parser.add_argument("--limit", type=int, default=1000, help="how many test images (1000)")
    parser.add_argument("--norm", default="linf", help="of the distance: linf or l2")
    parser.add_argument(
        "--reference",
        choices=("auto", "train", "test"),
        default="auto",
        help="whose density: of the training features; of the test features, each without itself; "
        "auto: of the training features unless they would have to be downloaded",
    )
    parser.add_argument(
        "--within",
        choices=("all", "class"),
        default="all",
        help="where the neighbours of an image are sought: among all features, or in its class",
    )
    parser.add_argument("--k", type=int, default=10, help="which neighbour (10)")
    parser.add_argument("--steps", type=int, default=100, help="of the attack, fmn (100)")
    parser.add_argument("--starts", type=int, default=4, help="of the attack (4)")
    parser.add_argument("--bootstrap", type=int, default=2000, help="samples of intervals (2000)")
    parser.add_argument("--seed", type=parse_seed, default=0, help="of all that is random (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure each model; print tables, and write JSON on request."""
    from mmc_viz.density.correlation import check_samples
    from mmc_viz.devices import choose_device

    check_output(arguments.json)
    check_samples(arguments.bootstrap)
    device = choose_device(arguments.device)
    subjects = [load_subject(name, arguments, device) for name in dict.fromkeys(arguments.models)]
    found = []
    for subject in subjects:
        start = time.perf_counter()
        table, result, about = _measure(subject, arguments)
        _print_classes(subject, table, about, result)
        found.append((subject, table, result, about, time.perf_counter() - start))
    _print_correlations(found, arguments.norm)
    if arguments.json is not None:
        write_json(arguments.json, [_values(*one, arguments) for one in found])


def _measure(subject: Subject, arguments: argparse.Namespace) -> tuple[Any, Any, str]:
    """Give the table of classes, what density says of distance, and the source of the reference."""
    from functools import partial

    import torch

    from mmc_viz.attacks import fmn
    from mmc_viz.density import (
        compare_densities,
        density_against_distance,
        nearest_adversarial,
    )
    from mmc_viz.networks import outputs

    model, images, labels = subject.model, subject.images[:], subject.labels
    _, features = outputs(model, images)
    sets = {"test": (features, labels)}
    training = _training(subject, arguments)
    reference = {}
    if training is not None:
        known = [outputs(model, part)[1] for part in _inputs(training, images.device)]
        known = torch.cat(known)
        known_labels = training.labels.to(labels.device)
        sets = {"train": (known, known_labels)} | sets
        reference = {"reference": known, "reference_labels": known_labels}
    # Mistakes in the settings of the density, before the attack.
    compare_densities(sets, model.head, k=arguments.k)
    attack = partial(
        fmn, steps=arguments.steps, starts=arguments.starts, progress=not arguments.quiet
    )
    nearest = nearest_adversarial(
        model, images, labels, norm=arguments.norm, attack=attack, seed=arguments.seed
    )
    result = density_against_distance(
        model,
        images,
        labels,
        **reference,
        within=arguments.within,
        k=arguments.k,
        nearest=nearest,
        samples=arguments.bootstrap,
        seed=arguments.seed,
    )
    kept = nearest.measured.to(images.device)
    sets["adversarial"] = (outputs(model, nearest.images[kept])[1], labels[kept])
    origins = None if training else {"adversarial": nearest.measured.nonzero()[:, 0]}
    table = compare_densities(sets, model.head, k=arguments.k, origins=origins)
    source = subject.data.source + ", each feature without itself"
    return table, result, source if training is None else training.source


def _training(subject: Subject, arguments: argparse.Namespace) -> Any:
    """Give the training images whose features are the reference, or None for the test features."""
    from mmc_viz.datasets import load_dataset
    from mmc_viz.datasets.torchvision_layout import is_there
    from mmc_viz.locations import data_root

    name, size = subject.data.name, subject.data.images.shape[-1]
    # The other data sets are here as a whole or not at all, and their test images have been read.
    missing = name == "fashion_mnist" and not is_there(
        name, "train", data_root(arguments.data_root)
    )
    if arguments.reference == "test" or (arguments.reference == "auto" and missing):
        return None
    return load_dataset(name, "train", root=arguments.data_root, size=size)


def _inputs(data: Any, device: Any) -> list[Any]:
    """Give the images in parts, as a network reads them."""
    return [part.to(device).float() / 255 for part in data.images.split(4096)]


def _print_classes(subject: Subject, table: Any, about: str, result: Any) -> None:
    print(f"model      {subject.name}, {table.dim}-d features, {len(subject.images)} test images")
    print(f"reference  {about}")
    filled = table.intrinsic_dim[table.groups[0]]
    if filled is None:
        fill = f"how many of {table.dim} dimensions features fill, {table.k} neighbours do not tell"
    else:
        fill = f"features fill about {filled:.1f} of {table.dim} dimensions"
    print(f"unit       closest class means are {table.unit['test']:.3g} apart; {fill}")
    rows = []
    for label, name in enumerate(subject.data.class_names):
        here = {group: table.of(group, label) for group in table.groups}
        first = here[table.groups[0]]
        central = first.central
        rows.append(
            [
                name,
                str(first.count),
                *(_number(here[group].neighbour) for group in table.groups),
                "-"
                if central is None
                else f"{central.log_share_density:.1f} +- {(central.high - central.low) / 2:.1f}",
                "-" if central is None else f"{central.effective_dim:.1f}",
                "-" if central is None else f"{central.misfit:.2f}",
                "-" if first.radius is None else f"{first.radius:.3g}",
            ]
        )
    rows.append(["(median)", "", *(_number(table.median(g)) for g in table.groups), "", "", "", ""])
    header = ["class", "features", *table.groups, f"at {table.centers.replace('head', 'center')}"]
    print_table([*header, "effective dim", "misfit", "rms distance"], rows)
    for row in table.rows_of:
        shown = row.neighbour is None or row.group == table.groups[0]
        if row.gap and shown:
            print(f"gap: {row.group}, class {subject.data.class_names[row.label]}: {row.gap}")
    counts = result.counts
    print(
        f"{counts['measured']} images have a distance; {counts['misclassified']} are "
        f"misclassified, for {counts['not found']} nothing was found; {result.ties} have infinite "
        "density\n"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _print_correlations(found: list[tuple], norm: str) -> None:
    """Print Spearman's rho of each model, with 95 % intervals."""
    rows = []
    for subject, _, result, _, _ in found:
        density, within = result.correlations["density"], result.correlations
        rows.append(
            [
                subject.name,
                str(density.overall.count),
                f"{result.median_distance:.4f}",
                _rho(density.overall),
                _rho(density.pooled),
                _rho(within["closeness"].pooled),
                _rho(within["margin"].pooled),
                _rho(result.beyond_margin),
            ]
        )
    print(f"Spearman's rho with the {norm} distance, and 95 % bootstrap intervals:")
    header = ["model", "images", "median distance", "density", "density, within classes"]
    print_table([*header, "closeness, within", "margin, within", "density beyond margin"], rows)


def _rho(one: Any) -> str:
    if one.rho is None:
        return "-"
    return f"{one.rho:+.2f} ({one.low:+.2f} to {one.high:+.2f})"


def _values(
    subject: Subject,
    table: Any,
    result: Any,
    about: str,
    seconds: float,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    return {
        "model": subject.name,
        "dataset": subject.data.name,
        "source": subject.data.source,
        "reference": about,
        "within": arguments.within,
        "steps": arguments.steps,
        "starts": arguments.starts,
        "bootstrap": arguments.bootstrap,
        "seed": arguments.seed,
        "device": subject.device,
        "classes": table.rows(),
        "unit": table.unit,
        "intrinsic_dim": table.intrinsic_dim,
        "distance": result.summary(),
        "seconds": seconds,
    }
