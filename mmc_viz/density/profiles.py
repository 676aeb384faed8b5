"""What was counted and predicted of the density against the loss: results, class by class."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from mmc_viz import tables
from mmc_viz.density.central import CentralDensity


@dataclass(frozen=True)
class Shells:
    """Counted density of one class in shells of its loss. All logarithms are natural, float64.

    Attributes
    ----------
    log_edges : Float[Tensor, "edges"]
        Logs of the losses between which is counted.
    log_loss : Float[Tensor, "bins"]
        Where each shell is put on the axis of losses.
    counts : Int[Tensor, "bins"]
        Points counted in each shell.
    log_volume : Float[Tensor, "bins"]
        Of each shell.
    log_density, low, high : Float[Tensor, "bins"]
        Log of the points of the class in a unit of volume, with its 95 % Poisson interval; minus
        infinity where nothing was counted.
    log_exact, log_paper : Float[Tensor, "bins"]
        What the two forms predict for the mean density over each shell.
    counted, outside : int
        Points of the half that was counted; of them, those beyond the outermost edges.
    """

    log_edges: Float[Tensor, " edges"]
    log_loss: Float[Tensor, " bins"]
    counts: Int[Tensor, " bins"]
    log_volume: Float[Tensor, " bins"]
    log_density: Float[Tensor, " bins"]
    low: Float[Tensor, " bins"]
    high: Float[Tensor, " bins"]
    log_exact: Float[Tensor, " bins"]
    log_paper: Float[Tensor, " bins"]
    counted: int
    outside: int

    @property
    def log_ratio(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log of what was counted over what the exact form predicts, and of its interval's ends."""
        return tuple(one - self.log_exact for one in (self.log_density, self.low, self.high))

    @property
    def empty(self) -> int:
        """Number of shells in which nothing was counted."""
        return int((self.counts == 0).sum())

    @property
    def off_exact(self) -> float | None:
        """How far counts are from the exact form: root mean square of the difference of logs."""
        return self._off(self.log_exact)

    @property
    def off_paper(self) -> float | None:
        """The same for the paper's form."""
        return self._off(self.log_paper)

    @property
    def within(self) -> int:
        """Number of shells whose Poisson interval holds what the exact form predicts."""
        return int(((self.low <= self.log_exact) & (self.log_exact <= self.high)).sum())

    def _off(self, predicted: Tensor) -> float | None:
        seen = self.counts > 0
        if not seen.any():
            return None
        return float((self.log_density - predicted)[seen].square().mean().sqrt())


@dataclass(frozen=True)
class Prediction:
    """Density of one class as a function of its loss, on a grid. Logarithms are natural, float64.

    Attributes
    ----------
    log_loss : Float[Tensor, "grid"]
        Logs of the losses $c$.
    log_p : Float[Tensor, "grid"]
        Log of $p(c)$, per unit of loss.
    log_growth : Float[Tensor, "grid"]
        Log of $dV/dc$.
    log_exact : Float[Tensor, "grid"]
        Log of $N p(c) / (dV/dc)$.
    log_paper : Float[Tensor, "grid"]
        The paper's form as recalled, made to meet the exact one at `log_anchor`.
    log_gauss : Float[Tensor, "grid"] or None
        Density of the Gaussian fitted to the points nearest to the center, for half a squared
        distance.
    from_p, from_geometry, from_paper_geometry : Float[Tensor, "grid"]
        What $p(c)$ and what geometry contribute, exactly and in the paper's form: change of the log
        density from the anchor.
    log_anchor : float
        Log of the median loss.
    log_at_anchor : float
        Log density there, by the exact form.
    bandwidth : float
        Of the estimate of $p$, in the logarithm of the loss.
    """

    log_loss: Float[Tensor, " grid"]
    log_p: Float[Tensor, " grid"]
    log_growth: Float[Tensor, " grid"]
    log_exact: Float[Tensor, " grid"]
    log_paper: Float[Tensor, " grid"]
    log_gauss: Float[Tensor, " grid"] | None
    from_p: Float[Tensor, " grid"]
    from_geometry: Float[Tensor, " grid"]
    from_paper_geometry: Float[Tensor, " grid"]
    log_anchor: float
    log_at_anchor: float
    bandwidth: float

    @property
    def log_paper_ratio(self) -> Float[Tensor, " grid"]:
        """Log of the paper's form over the exact one."""
        return self.log_paper - self.log_exact


@dataclass(frozen=True)
class ClassShells:
    """Density against loss for one class, or for one class and one rival.

    Attributes
    ----------
    label : int
        The class.
    rival : int or None
        The strongest wrong class, for a two-class loss.
    count : int
        $N$.
    dim : int
        $d$.
    measured : Shells or None
        None where there is a gap.
    predicted : Prediction or None
        None where there is a gap.
    central : CentralDensity or None
        Fit of the density at the center, for half a squared distance.
    gap : str
        Why there is nothing; "" where there is something.
    """

    label: int
    rival: int | None
    count: int
    dim: int
    measured: Shells | None
    predicted: Prediction | None
    central: CentralDensity | None
    gap: str


@dataclass(frozen=True)
class ShellDensity:
    """Density against loss, class by class.

    Attributes
    ----------
    classes : list[ClassShells]
        By label, then by rival.
    loss : str
        `distance` for half a squared distance to the center, `two-class` for the loss between the
        true class and its strongest rival.
    dim : int
        $d$.
    """

    classes: list[ClassShells]
    loss: str
    dim: int

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each shell, and one for each gap."""
        rows = []
        for one in self.classes:
            head = {"class": one.label, "rival": one.rival, "count": one.count, "dim": one.dim}
            blank = dict.fromkeys(_COLUMNS)
            if one.measured is None:
                rows.append(head | blank | {"gap": one.gap})
                continue
            m = one.measured
            rows += [
                head
                | {
                    "loss_from": math.exp(m.log_edges[i]),
                    "loss_to": math.exp(m.log_edges[i + 1]),
                    "loss": math.exp(m.log_loss[i]),
                    "points": int(m.counts[i]),
                    "log_volume": _plain(m.log_volume[i]),
                    "log_density": _plain(m.log_density[i]),
                    "low": _plain(m.low[i]),
                    "high": _plain(m.high[i]),
                    "log_exact": _plain(m.log_exact[i]),
                    "log_paper": _plain(m.log_paper[i]),
                    "gap": "",
                }
                for i in range(len(m.counts))
            ]
        return rows

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give one line for each shell as CSV; write it too if `path` is given."""
        return tables.to_csv(self.rows(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give shells, curves and fits as JSON; write it too if `path` is given."""
        curves = [
            {
                "class": one.label,
                "rival": one.rival,
                "central": None if one.central is None else one.central.values(),
                **{
                    name: [_plain(value) for value in getattr(one.predicted, name)]
                    for name in ("log_loss", "log_p", "log_growth", "log_exact", "log_paper")
                },
                "bandwidth": one.predicted.bandwidth,
            }
            for one in self.classes
            if one.predicted is not None
        ]
        values = {"loss": self.loss, "dim": self.dim, "shells": self.rows(), "curves": curves}
        return tables.to_json(values, path)


_COLUMNS = ("loss_from", "loss_to", "loss", "points", "log_volume", "log_density", "low", "high")
_COLUMNS += ("log_exact", "log_paper")


def _plain(value: Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
