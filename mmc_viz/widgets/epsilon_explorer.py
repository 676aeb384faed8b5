"""Slide the attacker's budget and watch which images each model then gets wrong.

The explorer shows what `mmc_viz.bundles.pack` made of finished epsilon paths, one grid of images
per model. All of it is sent to the browser once, and a move of the slider is drawn there in about
a millisecond, with or without a kernel. The state is four traits:

    bundle  the paths of the lesson
    live    paths that were computed later, at the student's wish; may be empty
    run     name of the attack that is shown
    step    index of its epsilon

so a view is joined to others with `link` or `jslink` on `run` and `step`.
"""

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mmc_viz.bundles import Bundle, Panel, Run, pack, unpack
from mmc_viz.paths import EpsilonPath

HERE = Path(__file__).parent


class EpsilonExplorer(anywidget.AnyWidget):
    """Grids of attacked images, a menu of attacks and a slider for epsilon.

    Parameters
    ----------
    runs : dict[str, dict[str, EpsilonPath]]
        Run name (the attacker's objective, say) to panel title (the model, say) to path.
    class_names : list[str]
        One name per class.
    **kwargs : Any
        Other traits, such as `run` and `step` to begin with.

    Attributes
    ----------
    bundle, live : bytes
        Packed paths; runs of `live` stand at the end of the menu and hide those of the same name.
        A new `live` selects its last run, at its largest epsilon.
    run : str
        The run that is shown, one of `runs`.
    step : int
        Index into its epsilons. Beyond their range, the nearest one is taken.
    """

    _esm = HERE / "epsilon_explorer.js"
    _css = HERE / "epsilon_explorer.css"

    bundle = traitlets.Bytes().tag(sync=True)
    live = traitlets.Bytes().tag(sync=True)
    run = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int().tag(sync=True)

    def __init__(
        self, runs: dict[str, dict[str, EpsilonPath]], class_names: list[str], **kwargs: Any
    ):
        bundle = pack(runs, class_names)
        # Known before any trait is set: traits are validated against it, in no particular order.
        self._unpacked: dict[str, Bundle] = {"bundle": unpack(bundle)}
        super().__init__(**{"bundle": bundle, "run": next(iter(runs)), **kwargs})

    @property
    def runs(self) -> dict[str, Run]:
        """What can be chosen from, by name, in the order of the menu."""
        bundles = [self._unpacked[name] for name in ("bundle", "live") if name in self._unpacked]
        return {name: run for bundle in bundles for name, run in bundle.runs.items()}

    @property
    def sentences(self) -> dict[str, str]:
        """Panel title to the sentence that the browser shows below its grid."""
        panels = self.runs[self.run].panels
        return {title: write_sentence(title, panels[title], self.step) for title in panels}

    @traitlets.validate("bundle", "live")
    def _unpack(self, proposal: traitlets.Bunch) -> bytes:
        name, data = proposal["trait"].name, proposal["value"]
        if name == "live" and not data:
            self._unpacked.pop(name, None)
            return data
        try:
            self._unpacked[name] = unpack(data)
        except ValueError as error:
            raise traitlets.TraitError(f"`{name}` cannot be shown: {error}") from None
        return data

    @traitlets.validate("run")
    def _must_be_on_the_menu(self, proposal: traitlets.Bunch) -> str:
        if proposal["value"] not in self.runs:
            raise traitlets.TraitError(
                f"`run` must be one of {', '.join(map(repr, self.runs))}; "
                f"got {proposal['value']!r}."
            )
        return proposal["value"]

    @traitlets.validate("step")
    def _clamp(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], 0), len(self.runs[self.run].epsilons) - 1)

    @traitlets.observe("bundle", "live")
    def _choose(self, change: traitlets.Bunch) -> None:
        """Show what has just arrived; leave what has just gone."""
        if change["name"] == "live" and self.live:
            newest, run = list(self._unpacked["live"].runs.items())[-1]
            self.run, self.step = newest, len(run.epsilons) - 1
        elif self.run not in self.runs:
            self.run = next(iter(self.runs))
        self.step = self.step  # validated again

    @traitlets.observe("run")
    def _stay_in_range(self, change: traitlets.Bunch) -> None:
        self.step = self.step  # validated again: the new run may have fewer epsilons


def write_sentence(title: str, panel: Panel, step: int) -> str:
    """Say how many images a model still gets right; the browser writes the same words.

    Parameters
    ----------
    title : str
        Name of the model.
    panel : Panel
        What was computed for it.
    step : int
        Index of the epsilon.

    Returns
    -------
    sentence : str
        The percentage is rounded to the nearest integer, halves upwards.
    """
    right, count = int(panel.right[step]), panel.success.shape[1]
    percent = (200 * right + count) // (2 * count)
    return f"{title}: {right} of {count} still right ({percent} %)."
