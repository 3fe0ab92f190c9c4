"""Shows the members of all shards of a folder as one tree of folders and files."""

import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from passband.io.shards.index import Container
from passband.io.shards.tar import ShardError

_UNKNOWN = -1


@runtime_checkable
class Reader(Protocol):
    """Reads parts of the files of a folder of shards."""

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Return a part of a file.

        Args:
            number: place of the file among the containers.
            offset: first byte.
            size: number of bytes.
        """
        ...

    def prepare(self, numbers: Sequence[int], later: Sequence[int]) -> None:
        """Expect that files are read whole.

        Args:
            numbers: places of the files that are read now.
            later: places of the files that are read after them.
        """
        ...


class ShardTree:
    """The members of all shards, which are read at random.

    A million members take about 100 MB of memory, because only their paths are Python objects.

    Args:
        address: address or path of the folder of shards.
        containers: the tar files and other files.
        reader: reader of the containers.

    Raises:
        ShardError: if two members have the same path, or a path leads out of the folder.
    """

    def __init__(self, address: str, containers: Sequence[Container], reader: Reader):
        self.address, self.reader = address, reader
        self.files = tuple(container.file for container in containers)
        rows = [
            (path, number, offset, size, _UNKNOWN if checksum is None else checksum)
            for number, container in enumerate(containers)
            for path, offset, size, checksum in zip(
                container.paths, container.offsets, container.sizes, container.checksums, strict=True
            )
            if path is not None
        ]
        rows.sort(key=lambda row: row[0])
        self.paths = [row[0] for row in rows]
        self.numbers = np.array([row[1] for row in rows], np.int32)
        self.places = np.array([row[2:] for row in rows], np.int64).reshape(-1, 3)
        for (path, one), (other_path, other) in pairwise(zip(self.paths, self.numbers, strict=True)):
            if path == other_path:
                raise ShardError(
                    f"{address} holds two members with the path {path}, in {self.files[one]} and {self.files[other]}: "
                    "keep one of them"
                )
        for path in self.paths:
            if path.startswith("/") or ".." in path.split("/") or not path:
                raise ShardError(f"{address} holds a member with the path {path!r}, which leads out of the folder")

    def find(self, path: str) -> int | None:
        """Return the place of a file in the tree; None if there is none with this path.

        Args:
            path: path of the file in the tree.
        """
        place = bisect_left(self.paths, path)
        return place if place < len(self.paths) and self.paths[place] == path else None

    def is_folder(self, path: str) -> bool:
        """Tell whether a path is a folder. The empty path is the tree itself.

        Args:
            path: path in the tree.
        """
        if not path:
            return True
        place = bisect_left(self.paths, f"{path}/")
        return place < len(self.paths) and self.paths[place].startswith(f"{path}/")

    def children(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the files in a folder, each sorted.

        Args:
            path: path of the folder in the tree; empty for the tree itself.

        Returns:
            Names of folders and names of files; both are empty if there is no such folder.
        """
        prefix = f"{path}/" if path else ""
        place, folders, files = bisect_left(self.paths, prefix), [], []
        while place < len(self.paths) and self.paths[place].startswith(prefix):
            name, slash, _ = self.paths[place][len(prefix) :].partition("/")
            if slash:
                folders.append(name)
                place = bisect_left(self.paths, f"{prefix}{name}0", place)  # "0" is the character after "/"
            else:
                files.append(name)
                place += 1
        return folders, files

    def walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Iterate over a folder and those below it, as `os.walk` does. The list of folders may be changed.

        Args:
            path: path of the folder in the tree; empty for the tree itself.

        Yields:
            The path of each folder, and the names of the folders and files in it.
        """
        waiting = [path]
        while waiting:
            folder = waiting.pop()
            folders, files = self.children(folder)
            yield folder, folders, files
            waiting += [f"{folder}/{name}" if folder else name for name in reversed(folders)]

    def container(self, place: int) -> int:
        """Return the place among the containers of the one that holds a file.

        Args:
            place: place of the file in the tree, as `find` returns it.
        """
        return int(self.numbers[place])

    def size(self, place: int) -> int:
        """Return the length of a file in bytes.

        Args:
            place: place of the file in the tree, as `find` returns it.
        """
        return int(self.places[place, 1])

    def read(self, place: int) -> bytes:
        """Read a file.

        Args:
            place: place of the file in the tree.

        Raises:
            ShardError: if the content is not the one that the index describes.
            OSError: if the shard cannot be read.
        """
        offset, size, checksum = (int(value) for value in self.places[place])
        file = self.files[self.container(place)]
        content = self.reader.read(self.container(place), offset, size)
        if len(content) != size:
            raise ShardError(
                f"{self.address}/{file} ends within its member {self.paths[place]}: copy the shard again, or pack it "
                "again"
            )
        if checksum != _UNKNOWN and zlib.crc32(content) != checksum:
            raise ShardError(
                f"{self.address}/{file} has changed since it was packed: the checksum of its member "
                f"{self.paths[place]} differs from the index. Copy the shard again, or pack it again"
            )
        return content
