"""Files that are in two places, byte for byte: pictures to score on that were learned from."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

TAIL = 4096
"""Bytes at the end of a file that are compared before all of them: pictures differ there, and headers do not."""


def duplicates(pictures: Sequence[Path], against: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Find the files that are among others, too, whatever they are called.

    Only files of equal sizes are opened, and only those read whole whose ends are equal, too.

    Args:
        pictures: files to look for.
        against: files to look among.

    Returns:
        Each picture that has an equal, in the order given, with the first of its equals.

    Raises:
        OSError: where a file cannot be read.
    """
    sizes = {path: path.stat().st_size for path in pictures}
    wanted = set(sizes.values())
    others = {path: size for path in against if (size := path.stat().st_size) in wanted}
    known = set(others.values())
    tails = {path: _tail(path) for path, size in sizes.items() if size in known}
    ends = set(tails.values())
    originals: dict[str, Path] = {}
    for other in others:
        if _tail(other) in ends:
            originals.setdefault(_digest(other), other)
    marks = {path: _digest(path) for path in tails} if originals else {}
    return [(path, originals[marks[path]]) for path in pictures if path in marks and marks[path] in originals]


def without_duplicates(pictures: Sequence[Path], against: Iterable[Path]) -> list[Path]:
    """The files that are not among others.

    Args:
        pictures: files to choose from.
        against: files to look among.

    Returns:
        Those without an equal in `against`, in the order given.

    Raises:
        OSError: where a file cannot be read.
    """
    found = {path for path, _ in duplicates(pictures, against)}
    return [path for path in pictures if path not in found]


def _tail(path: Path) -> tuple[int, bytes]:
    """The size and a mark of the end of a file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return size, hashlib.sha256(file.read()).digest()


def _digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
