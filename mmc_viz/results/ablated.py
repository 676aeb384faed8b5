"""The ablations as tables for the README."""

from collections.abc import Iterable

from mmc_viz.ablations import AblationResult, Outcome
from mmc_viz.collapse import Convergence
from mmc_viz.results.markdown import budget, share, table

_CELLS = (
    "In a cell: the clean accuracy on the whole test split, in percent, and of the attacked images "
    "what is left after PGD-50 on cross-entropy / the worst case over an ensemble."
)


def ablated(results: Iterable[AblationResult], course: Convergence | None) -> str:
    """Write one table for each ablation, and one for the two runs that took turns.

    Parameters
    ----------
    results : iterable of AblationResult
        Each becomes a table with one line a group.
    course : Convergence, optional
        Of the runs that took turns.
    """
    parts = ["#### Ablations", _CELLS]
    for result in results:
        parts += [f"**{result.question}** {_about(result)}", _compared(result)]
    if course is not None:
        question = "**How fast does MMC train, and what does it cost?**"
        about = "One epoch of each in turn, on Fashion-MNIST (`mmc-viz ablate convergence`)."
        parts += [f"{question} {about}", _raced(course)]
    return "\n\n".join(parts)


def _about(result: AblationResult) -> str:
    first = result.outcomes[0]
    ensemble = f"ensemble `{first.budget}`"
    return f"{first.images:,} images, {ensemble}, `mmc-viz ablate {result.name}`."


def _compared(result: AblationResult) -> str:
    places = list(dict.fromkeys(one.x for one in result.outcomes))
    rows = []
    for group in result.groups:
        found = {one.x: one for one in result.of(group)}
        eps = budget(next(iter(found.values())).eps)
        cells = [_cell(found[x]) if x in found else "" for x in places]
        rows.append([f"{group}, eps {eps}", *cells])
    return table([result.axis, *places], rows)


def _cell(one: Outcome) -> str:
    return f"{share(one.test_accuracy)}: {share(one.usual)} / **{share(one.worst)}**"


def _raced(course: Convergence) -> str:
    return table(
        ["model", "final accuracy", "epochs to 90 % of it", "seconds to it", "seconds in all"],
        [
            [
                name,
                share(course.final_accuracy[place], digits=2),
                str(course.epochs_to_share[place]),
                f"{course.seconds_to_share[place]:.1f}",
                f"{course.seconds[place][-1]:.1f}",
            ]
            for place, name in enumerate(course.names)
        ],
    )
