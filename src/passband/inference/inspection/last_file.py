"""Remembers the result for the last file, because several steps ask the same about one file, one after the other."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")


class LastFile(Generic[Result]):
    """The result for the last file, as long as the file does not change."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._result: Result | None = None

    def get(self, path: Path, compute: Callable[[], Result], *settings: Hashable) -> Result:
        """Return the result for a file, which is computed if the last one was for another file or other settings.

        Args:
            path: path of the file.
            compute: function that computes the result.
            settings: everything else that decides the result.

        Raises:
            OSError: if the file cannot be read.
        """
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns, settings)
        if self._result is None or key != self._key:
            self._result, self._key = compute(), key
        return self._result
