"""Pictures with masks that tests make, bright ellipses on a textured ground, and maps that find them nearly."""

import numpy as np
from PIL import Image

from tests.golden_fill import noise


def ellipses(name: str, height: int, width: int, count: int = 2) -> np.ndarray:
    """A mask, uint8 of 0 and 1, of ellipses that the name decides."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    mask = np.zeros((height, width), bool)
    for number in range(count):
        place = noise(f"{name}/{number}", (4,))
        a, b = (0.1 + 0.15 * place[:2]) * (height, width)
        mask |= ((y - (0.2 + 0.6 * place[2]) * height) / a) ** 2 + ((x - (0.2 + 0.6 * place[3]) * width) / b) ** 2 <= 1
    return mask.astype(np.uint8)


def picture_of(name: str, mask: np.ndarray) -> np.ndarray:
    """An RGB picture, uint8, that is brighter where its mask is set."""
    ground = 40 + 60 * noise(f"{name}/ground", (*mask.shape, 3))
    return (ground + mask[..., None] * (110, 60, 20)).astype(np.uint8)


def write_pairs(folder, count=4, size=(37, 53), images="images", masks="masks", suffix=".png", start=0):
    """A folder of pictures and binary masks of 0 and 255, called 0, 1, 2, ...; returns it."""
    for part in (images, masks):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        mask = ellipses(f"mask {number}", *size)
        Image.fromarray(picture_of(f"picture {number}", mask)).save(folder / images / f"{number}.jpg", quality=95)
        Image.fromarray(mask * 255).save(folder / masks / f"{number}{suffix}")
    return folder


CASES = {"odd": (61, 47), "long": (23, 101), "square": (64, 64)}
"""Name to height and width."""


def probability_map(name: str, height: int, width: int) -> np.ndarray:
    """A map, float64 in (0, 1), that agrees with the mask of its name in most places, never reaching 0 or 1."""
    truth = ellipses(name, height, width)
    shifted = np.roll(truth, (2, -3), (0, 1))
    return 0.08 + 0.35 * truth + 0.3 * shifted + 0.2 * noise(f"{name}/map", truth.shape)
