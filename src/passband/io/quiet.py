"""Keeps libraries that read files from writing to the terminal: what is wrong is said once, in a sentence."""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

# It logs what it finds odd; without a handler anywhere, Python would print that. Who sets up logging still sees it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class _Quiet:
    """How many reads are under way, and the entry that they share in the list of warnings' filters."""

    lock = threading.Lock()
    active = 0
    entry: Any = None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Leave out the warnings of Pillow and tifffile while a file is read.

    The filters belong to the whole process, so one entry is put among them by the first of several reads that overlap,
    in whichever thread, and is taken out by the last. What a user has set otherwise stays. Also a decorator.
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
                with suppress(ValueError):  # the filters were set anew meanwhile
                    warnings.filters.remove(_Quiet.entry)


@contextmanager
def captured_stderr() -> Iterator[IO[bytes]]:
    """Take what C libraries write to standard error, of this process and all its threads.

    Yields:
        A file that holds what was written.
    """
    with tempfile.TemporaryFile() as file:
        try:
            terminal = os.dup(2)
        except OSError:  # a process without standard error, such as a service
            yield file
            return
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
