"""Writes files completely or not at all, makes names that every file system accepts, and describes failures."""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from secrets import token_hex
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME_BYTES = 255
"""Largest length of a file name in bytes on the file systems of Linux, macOS and Windows."""
PARTIAL = ".partial"
"""Part of the names of files that are being written."""
PARTS_SUFFIX = ".parts"
"""Suffix of the folder that holds the finished segments of an unfinished video."""
PARTS_JOB = "job.json"
"""Name of the file in a folder of segments that holds the job: everything that decides the segments."""


FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a disk without room, and of a user who may not write more."""


class WriteError(OSError):
    """A file cannot be written. The message is one sentence that names the file."""

    def __str__(self) -> str:
        """Return the sentence without the error number."""
        return str(self.strerror)


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


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Raise errors of the operating system in the block as a `WriteError`, whose sentence names a file or folder.

    `write_whole` does this. Use it alone for a file that grows while a program runs.

    Args:
        path: path that the block writes to.

    Raises:
        WriteError: if `path` cannot be written.
    """
    try:
        yield
    except OSError as error:
        # the block may have written a temporary file, whose name says nothing to a user
        cause = error.__cause__ if isinstance(error, WriteError) and isinstance(error.__cause__, OSError) else error
        reason = str(cause.strerror or cause)
        if isinstance(cause, FileExistsError | NotADirectoryError):
            reason = _file_in_place_of_folder(path.parent) or reason
        if cause.errno in FULL:
            reason = f"no space left in {path.parent}; free some space there, or choose another folder"
        raise WriteError(cause.errno, f"cannot write {path}: {reason}") from cause


@contextmanager
def telling_full_disk(folder: Path, size: int = 2**20) -> Iterator[None]:
    """Raise the error of the operating system in place of that of another library, if a folder cannot be written to.

    Libraries such as torch, safetensors and OpenVINO raise errors of their own for a full disk, whose messages may be
    `iostream error`.

    Args:
        folder: folder that the block writes to.
        size: bytes that must still fit into it. If the block removes what it has written before it raises the error,
            this is the size of its files.

    Raises:
        OSError: if the block raises an error and the folder cannot be written to.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # shutil.Error has none
            raise
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
    if problem := _file_in_place_of_folder(path):
        raise WriteError(errno.ENOTDIR, f"cannot write to the folder {path}: {problem}")
    existing = _nearest(path)
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
        FileExistsError: if the folder holds files.
    """
    is_new = not os.path.lexists(folder)
    if not is_new and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} must be a new or empty folder, but it holds files: choose another folder")
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


def _file_in_place_of_folder(folder: Path) -> str:
    """Say that a folder or one of its parents is a file or a broken link; empty if none is."""
    existing = _nearest(folder)
    if existing is None or existing.is_dir():
        return ""
    return f"{existing} is {'a file' if existing.exists() else 'a broken link'}, and a folder is needed"


def _nearest(path: Path) -> Path | None:
    """Return a path if it exists, and otherwise the nearest of its parents; None on a drive that is not there."""
    return next((one for one in (path, *path.absolute().parents) if os.path.lexists(one)), None)


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
