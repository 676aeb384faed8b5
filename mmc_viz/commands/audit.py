"""Ask whether the robustness that is claimed of a model is real.

Each check is one more attack on the same images; one that fools what the claim calls robust fails
the claim. Exit status 0: no sign of masking; 3: masked, the model is less robust than claimed.
"""

import argparse
import textwrap
import time
from pathlib import Path
from typing import Any

from mmc_viz.commands.arguments import (
    add_data_root,
    add_device,
    check_output,
    parse_eps,
    parse_seed,
    write_json,
)
from mmc_viz.commands.subjects import load_subject

MASKED = 3  # exit status
WORST = "worst_case"  # as a claim
_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="shipped name or model folder")
    parser.add_argument("--dataset", help="default: the one the model was trained on")
    parser.add_argument(
        "--eps", type=parse_eps, default=8 / 255, help="budget, such as 0.1 or 8/255 (default)"
    )
    parser.add_argument(
        "--claim",
        type=_parse_claim,
        metavar="SHARE",
        help="robust accuracy that somebody reports, 0..1, or worst_case: what that leaves; "
        "default: what PGD on cross-entropy with 20 steps leaves, the usual practice",
    )
    parser.add_argument("--norm", default="linf", help="of the budget: linf or l2")
    parser.add_argument("--limit", type=int, default=200, help="how many test images (200)")
    parser.add_argument("--seed", type=parse_seed, default=0, help="of all that is random (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_data_root(parser)


def _parse_claim(text: str) -> float | str:
    """Read a share, which the audit itself checks, or the name of the worst case."""
    if text == WORST:
        return WORST
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a share in 0 .. 1, or {WORST}; got {text!r}"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    """Audit one model; print the report, and write JSON on request."""
    from mmc_viz.audit import audit
    from mmc_viz.devices import choose_device
    from mmc_viz.evaluation import worst_case

    check_output(arguments.json)
    subject = load_subject(arguments.model, arguments, choose_device(arguments.device))
    subjected = (subject.model, subject.images[:], subject.labels)
    settings = {
        "eps": arguments.eps,
        "norm": arguments.norm,
        "seed": arguments.seed,
        "progress": not arguments.quiet,
    }
    start = time.perf_counter()
    claim = worst_case(*subjected, **settings) if arguments.claim == WORST else arguments.claim
    report = audit(*subjected, claim=claim, **settings)
    seconds = time.perf_counter() - start
    print(f"model   {subject.name}, {report.images} images, {report.norm} {report.eps:.4g}")
    print(f"data    {subject.data.source}")
    print(f"claim   {report.claim:.1%} robust ({report.about})\n")
    for check in report.checks:
        _print_check(check)
    print(_verdict(report))
    if arguments.json is not None:
        values = {
            "model": subject.name,
            "dataset": subject.data.name,
            "source": subject.data.source,
            **report.values(),
            "seed": arguments.seed,
            "device": subject.device,
            "seconds": seconds,
        }
        write_json(arguments.json, values)
    return MASKED if report.masked else 0


def _print_check(check: Any) -> None:
    """Print a verdict and a name, and below them the evidence and what it means."""
    print(f"{check.verdict:6}  {check.name}")
    for text in (check.evidence, check.sentence):
        print(textwrap.fill(text, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8))
    print()


def _verdict(report: Any) -> str:
    left = f"{report.claim:.1%} was claimed, {report.accuracy:.1%} withstood every attack"
    return f"MASKED: {left}." if report.masked else f"No sign of masking: {left}."
