r"""The distribution of losses, $p(c)$, and how sure a count is.

Losses are positive and spread over powers of ten, so their density is estimated on the scale of
$u = \log c$, with a Gaussian kernel, and brought back by $p(c) = f(u) / c$. The bandwidth is
Silverman's, $0.9 \min(\sigma, \mathrm{IQR} / 1.34) \, n^{-1/5}$.

A count $n$ of points in a shell is Poisson; its exact 95 % interval goes from the 2.5 % point of
$\Gamma(n)$ to the 97.5 % point of $\Gamma(n + 1)$.

References
----------
Silverman, "Density estimation for statistics and data analysis", 1986, section 3.4.
Garwood, "Fiducial limits for the Poisson distribution", Biometrika 1936.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class LossDistribution:
    """Kernel estimate of the distribution of the logarithm of the loss.

    Attributes
    ----------
    places : Float[Tensor, "batch"]
        Logs of the losses, float64.
    bandwidth : float
        Standard deviation of the kernel, in the logarithm.
    """

    places: Float[Tensor, " batch"]
    bandwidth: float

    def log_p(self, log_loss: Float[Tensor, " grid"]) -> Float[Tensor, " grid"]:
        """Log of $p(c)$, per unit of loss."""
        log_f = [(-self._away(part).square() / 2).logsumexp(dim=1) for part in _parts(log_loss)]
        norm = math.log(len(self.places) * self.bandwidth * math.sqrt(2 * math.pi))
        return torch.cat(log_f) - norm - log_loss

    def share_below(self, log_loss: Float[Tensor, " grid"]) -> Float[Tensor, " grid"]:
        """Share of losses below each."""
        shares = [torch.special.ndtr(self._away(part)).mean(dim=1) for part in _parts(log_loss)]
        return torch.cat(shares)

    def _away(self, log_loss: Float[Tensor, " grid"]) -> Float[Tensor, "grid batch"]:
        return (log_loss[:, None] - self.places) / self.bandwidth


def _parts(grid: Float[Tensor, " grid"]) -> tuple[Tensor, ...]:
    """Take a little of the grid at a time: each place meets every loss."""
    return grid.split(128)


def loss_distribution(log_loss: Float[Tensor, " batch"]) -> LossDistribution:
    """Estimate the distribution of losses from their logarithms.

    Raises
    ------
    ValueError
        If there are fewer than two, or all are the same.
    """
    if len(log_loss) < 2:
        raise ValueError(f"`log_loss` must hold at least two losses; got {len(log_loss)}.")
    log_loss = log_loss.double()
    spread = float(log_loss.std())
    low, high = log_loss.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64)).tolist()
    # Many equal losses may leave no room between the quartiles.
    width = min(spread, (high - low) / 1.34) or spread
    if not width > 0:
        raise ValueError("`log_loss` must not be one and the same for all; it has no density then.")
    return LossDistribution(log_loss, 0.9 * width * len(log_loss) ** -0.2)


def count_interval(
    counts: Int[Tensor, " bins"],
) -> tuple[Float[Tensor, " bins"], Float[Tensor, " bins"]]:
    """Exact 95 % interval of the mean of a Poisson count; it begins at 0 where nothing is seen."""
    from scipy import stats

    values = counts.double().numpy()
    low = stats.gamma.ppf(0.025, values.clip(min=1)) * (values > 0)
    high = stats.gamma.ppf(0.975, values + 1)
    return torch.from_numpy(low), torch.from_numpy(high)
