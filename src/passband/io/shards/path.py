"""Paths of files in shards, which code that reads folders uses like other paths."""

import io
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import Any

from passband.io.shards.tree import ShardTree


class ShardPath(type(Path())):
    """A file or folder in the tree of the members of shards.

    It can be listed and read, but not written. Its text is the address of the folder of shards and the path that the
    file had in the packed folder. Each shard holds files of many folders, so the text does not name the shard.

    Args:
        tree: tree of the members.
        inside: path within the tree; empty for the tree itself.
    """

    tree: ShardTree
    inside: str

    def __new__(cls, tree: ShardTree, inside: str = "") -> "ShardPath":
        """Make the path."""
        path = super().__new__(cls, tree.address, *([inside] if inside else []))
        path.tree, path.inside = tree, inside
        return path

    def __init__(self, tree: ShardTree, inside: str = ""):
        if sys.version_info >= (3, 12):
            super().__init__(tree.address, *([inside] if inside else []))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the tree with the path; paths that are pickled together share it."""
        return ShardPath, (self.tree, self.inside)

    def __str__(self) -> str:
        """Return the address. Paths of the base class lose one of the slashes of `s3://`."""
        return f"{self.tree.address}/{self.inside}" if self.inside else self.tree.address

    def __fspath__(self) -> str:
        """Return the address, which the operating system cannot open."""
        return str(self)

    def with_segments(self, *segments: Any) -> Path:
        """Return a path of the base class; Python 3.12 makes derived paths with this function."""
        return Path(*segments)

    def __truediv__(self, name: Any) -> "ShardPath":
        """Return a path below this one."""
        return self._below(os.fspath(name))

    def joinpath(self, *names: Any) -> "ShardPath":
        """Return a path below this one."""
        return self._below("/".join(map(os.fspath, names)))

    @property
    def parent(self) -> "ShardPath":
        """The folder that holds this path; the folder of shards itself has none above it, like the root `/`."""
        return ShardPath(self.tree, self.inside.rpartition("/")[0])

    @property
    def parents(self) -> Any:
        """The folders that hold this path, the innermost first."""
        parts = self.inside.split("/") if self.inside else []
        return tuple(ShardPath(self.tree, "/".join(parts[:count])) for count in reversed(range(len(parts))))

    def with_name(self, name: str) -> "ShardPath":
        """Return a path beside this one."""
        return ShardPath(self.tree, f"{self.inside.rpartition('/')[0]}/{name}".lstrip("/"))

    def with_suffix(self, suffix: str) -> "ShardPath":
        """Return this path with another suffix."""
        return self.with_name(Path(self.name).with_suffix(suffix).name)

    def relative_to(self, other: Any, *more: Any, **options: Any) -> Path:
        """Return the path from a folder to this one, as a path of the base class."""
        return Path(*self.parts).relative_to(_plain(other))

    def is_relative_to(self, other: Any, *more: Any) -> bool:
        """Tell whether this path lies in a folder."""
        return Path(*self.parts).is_relative_to(_plain(other))

    def resolve(self, strict: bool = False) -> "ShardPath":
        """Return this path, which has no symbolic links."""
        return self

    def absolute(self) -> "ShardPath":
        """Return this path."""
        return self

    def expanduser(self) -> "ShardPath":
        """Return this path."""
        return self

    def exists(self, **options: Any) -> bool:
        """Tell whether there is a file or folder with this path."""
        return self.is_file() or self.is_dir()

    def is_file(self, **options: Any) -> bool:
        """Tell whether this is a file."""
        return self.tree.find(self.inside) is not None

    def is_dir(self, **options: Any) -> bool:
        """Tell whether this is a folder."""
        return self.tree.is_folder(self.inside)

    def is_symlink(self) -> bool:
        """Tell whether this is a symbolic link, which it never is."""
        return False

    def stat(self, **options: Any) -> os.stat_result:
        """Return the kind and the length of the file; all other entries are 0."""
        if self.is_dir():
            return os.stat_result((S_IFDIR, *[0] * 9))
        return os.stat_result((S_IFREG, *[0] * 5, self.tree.size(self._place()), *[0] * 3))

    def iterdir(self) -> Generator["ShardPath", None, None]:
        """Iterate over the files and folders in this folder."""
        folders, files = self.tree.children(self.inside)
        return (self._below(name) for name in [*folders, *files])

    def glob(self, pattern: str, **options: Any) -> Generator["ShardPath", None, None]:
        """Iterate over the files and folders below this one whose paths match a pattern of names without `**`."""
        depth = pattern.count("/") + 1
        level = [self]
        for _ in range(depth):
            level = [child for folder in level if folder.is_dir() for child in folder.iterdir()]
        return (path for path in level if path.relative_to(self).match(pattern))

    def walk_below(self) -> Iterator[tuple["ShardPath", list[str], list[str]]]:
        """Iterate over this folder and those below it, as `os.walk` does. The lists of folders may be changed."""
        for folder, folders, files in self.tree.walk(self.inside):
            yield ShardPath(self.tree, folder), folders, files

    def read_bytes(self) -> bytes:
        """Read the file.

        Raises:
            FileNotFoundError: if there is none with this path.
            ShardError: if the content is not the one that was packed.
            OSError: if the shard cannot be read.
        """
        return self.tree.read(self._place())

    def read_text(self, encoding: str | None = None, errors: str | None = None, **options: Any) -> str:
        """Read the file as text, as UTF-8 unless another encoding is given."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """Read the file into memory, and return it as a file that is open for reading.

        Raises:
            OSError: if the mode would write.
        """
        if set(mode) & set("wax+"):
            raise OSError(f"{self} lies in a shard, which cannot be changed: write to another folder")
        content = io.BytesIO(self.read_bytes())
        return content if "b" in mode else io.TextIOWrapper(content, *arguments[1:], **options)

    @property
    def container(self) -> int:
        """The number of the shard that holds the file."""
        return self.tree.container(self._place())

    def _below(self, path: str) -> "ShardPath":
        parts = [part for part in path.split("/") if part not in ("", ".")]
        return ShardPath(self.tree, "/".join([self.inside, *parts] if self.inside else parts))

    def _place(self) -> int:
        place = self.tree.find(self.inside)
        if place is None:
            raise FileNotFoundError(2, "No such file in these shards", str(self))
        return place


def _plain(path: Any) -> Path:
    """Return a path of the base class."""
    return Path(*path.parts) if isinstance(path, Path) else Path(path)
