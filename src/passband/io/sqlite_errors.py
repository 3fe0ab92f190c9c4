"""Says in one sentence why a database of SQLite cannot be written."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passband.io.files import WriteError


@contextmanager
def naming_database(path: Path, what: str) -> Iterator[None]:
    """Raise an error of SQLite in the block as a `WriteError` that names the database.

    Libraries over SQLite raise errors of their own, whose cause is that of SQLite.

    Args:
        path: path of the database.
        what: word for it in the message, such as `manifest`.

    Raises:
        WriteError: if the database cannot be read or written, for example because the disk is full.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.OperationalError):
            cause = cause.__cause__
        if cause is None:
            raise
        # SQLite calls a full disk an error of input and output where it shares memory
        is_full = cause.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR"))
        advice = f"; free some space in {path.parent}, or choose another folder" if is_full else ""
        number = errno.ENOSPC if is_full else errno.EIO
        raise WriteError(number, f"the {what} {path} cannot be written: {cause}{advice}") from error
