"""Keeps libraries that read files from writing to the terminal, because passband reports each problem itself."""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

# The libraries log what they find odd. Without any handler, Python would print those messages. Users who set up logging
# still see them.
for library in ("PIL", "tifffile"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class _Quiet:
    """Counts the reads in progress, and holds their common entry in the list of warning filters."""

    lock = threading.Lock()
    active = 0
    entry: Any = None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Hide the warnings of Pillow and tifffile while a file is read. This is also a decorator.

    Warning filters apply to the whole process. If several reads overlap, in any threads, the first one adds a filter
    and the last one removes it. Filters that the user set stay.
    """
    with _Quiet.lock:
        if _Quiet.active == 0:
            warnings.filterwarnings("ignore", module=r"(PIL|tifffile)\b")
            _Quiet.entry = warnings.filters[0]
        _Quiet.active += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.active -= 1
            if _Quiet.active == 0 and isinstance(warnings.filters, list):
                with suppress(ValueError):  # the filters were replaced in the meantime
                    warnings.filters.remove(_Quiet.entry)


class _Terminal:
    """Standard error of this process, which is redirected while a caller captures it."""

    lock = threading.Lock()
    saved_descriptor: int | None = None

    @classmethod
    def redirect(cls, descriptor: int) -> None:
        """Redirect standard error to a file descriptor."""
        with suppress(OSError):  # a process may have no standard error, for example a service
            cls.saved_descriptor = os.dup(2)
            os.dup2(descriptor, 2)

    @classmethod
    def restore(cls) -> None:
        """Direct standard error to the terminal again."""
        if cls.saved_descriptor is not None:
            os.dup2(cls.saved_descriptor, 2)
            os.close(cls.saved_descriptor)
            cls.saved_descriptor = None

    @classmethod
    def reset_after_fork(cls) -> None:
        """Reset the state in a forked process, in which the other threads do not run."""
        cls.lock = threading.Lock()
        cls.restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Terminal.reset_after_fork)


@contextmanager
def captured_stderr() -> Iterator[IO[bytes]]:
    """Capture what C libraries write to standard error, for this process and all its threads.

    Only one caller captures at a time; others wait.

    Yields:
        A file that holds the captured output.
    """
    with tempfile.TemporaryFile() as file, _Terminal.lock:
        _Terminal.redirect(file.fileno())
        try:
            yield file
        finally:
            _Terminal.restore()
