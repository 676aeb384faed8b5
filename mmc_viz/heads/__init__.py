r"""From features to logits and to a loss: one head for each training objective.

A head takes a feature $z \in R^d$ and gives one logit for each of $L$ classes; the largest wins.
During training it also gives one loss per sample. Two ideas stand here side by side:

softmax cross-entropy (`sce`)
    $h = W z + b$ and $-\log \mathrm{softmax}_y(h)$. Only differences of logits count, so the loss
    falls as long as $z$ moves away from the rival: its level sets are unbounded, and features of
    one class may lie anywhere in a cone.
Max-Mahalanobis center (`mmc`)
    $h_i = -\lVert z - \mu_i \rVert^2$ with fixed, optimally spread centers $\mu_i$, and the loss
    $\tfrac12 \lVert z - \mu_y \rVert^2$. Its level sets are spheres about $\mu_y$, so features of
    one class gather in a ball. The rivals do not appear in the loss at all.

Between them stand the others, each in the file of its name. Nearly all have logits of one form, the
generalised SCE of Pang et al., up to a term equal for all classes,

$$h_i = -s_i \lVert z - \mu_i \rVert^2 + B_i,$$

and `generalized_sce()` says with which $\mu_i$, $s_i$, $B_i$. What differs is which of them are
fixed and which learned, and whether the loss looks at the rivals (CE: cross-entropy):

| head | $\mu_i$ | $s_i$ | loss |
| --- | --- | --- | --- |
| `sce` | learned | 1 | CE of affine logits |
| `label_smoothing` | learned | 1 | CE to labels that are not quite sure |
| `center` | learned | 1 | CE, and a pull to the learned center of the class |
| `cosface` | none: only angles count | | CE of cosines, with a margin |
| `simplex` | fixed: simplex, halved | 1 | CE of $\langle w_i, z \rangle$ |
| `mmlda` | fixed: simplex | 1 | CE of minus squared distances |
| `lgm` | learned | learned | CE with a margin, and a likelihood |
| `mmc` | fixed: simplex | 1 | half the squared distance to $\mu_y$ |
| `mmc_huber` | fixed: simplex | 1 | the distance to $\mu_y$, squared only near it |
| `mmc_random` | fixed: drawn at random | 1 | the same |
| `hmc` | fixed: by superclass | 1 | the same |
| `emc` | learned, on springs | 1 | the same, and the energy of the spring |

`HEADS` maps the name of each head to its class. A head is added by one class in one file: a module
of this folder whose name is the registered one is found by itself, here and on the command line; a
class decorated with `register` anywhere else is known as soon as that code has run.
"""

import importlib
import pkgutil

from mmc_viz.heads._base import HEADS as HEADS
from mmc_viz.heads._base import GeneralizedSCE as GeneralizedSCE
from mmc_viz.heads._base import Head as Head
from mmc_viz.heads._base import check_options as check_options
from mmc_viz.heads._base import make_head as make_head
from mmc_viz.heads._base import options_of as options_of
from mmc_viz.heads._base import register as register

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"mmc_viz.heads.{_module.name}")
