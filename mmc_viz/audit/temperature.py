r"""The same decisions at another temperature.

Dividing all logits by a temperature $T$ changes no decision, so it changes neither the accuracy nor
whether an image is adversarial. It changes the softmax, and with it the gradient of cross-entropy:

$$\frac{\partial}{\partial h_j} \bigl( -\log \mathrm{softmax}_y(h / T) \bigr)
= \frac1T \, \mathrm{softmax}_j(h / T), \qquad j \ne y .$$

With a small $T$ a plain model hides its gradient as MMC does; with a large one MMC shows it again.
"""

from jaxtyping import Float
from torch import Tensor, nn


class Tempered(nn.Module):
    """A model whose logits are divided by a temperature.

    Parameters
    ----------
    model : nn.Module
        From images to logits; shared, not copied.
    temperature : float
        Above 0.

    Raises
    ------
    ValueError
        If the temperature is not above 0.
    """

    def __init__(self, model: nn.Module, temperature: float | int):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"`temperature` must be above 0; got {temperature}.")
        self.model = model
        self.temperature = temperature
        self.train(model.training)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Logits of the model, divided."""
        return self.model(images) / self.temperature
