"""Picture files that tests make."""

import numpy as np
from PIL import Image


def make(folder, *names):
    """Pictures in a folder; their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)
    return paths


def names(folder):
    """The names in a folder but for hidden ones, such as the record of what was written there."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
