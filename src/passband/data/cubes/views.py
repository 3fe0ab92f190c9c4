"""Chooses the part of an image that a classifier sees, and its scale."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

HALVINGS = (-1, 3)
"""A cube can show an image exactly at twice, the whole, a half, a quarter or an eighth of its size."""
ASPECT = (3 / 4, 4 / 3)
"""Range of width over height of random crops before they are resized to a square, as usual for training on ImageNet."""
TRIES = 10
"""Number of random crops that are tried before the center is used, for images that are much longer than wide."""
CENTER_SHARE = 0.875
"""Share of the shorter side that a center view of pixels shows, as usual for scores on ImageNet."""


@dataclass(frozen=True)
class Augmentation:
    """The random choices of a training view.

    Attributes:
        rng: random generator.
        scale: smallest and greatest share of the image's area that a view shows.
        flip: whether to mirror left to right half of the time.
    """

    rng: np.random.Generator
    scale: tuple[float, float] = (0.08, 1.0)
    flip: bool = True


@dataclass(frozen=True)
class PixelWindow:
    """A part of an image, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
        mirrored: whether to exchange left and right afterwards.
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool = False


@dataclass(frozen=True)
class CubeView:
    """The part of an image that a cube shows.

    Attributes:
        window: part of the upright image, in whole groups of blocks.
        reduction: pixels of the file, along each direction, that become one pixel of the cube's image: 1/2 to 8.
        offset: row and column of the cube's image, in pixels, at which the window begins; the surroundings are gray.
    """

    window: PixelWindow
    reduction: Fraction
    offset: tuple[int, int]


def best_halvings(height: int, width: int, size: int) -> int:
    """Return the number of halvings that brings the shorter side of an image nearest to the side of a view.

    The nearest is judged by the ratio: the shorter side becomes 0.71 to 1.41 times the view's side, except for images
    beyond `HALVINGS`.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        size: side of the view, in pixels.
    """
    return min(max(round(math.log2(min(height, width) / size)), HALVINGS[0]), HALVINGS[1])


def cube_view(
    height: int,
    width: int,
    mcu: tuple[int, int],
    size: int,
    stride: int,
    augmentation: Augmentation | None = None,
) -> CubeView | None:
    """Choose the part of an image that a cube shows.

    Without augmentation this is the center, at the size of `best_halvings`. With augmentation it is a random part. Each
    halving fewer shows a quarter of the area; one of the shares within the augmentation's scale is drawn.

    Args:
        height: height of the upright image, in pixels.
        width: width of the upright image, in pixels.
        mcu: rows and columns of pixels at whose multiples the file can be cut; only whole MCUs are shown.
        size: side of the cube's image, in pixels.
        stride: side of its cells, in pixels.
        augmentation: random choices for training; None shows the center.

    Returns:
        The view, or None if the image is too small or its MCUs do not divide the view.
    """
    halvings = best_halvings(height, width, size)
    if augmentation is not None:
        possible = _sharper(halvings, augmentation.scale)
        halvings = possible[augmentation.rng.integers(len(possible))]
    reduction = Fraction(2) ** halvings
    places = []
    for side, cut in ((height, mcu[0]), (width, mcu[1])):
        unit = math.lcm(cut, int(reduction * stride))
        wanted = Fraction(size) * reduction / unit
        available = side // unit
        if wanted.denominator != 1 or not available:
            return None
        shown = min(int(wanted), available)
        free, around = available - shown, int(wanted) - shown
        if augmentation is None:
            start, offset = free // 2, around // 2
        else:
            start, offset = (int(augmentation.rng.integers(room + 1)) for room in (free, around))
        places.append((start * unit, shown * unit, int(offset * unit / reduction)))
    (top, rows, above), (left, columns, before) = places
    mirrored = augmentation is not None and augmentation.flip and bool(augmentation.rng.integers(2))
    return CubeView(PixelWindow(top, left, rows, columns, mirrored), reduction, (above, before))


def pixel_window(height: int, width: int, augmentation: Augmentation | None = None) -> PixelWindow:
    """Choose the part of an image that a view of pixels shows, before it is resized to a square.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        augmentation: random choices for training; None shows the center square with `CENTER_SHARE` of the shorter side.

    Returns:
        The part of the image.

    Source: training crops as in Szegedy et al., "Going deeper with convolutions", CVPR 2015.
    """
    if augmentation is None:
        side = max(1, round(CENTER_SHARE * min(height, width)))
        return PixelWindow((height - side) // 2, (width - side) // 2, side, side)
    rng = augmentation.rng
    rows, columns = height, width
    for _ in range(TRIES):
        area = height * width * rng.uniform(*augmentation.scale)
        aspect = math.exp(rng.uniform(*np.log(ASPECT)))
        rows, columns = max(1, round(math.sqrt(area / aspect))), max(1, round(math.sqrt(area * aspect)))
        if rows <= height and columns <= width:
            break
    else:
        rows, columns = min(height, round(width / ASPECT[0])), min(width, round(height * ASPECT[1]))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    mirrored = augmentation.flip and bool(rng.integers(2))
    return PixelWindow(top, left, rows, columns, mirrored)


def _sharper(halvings: int, scale: tuple[float, float]) -> list[int]:
    """Return the numbers of halvings, up to the one that shows the whole, whose share of the area fits the scale."""
    possible = range(halvings, HALVINGS[0] - 1, -1)
    shares = {number: 4.0 ** (number - halvings) for number in possible}
    fitting = [number for number, share in shares.items() if scale[0] <= share <= scale[1]]
    return fitting or [min(shares, key=lambda number: abs(math.log(shares[number] / scale[1])))]
