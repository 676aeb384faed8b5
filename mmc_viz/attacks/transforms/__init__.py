r"""Transforms: noise, rotation and shifts, which nobody had to aim at the model.

A transform is tried on each image in several forms: random draws, or the points of a grid. Two
questions can be asked. How often is the model right on average: that is what an accident would do.
And how often is it right on all of them: that is what somebody does who may choose,

$$\text{worst} = \frac1N \sum_n \min_k \, [\, f(T_k x_n) = y_n \,] \;\le\;
\text{mean} = \frac1{NK} \sum_{n,k} [\, f(T_k x_n) = y_n \,].$$

`gaussian_noise` and `rotation` give images as attacks do, `noise_accuracy` and `rotation_accuracy`
these numbers. What is random depends on the image's place in the call and on the number of the
draw, so the first draws of many are those of few.

Rotation and translation as an attack: Engstrom, Tran, Tsipras, Schmidt, Madry, "Exploring the
landscape of spatial robustness", ICML 2019, https://arxiv.org/abs/1712.02779.
"""

from mmc_viz.attacks.transforms.forms import TransformResult as TransformResult
from mmc_viz.attacks.transforms.noise import gaussian_noise as gaussian_noise
from mmc_viz.attacks.transforms.noise import noise_accuracy as noise_accuracy
from mmc_viz.attacks.transforms.noise import unit_noise as unit_noise
from mmc_viz.attacks.transforms.turns import rotated as rotated
from mmc_viz.attacks.transforms.turns import rotation as rotation
from mmc_viz.attacks.transforms.turns import rotation_accuracy as rotation_accuracy
