"""Which part of a picture a classifier gets to see, and how large."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

HALVINGS = (-1, 3)
"""A cube can show a picture at twice, the whole, a half, a quarter or an eighth of its size, exactly."""
ASPECT = (3 / 4, 4 / 3)
"""Width over height of random crops before they are made square, as training on ImageNet has it."""
TRIES = 10
"""Random crops that are drawn before the center is taken, for pictures much longer than wide."""
CENTER_SHARE = 0.875
"""Share of the shorter side that a center view of pixels shows, as scores on ImageNet are given for."""


@dataclass(frozen=True)
class Augmentation:
    """How a training view is drawn.

    Attributes:
        rng: draws it.
        scale: least and greatest share of the picture's area that it shows.
        flip: whether it is mirrored left to right half of the time.
    """

    rng: np.random.Generator
    scale: tuple[float, float] = (0.08, 1.0)
    flip: bool = True


@dataclass(frozen=True)
class PixelWindow:
    """A part of a picture, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
        mirrored: left and right are to be exchanged afterwards.
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool = False


@dataclass(frozen=True)
class CubeView:
    """What a cube shows of a picture.

    Attributes:
        window: part of the upright picture, of whole groups of blocks.
        reduction: pixels of the file, per direction, that are one of the cube's picture: 1/2 to 8.
        offset: row and column of the cube's picture, in pixels, where the window begins; what is around it is gray.
    """

    window: PixelWindow
    reduction: Fraction
    offset: tuple[int, int]


def best_halvings(height: int, width: int, size: int) -> int:
    """How often a picture is halved so that its shorter side comes nearest to a view's.

    By their ratio: the shorter side is then 0.71 to 1.41 times the view's, but for pictures beyond `HALVINGS`.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
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
    """Choose what a cube shows.

    Without augmentation the center, at the size of `best_halvings`. With it, a random place, and of the shares of the
    area that halving less often shows (a quarter each time) a random one within the augmentation's scale.

    Args:
        height: of the upright picture, in pixels.
        width: of the upright picture, in pixels.
        mcu: rows and columns of pixels between which the file can be cut; only whole ones are shown.
        size: side of the cube's picture, in pixels.
        stride: side of its cells, in pixels.
        augmentation: for training.

    Returns:
        The view, or None where a picture is too small to have one or its MCUs do not divide the view.
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
    """Choose what a view of pixels shows, to be resized to a square.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        augmentation: for training; None for the center square of `CENTER_SHARE` of the shorter side.

    Source: training crops as Szegedy et al., "Going deeper with convolutions", CVPR 2015, draw them.
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
    """The numbers of halvings, from the one that shows the whole, whose share of the area is within bounds."""
    possible = range(halvings, HALVINGS[0] - 1, -1)
    shares = {number: 4.0 ** (number - halvings) for number in possible}
    fitting = [number for number, share in shares.items() if scale[0] <= share <= scale[1]]
    return fitting or [min(shares, key=lambda number: abs(math.log(shares[number] / scale[1])))]
