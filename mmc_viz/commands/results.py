"""Measure the shipped models and rebuild the table of results, in data/results.json and the README.

What is measured of a model is written to its card as soon as it is known, so an interrupted run
loses at most a hundred images, or the audit that it was at, and several processes can measure
different models at once (--models). With --resume, what the cards hold already for the same
settings and images is kept. The images are the first --limit of each test split; of Fashion-MNIST
those of the shipped sample. A model whose data set is not there is skipped and named. What was
measured before stays in the table. Transfer is measured between all models of a data set, so it
waits for a run with all of them.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_seed,
    write_json,
)
from mmc_viz.commands.chunks import Job, Ledger, Verdicts, judge_all, open_ledger
from mmc_viz.commands.comparisons import cross
from mmc_viz.commands.measures import Measure, measures_of
from mmc_viz.commands.readme import check_place, rewrite
from mmc_viz.commands.subjects import Subject, subject_of
from mmc_viz.files import locked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--models", nargs="+", metavar="NAME", help="which (default: all shipped)")
    parser.add_argument(
        "--limit", type=int, default=1000, help="how many test images at most (1000)"
    )
    parser.add_argument(
        "--costly",
        type=int,
        default=200,
        help="how many for attacks by queries alone and for the audit (200)",
    )
    parser.add_argument("--seed", type=parse_seed, default=0, help="of all that is random (0)")
    parser.add_argument(
        "--resume", action="store_true", help="keep what is measured already, and go on"
    )
    parser.add_argument(
        "--collect", action="store_true", help="measure nothing, only rebuild the table"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: data/results.json")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="whose table is replaced (README.md)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure model by model, then rebuild the table."""
    from mmc_viz.checkpoints import shipped_models
    from mmc_viz.locations import DATA_DIR
    from mmc_viz.results import collect, text_of

    out = arguments.out or DATA_DIR / "results.json"
    readme = arguments.readme or DATA_DIR.parent / "README.md"
    check_output(out)
    check_output(readme)
    names = list(dict.fromkeys(arguments.models or shipped_models()))
    unknown = [name for name in names if name not in shipped_models()]
    if unknown:
        raise ValueError(
            f"`--models` must be among the shipped ({', '.join(shipped_models())}); got "
            f"{unknown[0]!r}."
        )
    check_place(readme)
    transfer = _read(out).get("transfer", {})
    try:
        if not arguments.collect:
            subjects = _subjects(names, arguments)
            for subject in subjects:
                _measure(subject, out, arguments)
            transfer = _transfers(subjects, transfer, out, arguments)
    except KeyboardInterrupt:
        print(
            "mmc-viz results: interrupted; what is measured is kept in the cards, and the same "
            "command with `--resume` goes on",
            file=sys.stderr,
        )
        return 130
    values = collect(transfer)
    write_json(out, values)
    rewrite(readme, text_of(values))
    print(f"results of {len(values['models'])} models: {out}, and the table in {readme}")
    return 0


def _subjects(names: list[str], arguments: argparse.Namespace) -> list[Subject]:
    """Load the models whose images are there; name the others."""
    from mmc_viz.checkpoints import load_card, load_model
    from mmc_viz.devices import choose_device
    from mmc_viz.results import test_images

    device = choose_device(arguments.device)
    cards = {name: load_card(name) for name in names}
    data, absent = {}, {}
    for dataset in dict.fromkeys(card.dataset["name"] for card in cards.values()):
        try:
            data[dataset] = test_images(dataset, arguments.limit, arguments.data_root)
        except ValueError as error:
            absent[dataset] = error
    for dataset, error in absent.items():
        skipped = [name for name, card in cards.items() if card.dataset["name"] == dataset]
        print(f"skipped {', '.join(skipped)}: {error}", file=sys.stderr)
    subjects = []
    for name, card in cards.items():
        if card.dataset["name"] in data:
            model, images = load_model(name, device=device), data[card.dataset["name"]]
            subjects.append(subject_of(name, model, card, images, device))
    return subjects


def _measure(subject: Subject, out: Path, arguments: argparse.Namespace) -> None:
    """Measure what is to be measured of one model; its card keeps each result at once."""
    from mmc_viz.checkpoints import record_measurement

    wanted = measures_of(subject.data.name, images=arguments.limit, costly=arguments.costly)
    todo = {
        measure.job(subject).name: measure
        for measure in wanted
        if not (arguments.resume and _is_known(subject, measure, arguments.seed))
    }
    identity = {
        "the seed": arguments.seed,
        "the checksum of the weights": subject.weights_sha256,
        "the checksum of the images": subject.data.sha256,
    }

    def record(job: Job, verdicts: Verdicts) -> None:
        for entry in todo[job.name].entries(subject, verdicts, arguments.seed):
            record_measurement(subject.name, entry)

    if todo:
        jobs = [measure.job(subject) for measure in todo.values()]
        with _ledger(out, subject.name, identity, arguments) as ledger:
            judge_all(
                jobs, ledger, seed=arguments.seed, progress=not arguments.quiet, on_job=record
            )
    _audit(subject, arguments)


@contextmanager
def _ledger(
    out: Path, name: str, identity: dict[str, Any], arguments: argparse.Namespace
) -> Iterator[Ledger]:
    """Give a ledger of its own to what is measured under a name; gone when all is measured."""
    place = out.with_name(f"{out.stem}-{name}.json")
    with locked(place):
        ledger = open_ledger(place, identity, resume=arguments.resume)
        yield ledger
        ledger.remove()


def _is_known(subject: Subject, measure: Measure, seed: int) -> bool:
    """Whether the model's card holds every number of a measure, on these very images."""
    from mmc_viz.checkpoints import load_card
    from mmc_viz.results import find

    card = load_card(subject.name)
    count = min(measure.images, len(subject.images))
    same = {"source": subject.data.source, "seed": seed, "images": count}
    return all(
        find(card, {"attack": method.name} | method.settings | same) for method in measure.methods
    )


def _audit(subject: Subject, arguments: argparse.Namespace) -> None:
    """Ask whether the usual claim holds, at the budget that the model was trained for if any."""
    from mmc_viz.audit import audit
    from mmc_viz.checkpoints import load_card, record_measurement
    from mmc_viz.results import find, summary

    card = load_card(subject.name)
    eps = summary(subject.name, card).eps
    count = min(arguments.costly, len(subject.images))
    settings = {
        "attack": "audit",
        "dataset": subject.data.name,
        "source": subject.data.source,
        "norm": "linf",
        "eps": eps,
        "seed": arguments.seed,
        "images": count,
    }
    if arguments.resume and find(card, settings):
        return
    start = time.perf_counter()
    report = audit(
        subject.model,
        subject.images[:count],
        subject.labels[:count],
        eps=eps,
        seed=arguments.seed,
        progress=not arguments.quiet,
    )
    found = {
        "about": report.about,
        "claim": report.claim,
        "accuracy": report.accuracy,
        "masked": report.masked,
        "checks": {check.name: check.verdict for check in report.checks},
        "device": subject.device,
        "seconds": time.perf_counter() - start,
    }
    record_measurement(subject.name, settings | found)


def _transfers(
    subjects: list[Subject], known: dict[str, Any], out: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """For each data set all of whose models are here: what fools each, tried on all of them."""
    from mmc_viz.attacks import mim
    from mmc_viz.checkpoints import load_card, shipped_models
    from mmc_viz.results import PROTOCOL

    shipped = [load_card(name).dataset["name"] for name in shipped_models()]
    found = {}
    for dataset in dict.fromkeys(subject.data.name for subject in subjects):
        group = [subject for subject in subjects if subject.data.name == dataset]
        if len(group) < max(2, shipped.count(dataset)):
            continue
        eps = PROTOCOL[dataset].middle
        settings = {
            "weights": {subject.name: subject.weights_sha256 for subject in group},
            "source": group[0].data.source,
            "attack": "mim",
            "objective": "margin",
            "steps": 20,
            "norm": "linf",
            "eps": eps,
            "seed": arguments.seed,
            "images": len(group[0].images),
        }
        before = known.get(dataset, {})
        if arguments.resume and settings.items() <= before.items():
            found[dataset] = before
            continue
        attack = partial(mim, eps=eps, objective="margin", steps=20)
        job = Job(f"transfer, {dataset}", len(group[0].images), partial(cross, group, attack))
        with _ledger(out, f"transfer-{dataset}", settings, arguments) as ledger:
            verdicts = judge_all([job], ledger, seed=arguments.seed, progress=not arguments.quiet)
        correct = verdicts[job.name]["correct"]
        sides = range(len(group))
        count = [[sum(image[s][t] for image in correct) for t in sides] for s in sides]
        accuracy = [[right / len(correct) for right in row] for row in count]
        found[dataset] = settings | {"correct": count, "accuracy": accuracy}
    return {**known, **found}


def _read(path: Path) -> dict[str, Any]:
    """Read the transfer matrices of the results so far, if there are any."""
    from mmc_viz.results.transfers import read_transfers

    return {"transfer": read_transfers(path)} if path.exists() else {}
