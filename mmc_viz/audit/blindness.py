r"""How much of the slope of cross-entropy an attacker can see, and what that does to the attack.

Let the right class lead every other by a gap $g$. Then cross-entropy has the slope

$$\mathrm{softmax}_j(h / T) \approx e^{-g / T}$$

along each wrong logit $h_j$, where $T$ is the temperature by which the logits are divided. float32
holds nothing between 0 and $2^{-149} \approx e^{-103}$: with a gap beyond $103 \, T$ the slope is
not small, it is 0. An attacker who starts there has no direction to go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmc_viz.attacks import pgd
from mmc_viz.attacks.flatness import slopes
from mmc_viz.audit.temperature import Tempered
from mmc_viz.evaluation import correct
from mmc_viz.objectives import Objective, cross_entropy


@dataclass(frozen=True)
class Blindness:
    """What an attacker sees at each temperature, and whom the attack fools.

    Attributes
    ----------
    temperatures : list[float]
        By which the logits were divided.
    slopes : Float[Tensor, "steps batch"]
        Largest entry of the objective's gradient, without its sign, where the attack begins.
    survives : Bool[Tensor, "steps batch"]
        Whether the model is right after the attack.
    """

    temperatures: list[float]
    slopes: Float[Tensor, "steps batch"]
    survives: Bool[Tensor, "steps batch"]

    @property
    def accuracy(self) -> Float[Tensor, " steps"]:
        """What the attack leaves, 0..1."""
        return self.survives.double().mean(dim=1)

    def rows(self) -> list[dict[str, float | int]]:
        """Give one row a temperature."""
        flat = (self.slopes == 0).sum(dim=1).tolist()
        return [
            {"temperature": temperature, "no slope": flat[k], "accuracy": self.accuracy[k].item()}
            for k, temperature in enumerate(self.temperatures)
        ]


def softmax_in_float64(
    logits: Float[Tensor, "batch num_classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Cross-entropy in float64 of logits that were computed in less: a repair that fails.

    Its slope is not zero, but too small to travel back through a network in float32. What does work
    is `mmc_viz.objectives.cross_entropy_float64`.
    """
    return cross_entropy(logits.double(), labels)


def blindness(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    labels: Int[Tensor, " batch"],
    *,
    eps: float | int,
    temperatures: Sequence[float | int],
    steps: int = 20,
    objective: str | Objective = "cross_entropy",
    seed: int = 0,
) -> Blindness:
    """Attack a model at several temperatures, which change the slope and no decision.

    Parameters
    ----------
    model : nn.Module
        From images to logits. It stays as it is.
    images : Float[Tensor, "batch channels height width"]
        In [0, 1].
    labels : Int[Tensor, "batch"]
        True classes.
    eps : float
        Budget in linf, in the unit of the images.
    temperatures : sequence of float
        Above 0.
    steps : int
        Of PGD.
    objective : str or callable
        What the attacker maximises.
    seed : int
        Of the random starts, the same at all temperatures.

    Raises
    ------
    ValueError
        If there is no temperature, or an argument is out of range.
    """
    if not temperatures:
        raise ValueError("`temperatures` must hold at least one; got none.")
    found, survives = [], []
    for temperature in temperatures:
        tempered = Tempered(model, temperature)
        starts: list[Tensor] = []

        def keep(step, points, *_, starts=starts):
            if not starts:
                starts.append(points.detach().clone())

        end = pgd(
            tempered,
            images,
            labels,
            eps=eps,
            steps=steps,
            objective=objective,
            generator=torch.Generator().manual_seed(seed),
            trace=keep,
        )
        found.append(slopes(tempered, starts[0], labels, objective=objective))
        survives.append(correct(tempered, end, labels).cpu())
    return Blindness(
        [float(one) for one in temperatures], torch.stack(found), torch.stack(survives)
    )
