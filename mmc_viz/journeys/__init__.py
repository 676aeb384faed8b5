"""Journeys: where the features of attacked images go, measured in feature space and drawn on maps.

One `Journey` a model holds the images under attack and the distances that no map can distort; a
`JourneyMap` draws it in two dimensions and says how far the drawing can be believed.
"""

from mmc_viz.journeys.drawing import JourneyMap as JourneyMap
from mmc_viz.journeys.drawing import draw as draw
from mmc_viz.journeys.journey import Journey as Journey
from mmc_viz.journeys.journey import travel as travel
from mmc_viz.journeys.packing import pack_maps as pack_maps
