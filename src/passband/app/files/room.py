"""Keeps all files of the page together within a number of bytes: the oldest finished ones go first."""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Protocol

PARTS = 4
"""Room for a file and the results of its work, as a multiple of its size: also pictures for the browser."""
FRESH = 60.0
"""Time in seconds for which a new file stays, whatever happens: work on it may begin, or a person looks at it."""
LOOK = 1.0
"""Time in seconds for which the number of free bytes is remembered, because many files come at once."""


class Work(Protocol):
    """Work on one file."""

    @property
    def source(self) -> Path:
        """The path of the file."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that the work reads and writes."""
        ...


@dataclass(frozen=True)
class Use:
    """The use of the files of the page at a moment.

    Attributes:
        kept: files and folders that must stay, such as those of work.
        coming: number of bytes that work will still write.
        results: files of each result.
    """

    kept: frozenset[Path]
    coming: int
    results: Sequence[Iterable[Path]]


class Contents:
    """The files of the page at a moment. Several links to one content have the same number.

    Args:
        root: folder of all files.

    Attributes:
        used: bytes that the files take.
    """

    def __init__(self, root: Path):
        self._stats: dict[Path, os.stat_result] = {}
        for folder, _, names in os.walk(root):
            for path in map(Path(folder).joinpath, names):
                with suppress(OSError):  # removed meanwhile
                    self._stats[path] = path.stat(follow_symlinks=False)
        self.used = sum({one.st_ino: one.st_size for one in self._stats.values()}.values())
        self._links = Counter(one.st_ino for one in self._stats.values())

    def removable(self, use: Use) -> list[list[Path]]:
        """Return the files that may be removed, in groups of which each goes as a whole, the oldest one first.

        Args:
            use: use of the files. The uploads of results go with them.
        """
        inodes = {path: stat.st_ino for path, stat in self._stats.items()}
        busy = {inode for path, inode in inodes.items() if not use.kept.isdisjoint((path, *path.parents))}
        groups = [[path for path in dict.fromkeys(result) if path in inodes] for result in use.results]
        owned = {path for group in groups for path in group}
        others: dict[int, list[Path]] = {}
        for path, inode in inodes.items():
            if path not in owned:
                others.setdefault(inode, []).append(path)
        groups = [[*group, *(link for path in group for link in others.pop(inodes[path], ()))] for group in groups]
        before = time.time() - FRESH
        ages = [
            (max(self._stats[path].st_ctime for path in group), group)
            for group in (*groups, *others.values())
            if group and busy.isdisjoint(inodes[path] for path in group)
        ]
        return [group for age, group in sorted(ages, key=itemgetter(0)) if age < before]

    def freed(self, group: Iterable[Path]) -> int:
        """Return the number of bytes that become free if files are removed after all files that were asked for before.

        Args:
            group: paths of the files.
        """
        freed = 0
        for path in group:
            stat = self._stats[path]
            self._links[stat.st_ino] -= 1
            freed += 0 if self._links[stat.st_ino] else stat.st_size
        return freed


class Room:
    """The room of the page.

    Args:
        root: folder of all files.
        most: largest number of bytes of all files together.
        forget: function that is called after files were removed.
    """

    def __init__(self, root: Path, most: int, forget: Callable[[], None]):
        self.root, self.most, self._forget = root, most, forget
        self._free, self._looked, self._is_full = 0, -LOOK, False
        self._lock = threading.Lock()

    def make(self, size: int, use: Callable[[], Use]) -> bool:
        """Make room for new files: remove the oldest finished ones if there is too little.

        Args:
            size: number of bytes that are needed; 0 to make up for files that became larger than expected.
            use: function that returns the use of the files.

        Returns:
            Whether there is enough room. If there is not, nothing is removed for it.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= LOOK or (size > self._free and not self._is_full):
                self._free, self._looked = self._look(size, use()), now
                self._is_full = size > self._free
            is_enough = size <= self._free
            self._free -= size if is_enough else 0
            return is_enough

    def _look(self, size: int, use: Use) -> int:
        """Return the number of free bytes, after files were removed if this gives enough of them."""
        contents = Contents(self.root)
        free = min(self.most - contents.used, shutil.disk_usage(self.root).free) - use.coming
        after, chosen = free, []
        for group in contents.removable(use) if free < size else ():
            chosen += group
            after += contents.freed(group)
            if after >= size:
                break
        if 0 < size > after:
            return free
        for path in chosen:
            path.unlink(missing_ok=True)
        if chosen:
            self._forget()
        return after


def no_room(name: str) -> str:
    """Return the sentence about files for which there is no room.

    Args:
        name: name of the file, or words for several.
    """
    return f"There is no room for {name} on this computer at the moment. Try again in a few minutes."
