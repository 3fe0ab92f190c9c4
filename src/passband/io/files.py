"""Files written whole, or not at all; names that a file system takes; and what went wrong, in a sentence."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

NAME_BYTES = 255
"""Bytes of a file's name, at most, on the file systems of Linux, macOS and Windows."""
PARTS_SUFFIX = ".parts"
"""Ends the name of the folder of a video that is not done: that of its finished segments."""
PARTS_JOB = "job.json"
"""What a folder of segments holds from its beginning: all that decides them."""


class WriteError(OSError):
    """A file that cannot be written, in one sentence that names it."""

    def __str__(self) -> str:
        """The sentence, without the number of the error."""
        return str(self.strerror)


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    A reader, a crash or Ctrl-C never sees half a file. Parent folders are made. The temporary name keeps the
    suffix of `path`, because many writers choose their format by it.

    Args:
        path: where the file shall be.

    Yields:
        The path to write to.

    Raises:
        WriteError: naming `path`, where it cannot be written (read-only folder, full disk).
    """
    temporary = path.with_name(f".{token_hex(6)}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = str(error.strerror or error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"no space left for it in {path.parent}; free some there, or choose another folder"
        raise WriteError(error.errno, f"cannot write {path}: {reason}") from error


def fitted_name(stem: str, ending: str) -> str:
    """A file's name that a file system takes: `stem` with `ending`, the stem shortened where they are too long.

    Args:
        stem: begins the name.
        ending: ends it, such as `_restored.jpg`; kept whole.

    Returns:
        A name of at most `NAME_BYTES` bytes. A shortened stem ends in a tilde and eight digits that depend on the
        whole stem, so that two long stems stay two names.
    """
    if len(os.fsencode(stem + ending)) <= NAME_BYTES:
        return stem + ending
    digits = f"~{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"
    room = NAME_BYTES - len(os.fsencode(digits + ending))
    end = len(stem)
    while len(os.fsencode(stem[:end])) > room:  # by characters, since a cut within one is no name in UTF-8
        end -= 1
    return stem[:end] + digits + ending


def parts_folder(target: Path) -> Path:
    """The folder beside a video that keeps its finished segments until it is done."""
    return target.with_name(fitted_name(target.name, PARTS_SUFFIX))


def is_parts_folder(path: Path) -> bool:
    """Whether a folder keeps segments of a video; one that is merely called so is none."""
    try:
        return path.name.endswith(PARTS_SUFFIX) and (path / PARTS_JOB).is_file()
    except OSError:
        return False


def cache_folder() -> Path:
    """The user's cache folder for passband: `$PASSBAND_CACHE`, or where the system keeps such things.

    It may not exist yet. Deleting it costs the time to make things again, and nothing else.
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


def failure(error: BaseException, path: Path, *others: Path) -> str:
    """Say why a file failed, in one sentence with the file's name.

    Args:
        error: what was raised. The kinds that passband raises for bad files speak for themselves; others are named.
        path: of the file.
        others: files that belong to it, one of which the error may name instead.
    """
    said = str(error)
    if not said or not isinstance(error, ValueError | OSError | MemoryError) or isinstance(error, UnicodeError):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return said if any(str(one) in said for one in (path, *others)) else f"{path}: {said}"
