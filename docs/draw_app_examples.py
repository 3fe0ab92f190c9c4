"""Draws the examples of the page: python docs/draw_app_examples.py.

The photos come with scikit-image: a rocket and a cup of coffee (CC0), and a portrait by NASA (public
domain). Each is degraded by code, except for the last one.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from passband import degrade

FOLDER = Path(__file__).resolve().parent.parent / "src" / "passband" / "app" / "examples"
SIZE = (480, 320)
EXAMPLES = {
    "hazy-cup": (data.coffee, {"kind": "haze", "seed": 0, "version": 1}),
    "rainy-launch": (data.rocket, {"kind": "rain", "seed": 3, "version": 1}),
    "clean-portrait": (data.astronaut, None),
}
"""Photo and degradation of each example, by name."""


def main() -> None:
    """Write all examples."""
    FOLDER.mkdir(exist_ok=True)
    for name, (photo, settings) in EXAMPLES.items():
        image = cut(photo())
        degraded = degrade(image, **settings) if settings else image
        degraded.save(FOLDER / f"{name}.jpg", quality=90)


def cut(photo: np.ndarray) -> Image.Image:
    """Return the middle of a photo in the size of the examples.

    Args:
        photo: array H W 3 of uint8.
    """
    image = Image.fromarray(photo[..., :3])
    scale = max(SIZE[0] / image.width, SIZE[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    left, top = (image.width - SIZE[0]) // 2, (image.height - SIZE[1]) // 2
    return image.crop((left, top, left + SIZE[0], top + SIZE[1]))


if __name__ == "__main__":
    main()
