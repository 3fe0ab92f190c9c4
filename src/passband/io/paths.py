"""Checks and resolves paths, and makes names that every file system accepts."""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

NAME_BYTES = 255
"""Largest length of a file name in bytes on the file systems of Linux, macOS and Windows."""
PARTIAL = ".partial"
"""Part of the names of files that are being written."""
PARTS_SUFFIX = ".parts"
"""Suffix of the folder that holds the finished segments of an unfinished video."""
PARTS_JOB = "job.json"
"""Name of the file in a folder of segments that holds the job: everything that decides the segments."""


def from_home(path: str | Path) -> Path:
    """Return a path with the home folder in place of a leading `~` or `~USER`, unless there is no such user.

    Args:
        path: path as a user typed it.
    """
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def as_path(path: Path | str) -> Path:
    """Return a path as it is, and a text as a path.

    `Path(path)` would turn a path within a shard into one of the operating system.

    Args:
        path: path of any class, or text.
    """
    return path if isinstance(path, Path) else Path(path)


def checked_path(value: Any, name: str) -> str | Path:
    """Return a value that is a path, and refuse others. An empty text would stand for the current folder.

    Args:
        value: the value that a user passed.
        name: what it is, such as `the folder for results`.

    Raises:
        TypeError: if it is neither a text nor a path.
        ValueError: if it is an empty text.
    """
    if not isinstance(value, str | Path):
        raise TypeError(f"{name} must be a text or a pathlib.Path, got {type(value).__name__}: pass its path")
    if not str(value):
        raise ValueError(f"{name} must be a path, got an empty text: pass '.' for the current folder")
    return value


def is_openable(path: Path | str) -> bool:
    """Tell whether the operating system can open a path, unlike a path within a shard.

    Args:
        path: path or text.
    """
    return not isinstance(path, Path) or type(path) is type(Path())


def fitted_name(stem: str, ending: str) -> str:
    """Join a stem and an ending to a file name, and shorten the stem if the name would be too long.

    Args:
        stem: beginning of the name.
        ending: end of the name, such as `_restored.jpg`. It is never shortened.

    Returns:
        A name of at most `NAME_BYTES` bytes. A shortened stem ends with a tilde and eight digits that are computed from
        the whole stem, so two long stems get different names.
    """
    if len(os.fsencode(stem + ending)) <= NAME_BYTES:
        return stem + ending
    digits = f"~{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"
    room = NAME_BYTES - len(os.fsencode(digits + ending))
    end = len(stem)
    while len(os.fsencode(stem[:end])) > room:  # whole characters are removed, so that the name stays valid UTF-8
        end -= 1
    return stem[:end] + digits + ending


def split_suffix(name: str) -> tuple[str, str]:
    """Return the stem and the suffix of a file name, as `Path.stem` and `Path.suffix` do.

    Args:
        name: file name without folders.

    Returns:
        Stem, and suffix with its dot. The suffix is empty if the name has no dot between two characters.
    """
    place = name.rfind(".")
    return (name[:place], name[place:]) if 0 < place < len(name) - 1 else (name, "")


def nearest_existing(path: Path) -> Path | None:
    """Return a path if it exists, and otherwise the nearest of its parents; None on a drive that is not there.

    Args:
        path: path of a file or folder.
    """
    return next((one for one in (path, *path.absolute().parents) if os.path.lexists(one)), None)


class Resolver:
    """Resolves paths as `Path.resolve` does, but follows the symbolic links of each folder only once.

    Use one for a single run over many files, during which folders do not become links. The results are texts, because
    making a `Path` for each takes most of the time of a run that finds everything done.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str | Path, *, is_link: bool | None = None) -> str:
        """Return an absolute path without symbolic links.

        Args:
            path: the path.
            is_link: whether the path itself is a symbolic link, if that is known already.
        """
        text = os.fspath(path)
        folder, name = os.path.split(text)
        if name in ("", ".", "..") or (os.path.islink(text) if is_link is None else is_link):  # noqa: PTH114
            return os.path.realpath(text)
        return os.path.join(self.folder(folder), name)  # noqa: PTH118

    def parent(self, path: str | Path) -> str:
        """Return the resolved folder of a path.

        Args:
            path: path of a file, which need not exist.
        """
        return self.folder(os.path.dirname(path))  # noqa: PTH120

    def folder(self, folder: str) -> str:
        """Return the real path of a folder, without symbolic links. It is computed once and cached.

        Args:
            folder: path of the folder, which need not exist; empty for the working folder.
        """
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]


def parts_folder(target: Path) -> Path:
    """Return the folder beside a video that holds its finished segments until the video is complete.

    Args:
        target: path of the restored video.
    """
    return target.with_name(fitted_name(target.name, PARTS_SUFFIX))


def is_parts_folder(path: Path) -> bool:
    """Tell whether a path is a folder of video segments. A folder that only has the suffix is not one.

    Args:
        path: path to look at.
    """
    try:
        return path.name.endswith(PARTS_SUFFIX) and (path / PARTS_JOB).is_file()
    except OSError:
        return False


def cache_folder() -> Path:
    """Return the user's cache folder for passband: `$PASSBAND_CACHE`, or the cache folder of the operating system.

    The folder may not exist yet. It can be deleted at any time: passband then computes its contents again.
    """
    if chosen := os.environ.get("PASSBAND_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "passband"
