"""Says in one sentence why a database of SQLite cannot be written."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passband.io.failures import WriteError

_FULL = (errno.ENOSPC, "; free some space in {folder}, or choose another folder")
_BUSY = (
    errno.EBUSY,
    "; another program keeps it. Close that program, or wait until it ends, and run the command again",
)
_NONE = (errno.EIO, "")
_ADVICE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR_SHM": _FULL,  # a full disk where SQLite shares memory with other processes
    "SQLITE_IOERR_WRITE": _FULL,  # a user who may not write more, whose disk SQLite does not call full
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": (errno.EROFS, "; make the file and its folder writable, or choose another folder"),
}
"""Error number and advice for the errors of SQLite whose names begin so."""


@contextmanager
def naming_database(path: Path, what: str) -> Iterator[None]:
    """Raise an error of SQLite in the block as a `WriteError` that names the database.

    Libraries over SQLite raise errors of their own, whose cause is that of SQLite.

    Args:
        path: path of the database.
        what: word for it in the message, such as `manifest`.

    Raises:
        WriteError: if the database cannot be read or written, for example because the disk is full, or another program
            keeps the database.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.OperationalError):
            cause = cause.__cause__
        if cause is None:
            raise
        number, advice = next(
            (told for start, told in _ADVICE.items() if cause.sqlite_errorname.startswith(start)), _NONE
        )
        advice = advice.format(folder=path.parent)
        raise WriteError(number, f"the {what} {path} cannot be written: {cause}{advice}") from error
