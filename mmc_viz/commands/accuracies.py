"""How accurate models are under attacks: what is judged, what is printed, what is written."""

import argparse
from functools import partial
from statistics import median
from typing import Any

from mmc_viz.commands.arguments import print_table
from mmc_viz.commands.chunks import Job, Verdicts
from mmc_viz.commands.methods import OPTIONS, Method, choose
from mmc_viz.commands.subjects import Subject

Result = dict[str, Any]


class Accuracies:
    """Each model under each attack."""

    def methods(self, arguments: argparse.Namespace) -> list[Method]:
        """Read which attacks are asked for."""
        options = {option: getattr(arguments, option) for option in OPTIONS}
        return choose(arguments.attack or "pgd", options)

    def jobs(self, subjects: list[Subject], methods: list[Method]) -> list[Job]:
        """Give one job for each model and attack."""
        return [
            Job(_name(subject, method), len(subject.images), partial(_judge, subject, method))
            for subject in subjects
            for method in methods
        ]

    def finish(
        self,
        subjects: list[Subject],
        methods: list[Method],
        verdicts: dict[str, Verdicts],
        arguments: argparse.Namespace,
    ) -> Any:
        """Print and record what came out; give what `--json` writes."""
        from mmc_viz.checkpoints import record_measurement

        results, worst = [], []
        for subject in subjects:
            clean = subject.right(len(subject.images))
            judged = [verdicts[_name(subject, method)] for method in methods]
            here = [
                result_of(subject, method, found, clean, arguments.seed)
                for method, found in zip(methods, judged, strict=True)
            ]
            results += here
            if arguments.attack == "all":
                worst.append(_worst(subject, methods, judged))
                _print_model(subject, methods, here, worst[-1])
        if arguments.attack != "all":
            _print_models(methods[0], results)
        _print_legend(results)
        if arguments.record:
            for result in results:
                record_measurement(result["model"], result)
        if arguments.attack == "all":
            return {"results": results, "worst": worst}
        return results[0] if len(results) == 1 else {"results": results}


def _name(subject: Subject, method: Method) -> str:
    return f"{subject.name}, {method.name}"


def _judge(subject: Subject, method: Method, part: slice, seed: int) -> Verdicts:
    return method.judge(subject.model, subject.images[part], subject.labels[part], seed)


def result_of(
    subject: Subject, method: Method, verdicts: Verdicts, clean: list[bool], seed: int
) -> Result:
    """Sum up the verdicts on all images, as plain values; `clean` says where the model is right."""
    images = len(clean)
    more: Result = {}
    if "distance" in verdicts:
        more["median_distance"] = _median_distance(verdicts["distance"], clean)
    if "share" in verdicts:
        more["mean_accuracy"] = sum(verdicts["share"]) / images
    if "broken_by" in verdicts:
        broken = verdicts["broken_by"]
        names = ["clean", *verdicts["seconds_of"]]
        more["broken_by"] = {name: broken.count(name) for name in names}
        more["left_out"] = sorted(set(verdicts["left_out"]))
    return {
        "model": subject.name,
        "dataset": subject.data.name,
        "source": subject.data.source,
        "attack": method.name,
        **method.settings,
        "seed": seed,
        "images": images,
        "clean_accuracy": sum(clean) / images,
        **_share(verdicts["correct"]),
        "zero_gradient": sum(verdicts["zero_gradient"]),
        **more,
        "device": subject.device,
        "seconds": verdicts["seconds"],
    }


def _share(correct: list[int]) -> Result:
    """Count, share and interval."""
    import torch

    from mmc_viz.evaluation import wilson_interval

    low, high = wilson_interval(torch.tensor(sum(correct)), len(correct))
    accuracy = sum(correct) / len(correct)
    return {"correct": sum(correct), "accuracy": accuracy, "low": low.item(), "high": high.item()}


def _median_distance(distances: list[float | None], clean: list[bool]) -> float | None:
    """Median over the images that the model gets right.

    An image that was not fooled is farther away than any. None where that holds for the median.
    """
    reached = [
        float("inf") if distance is None else distance
        for distance, right in zip(distances, clean, strict=True)
        if right
    ]
    middle = median(reached) if reached else float("inf")
    return None if middle == float("inf") else middle


def _worst(subject: Subject, methods: list[Method], judged: list[Verdicts]) -> Result:
    """Which images withstood all that was tried, and all but the transforms."""
    every = [found["correct"] for found in judged]
    bounded = [
        found["correct"]
        for method, found in zip(methods, judged, strict=True)
        if method.kind != "transform"
    ]
    return {
        "model": subject.name,
        "images": len(every[0]),
        **_share([min(column) for column in zip(*every, strict=True)]),
        "within_budget": _share([min(column) for column in zip(*bounded, strict=True)]),
    }


def _print_models(method: Method, results: list[Result]) -> None:
    """Print one table of one attack, one line a model."""
    columns = {
        "model": [r["model"] for r in results],
        "attack": [r["attack"] for r in results],
        "objective": [r.get("objective", "") for r in results],
        "eps": [f"{r['eps']:.4g}" if "eps" in r else "" for r in results],
        "images": [str(r["images"]) for r in results],
        "clean": [f"{r['clean_accuracy']:.1%}" for r in results],
        "correct": [str(r["correct"]) for r in results],
        **_outcomes(results),
    }
    _print_columns(columns)
    for result in results:
        if "broken_by" in result:
            broken = [f"{name} {n}" for name, n in result["broken_by"].items() if n]
            print(f"{result['model']}: wrong first under {', '.join(broken) or 'none'}")
            if result["left_out"]:
                print(f"left out, not defined for such a model: {', '.join(result['left_out'])}")
    if method.kind != "within":
        print(f"judged: {method.measures}")
    print(f"data: {'; '.join(dict.fromkeys(r['source'] for r in results))}")


def _print_model(
    subject: Subject, methods: list[Method], results: list[Result], worst: Result
) -> None:
    """Print one table of one model, one line an attack."""
    eps, norm = next((r["eps"], r["norm"]) for r in results if "eps" in r)
    print(
        f"{subject.name}: clean {results[0]['clean_accuracy']:.1%} of {results[0]['images']} "
        f"images, budget {norm} {eps:.4g}"
    )
    blank = ["", ""]
    columns = {
        "attack": [m.name for m in methods] + ["all within the budget", "all of these"],
        "objective": [r.get("objective", "") for r in results] + blank,
        "judged": [m.measures for m in methods] + blank,
        **_outcomes([*results, worst["within_budget"], worst]),
    }
    _print_columns(columns)
    print(f"data: {subject.data.source}\n")


def _outcomes(results: list[Result]) -> dict[str, list[str]]:
    """Give the columns of what came out; what a result does not have is left blank."""

    def cells(key: str, form: str) -> list[str]:
        return ["" if r.get(key) is None else format(r[key], form) for r in results]

    return {
        "robust": [f"{r['accuracy']:.1%} [{r['low']:.1%}, {r['high']:.1%}]" for r in results],
        "median": cells("median_distance", ".4g"),
        "mean": cells("mean_accuracy", ".1%"),
        "zero grad.": cells("zero_gradient", "d"),
        "seconds": cells("seconds", ".1f"),
    }


def _print_legend(results: list[Result]) -> None:
    """Say what the columns mean that are there."""
    print("robust: right on the image itself and on all that was tried, with a 95 % interval")
    if any("median_distance" in r for r in results):
        print("median: distance to the nearest adversarial image; blank: most were never fooled")
    if any("mean_accuracy" in r for r in results):
        print("mean: accuracy over all forms of all images")
    print("zero grad.: images on which the gradient is exactly zero")


def _print_columns(columns: dict[str, list[str]]) -> None:
    """Print a table without the columns that would be empty."""
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    print_table(list(kept), [list(row) for row in zip(*kept.values(), strict=True)])
