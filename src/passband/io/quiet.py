"""Keeps libraries that read files from writing to the terminal: what is wrong is said once, in a sentence."""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

# They log what they find odd; without a handler anywhere, Python would print that. Who sets up logging still sees it.
for library in ("PIL", "tifffile"):
    logging.getLogger(library).addHandler(logging.NullHandler())


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


class _Terminal:
    """Where standard error goes: to the terminal, to nowhere while some read, or to the file of one that listens."""

    condition = threading.Condition()
    silent = 0
    listening = False
    kept: int | None = None

    @classmethod
    def turn_to(cls, descriptor: int) -> None:
        """Send what is written to standard error elsewhere."""
        with suppress(OSError):  # a process without standard error, such as a service
            cls.kept = os.dup(2)
            os.dup2(descriptor, 2)

    @classmethod
    def turn_back(cls) -> None:
        """Send it to the terminal again."""
        if cls.kept is not None:
            os.dup2(cls.kept, 2)
            os.close(cls.kept)
            cls.kept = None

    @classmethod
    def begin_anew(cls) -> None:
        """In a process that was forked meanwhile, in which none of the other threads goes on."""
        cls.condition, cls.silent, cls.listening = threading.Condition(), 0, False
        cls.turn_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Terminal.begin_anew)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what C libraries write to standard error, of this process and all its threads.

    Several reads may overlap; the terminal is back when the last ends.
    """
    with _Terminal.condition:
        _Terminal.condition.wait_for(lambda: not _Terminal.listening)
        _Terminal.silent += 1
        if _Terminal.silent == 1:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            _Terminal.turn_to(nowhere)
            os.close(nowhere)
    try:
        yield
    finally:
        with _Terminal.condition:
            _Terminal.silent -= 1
            if _Terminal.silent == 0:
                _Terminal.turn_back()
                _Terminal.condition.notify_all()


@contextmanager
def captured_stderr() -> Iterator[IO[bytes]]:
    """Take what C libraries write to standard error, of this process and all its threads; one at a time.

    Yields:
        A file that holds what was written.
    """
    with tempfile.TemporaryFile() as file:
        with _Terminal.condition:
            _Terminal.condition.wait_for(lambda: not (_Terminal.listening or _Terminal.silent))
            _Terminal.listening = True
            _Terminal.turn_to(file.fileno())
        try:
            yield file
        finally:
            with _Terminal.condition:
                _Terminal.turn_back()
                _Terminal.listening = False
                _Terminal.condition.notify_all()
