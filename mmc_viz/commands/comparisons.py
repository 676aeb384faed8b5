"""Models beside each other, and attacked images beside clean ones: transfer and detection."""

import argparse
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from mmc_viz.commands.arguments import print_table
from mmc_viz.commands.chunks import Job, Verdicts
from mmc_viz.commands.methods import DEFAULT_EPS, OPTIONS, Method, choose
from mmc_viz.commands.subjects import Subject
from mmc_viz.commands.verdicts import seeded


class Matrix:
    """What fools each model, tried on all of them."""

    def methods(self, arguments: argparse.Namespace) -> list[Method]:
        """Read which attack is asked for; it has a budget."""
        if len(set(arguments.models)) < 2:
            raise ValueError("`--matrix` needs at least two models; name another one.")
        options = {option: getattr(arguments, option) for option in OPTIONS}
        name = arguments.attack or "pgd"
        methods = choose(name, options)
        if len(methods) > 1 or methods[0].kind != "within":
            from mmc_viz.attacks import FIXED_BUDGET

            raise ValueError(
                f"`--matrix` needs one attack with a budget ({', '.join(FIXED_BUDGET)} or a preset "
                f"of one); got {name!r}."
            )
        return methods

    def jobs(self, subjects: list[Subject], methods: list[Method]) -> list[Job]:
        """Give the one job: all pairs of models on the images that they share."""
        first = subjects[0]
        for other in subjects[1:]:
            if (other.data.sha256, other.data.class_names) != (
                first.data.sha256,
                first.data.class_names,
            ):
                raise ValueError(
                    f"`--matrix` needs models of the same images and classes: {first.name} is "
                    f"judged on {first.data.name}, {other.name} on {other.data.name}."
                )
        judge = partial(cross, subjects, methods[0].attack)
        return [Job("matrix", len(first.images), judge)]

    def finish(
        self,
        subjects: list[Subject],
        methods: list[Method],
        verdicts: dict[str, Verdicts],
        arguments: argparse.Namespace,
    ) -> Any:
        """Print the matrix; give what `--json` writes."""
        names, found = [subject.name for subject in subjects], verdicts["matrix"]
        images, data, method = len(found["correct"]), subjects[0].data, methods[0]
        count = [
            [sum(image[s][t] for image in found["correct"]) for t in range(len(names))]
            for s in range(len(names))
        ]
        accuracy = [[right / images for right in row] for row in count]
        flat = [sum(column) for column in zip(*found["zero_gradient"], strict=True)]
        print(
            f"accuracy under {method.name}, {method.measures}; rows: crafted on, columns: judged by"
        )
        print_table(
            ["", *names, "zero grad."],
            [
                [name, *(f"{share:.1%}" for share in row), str(number)]
                for name, row, number in zip(names, accuracy, flat, strict=True)
            ],
        )
        print("zero grad.: images on which what is climbed has an exactly zero gradient")
        print(f"data: {data.source}")
        return {
            "matrix": {
                "sources": names,
                "targets": names,
                "dataset": data.name,
                "source": data.source,
                "attack": method.name,
                **method.settings,
                "seed": arguments.seed,
                "images": images,
                "correct": count,
                "accuracy": accuracy,
                "zero_gradient": flat,
                "device": subjects[0].device,
                "seconds": found["seconds"],
            }
        }


def cross(subjects: list[Subject], attack: Callable, part: slice, seed: int) -> Verdicts:
    """Attack each model, and ask all of them about what came out."""
    from mmc_viz.evaluation import transfer_matrix

    @wraps(attack)
    def anew(model: Any, images: Any, labels: Any, **more: Any) -> Any:
        # The same random starts for each pair of models.
        return seeded(attack, seed)(model, images, labels, **more)

    models = {subject.name: subject.model for subject in subjects}
    first = subjects[0]
    matrix = transfer_matrix(models, first.images[part], first.labels[part], attack=anew)
    return {
        "correct": matrix.correct.int().permute(2, 0, 1).tolist(),
        "zero_gradient": matrix.zero_gradient.int().T.tolist(),
    }


class Detections:
    """How well the largest logit tells attacked images from clean ones."""

    def methods(self, arguments: argparse.Namespace) -> list[Method]:
        """Read the budget; the attacks are those of `mmc_viz.evaluation.detection`."""
        from mmc_viz.attacks.balls import BALLS
        from mmc_viz.attacks.checks import check_norm

        given = [o for o in ("attack", *OPTIONS) if getattr(arguments, o) is not None]
        foreign = [option for option in given if option not in ("eps", "norm")]
        if foreign:
            raise ValueError(
                f"`--{foreign[0]}` is no setting of --detection, which has --eps, --norm; leave it "
                "out."
            )
        settings = {
            "norm": arguments.norm or "linf",
            "eps": DEFAULT_EPS if arguments.eps is None else arguments.eps,
        }
        check_norm(settings["norm"], BALLS)
        measures = f"within {settings['norm']} {settings['eps']:.4g}"
        return [Method("detection", "detection", measures, settings, partial(_score, settings))]

    def jobs(self, subjects: list[Subject], methods: list[Method]) -> list[Job]:
        """Give one job for each model."""

        def judge(subject: Subject, part: slice, seed: int) -> Verdicts:
            return methods[0].judge(subject.model, subject.images[part], subject.labels[part], seed)

        return [Job(s.name, len(s.images), partial(judge, s)) for s in subjects]

    def finish(
        self,
        subjects: list[Subject],
        methods: list[Method],
        verdicts: dict[str, Verdicts],
        arguments: argparse.Namespace,
    ) -> Any:
        """Print one table; give what `--json` writes."""
        rows = [
            {
                "model": subject.name,
                "dataset": subject.data.name,
                "source": subject.data.source,
                **row,
                **methods[0].settings,
                "seed": arguments.seed,
                "device": subject.device,
                "seconds": verdicts[subject.name]["seconds"],
            }
            for subject in subjects
            for row in _joined(verdicts[subject.name]).rows()
        ]
        print(f"telling attacked images, {methods[0].measures}, from clean ones by the logit")
        print_table(
            ["model", "attack", "images", "fooled", "AUC", "AUC of the fooled", "zero grad."],
            [
                [r["model"], r["attack"], str(r["images"]), str(r["fooled"])]
                + ["none" if r[key] is None else f"{r[key]:.3f}" for key in ("auc", "auc_fooled")]
                + [str(r["zero_gradient"])]
                for r in rows
            ],
        )
        print("1: all are told apart; 0.5: a coin; below: the attacked look the surer ones")
        print(f"data: {'; '.join(dict.fromkeys(r['source'] for r in rows))}")
        return {"detection": rows}


def _score(settings: dict[str, Any], model: Any, images: Any, labels: Any, seed: int) -> Verdicts:
    from mmc_viz.evaluation.detection import detection

    found = detection(model, images, labels, **settings, seed=seed)
    scores = {f"score under {name}": values.tolist() for name, values in found.attacked.items()}
    fooled = {f"fooled by {name}": mask.int().tolist() for name, mask in found.fooled.items()}
    flat = {f"flat under {name}": mask.int().tolist() for name, mask in found.zero_gradient.items()}
    return {"clean": found.clean.tolist(), **scores, **fooled, **flat}


def _joined(verdicts: Verdicts) -> Any:
    """Make the scores of all chunks one result again."""
    import torch

    from mmc_viz.evaluation.detection import Detection

    def of(prefix: str, kind: Any) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): torch.tensor(values, dtype=kind)
            for name, values in verdicts.items()
            if name.startswith(prefix)
        }

    clean = torch.tensor(verdicts["clean"])
    scores = of("score under ", torch.float32)
    fooled, flat = of("fooled by ", torch.bool), of("flat under ", torch.bool)
    return Detection("logit", clean, scores, fooled, flat)
