"""Picture files that tests make."""

import numpy as np
from PIL import Image

from passband.io.image import write_image


def make(folder, *names):
    """Pictures in a folder; their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)
    return paths


def write_photographs(folder, photograph):
    """Four small parts of a photograph, as files in a folder; the folder."""
    for number in range(4):
        write_image(folder / f"{number}.png", photograph[:, 60 * number : 60 * number + 48, 90 : 90 + 56])
    return folder


def names(folder):
    """The names in a folder but for hidden ones, such as the record of what was written there."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
