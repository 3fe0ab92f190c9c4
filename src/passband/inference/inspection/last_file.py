"""Remembers the result for the last file, because several steps ask the same about one file, one after the other."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")


class LastFile(Generic[Result]):
    """The result for the last file, as long as the file does not change. Several threads may share it."""

    def __init__(self) -> None:
        self._last: tuple[Hashable, Result] | None = None

    def get(self, file: Path | bytes, compute: Callable[[], Result], *settings: Hashable) -> Result:
        """Return the result for a file, which is computed if the last one was for another file or other settings.

        Args:
            file: path of the file, or its content, whose result is not remembered.
            compute: function that computes the result.
            settings: everything else that decides the result.

        Raises:
            OSError: if the file cannot be read.
        """
        if isinstance(file, bytes):
            return compute()
        stat = file.stat()
        key = (file, stat.st_size, stat.st_mtime_ns, settings)
        last = self._last  # read once, because another thread may replace it by the result for another file
        if last is None or last[0] != key:
            last = self._last = key, compute()
        return last[1]
