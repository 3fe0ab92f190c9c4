"""Reads and writes files at addresses of fsspec, such as `s3://bucket/photos`, and tries again after passing errors."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from passband.io.hidden import is_hidden

ATTEMPTS = 3
"""Number of times that a request to a store is tried. The packages of some stores also repeat requests themselves."""
PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""
_LASTING = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError),
    *(ValueError, TypeError, NotImplementedError, ImportError),
)
_WHOLE_PUT = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf"))
"""Stores whose objects appear only when they are complete, and that have no folders to make."""
_VERSIONS = ("ETag", "etag", "checksum", "md5Hash", "content_md5", "sha", "blob_id", "mtime", "LastModified", "created")
"""Keys under which stores tell the version of a file, the most exact one first."""
T = TypeVar("T")


class ScaleError(RuntimeError):
    """An optional package for work on many machines is missing. The message says how to install it."""


@dataclass(frozen=True)
class Stored:
    """A file in a store.

    Attributes:
        url: address of the file.
        bytes: length in bytes.
        version: text that changes when the file is written again: an ETag, a checksum or a time.
    """

    url: str
    bytes: int
    version: str

    def __str__(self) -> str:
        """Return the address."""
        return self.url

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def suffix(self) -> str:
        """The suffix of the name, in lower case."""
        return PurePosixPath(self.name).suffix.lower()


def is_address(text: str | Path | None) -> bool:
    """Tell whether a text is an address of a store rather than a path.

    Args:
        text: text to look at; None is no address.
    """
    return "://" in str(text or "")


class Store:
    """A store, such as a bucket.

    Args:
        address: address of a file or folder in the store, or a path of this machine.

    Attributes:
        path: the address without the protocol.

    Raises:
        ScaleError: if the kind of store is unknown, or a package for it is missing.
    """

    def __init__(self, address: str):
        try:
            from fsspec.core import url_to_fs

            self._files, path = url_to_fs(address)
        except ImportError as error:
            raise ScaleError(
                f"{address} needs a package that is not installed ({error}): pip install 'passband[storage]', or the "
                "package of this kind of store"
            ) from error
        except ValueError as error:
            raise ScaleError(
                f"{address} needs to begin with a kind of store that fsspec knows, such as s3:// or hf://; got an "
                f"address that cannot be used: {error}"
            ) from error
        self.path = str(path).rstrip("/")

    def url(self, path: str) -> str:
        """Return the address of a path in this store.

        Args:
            path: path in the store, without the address.
        """
        return self._files.unstrip_protocol(path)

    def info(self, path: str) -> Stored:
        """Return the address, the length and the version of a file.

        Args:
            path: path in the store.

        Raises:
            OSError: if it does not exist, or the store does not answer.
        """
        return self._stored(self._patiently(lambda: self._files.info(path), path))

    def is_file(self, path: str) -> bool:
        """Tell whether a path is a file.

        Args:
            path: path in the store.

        Raises:
            OSError: if the store does not answer.
        """
        return bool(self._patiently(lambda: self._files.isfile(path), path))

    def matches(self, pattern: str) -> list[Stored]:
        """Return the files that match a glob pattern, sorted by path.

        Args:
            pattern: path in the store with `*`, `?` and `**`.

        Raises:
            OSError: if the store does not answer.
        """
        found = self._patiently(lambda: self._files.glob(pattern, detail=True), pattern)
        return [self._stored(found[path]) for path in sorted(found) if found[path]["type"] == "file"]

    def folders(self, path: str) -> Iterator[tuple[str, list[Stored]]]:
        """List the files below a folder, one folder at a time, so that memory does not grow with their number.

        Args:
            path: path of the folder.

        Yields:
            The path of each folder below it, `""` for itself, and its files, sorted by name. Hidden ones are left out.

        Raises:
            OSError: if a folder cannot be listed.
        """
        waiting = [""]
        while waiting:
            below = waiting.pop()
            entries = self._list(f"{path}/{below}".rstrip("/"))
            names = {name: entry for name, entry in entries.items() if not is_hidden(name)}
            yield below, [self._stored(names[name]) for name in sorted(names) if names[name]["type"] == "file"]
            folders = sorted((name for name in names if names[name]["type"] == "directory"), reverse=True)
            waiting += [f"{below}/{name}".lstrip("/") for name in folders]

    def files_in(self, folder: str) -> dict[str, Stored]:
        """Return the files of a folder by name; none if the folder does not exist.

        Args:
            folder: path of the folder in the store.

        Raises:
            OSError: if the store does not answer.
        """
        try:
            entries = self._list(folder)
        except FileNotFoundError:
            return {}
        return {name: self._stored(entry) for name, entry in entries.items() if entry["type"] == "file"}

    def download(self, path: str, target: Path) -> None:
        """Copy a file of the store to this machine.

        Args:
            path: path in the store.
            target: path of the copy, in an existing folder.

        Raises:
            OSError: if the file does not exist, the store does not answer, or the copy cannot be written.
        """
        self._patiently(lambda: self._files.get_file(path, str(target)), path)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the content of a file of the store, or a part of it.

        Args:
            path: path of the file.
            start: first byte; None for the beginning of the file.
            end: byte after the last one; None for the end of the file.

        Raises:
            OSError: if it cannot be read.
        """
        return self._patiently(lambda: bytes(self._files.cat_file(path, start=start, end=end)), path)

    def upload(self, source: Path, path: str) -> Stored:
        """Copy a file of this machine to the store, completely or not at all.

        Args:
            source: path of the file on this machine.
            path: path in the store. An existing file is replaced.

        Raises:
            OSError: if the store does not take it.
        """

        def put() -> None:
            if protocols & _WHOLE_PUT:
                self._files.put_file(str(source), path)
                return
            folder, _, name = path.rpartition("/")
            self._files.makedirs(folder, exist_ok=True)
            temporary = f"{folder}/.{name}.partial"
            self._files.put_file(str(source), temporary)
            self._files.mv(temporary, path)

        kinds = self._files.protocol
        protocols = {kinds} if isinstance(kinds, str) else set(kinds)
        self._patiently(put, path)
        self._files.invalidate_cache()
        return self.info(path)

    def _list(self, folder: str) -> dict[str, Any]:
        """Return the entries of a folder by name."""
        entries = self._patiently(lambda: self._files.ls(folder, detail=True, refresh=True), folder)
        self._files.invalidate_cache()  # a cache would keep all listings
        named = {str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]: entry for entry in entries}
        named.pop("", None)
        return named

    def _stored(self, info: dict[str, Any]) -> Stored:
        """Return a file as its information describes it."""
        version = next((info[key] for key in _VERSIONS if info.get(key)), "")
        # a listing may give a time as a number, and a request for one file as an object
        text = str(version.timestamp() if isinstance(version, datetime) else version)
        return Stored(self.url(info["name"]), int(info["size"] or 0), text.strip('"'))

    def _patiently(self, request: Callable[[], T], path: str) -> T:
        """Make a request, and repeat it after an error that may pass.

        Raises:
            OSError: if it fails again and again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except _LASTING:
                raise
            except Exception as error:  # each kind of store has its own
                if attempt == ATTEMPTS:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    raise OSError(f"{self.url(path)} failed {ATTEMPTS} times: {reason}") from error
                time.sleep(PAUSE * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")
