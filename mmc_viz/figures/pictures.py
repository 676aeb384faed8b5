"""Pictures as text, for hover labels, which hold nothing else.

A Braille character is a grid of dots, two wide and four high, each raised or not: 256 characters,
of which character 0x2800 + b raises the dots whose bits are set in b. Lines of them are a picture
of raised and lowered dots. A dot has no shades, so greys are spread by error diffusion: each dot
takes what is nearer, light or dark, and hands the error on to those not yet decided (Floyd and
Steinberg, 1976). With plotly's distance of lines, 1.3 em, and the width of a Braille character,
about 0.73 em in DejaVu Sans, dots stand about as far apart in both directions. A raised dot fills
only part of its place, so greys are lightened first.
"""

import numpy as np

#: Dots along the longer side, at most.
SIDE = 32

_LIGHTEN = 0.5  # power of the greys, which are 0..1

_DARK = "\u2800"  # no dot raised; unlike a space it is as wide as the others

# The bit of each dot, from top to bottom, left and right column.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)


def braille(images: np.ndarray, *, side: int = SIDE) -> list[str]:
    """Write pictures as lines of Braille characters, light dots on a dark ground.

    Parameters
    ----------
    images : np.ndarray, [batch, channels, height, width]
        Bytes, grey or colour; colours are drawn as their grey.
    side : int
        Dots along the longer side, at most. Smaller pictures are enlarged by the largest whole
        factor that fits, larger ones reduced to it by averages.

    Returns
    -------
    texts : list of str
        One for each picture; `<br>` parts the lines. What is dark at the end of a line is left out.

    Raises
    ------
    ValueError
        If `images` are no bytes in four dimensions, have no pixel, or `side` is below 1.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise ValueError(
            "`images` must be bytes [batch, channels, height, width] with pixels; got "
            f"{images.dtype} {list(images.shape)}."
        )
    if side < 1:
        raise ValueError(f"`side` must be at least 1; got {side}.")
    if not len(images):
        return []
    grey = _grey(images.astype(np.float64) / 255)
    dots = _diffuse(_sized(grey, side) ** _LIGHTEN)
    batch, height, width = dots.shape
    padded = np.zeros((batch, -(-height // 4) * 4, -(-width // 2) * 2), dtype=np.uint8)
    padded[:, :height, :width] = dots
    cells = padded.reshape(batch, padded.shape[1] // 4, 4, padded.shape[2] // 2, 2)
    codes = (cells * _BITS[None, None, :, None, :]).sum(axis=(2, 4), dtype=np.uint32) + ord(_DARK)
    return [
        "<br>".join("".join(map(chr, line)).rstrip(_DARK) or _DARK for line in picture)
        for picture in codes
    ]


def _grey(images: np.ndarray) -> np.ndarray:
    """Lightness of pixels, 0..1: `[batch, height, width]`."""
    if images.shape[1] == 3:
        return np.tensordot(images, [0.299, 0.587, 0.114], axes=([1], [0]))
    return images.mean(axis=1)


def _sized(images: np.ndarray, side: int) -> np.ndarray:
    """Enlarge by a whole factor, or reduce by averages, to at most `side` along each side."""
    longer = max(images.shape[1:])
    if longer <= side:
        factor = side // longer
        return images.repeat(factor, axis=1).repeat(factor, axis=2)
    for axis in (1, 2):
        length = images.shape[axis]
        count = max(1, round(length * side / longer))
        starts = np.arange(count) * length // count
        sizes = np.diff([*starts, length])
        shape = [1, 1, 1]
        shape[axis] = count
        images = np.add.reduceat(images, starts, axis=axis) / sizes.reshape(shape)
    return images


def _diffuse(images: np.ndarray) -> np.ndarray:
    """Decide dot after dot, all pictures at once, and hand the error on: 0 or 1."""
    batch, height, width = images.shape
    # A frame of one dot catches what would be handed on beyond the edges. The batch comes last, so
    # that a dot of all pictures lies together in memory.
    left = np.zeros((height + 1, width + 2, batch))
    left[:height, 1:-1] = images.transpose(1, 2, 0)
    dots = np.zeros((height, width, batch), dtype=np.uint8)
    for row in range(height):
        for column in range(width):
            value = left[row, column + 1]
            raised = value >= 0.5
            dots[row, column] = raised
            error = (value - raised) / 16
            left[row, column + 2] += 7 * error
            left[row + 1, column] += 3 * error
            left[row + 1, column + 1] += 5 * error
            left[row + 1, column + 2] += error
    return dots.transpose(2, 0, 1)
