"""Is this robustness real? The questions that the literature asks of a defence, answered by tests.

A model can look robust because its attacker fails: the gradient is zero, or shattered, or belongs
to an objective that is blind. Each question is turned into one more attack on the same images. If
it fools what a claim calls robust, the claim was optimistic.

References
----------
Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018,
https://arxiv.org/abs/1802.00420. Carlini et al., "On evaluating adversarial robustness", 2019,
https://arxiv.org/abs/1902.06705. Tramer et al., "On adaptive attacks to adversarial example
defenses", NeurIPS 2020, https://arxiv.org/abs/2002.08347.
"""

from mmc_viz.attacks.flatness import slopes as slopes
from mmc_viz.audit.auditing import CHECKS as CHECKS
from mmc_viz.audit.auditing import audit as audit
from mmc_viz.audit.auditing import sign_test as sign_test
from mmc_viz.audit.blindness import Blindness as Blindness
from mmc_viz.audit.blindness import blindness as blindness
from mmc_viz.audit.blindness import softmax_in_float64 as softmax_in_float64
from mmc_viz.audit.report import AuditReport as AuditReport
from mmc_viz.audit.report import Check as Check
from mmc_viz.audit.temperature import Tempered as Tempered
