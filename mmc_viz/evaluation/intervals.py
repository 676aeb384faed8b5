r"""How sure a measured share is.

Of $n$ images of which a share $p$ is right, the Wilson interval is

$$\frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n}, \qquad z = 1.96,$$

which stays within [0, 1] and is honest at 0 and at 1, where the usual interval shrinks to a point.
"""

from jaxtyping import Float, Int
from torch import Tensor

_Z = 1.959963984540054  # 97.5 % point of the normal distribution


def wilson_interval(
    right: Int[Tensor, " *shape"], total: int
) -> tuple[Float[Tensor, " *shape"], Float[Tensor, " *shape"]]:
    """95 % confidence interval of a share, from counts.

    Parameters
    ----------
    right : Int[Tensor, "*shape"]
        How many of `total` are right.
    total : int
        At least 1.

    Returns
    -------
    low, high : Float[Tensor, "*shape"]
        Float64, in [0, 1].

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share = right.double() / total
    middle = share + _Z**2 / (2 * total)
    spread = _Z * (share * (1 - share) / total + _Z**2 / (4 * total**2)).sqrt()
    scale = 1 + _Z**2 / total
    # At 0 and at 1 the interval ends there; rounding alone would leave it a hair beside the share.
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return low.clamp_min(0).minimum(share), high.clamp_max(1).maximum(share)
