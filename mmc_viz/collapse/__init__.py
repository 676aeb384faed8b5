r"""Neural collapse: what becomes of the classes in the feature space as training goes on.

Papyan, Han and Donoho (2020) watched the features of classifiers long after the training error had
reached 0, and saw four things happen together. Let $z_{k,i}$ be feature $i$ of class $k$ out of
$L$, $m_k$ the mean of its class, $\bar m$ the mean of the class means, $M$ the matrix of the
centred means $m_k - \bar m$, $W$ that of the head's class vectors $w_k$, centred too, and

$$\Sigma_W = \operatorname*{mean}_k \operatorname*{mean}_i (z_{k,i} - m_k)(z_{k,i} - m_k)^\top,
\qquad \Sigma_B = \operatorname*{mean}_k (m_k - \bar m)(m_k - \bar m)^\top .$$

NC1, features of a class become one point
    $\operatorname{tr}(\Sigma_W \Sigma_B^+) / L \to 0$. The pseudoinverse weighs each direction by
    how little the means spread along it, so one direction in which they hardly spread decides the
    value, and scatter across their span is not seen at all. Beside it stands the plain ratio
    $\operatorname{tr} \Sigma_W / \operatorname{tr} \Sigma_B$, which has neither trait.
NC2, the class means become a regular simplex
    They get equal norms (standard deviation over mean of $\lVert m_k - \bar m \rVert$, to 0) and
    equal angles (standard deviation of the cosines of all pairs, to 0), as wide as can be (mean of
    $\lvert \cos + 1 / (L - 1) \rvert$, to 0).
NC3, the head's class vectors come to point where the class means lie
    $\lVert W / \lVert W \rVert_F - M / \lVert M \rVert_F \rVert_F \to 0$. It is
    $\sqrt 2$ where the two have nothing in common, and 2 at most.
NC4, the nearest class mean decides
    The share of points on which the head and the nearest class mean disagree goes to 0.

The simplex is the arrangement of the Max-Mahalanobis centers, up to scale and rotation. What
cross-entropy may drift to, MMC prescribes. Two numbers make that comparable:

distance to the simplex
    How far the centred means are from a regular simplex $S$ after the best scale $a$, rotation and
    reflection $Q$ (Procrustes), relative to their size:
    $\min_{a, Q} \lVert M - a S Q \rVert_F / \lVert M \rVert_F$. With the singular values
    $\sigma_j$ of $M$ it is $\sqrt{1 - (\sum_j \sigma_j)^2 / ((L - 1) \sum_j \sigma_j^2)}$: 0 where
    all $L - 1$ of them agree. In $d < L - 1$ dimensions there are $d$ of them at most, no simplex
    exists, and the distance cannot fall below $\sqrt{1 - d / (L - 1)}$: 0.882 for ten classes in
    the plane. There the regular polygon reaches it, but so does any arrangement that spreads alike
    in both directions; the distance to the regular polygon says more, and is given too.
    It must be read against chance: ten independent Gaussian class means are on average 0.54 away
    in 9 dimensions, 0.19 in 64 and 0.10 in 256, since random directions in many dimensions are
    nearly orthogonal.
distance to the centers
    Mean of $\lVert m_k - \mu_k \rVert$ relative to the mean norm of the centers $\mu_k$, for heads
    that have centers. Here nothing is moved or scaled: the head says where the means belong.

All of this can be measured on training or on test images. Papyan et al. take training images; on
test images NC1 stays larger, and how much larger says what the collapse is worth.

The class vectors $w_k$ come from the head's logits. Where these are
$-s_k \lVert z - \mu_k \rVert^2 + B_k$, up to a term equal for all classes, the linear part is
$2 s_k \langle \mu_k, z \rangle$, so $w_k = 2 s_k \mu_k$; for SCE that is the row of the last layer.
Adding one vector to all of them changes no decision where the $s_k$ agree, which is why they are
centred. A head that looks at angles alone has the directions of its weights. All classes weigh the
same, however many images they have.

Papyan, Han, Donoho, "Prevalence of neural collapse during the terminal phase of deep learning
training", PNAS 117(40), 2020, https://arxiv.org/abs/2008.08186.
"""

from mmc_viz.collapse.arrangement import by_chance as by_chance
from mmc_viz.collapse.convergence import Convergence as Convergence
from mmc_viz.collapse.convergence import convergence as convergence
from mmc_viz.collapse.history import CollapseHistory as CollapseHistory
from mmc_viz.collapse.history import collapse_over_training as collapse_over_training
from mmc_viz.collapse.measures import MEASURES as MEASURES
from mmc_viz.collapse.measures import Collapse as Collapse
from mmc_viz.collapse.measures import neural_collapse as neural_collapse
from mmc_viz.collapse.simplex import distance_to_polygon as distance_to_polygon
from mmc_viz.collapse.simplex import distance_to_simplex as distance_to_simplex
from mmc_viz.collapse.simplex import simplex_floor as simplex_floor
from mmc_viz.collapse.spread import ClassTable as ClassTable
from mmc_viz.collapse.spread import class_table as class_table
