"""Draws images of textures for the demonstration of classification."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from passband.data.pasting import PARTS
from passband.io.arrays import from_array
from passband.io.files import new_folder
from passband.io.image import write_image

PERIODS = (7.0, 20.0)
"""Smallest and largest period of a texture, in pixels."""
TURN = 15.0
"""Largest angle by which a texture is turned to either side, in degrees."""
CONTRAST = 60
"""Smallest difference of the two colors in one channel, of 255."""
NOISE = (10.0, 45.0)
"""Smallest and largest standard deviation of the noise, of 255."""
QUALITIES = (50, 90)
"""Smallest and largest quality of the JPEG files."""


def _bricks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    shifted = u / 2 + 0.5 * (np.floor(v) % 2)
    return (v % 1 < 0.2) | (shifted % 1 < 0.1)


def _checks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.floor(2 * u) + np.floor(2 * v)) % 2


def _dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.09


def _grain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    cells = np.sin(12.9898 * np.floor(2 * u) + 78.233 * np.floor(2 * v)) * 43758.5453
    return cells % 1 < 0.5


def _planks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return v % 1 < 0.5


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u % 1 < 0.5


TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "bricks": _bricks,
    "checks": _checks,
    "dots": _dots,
    "grain": _grain,
    "planks": _planks,
    "stripes": _stripes,
}
"""Functions of two directions, in periods, that tell where an image has its second color; by class, sorted."""


def draw_texture(name: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a texture in two random colors, turned and scaled at random, with noise.

    Args:
        name: class of the texture, a key of `TEXTURES`.
        side: side of the image, in pixels.
        rng: generator of the random choices.

    Returns:
        RGB image, uint8 H W 3.
    """
    y, x = np.mgrid[:side, :side] - side * rng.uniform(0.2, 0.8, 2)[:, None, None]
    angle, period = np.radians(rng.uniform(-TURN, TURN)), np.exp(rng.uniform(*np.log(PERIODS)))
    u, v = (np.cos(angle) * x + np.sin(angle) * y) / period, (np.cos(angle) * y - np.sin(angle) * x) / period
    first = rng.uniform(0, 255, 3)
    second = rng.uniform(0, 255, 3)
    while abs(first - second).max() < CONTRAST:
        second = rng.uniform(0, 255, 3)
    share = TEXTURES[name](u, v)[..., None].astype(np.float64)
    image = first * (1 - share) + second * share + rng.normal(0, rng.uniform(*NOISE), (side, side, 3))
    return image.round().clip(0, 255).astype(np.uint8)


def write_textures(folder: Path, counts: tuple[int, int], side: int, seed: int) -> None:
    """Write a set for classification: PART/CLASS/NUMBER.jpg.

    Args:
        folder: new or empty folder.
        counts: numbers of images of each part, in the order of `PARTS`.
        side: side of the images, in pixels.
        seed: seed of the set.

    Raises:
        FileExistsError: if the folder holds files.
    """
    names = list(TEXTURES)
    with new_folder(folder):
        for place, (part, count) in enumerate(zip(PARTS, counts, strict=True)):
            for number in range(count):
                rng = np.random.default_rng([seed, place, number])
                name = names[number % len(names)]
                image = from_array(draw_texture(name, side, rng))[0]
                quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
                write_image(folder / part / name / f"{number:04d}.jpg", image, quality=quality)
