"""One attack under the microscope: every step of it, and a picture of the hill that it climbs."""

from mmc_viz.microscope.packing import pack_slides as pack_slides
from mmc_viz.microscope.packing import read_header as read_header
from mmc_viz.microscope.slides import Slide as Slide
from mmc_viz.microscope.slides import slides as slides
from mmc_viz.microscope.stepping import Climb as Climb
from mmc_viz.microscope.stepping import climbs as climbs
