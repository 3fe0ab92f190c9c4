"""Reads members from shards in a store: whole shards through a cache on this machine, or single members.

A data set says which shards it reads next. Those are copied whole, once on each machine, the next ones ahead of time by
a thread. All other members, such as the few images of a validation, are read one by one, unless the whole data set fits
into the cache.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from passband.io.files import write_whole
from passband.io.paths import cache_folder
from passband.io.shards.index import Container
from passband.io.shards.local import OpenFiles, check_length
from passband.io.shards.tar import ShardError
from passband.io.sizes import parse_bytes
from passband.io.storage import Store

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LIMIT_VARIABLE = "PASSBAND_SHARD_CACHE"
"""Name of the environment variable with the size of the cache, such as `50GB`."""
LIMIT = 20_000_000_000
"""Bytes of the cache, unless the variable or the free space of the disk say less."""
AHEAD = 2
"""Number of shards that a process copies at the same time."""


def cache_limit(folder: Path) -> int:
    """Return the number of bytes that the cache may hold.

    Args:
        folder: folder of the cache.

    Raises:
        ValueError: if the variable is set to a text that is not a size.
    """
    if text := os.environ.get(LIMIT_VARIABLE):
        return parse_bytes(text, LIMIT_VARIABLE)
    folder.mkdir(parents=True, exist_ok=True)
    return min(LIMIT, (shutil.disk_usage(folder).free + sum(path.stat().st_size for path in _shards_in(folder))) // 2)


class RemoteReader:
    """Reads the shards of a folder in a store.

    Args:
        address: address of the folder.
        containers: the tar files and other files.
    """

    def __init__(self, address: str, containers: Sequence[Container]):
        self.address, self.containers = address, list(containers)
        self.folder = cache_folder() / "shards"
        self.limit = cache_limit(self.folder)
        self.fits = sum(container.bytes for container in containers) <= self.limit
        self.open = OpenFiles()
        self._forget()

    def __getstate__(self) -> dict[str, object]:
        """Pickle without connections and threads, which belong to a process."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        """Begin without connections and threads."""
        self._process, self._lock = os.getpid(), threading.Lock()
        self._store: Store | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._copies: dict[int, Future[Path]] = {}

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Return a part of a file; see `tree.Reader`.

        Raises:
            ShardError: if the shard is not the one that its index describes.
            OSError: if the store does not answer.
        """
        self._attend_fork()
        copy = self._copies.pop(number, None)
        if copy is not None and not copy.cancel():  # a copy that has not begun is made here
            copy.result()
        if copy is not None or self.fits or self._cached(number).is_file():
            try:
                return self.open.part(self._copy(number), offset, size)
            except FileNotFoundError:  # another process removed it at this moment to make room
                pass
        container = self.containers[number]
        if container.file.endswith(".tar"):
            return self._connected().read(self._path(number), offset, offset + size)
        return self._connected().read(self._path(number))

    def prepare(self, numbers: Sequence[int], later: Sequence[int]) -> None:
        """Copy shards to this machine, ahead of their use; see `tree.Reader`.

        Shards that are larger than the cache are not copied: their members are read one by one.
        """
        self._attend_fork()
        wanted = [number for number in dict.fromkeys([*numbers, *later]) if self.containers[number].bytes <= self.limit]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AHEAD, thread_name_prefix="passband-shards")
        for number in wanted:
            if number not in self._copies and not self._cached(number).is_file():
                self._copies[number] = self._threads.submit(self._copy, number)

    def _attend_fork(self) -> None:
        """Begin anew in a forked process: connections and threads stay with its parent."""
        if self._process != os.getpid():
            self._forget()

    def _connected(self) -> Store:
        with self._lock:
            if self._store is None:
                self._store = Store(self.address)
            return self._store

    def _path(self, number: int) -> str:
        """Return the path of a file in the store."""
        return f"{self._connected().path}/{self.containers[number].file}"

    def _cached(self, number: int) -> Path:
        """Return the path of the copy of a file. Equal shards of several addresses have the same copy."""
        container = self.containers[number]
        told = f"{self.address}/{container.file} {container.bytes} {container.version}"
        return self.folder / f"{container.sha256 or hashlib.sha256(told.encode()).hexdigest()}.tar"

    def _copy(self, number: int) -> Path:
        """Return the path of the copy of a file, after copying and checking it if it is not there."""
        path, container = self._cached(number), self.containers[number]
        if path.is_file():
            with suppress(OSError):
                os.utime(path)  # the copies used last are kept longest
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            if not path.is_file():
                self._make_room(container.bytes)
                with write_whole(path) as temporary:
                    self._connected().download(self._path(number), temporary)
                    name = f"{self.address}/{container.file}"
                    check_length(temporary.stat().st_size, container.bytes, name)
                    _check_content(temporary, container.sha256, name)
        return path

    def _make_room(self, size: int) -> None:
        """Remove the copies that were not used for the longest time. Open ones stay readable until they are closed."""
        copies = []
        for path in _shards_in(self.folder):
            with suppress(OSError):
                stat = path.stat()
                copies.append((stat.st_mtime, stat.st_size, path))
        total = sum(length for _, length, _ in copies) + size
        for _, length, path in sorted(copies):
            if total <= self.limit:
                return
            with suppress(OSError):
                path.unlink()
            total -= length


def _shards_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.tar") if not path.name.startswith(".")]


def _check_content(path: Path, sha256: str, name: str) -> None:
    """Raise an error if a file has another checksum than its index says."""
    with path.open("rb") as file:
        if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ShardError(
                f"{name} has changed since it was packed: its checksum differs from the index. Copy it again, or pack "
                "it again"
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let only one process of this machine copy a file, where the system has locks."""
    with path.open("ab") as file:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
