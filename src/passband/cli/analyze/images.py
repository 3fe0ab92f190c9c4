"""Tells images from weights among the arguments of `passband analyze`."""

from pathlib import Path


def is_image(source: str) -> bool:
    """Tell whether an argument is an image file, and not weights."""
    from passband.io.image import SUFFIXES, kind_of_file

    path = Path(source)
    return not path.is_dir() and (path.suffix.lower() in SUFFIXES or kind_of_file(path) is not None)
