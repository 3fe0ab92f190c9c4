"""Makes image files."""

import torch

from passband.io.image import write_image


def make(folder, *names):
    """Write images into a folder, and return their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, torch.zeros(3, 2, 3))
    return paths


def write_photographs(folder, photograph):
    """Write four small parts of a photo as files into a folder, and return the folder."""
    for number in range(4):
        write_image(folder / f"{number}.png", photograph[:, 60 * number : 60 * number + 48, 90 : 90 + 56])
    return folder


def names(folder):
    """Return the names in a folder, without hidden ones such as the records of written files."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
