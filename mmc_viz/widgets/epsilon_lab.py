"""The epsilon explorer, and a button that attacks the same images anew.

The paths of a lesson were computed beforehand; a student who does not believe them chooses a
budget, a number of steps and an objective, presses "Attack now" and finds the result at the end of
the explorer's menu. The attack itself is a callable from outside: nothing is computed here.
"""

import html
import time
from collections.abc import Callable, Sequence

import ipywidgets

from mmc_viz.bundles import pack
from mmc_viz.paths import EpsilonPath
from mmc_viz.widgets.epsilon_explorer import EpsilonExplorer

KEPT = 5  # results of the student's own on the menu; older ones give way


class EpsilonLab(ipywidgets.VBox):
    """An `EpsilonExplorer` above a row of controls for an attack of one's own.

    Parameters
    ----------
    runs : dict[str, dict[str, EpsilonPath]]
        Run name to panel title to path, as for `EpsilonExplorer`.
    class_names : list[str]
        One name per class.
    attack : Callable[..., dict[str, EpsilonPath]]
        Called as `attack(eps=, steps=, objective=)`, with `eps` in the unit of images in [0, 1];
        returns panel title to path. The last epsilon of the paths is the student's.
    device : str
        Where `attack` computes, for the status line.
    objectives : Sequence[str]
        What the attacker can choose to maximise.

    Attributes
    ----------
    explorer : EpsilonExplorer
    eps, steps, objective, button : ipywidgets.Widget
        The controls.
    status : ipywidgets.HTML
        One line on what came out, or on what went wrong.
    """

    def __init__(
        self,
        runs: dict[str, dict[str, EpsilonPath]],
        class_names: list[str],
        *,
        attack: Callable[..., dict[str, EpsilonPath]],
        device: str = "cpu",
        objectives: Sequence[str] = ("cross_entropy", "distance", "margin"),
    ):
        self.explorer = EpsilonExplorer(runs, class_names)
        self._class_names = class_names
        self._attack = attack
        self._device = device
        self._own: dict[str, dict[str, EpsilonPath]] = {}

        narrow = ipywidgets.Layout(width="150px")
        style = {"description_width": "initial"}
        self.eps = ipywidgets.BoundedFloatText(
            value=0.1, min=0, max=1, step=0.01, description="ε", layout=narrow, style=style
        )
        self.steps = ipywidgets.BoundedIntText(
            value=50, min=1, max=200, description="steps", layout=narrow, style=style
        )
        self.objective = ipywidgets.Dropdown(
            options=list(objectives),
            value=objectives[-1],
            description="objective",
            layout=ipywidgets.Layout(width="230px"),
            style=style,
        )
        self.button = ipywidgets.Button(
            description="Attack now",
            button_style="primary",
            tooltip="Attack these images with this budget, these steps and this objective",
        )
        self.button.on_click(self._run_attack)
        self.status = ipywidgets.HTML()
        self._say("Not convinced? Attack the same images yourself.")
        row = ipywidgets.HBox(
            [self.eps, self.steps, self.objective, self.button],
            layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        super().__init__([self.explorer, row, self.status])

    def _say(self, line: str) -> None:
        """Show one line of plain text, announced by screen readers."""
        self.status.value = f'<div role="status">{html.escape(line)}</div>'

    def _run_attack(self, button: ipywidgets.Button) -> None:
        """Attack, and show what came out; an error becomes a line of text."""
        asked = {
            "eps": self.eps.value,
            "steps": self.steps.value,
            "objective": self.objective.value,
        }
        words = f"{asked['objective']}, ε = {write_epsilon(asked['eps'])}, {asked['steps']} steps"
        button.disabled, button.description = True, "attacking…"
        self._say(f"{words}: attacking on {self._device}…")
        try:
            begin = time.perf_counter()
            paths = self._attack(**asked)
            seconds = time.perf_counter() - begin
            self._show(f"yours: {words}", paths)
        except ValueError as error:
            self._say(_first_line(error))
        except KeyboardInterrupt:  # the notebook's Stop button
            self._say(f"{words}: stopped.")
        except Exception as error:  # in a callback it would vanish into the log
            self._say(f"{type(error).__name__}: {_first_line(error)}")
        else:
            counts = self._counts()
            self._say(f"{words}: {counts}. Computed on {self._device} in {seconds:.1f} s.")
        finally:
            button.disabled, button.description = False, "Attack now"

    def _show(self, name: str, paths: dict[str, EpsilonPath]) -> None:
        """Put a result at the end of the explorer's menu and select it."""
        own = {key: value for key, value in self._own.items() if key != name}
        own = dict(list({**own, name: paths}.items())[-KEPT:])
        data = pack(own, self._class_names)
        with self.explorer.hold_sync():  # one message with the result and its selection
            self.explorer.live = data
        self._own = own

    def _counts(self) -> str:
        """Say how many images each model still gets right, such as "SCE 3 of 30 still right"."""
        explorer = self.explorer
        counts = [
            f"{title} {int(panel.right[explorer.step])} of {panel.success.shape[1]}"
            for title, panel in explorer.runs[explorer.run].panels.items()
        ]
        return ", ".join([f"{counts[0]} still right", *counts[1:]])


def write_epsilon(eps: float) -> str:
    """Write a budget as the explorer does: two decimals, or three where two would round it.

    Parameters
    ----------
    eps : float
        In the unit of images in [0, 1].

    Returns
    -------
    text : str
        For example "0.10", or "0.031" for 8/255.
    """
    return f"{eps:.2f}" if abs(100 * eps - round(100 * eps)) < 1e-3 else f"{eps:.3f}"


def _first_line(error: Exception) -> str:
    return (str(error) or "no reason was given").splitlines()[0]
