"""Writes files completely or not at all, and keeps folders for one process."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from secrets import token_hex

from passband.io.failures import WriteError, file_in_place_of_folder, naming_file
from passband.io.paths import PARTIAL, checked_path, from_home, is_openable, nearest_existing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_before_rename: ContextVar[Callable[[Path, Path], None]] = ContextVar("_before_rename")


@contextmanager
def before_rename(function: Callable[[Path, Path], None]) -> Iterator[None]:
    """Call a function for each file that `write_whole` writes in the block, before the file gets its name.

    Args:
        function: function of the path of the finished file, and of the temporary path that holds its content.
    """
    token = _before_rename.set(function)
    try:
        yield
    finally:
        _before_rename.reset(token)


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename the file at that path to `path` when the block ends.

    No reader ever sees a partly written file. If the block raises an error, the temporary file is removed and an older
    file at `path` stays. Parent folders are created. The temporary name keeps the suffix of `path`, because many
    writers choose the file format by the suffix.

    Args:
        path: path of the finished file.

    Yields:
        The temporary path to write to.

    Raises:
        WriteError: if `path` cannot be written, for example because the folder is read-only or the disk is full.
    """
    temporary = path.with_name(f".{token_hex(6)}{PARTIAL}{path.suffix}")
    with naming_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if (function := _before_rename.get(None)) is not None:
                function(path, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def results_folder(output: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """Return the path of a folder for results, which may not exist yet.

    Call this before the work that makes the results, so that nothing is computed that cannot be written.

    Args:
        output: path of the folder; a leading `~` is the home folder.
        inputs: folders that the results must not be mixed with.

    Raises:
        TypeError, ValueError: as `checked_path` raises them.
        WriteError: if the path or one of its parents is a file, or the folder cannot be written to or is an input.
    """
    path = from_home(checked_path(output, "the folder for results"))
    if any(is_openable(one) and path.resolve() == from_home(one).resolve() for one in inputs):
        raise WriteError(
            errno.EINVAL, f"results would be written among the inputs in {path}: choose another folder for them"
        )
    if problem := file_in_place_of_folder(path):
        raise WriteError(errno.ENOTDIR, f"cannot write to the folder {path}: {problem}")
    existing = nearest_existing(path)
    if existing is not None and not os.access(existing, os.W_OK | os.X_OK):
        raise WriteError(errno.EACCES, f"cannot write to the folder {path}: {existing} is read-only, choose another")
    return path


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Remove all that the block has written into a new or empty folder if the block fails or is interrupted.

    A part of the files would look like all of them, and the same call could not be made again.

    Args:
        folder: new or empty folder. Folders above it stay.

    Raises:
        FileExistsError: if the folder holds files, or is or lies below a file.
    """
    is_new = not os.path.lexists(folder)
    problem = file_in_place_of_folder(folder) or ("it holds files" if not is_new and any(folder.iterdir()) else "")
    if problem:
        raise FileExistsError(f"{folder} must be a new or empty folder, but {problem}: choose another folder")
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for one in folder.iterdir():
                if one.is_dir() and not one.is_symlink():
                    shutil.rmtree(one)
                else:
                    one.unlink()
            if is_new:
                folder.rmdir()
        raise


class FolderLock:
    """Keeps a folder for one process until it is released or the process ends, where the file system has locks.

    Args:
        folder: path of the folder, which is created if it does not exist. Folders that were created and are still empty
            are removed at the release.
        shared: whether others may also keep the folder in this way. Such a lock waits until an exclusive one ends, and
            does not create the folder.

    Raises:
        BlockingIOError: if another lock keeps the folder.
        FileNotFoundError: if the folder of a shared lock does not exist.
        OSError: if the folder cannot be created or opened.
    """

    def __init__(self, folder: Path, *, shared: bool = False):
        self._descriptor: int | None = None
        self._created = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
        while self._descriptor is None:
            if not shared:
                folder.mkdir(parents=True, exist_ok=True)
            if fcntl is None:
                return
            try:
                descriptor = os.open(folder, os.O_RDONLY)
            except FileNotFoundError:  # removed by the process that kept it before
                if shared:
                    raise
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), os.stat(folder)):  # noqa: PTH116
                    self._descriptor = descriptor
            except FileNotFoundError:
                pass
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                return  # the file system has no locks
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def share(self) -> None:
        """Let others keep the folder as well. They may do so, and have an exclusive lock, before this returns."""
        if self._descriptor is not None and fcntl is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @property
    def is_held(self) -> bool:
        """Whether the folder is kept, which it is not where the file system has no locks."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let other processes use the folder."""
        with suppress(OSError):  # the first folder that is not empty ends it
            for folder in self._created:
                folder.rmdir()
        self._created = []
        if self._descriptor is None or fcntl is None:
            return
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # closing alone would leave it to processes that were forked
        os.close(self._descriptor)
        self._descriptor = None


def copy_whole(source: Path, target: Path) -> None:
    """Copy the content of a file, completely or not at all.

    Args:
        source: path of the file.
        target: path of the copy. Missing folders are created.

    Raises:
        OSError: if a file cannot be read or written.
    """
    with write_whole(target) as temporary, source.open("rb") as read, temporary.open("wb") as write:
        while part := read.read(1 << 20):
            write.write(part)


def file_checksum(path: str | Path) -> str:
    """Return the SHA-256 of a file.

    Args:
        path: path of the file, which may be larger than the memory, or of a member of a shard.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: if the file cannot be read.
    """
    path = Path(path) if isinstance(path, str) else path
    with path.open("rb") as file:  # a member of a shard is opened by its own method
        return hashlib.file_digest(file, "sha256").hexdigest()
