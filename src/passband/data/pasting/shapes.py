"""Drawn shapes with textures on drawn backgrounds, for sets that need no files."""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from passband.naming import listed

SIDE = 128
"""Side of a drawn shape in pixels, before it is resized."""
DETAIL = 3
"""Factor of the size at which outlines are drawn, before they are reduced to smooth edges."""
COLORFUL = 0.35
"""Share of the color of backgrounds, which are duller than the shapes. 0 is gray."""
Points = list[tuple[float, float]]


def _regular(corners: int, turn: float = -0.5, inner: float = 1.0) -> Points:
    """Return the corners of a regular polygon or star in [-1, 1]; `turn` is the angle of the first in units of pi."""
    count = corners if inner == 1 else 2 * corners
    angles = np.pi * (turn + 2 * np.arange(count) / count)
    radii = np.where(np.arange(count) % 2, inner, 1.0)
    return [(float(x), float(y)) for x, y in zip(radii * np.cos(angles), radii * np.sin(angles), strict=True)]


def _heart() -> Points:
    """Return the outline of a heart."""
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3 / 17
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


OUTLINES: dict[str, Points] = {
    "disc": _regular(60),
    "square": _regular(4, turn=0.25),
    "triangle": _regular(3),
    "star": _regular(5, inner=0.4),
    "cross": [
        *((-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35)),
        *((0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35)),
    ],
    "heart": _heart(),
}
"""Outline of each class, in [-1, 1]."""


class DrawnShapes:
    """Shapes in random colors with random textures, on backgrounds of soft clouds and faint lines.

    The parts of a set share the classes only: every drawing is new.

    Args:
        classes: names of shapes, keys of `OUTLINES`; None takes all.
        tinted: whether each class has a hue of its own, so that a small network learns the classes sooner.

    Raises:
        ValueError: if a name is unknown, or there is none.
    """

    def __init__(self, classes: tuple[str, ...] | None = None, *, tinted: bool = False):
        self.tinted = tinted
        self.classes = tuple(OUTLINES) if classes is None else tuple(classes)
        if not self.classes or not {*self.classes} <= {*OUTLINES}:
            raise ValueError(f"classes of drawn shapes are some of {listed([*OUTLINES])}; got {listed(self.classes)}")

    def cutout(self, label: int, part: str, rng: np.random.Generator) -> Image.Image:
        """Draw a shape of a class, see `ObjectSource`."""
        side = DETAIL * SIDE
        outline = np.array(OUTLINES[self.classes[label]])
        outline = (outline * [1, rng.uniform(0.8, 1)] + 1) * (side - 1) / 2
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in outline], fill=255)
        hue = rng.uniform()
        if self.tinted:
            hue = (label + 0.4 * hue) / len(self.classes)
        first = np.multiply(255, colorsys.hsv_to_rgb(hue, rng.uniform(0.6, 1), rng.uniform(0.65, 1)))
        second = np.multiply(255, colorsys.hsv_to_rgb(hue, rng.uniform(0.2, 1), rng.uniform(0.25, 1)))
        pattern = TEXTURES[int(rng.integers(len(TEXTURES)))](rng)[..., None]
        image = Image.fromarray((first * (1 - pattern) + second * pattern).astype(np.uint8))
        image.putalpha(mask.resize((SIDE, SIDE), Image.Resampling.BOX))
        return image.crop(image.getchannel("A").getbbox())

    def background(self, part: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """Draw a background, see `ObjectSource`."""
        height, width = size
        clouds = np.zeros((height, width, 3))
        for cells, strength in ((3, 40), (8, 18), (24, 8)):
            noise = rng.uniform(0, 255, (cells, cells, 3))
            noise = (COLORFUL * noise + (1 - COLORFUL) * noise.mean(2, keepdims=True)).astype(np.uint8)
            view = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            clouds += (np.asarray(view, dtype=np.float64) - 127.5) * strength / 64
        ground = rng.uniform(70, 185) + COLORFUL * rng.uniform(-60, 60, 3)
        image = Image.fromarray((ground + clouds).clip(0, 255).astype(np.uint8))
        lines = image.copy()
        draw = ImageDraw.Draw(lines)
        for _ in range(int(rng.integers(0, 7))):
            ends = rng.uniform(-0.2, 1.2, (2, 2)) * [width, height]
            color = (int(rng.uniform(0, 255)),) * 3
            draw.line([tuple(end) for end in ends.tolist()], fill=color, width=int(rng.integers(1, 4)))
        return Image.blend(image, lines.filter(ImageFilter.GaussianBlur(0.7)), 0.5)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    return y, x


def _plain(rng: np.random.Generator) -> np.ndarray:
    """Return a slope from one color towards the other."""
    y, x = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    return 0.25 + 0.25 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))


def _stripes(rng: np.random.Generator) -> np.ndarray:
    y, x = _grid()
    angle, count = rng.uniform(0, np.pi), rng.uniform(3, 7)
    return (np.sin(2 * np.pi * count * (np.cos(angle) * x + np.sin(angle) * y)) > 0).astype(np.float64)


def _checks(rng: np.random.Generator) -> np.ndarray:
    y, x = _grid()
    count = rng.uniform(4, 8)
    return ((np.floor(count * x) + np.floor(count * y)) % 2).astype(np.float64)


def _dots(rng: np.random.Generator) -> np.ndarray:
    y, x = _grid()
    count = rng.uniform(4, 8)
    return ((count * x % 1 - 0.5) ** 2 + (count * y % 1 - 0.5) ** 2 < 0.09).astype(np.float64)


TEXTURES: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (_plain, _plain, _stripes, _checks, _dots)
"""Functions that draw the share of the second color, SIDE x SIDE; the plain one is twice as likely as the others."""
