"""A lesson as one HTML file: run it, show what came out, and let its widgets move without a kernel.

    executing -> cells (markdown, formulas, code, outputs, models) -> page -> site

The module talks to the kernel in text only and knows none of our widgets: a widget is its synced
state, its JavaScript, and what it says that a page needs beside these.
"""

from mmc_viz.export.executing import Executed as Executed
from mmc_viz.export.executing import execute as execute
from mmc_viz.export.lessons import course as course
from mmc_viz.export.lessons import find_lesson as find_lesson
from mmc_viz.export.site import write_site as write_site

__all__ = ["Executed", "course", "execute", "find_lesson", "write_site"]
