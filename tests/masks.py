"""Makes images with masks, which are bright ellipses on a textured ground, and probability maps that nearly match."""

import numpy as np
from PIL import Image

from tests.golden_fill import noise


def ellipses(name: str, height: int, width: int, count: int = 2) -> np.ndarray:
    """Return a mask of ellipses, uint8 of 0 and 1, that depends on the name."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    mask = np.zeros((height, width), bool)
    for number in range(count):
        place = noise(f"{name}/{number}", (4,))
        a, b = (0.1 + 0.15 * place[:2]) * (height, width)
        mask |= ((y - (0.2 + 0.6 * place[2]) * height) / a) ** 2 + ((x - (0.2 + 0.6 * place[3]) * width) / b) ** 2 <= 1
    return mask.astype(np.uint8)


def picture_of(name: str, mask: np.ndarray) -> np.ndarray:
    """Return an RGB image, uint8, that is brighter inside its mask."""
    ground = 40 + 60 * noise(f"{name}/ground", (*mask.shape, 3))
    return (ground + mask[..., None] * (110, 60, 20)).astype(np.uint8)


def write_pairs(folder, count=4, size=(37, 53), images="images", masks="masks", suffix=".png", start=0):
    """Write images and binary masks of 0 and 255 with the names 0, 1, 2 and so on, and return the folder."""
    for part in (images, masks):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        mask = ellipses(f"mask {number}", *size)
        Image.fromarray(picture_of(f"picture {number}", mask)).save(folder / images / f"{number}.jpg", quality=95)
        Image.fromarray(mask * 255).save(folder / masks / f"{number}{suffix}")
    return folder


CASES = {"odd": (61, 47), "long": (23, 101), "square": (64, 64)}
"""Heights and widths in pixels, by name."""


def probability_map(name: str, height: int, width: int) -> np.ndarray:
    """Return a map, float64 between 0 and 1 exclusive, that agrees with the mask of its name at most pixels."""
    truth = ellipses(name, height, width)
    shifted = np.roll(truth, (2, -3), (0, 1))
    return 0.08 + 0.35 * truth + 0.3 * shifted + 0.2 * noise(f"{name}/map", truth.shape)
