"""Names beside points, put where they cover nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

#: Beside a point first, then above and below, then between.
_DIRECTIONS = [(-1, 0), (1, 0), (0, 1), (0, -1), (-1, 1), (1, 1), (-1, -1), (1, -1)]
_GAPS = (5, 14, 26, 40, 56, 76, 100)  # pixels between a point and its name
_LETTER, _LINE = 0.6, 1.15  # width of a letter and height of a line, in sizes of the font


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels, x to the right and y upwards."""

    left: float | int
    low: float | int
    right: float | int
    high: float | int

    @classmethod
    def about(
        cls, x: float | int, y: float | int, width: float | int, height: float | int
    ) -> "Box":
        """Give the one with this middle and these sides."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def meets(self, other: "Box") -> bool:
        """Whether the two share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.low < other.high and other.low < self.high

    def within(self, other: "Box") -> bool:
        """Whether no part of this one is outside the other."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.low <= self.low and self.high <= other.high


def text_box(text: str, x: float | int, y: float | int, size: float | int) -> Box:
    """Give the room that a line of text takes about its middle; `size` is that of its font."""
    return Box.about(x, y, _LETTER * size * len(text), _LINE * size)


@dataclass(frozen=True)
class Page:
    """A plot of one size, in pixels.

    Attributes
    ----------
    points : sequence of (float, float)
        What bears a name.
    frame : Box
        Where names may stand.
    obstacles : sequence of Box
        What they may not cover.
    """

    points: Sequence[tuple[float | int, float | int]]
    frame: Box
    obstacles: Sequence[Box]


def place_names(
    texts: Sequence[str], pages: Sequence[Page], *, size: float | int
) -> list[tuple[float | int, float | int] | None]:
    """Find a place for the name of each point, the first points first.

    A name takes the nearest of a few places around its point that lies inside the frame and meets
    neither an obstacle nor a name that has its place, on each of the pages.

    Parameters
    ----------
    texts : sequence of str
        The names.
    pages : sequence of Page
        The same plot in the sizes that it may get, for a name keeps its distance in pixels from its
        point while all else moves. Each has a point for each name.
    size : float
        Of the font, in pixels.

    Returns
    -------
    offsets : list of (float, float) or None
        From each point to the middle of its name; None where no place is free.
    """
    taken = [list(page.obstacles) for page in pages]
    offsets = []
    for number, text in enumerate(texts):
        found = None
        for dx, dy in _around(text, size):
            points = [page.points[number] for page in pages]
            boxes = [text_box(text, x + dx, y + dy, size) for x, y in points]
            if all(map(_is_free, boxes, pages, taken)):
                found = (dx, dy)
                for others, box in zip(taken, boxes, strict=True):
                    others.append(box)
                break
        offsets.append(found)
    return offsets


def _is_free(box: Box, page: Page, taken: list[Box]) -> bool:
    return box.within(page.frame) and not any(box.meets(other) for other in taken)


def _around(text: str, size: float | int) -> list[tuple[float | int, float | int]]:
    """Offsets of a name's middle from its point, from near to far."""
    box = text_box(text, 0, 0, size)
    offsets = []
    for gap in _GAPS:
        for right, up in _DIRECTIONS:
            length = hypot(right, up)
            offsets.append(
                (right * (box.right + gap / length), up * (box.high + gap / length)),
            )
    return offsets
