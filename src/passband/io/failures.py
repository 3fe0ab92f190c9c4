"""Says in one sentence why a file cannot be read or written, for example because the disk is full."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from passband.io.paths import PARTIAL, nearest_existing

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a disk without room, and of a user who may not write more."""


class WriteError(OSError):
    """A file cannot be written. The message is one sentence that names the file."""

    def __str__(self) -> str:
        """Return the sentence without the error number."""
        return str(self.strerror)


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Raise errors of the operating system in the block as a `WriteError`, whose sentence names a file or folder.

    `write_whole` does this. Use it alone for a file that grows while a program runs. Errors that name another file,
    such as one that the block reads, stay as they are.

    Args:
        path: path that the block writes to.

    Raises:
        WriteError: if `path` cannot be written.
    """
    try:
        yield
    except OSError as error:
        if _names_other_file(error, path):
            raise
        # the block may have written a temporary file, whose name says nothing to a user
        cause = error.__cause__ if isinstance(error, WriteError) and isinstance(error.__cause__, OSError) else error
        reason = str(cause.strerror or cause)
        if isinstance(cause, FileExistsError | NotADirectoryError):
            reason = file_in_place_of_folder(path.parent) or reason
        if cause.errno in FULL:
            reason = f"no space left in {path.parent}; free some space there, or choose another folder"
        problem = WriteError(cause.errno, f"cannot write {path}: {reason}")
        problem.filename = str(path)
        raise problem from cause


def _names_other_file(error: OSError, path: Path) -> bool:
    """Tell whether an error names a file that is neither a path, nor below or above it, nor a temporary file.

    A file that the block writes beside the path, such as the record of its folder, belongs to the path.
    """
    if not isinstance(error.filename, str | os.PathLike) or PARTIAL in str(error.filename):
        return False
    named, own = Path(error.filename).absolute(), path.absolute()
    own = own.parent if isinstance(error, WriteError) else own
    return not (own.is_relative_to(named) or named.is_relative_to(own))


@contextmanager
def telling_full_disk(folder: Path, size: int = 2**20) -> Iterator[None]:
    """Raise the error of the operating system in place of that of another library, if a folder cannot be written to.

    Libraries such as torch, safetensors and OpenVINO raise errors of their own for a full disk, whose messages may be
    `iostream error`. Errors of passband, of missing packages and of memory have other causes and stay as they are.

    Args:
        folder: folder that the block writes to.
        size: size of the files of the block in bytes. Those that are in the folder when it raises an error count.

    Raises:
        OSError: if the block raises an error and the folder cannot be written to.
    """
    try:
        yield
    except (MemoryError, ImportError):
        raise
    except Exception as error:
        is_own = type(error).__module__.partition(".")[0] == __name__.partition(".")[0]
        if is_own or (isinstance(error, OSError) and error.errno is not None):  # shutil.Error has none
            raise
        size = max(2**20, size - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
        probe = folder / f".{token_hex(6)}{PARTIAL}"
        try:
            with probe.open("wb") as file:
                for begin in range(0, size, 2**20):
                    file.write(bytes(min(2**20, size - begin)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise problem from error
        finally:
            with suppress(OSError):
                probe.unlink()
        raise


def file_in_place_of_folder(folder: Path) -> str:
    """Say that a folder or one of its parents is a file or a broken link; empty if none is.

    Args:
        folder: path of a folder, which may not exist.
    """
    existing = nearest_existing(folder)
    if existing is None or existing.is_dir():
        return ""
    return f"{existing} is {'a file' if existing.exists() else 'a broken link'}, and a folder is needed"


def none_usable(data: str | Path, reasons: Sequence[str]) -> str:
    """Describe a folder in which no image can be used, in one sentence.

    Args:
        data: the folder.
        reasons: reason of each image that failed; empty if the folder holds none.
    """
    if not reasons:
        return f"{data} holds no images"
    return f"{data} holds no image that can be used; the first of {len(reasons)}: {reasons[0]}"


def failure(error: BaseException, path: Path, *others: Path) -> str:
    """Describe why a file failed, in one sentence that contains the name of the file.

    Args:
        error: error that was raised. Messages of passband's own errors are kept; for other errors the type is added.
        path: path of the file.
        others: paths of files that belong to it. The error may name one of them instead.
    """
    message = str(error)
    if not message or not isinstance(error, ValueError | OSError | MemoryError) or isinstance(error, UnicodeError):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return message if any(str(file) in message for file in (path, *others)) else f"{path}: {message}"
