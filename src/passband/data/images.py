"""Finding picture files: in folders, by patterns, by name."""

import glob
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from passband.io.image import SUFFIXES

NAMED = 10
"""Number of files that an error or a warning names at most."""

Report = Callable[[OSError], None]
"""What is told of a folder or file that cannot be looked at; its `filename` is which, its `strerror` why."""

SYSTEM_FOLDERS = frozenset(
    (
        *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"),
        *("__macosx", "$recycle.bin", "system volume information", "lost+found"),
    )
)
"""Folders that storage devices (Synology, QNAP) and operating systems make for themselves, in lower case. Their
pictures are thumbnails, deleted files and resource forks."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: it begins with a dot, or is one of `SYSTEM_FOLDERS`."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def warn_unreadable(error: OSError) -> None:
    """Warn that a folder or file cannot be looked at and is left out."""
    warnings.warn(f"{error.filename} cannot be read ({error.strerror}) and is left out", stacklevel=2)


def find_images(folder: Path, suffixes: Collection[str] = SUFFIXES, unreadable: Report = warn_unreadable) -> list[Path]:
    """All pictures below a folder, sorted by path; hidden files and what lies in hidden folders are left out.

    Args:
        folder: where to look.
        suffixes: what counts as one, in lower case with the dot.
        unreadable: called with the error of each folder below it that cannot be read.

    Raises:
        FileNotFoundError: if there is no such folder.
        NotADirectoryError: if it is a file.
        PermissionError: if it cannot be read.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a folder of pictures is needed")
    next(folder.iterdir(), None)  # of the folder itself an error is one
    return sorted(
        path
        for parent, _, files in walk(folder, unreadable)
        for path in (parent / name for name in files if not is_hidden(name))
        if path.suffix.lower() in suffixes and is_file(path, unreadable)
    )


def expand(source: str | Path) -> list[Path]:
    """The files or folders that a source names: itself, or what matches it as a glob pattern.

    Hidden files and folders, and `SYSTEM_FOLDERS`, match only where the pattern names them.

    Raises:
        FileNotFoundError: for one that is not there, or a pattern without a match.
    """
    path = Path(source)
    with suppress(RuntimeError):  # a name may begin with ~ without being of a user
        path = path.expanduser()
    if path.exists():
        return [path]
    # patterns may be absolute, which Path.glob does not take
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207
    # glob itself passes over names that begin with a dot
    found = [match for match in map(Path, matches) if not _system_folders(match) - _system_folders(path)]
    if not found:
        raise FileNotFoundError(f"no file, folder or match for {source}")
    return found


def _system_folders(path: Path) -> set[str]:
    """The parts of a path that are names of `SYSTEM_FOLDERS`."""
    return {part for part in path.parts if part.lower() in SYSTEM_FOLDERS}


def walk(folder: Path, unreadable: Report) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and those below it, each with the names of its folders and files; hidden folders are passed over."""
    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield Path(parent), folders, files


def is_file(path: Path, unreadable: Report) -> bool:
    """Whether a path is a file; one that may not be looked at is none."""
    try:
        return path.is_file()
    except OSError as error:
        unreadable(error)
        return False
