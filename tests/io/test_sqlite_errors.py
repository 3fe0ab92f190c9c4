import errno
import sqlite3
from contextlib import closing

import pytest

from passband.io.failures import WriteError
from passband.io.sqlite_errors import naming_database


@pytest.mark.parametrize(
    ("name", "number", "advice"),
    [
        ("SQLITE_FULL", errno.ENOSPC, "; free some space in {folder}, or choose another folder"),
        ("SQLITE_IOERR_SHMSIZE", errno.ENOSPC, "; free some space in {folder}, or choose another folder"),
        ("SQLITE_IOERR_WRITE", errno.ENOSPC, "; free some space in {folder}, or choose another folder"),
        ("SQLITE_IOERR_READ", errno.EIO, ""),
        ("SQLITE_BUSY_SNAPSHOT", errno.EBUSY, "; another program keeps it. Close that program, or wait"),
        ("SQLITE_READONLY_DBMOVED", errno.EROFS, "; make the file and its folder writable"),
    ],
)
def test_the_advice_belongs_to_the_error(tmp_path, name, number, advice):
    error = sqlite3.OperationalError("a word of SQLite")
    error.sqlite_errorname = name
    with pytest.raises(WriteError) as caught, naming_database(tmp_path / "a.db", "database"):
        raise RuntimeError("many lines of another library") from error
    message = f"the database {tmp_path / 'a.db'} cannot be written: a word of SQLite{advice.format(folder=tmp_path)}"
    assert str(caught.value).startswith(message)
    assert caught.value.errno == number
    if not advice:
        assert str(caught.value) == message


def test_a_locked_database_names_the_cause(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as own:  # noqa: SIM117
            with pytest.raises(WriteError, match="database is locked; another program keeps it"):
                with naming_database(tmp_path / "a.db", "manifest"):
                    own.execute("CREATE TABLE a (b)")


def test_errors_of_other_kinds_pass(tmp_path):
    with pytest.raises(ZeroDivisionError), naming_database(tmp_path / "a.db", "database"):
        raise ZeroDivisionError
