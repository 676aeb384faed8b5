"""Measure clean and robust accuracy of models.

A label that is wrong on the clean image counts as not robust. Images are those of the test split,
the first `--limit` in stored order. They are judged in chunks of 100; with `--json FILE` the
verdicts so far are kept in FILE.partial until all is done, and `--resume` goes on after an
interruption, with the same result. Options of an attack that are not given are the attack's own
defaults; with `--attack all` each goes to the attacks that have it. Under `torchrun
--nproc_per_node=N -m mmc_viz evaluate ...` N processes judge the chunks in turn, with the same
result.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmc_viz.commands.accuracies import Accuracies
from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_eps,
    parse_seed,
    write_json,
)
from mmc_viz.commands.chunks import CHUNK, Job, Ledger, judge_all, open_ledger
from mmc_viz.commands.comparisons import Detections, Matrix
from mmc_viz.commands.methods import Method
from mmc_viz.commands.subjects import Subject, load_subject


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of the attacks are None where they are not given."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="shipped name or model folder")
    parser.add_argument("--dataset", help="default: the one the model was trained on")
    parser.add_argument(
        "--attack",
        metavar="NAME",
        help="fgsm, bim, pgd (default), mim, apgd, square, spsa; cw, ead, deepfool, ddn, fmn, fab; "
        "gaussian_noise, rotation; worst_case; a preset (authors_code_..., paper_...); or all, "
        "which is each of these but worst_case and the presets",
    )
    settings = parser.add_argument_group("settings of the attack")

    def setting(flag: str, kind: Any, text: str) -> None:
        settings.add_argument(flag, type=kind, help=text)

    setting("--objective", str, "cross_entropy, distance, margin (default), dlr, ...")
    setting("--eps", parse_eps, "budget, such as 0.1 or 8/255 (default)")
    setting("--norm", str, "of the budget: linf or l2")
    setting("--steps", int, "of iterative attacks")
    setting("--restarts", int, "random starts")
    setting("--queries", int, "of square: how often it asks the model")
    setting("--sigma", float, "of gaussian_noise: standard deviation (0.05)")
    setting("--degrees", float, "of rotation: largest angle (30)")
    setting("--translation", float, "of rotation: largest shift in pixels (0)")
    setting("--budget", str, "of worst_case: quick, standard (default) or thorough")
    parser.add_argument("--limit", type=int, default=1000, help="how many test images (1000)")
    parser.add_argument("--seed", type=parse_seed, default=0, help="of all that is random (0)")
    parser.add_argument(
        "--matrix", action="store_true", help="try what fools each model on all the others"
    )
    parser.add_argument(
        "--detection",
        action="store_true",
        help="how well the largest logit tells attacked images from clean ones",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with what FILE.partial keeps of an interrupted evaluation of the same models "
        "and settings; without this option such a file is an error, never overwritten",
    )
    parser.add_argument(
        "--record", action="store_true", help="add the results to the models' cards"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate each model; print tables, and write JSON on request."""
    from mmc_viz.devices import choose_device
    from mmc_viz.distributed import joined
    from mmc_viz.files import locked

    check_output(arguments.json)
    device = choose_device(arguments.device)
    task = _task(arguments)
    methods = task.methods(arguments)
    with joined(device) as ranks, ExitStack() as stack:
        if ranks.first and arguments.json is not None:
            stack.enter_context(locked(arguments.json))
        return _evaluate(task, methods, device, ranks, arguments)


def _evaluate(
    task: Any, methods: list[Method], device: Any, ranks: Any, arguments: argparse.Namespace
) -> int:
    def load() -> list[Subject]:
        return [load_subject(name, arguments, device) for name in dict.fromkeys(arguments.models)]

    # All mistakes before any work.
    subjects = ranks.after_first(load)
    for method in methods:
        _rehearse(method, subjects)
    jobs = task.jobs(subjects, methods)
    identity = _identity(arguments, subjects, methods)
    # The first rank keeps the file; the others have the same verdicts in memory.
    ledger = Ledger(None, identity)
    if ranks.first:
        ledger = open_ledger(arguments.json, identity, resume=arguments.resume)
        if arguments.resume and not ledger.judged:
            print("mmc-viz evaluate: nothing to resume, so it starts anew", file=sys.stderr)
    ledger.judged = ranks.from_first(lambda: ledger.judged)
    progress = ranks.first and not arguments.quiet
    try:
        verdicts = judge_all(jobs, ledger, seed=arguments.seed, progress=progress, ranks=ranks)
        if not ranks.first:
            return 0
        values = task.finish(subjects, methods, verdicts, arguments)
    except KeyboardInterrupt:
        if ranks.first:
            print(f"mmc-viz evaluate: interrupted; {_kept(ledger, jobs)}", file=sys.stderr)
        return 130
    if arguments.json is not None:
        write_json(arguments.json, values)
    ledger.remove()
    return 0


def _task(arguments: argparse.Namespace) -> Any:
    """Say what is wanted: accuracies, or one of the comparisons."""
    wanted = [name for name in ("matrix", "detection") if getattr(arguments, name)]
    if not wanted:
        return Accuracies()
    if len(wanted) > 1:
        raise ValueError("`--matrix` and `--detection` are two evaluations; ask for one of them.")
    if arguments.record:
        raise ValueError(
            f"`--record` keeps accuracies, not a {wanted[0]}; use `--json FILE` instead."
        )
    return {"matrix": Matrix, "detection": Detections}[wanted[0]]()


def _rehearse(method: Method, subjects: list[Subject]) -> None:
    """Let the attack check its settings on no image at all, and the budget on the first."""
    from mmc_viz.attacks.checks import check_eps

    for subject in subjects:
        if "eps" in method.settings:
            norm = method.settings.get("budget_norm", method.settings["norm"])
            check_eps(method.settings["eps"], subject.images[:1], norm)
        if method.attack is not None:
            method.attack(subject.model, subject.images[:0], subject.labels[:0])


def _identity(
    arguments: argparse.Namespace, subjects: list[Subject], methods: list[Method]
) -> dict[str, Any]:
    """All that the verdicts depend on, in the words of an error message."""
    identity: dict[str, Any] = {
        "the seed": arguments.seed,
        "the size of a chunk": CHUNK,
        "the device": subjects[0].device,
        "--matrix": arguments.matrix,
        "--detection": arguments.detection,
    }
    for subject in subjects:
        identity[f"the checksum of the weights of {subject.name}"] = subject.weights_sha256[:16]
        identity[f"the checksum of the images for {subject.name}"] = subject.data.sha256[:16]
    for method in methods:
        words = [f"{name} {value}" for name, value in method.settings.items()]
        identity[f"the attack {method.name}"] = ", ".join(words)
    return identity


def _kept(ledger: Ledger, jobs: list[Job]) -> str:
    """Say what an interruption leaves, and how to go on."""
    done, total = sum(ledger.done(job) for job in jobs), sum(job.images for job in jobs)
    if ledger.path is None:
        return "nothing is kept (with `--json FILE` it would be)"
    if not done:
        return f"nothing is kept, since the first {CHUNK} images were not done"
    return (
        f"{done} of {total} verdicts are kept in {ledger.path}; the same command with `--resume` "
        "goes on"
    )
