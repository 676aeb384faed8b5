"""Films: how features of the same images move over the contours of a loss while a model trains."""

from mmc_viz.films.film import Film as Film
from mmc_viz.films.film import Reel as Reel
from mmc_viz.films.making import make_film as make_film
from mmc_viz.films.packing import pack_film as pack_film

__all__ = ["Film", "Reel", "make_film", "pack_film"]
