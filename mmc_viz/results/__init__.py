"""One table: what the paper and its critics report, and what we measured of the shipped models.

Every number of ours is measured by `mmc-viz results` and kept in the card of its model, so it goes
where the weights go. From the cards, `summary` makes one row a model, and `markdown` the text.

The modules: `protocol` says what is measured and on which images, `published` what others report,
`summaries` reads the cards, `comparing` sets what they say beside others, `transfers` reads who
fools whom, `markdown` writes the tables, `ablated` those of the ablations, `collection` puts all
together.
"""

from mmc_viz.results.ablated import ablated as ablated
from mmc_viz.results.collection import collect as collect
from mmc_viz.results.collection import text_of as text_of
from mmc_viz.results.comparing import MEASURED as MEASURED
from mmc_viz.results.comparing import WorstCurve as WorstCurve
from mmc_viz.results.comparing import as_published as as_published
from mmc_viz.results.comparing import worst_curve as worst_curve
from mmc_viz.results.markdown import budget as budget
from mmc_viz.results.markdown import markdown as markdown
from mmc_viz.results.protocol import PROTOCOL as PROTOCOL
from mmc_viz.results.protocol import TITLES as TITLES
from mmc_viz.results.protocol import Protocol as Protocol
from mmc_viz.results.protocol import indices as indices
from mmc_viz.results.protocol import test_images as test_images
from mmc_viz.results.published import PUBLISHED as PUBLISHED
from mmc_viz.results.published import Published as Published
from mmc_viz.results.summaries import AtBudget as AtBudget
from mmc_viz.results.summaries import Spread as Spread
from mmc_viz.results.summaries import Summary as Summary
from mmc_viz.results.summaries import find as find
from mmc_viz.results.summaries import spreads as spreads
from mmc_viz.results.summaries import summary as summary
from mmc_viz.results.transfers import ShippedMatrix as ShippedMatrix
from mmc_viz.results.transfers import Transferred as Transferred
from mmc_viz.results.transfers import shipped_transfers as shipped_transfers
from mmc_viz.results.transfers import transferred as transferred
