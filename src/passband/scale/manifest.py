"""Keeps one row for each output or answer of a run in an SQLite database: what is done, what failed, and why."""

import json
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from passband.io.files import results_folder
from passband.io.records import OutputSettings
from passband.io.sqlite_errors import naming_database
from passband.io.storage import Stored

_COLUMNS = {
    "output": "TEXT PRIMARY KEY",
    "input": "TEXT NOT NULL",
    "input_bytes": "INTEGER",
    "input_version": "TEXT",
    "state": "TEXT NOT NULL",
    "output_bytes": "INTEGER",
    "output_version": "TEXT",
    "seconds": "REAL",
    "error": "TEXT",
    "time": "TEXT",
    "settings": "TEXT",
    "begun": "INTEGER NOT NULL DEFAULT 0",
}
_ANSWERS = {
    "input": "TEXT NOT NULL",
    "command": "TEXT NOT NULL",
    "input_bytes": "INTEGER",
    "input_version": "TEXT",
    "state": "TEXT NOT NULL",
    "answer": "TEXT",
    "seconds": "REAL",
    "error": "TEXT",
    "time": "TEXT",
    "settings": "TEXT",
}


@dataclass(frozen=True)
class Row:
    """A row of the manifest.

    Attributes:
        input: address of the source.
        input_bytes, input_version: length and version of the source that was read, see `storage.Stored`.
        state: `writing`, `done` or `failed`. A run that is killed leaves `writing`.
        output_bytes, output_version: length and version of the last output that was finished; None if there is none.
        settings: command, weights and options that made the output, as JSON.
        begun: 1 if a run that was killed may have written an output that this row does not know yet; otherwise 0.
    """

    input: str
    input_bytes: int | None
    input_version: str | None
    state: str
    output_bytes: int | None
    output_version: str | None
    settings: str | None
    begun: int

    def is_ours(self, file: Stored) -> bool:
        """Tell whether a file at the address of the output is the one that a run wrote.

        Args:
            file: file that the store has now.
        """
        return self.begun == 1 or (self.output_bytes, self.output_version) == (file.bytes, file.version)

    def difference(self, source: Stored, settings: str) -> str:
        """Return the reason why an output must be made again in a few words; empty if it need not.

        Args:
            source: source that the store has now.
            settings: settings of this run, from `settings_text`.
        """
        if self.input != source.url:
            return "another source"
        if (self.input_bytes, self.input_version) != (source.bytes, source.version):
            return "the source has changed"
        return "" if self.settings == settings else "other weights or options"


class Manifest:
    """The manifest of one or several runs, in a file of SQLite.

    Args:
        path: path of the file on this machine; it is made if it does not exist.

    Raises:
        ValueError: if the file is no manifest.
        WriteError: if the folder does not exist or cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        results_folder(path.parent).mkdir(parents=True, exist_ok=True)
        columns, answers = (", ".join(map(" ".join, table.items())) for table in (_COLUMNS, _ANSWERS))
        try:
            # the stack closes the file again if it cannot be used
            with naming_database(path, "manifest"), ExitStack() as opened:
                self._database = sqlite3.connect(path, isolation_level=None, timeout=60)
                opened.callback(self._database.close)
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=NORMAL")
                self._database.execute(f"CREATE TABLE IF NOT EXISTS files ({columns})")
                self._database.execute("CREATE INDEX IF NOT EXISTS states ON files (state)")
                self._database.execute(f"CREATE TABLE IF NOT EXISTS answers ({answers}, PRIMARY KEY (input, command))")
                opened.pop_all()
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no manifest of passband ({error}): choose another file") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def row(self, output: str) -> Row | None:
        """Return the row of an output, or None.

        Args:
            output: address of the output.
        """
        names = ", ".join(Row.__dataclass_fields__)
        found = self._execute(f"SELECT {names} FROM files WHERE output = ?", (output,)).fetchone()
        return None if found is None else Row(*found)

    def begin(self, output: str, source: Stored) -> None:
        """Note that an output is about to be written.

        Args:
            output: address of the output.
            source: the source.
        """
        self._set(output, input=source.url, state="writing", error=None, begun=1)

    def done(self, output: Stored, source: Stored, settings: str, seconds: float) -> None:
        """Note that an output is finished.

        Args:
            output: the output.
            source: the source as it was read.
            settings: command, weights and options, see `settings_text`.
            seconds: time that it took.
        """
        self._set(
            output.url,
            input=source.url,
            input_bytes=source.bytes,
            input_version=source.version,
            state="done",
            output_bytes=output.bytes,
            output_version=output.version,
            seconds=seconds,
            error=None,
            settings=settings,
            begun=0,
        )

    def failed(self, output: str, source: str, error: str, *, may_be_written: bool = False) -> None:
        """Note that an output cannot be made. An older output stays known.

        Args:
            output: address of the output.
            source: address of the source.
            error: the reason.
            may_be_written: whether the output may be in place nevertheless.
        """
        begun = {} if may_be_written else {"begun": 0}
        self._set(output, input=source, state="failed", error=error, **begun)

    def answer(self, source: Stored, making: OutputSettings) -> Any:
        """Return the answer of an earlier run about a file, or None if there is none or it would be another one now.

        Args:
            source: the file.
            making: command, weights and options.
        """
        found = self._execute(
            "SELECT answer FROM answers WHERE input = ? AND command = ? AND state = 'done' AND input_bytes = ? "
            "AND input_version = ? AND settings = ?",
            (source.url, making.command, source.bytes, source.version, settings_text(making)),
        ).fetchone()
        return None if found is None else json.loads(found[0])

    def keep_answer(
        self, source: Stored, making: OutputSettings, answer: Any, *, seconds: float = 0.0, error: str | None = None
    ) -> None:
        """Keep the answer about a file, or the reason why there is none. It replaces an earlier one.

        Args:
            source: the file as it was read.
            making: command, weights and options.
            answer: the answer, of values that JSON can hold.
            seconds: time that it took.
            error: the reason; None if there is an answer.
        """
        values = {
            "input": source.url,
            "command": making.command,
            "input_bytes": source.bytes,
            "input_version": source.version,
            "state": "done" if error is None else "failed",
            "answer": json.dumps(answer),
            "seconds": seconds,
            "error": error,
            "time": _now(),
            "settings": settings_text(making),
        }
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._execute(f"INSERT OR REPLACE INTO answers ({names}) VALUES ({marks})", tuple(values.values()))

    def _execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        """Run a statement of SQL.

        Raises:
            WriteError: if the file cannot be read or written, for example because the disk is full.
        """
        with naming_database(self.path, "manifest"):
            return self._database.execute(statement, values)

    def _set(self, output: str, **values: object) -> None:
        """Write columns of a row; the others stay as they were."""
        values |= {"time": _now()}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        self._execute(
            f"INSERT INTO files (output, {names}) VALUES (?, {marks}) ON CONFLICT (output) DO UPDATE SET {changes}",
            (output, *values.values()),
        )


def _now() -> str:
    """Return the time, for people: no decision depends on it, because clocks may be wrong."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def settings_text(making: OutputSettings) -> str:
    """Return command, weights and options as JSON, as the manifest keeps them.

    Args:
        making: settings of the files that a command writes.
    """
    return json.dumps({"command": making.command, "weights": making.weights, "options": making.options}, sort_keys=True)
