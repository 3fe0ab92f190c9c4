"""Reads members from shards that lie on this machine."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from passband.io.shards.index import Container
from passband.io.shards.tar import ShardError

OPEN = 64
"""Number of files that a process keeps open."""


class OpenFiles:
    """Keeps the files that were read last open, in each process its own."""

    def __init__(self) -> None:
        self._process, self._files = os.getpid(), OrderedDict[Path, BinaryIO]()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        return OpenFiles, ()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        while self._files:
            self._files.popitem()[1].close()

    def part(self, path: Path, offset: int, size: int) -> bytes:
        """Return a part of a file.

        Args:
            path: path of the file.
            offset: first byte.
            size: number of bytes.

        Raises:
            OSError: if the file cannot be read.
        """
        file = self.file(path)
        if hasattr(os, "pread"):  # leaves the position alone, so that threads do not disturb each other
            return os.pread(file.fileno(), size, offset)
        file.seek(offset)
        return file.read(size)

    def file(self, path: Path) -> BinaryIO:
        """Return a file that is open for reading.

        Args:
            path: path of the file.

        Returns:
            The file without a buffer. It is closed when `OPEN` others were used after it.

        Raises:
            OSError: if the file cannot be opened.
        """
        if self._process != os.getpid():  # a forked process must not share the position in a file with its parent
            self.close()
            self._process = os.getpid()
        if path not in self._files:
            self._files[path] = path.open("rb", buffering=0)
        self._files.move_to_end(path)
        while len(self._files) > OPEN:
            self._files.popitem(last=False)[1].close()
        return self._files[path]


class LocalReader:
    """Reads the shards of a folder of this machine.

    Args:
        folder: the folder.
        containers: the tar files and other files.

    Raises:
        ShardError: if a file has another length than the index says.
        FileNotFoundError: if a file is missing.
    """

    def __init__(self, folder: Path, containers: Sequence[Container]):
        self.paths = [folder / container.file for container in containers]
        self.open = OpenFiles()
        for path, container in zip(self.paths, containers, strict=True):
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing, but the index of {folder} lists it: copy it again")
            check_length(path.stat().st_size, container.bytes, str(path))

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Return a part of a file; see `tree.Reader`."""
        return self.open.part(self.paths[number], offset, size)

    def prepare(self, numbers: Sequence[int], later: Sequence[int]) -> None:
        """Do nothing: the files are here."""


def check_length(found: int, expected: int, name: str) -> None:
    """Raise an error if a file has another length than its index says.

    Args:
        found: length of the file, in bytes.
        expected: length that the index says, in bytes.
        name: name of the file for the message.

    Raises:
        ShardError: if the lengths differ.
    """
    if found != expected:
        state = "incomplete" if found < expected else "another file than was packed"
        raise ShardError(
            f"{name} is {state}: it has {found} bytes, its index says {expected}. Copy it again, or pack it again"
        )
