"""Finds files with the same bytes, for example validation images that are also training images."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from passband.io.files import file_checksum

TAIL = 4096
"""Bytes at the end of files that are compared first: images differ there, while their headers are often equal."""


def duplicates(images: Sequence[Path], against: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Find the files that have the same bytes as one of another set, whatever their names are.

    Only files of equal sizes are opened, and only files with equal ends are read whole.

    Args:
        images: files to look for.
        against: files to look among.

    Returns:
        Each duplicate in the order of `images`, with the first file of `against` that equals it.

    Raises:
        OSError: if a file cannot be read.
    """
    sizes = {path: path.stat().st_size for path in images}
    image_sizes = set(sizes.values())
    candidates = {path: size for path in against if (size := path.stat().st_size) in image_sizes}
    candidate_sizes = set(candidates.values())
    tails = {path: _tail_key(path) for path, size in sizes.items() if size in candidate_sizes}
    known_tails = set(tails.values())
    originals: dict[str, Path] = {}
    for candidate in candidates:
        if _tail_key(candidate) in known_tails:
            originals.setdefault(file_checksum(candidate), candidate)
    digests = {path: file_checksum(path) for path in tails} if originals else {}
    return [(path, originals[digests[path]]) for path in images if path in digests and digests[path] in originals]


def without_duplicates(images: Sequence[Path], against: Iterable[Path]) -> list[Path]:
    """Drop the files that have the same bytes as one of another set.

    Args:
        images: files to choose from.
        against: files to look among.

    Returns:
        The files without a duplicate in `against`, in the order of `images`.

    Raises:
        OSError: if a file cannot be read.
    """
    dropped = {path for path, _ in duplicates(images, against)}
    return [path for path in images if path not in dropped]


def _tail_key(path: Path) -> tuple[int, bytes]:
    """Return the size of a file and a hash of its end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return size, hashlib.sha256(file.read()).digest()
