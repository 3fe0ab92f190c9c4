"""Records the files that passband wrote, in a hidden file of each output folder.

The record tells whether an output is finished, and whether it was made from the same source with the same weights and
options. Each finished file adds one line of JSON, so that a crash damages at most the last line. A file that is not in
the record, or that has changed since, is treated as the user's own.

The line is written when the content of the file is complete, just before the file gets its name. A process that is
killed between the two leaves a line without a file, which says nothing. It never leaves a file without a line.
"""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from passband.io.failures import naming_file
from passband.io.files import file_checksum
from passband.io.paths import Resolver

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RECORD_FILE = ".passband.jsonl"
"""Name of the record in each folder."""


@dataclass(frozen=True)
class OutputSettings:
    """Everything that decides the content of an output, apart from its source.

    Attributes:
        command: name of the command that makes it, such as `restore`.
        weights: checksum of the network's weights.
        options: options that change the output, with values that JSON can hold.
    """

    command: str
    weights: str
    options: dict[str, Any]

    @cached_property
    def stored_options(self) -> dict[str, Any]:
        """The options as they are read from a record."""
        return json.loads(json.dumps(self.options))


class Records:
    """The records of all folders that a command uses. Each record is read once, when it is first needed."""

    def __init__(self) -> None:
        self._folders: dict[str, _FolderRecord] = {}
        self.resolved = Resolver()

    def __reduce__(self) -> tuple[type["Records"], tuple[()]]:
        """Pickle as new records: another process reads the files itself if it needs them."""
        return Records, ()

    def entry(self, path: str | Path) -> dict[str, Any] | None:
        """Return the record of a file, or None if passband did not write the file or if it has changed since.

        Args:
            path: path of the file.
        """
        folder, name = os.path.split(path)
        try:
            for line in self._record_of(self.resolved.folder(folder)).lines_of(name):
                recorded = _parse(line)
                if recorded is not None and self._matches(path, recorded):
                    return recorded
        except OSError:
            pass
        return None

    def is_made_of(self, path: str | Path, sources: Collection[str]) -> bool:
        """Tell whether passband made a file from one of several sources.

        Args:
            path: path of an existing file.
            sources: paths of the sources, as `resolved` returns them.
        """
        recorded = self.entry(path)
        return recorded is not None and any(source in sources for source in self._source_paths(path, recorded))

    def difference(
        self, path: str | Path, source: str | Path, making: OutputSettings, recorded: dict[str, Any] | None = None
    ) -> str:
        """Return the reason why a recorded file differs from what would be written now.

        Args:
            path: path of a file that has an `entry`.
            source: path of the source that would be used.
            making: command, weights and options that would be used.
            recorded: `entry` of the path; None to look for it.

        Returns:
            The reason in a few words, or an empty text if the file is up to date.

        Raises:
            OSError: if the source cannot be read.
        """
        recorded = recorded or self.entry(path)
        assert recorded is not None, "strangers' files are not compared"
        if not self._matches(source, recorded["source"]):
            is_same = self.resolved(source) in self._source_paths(path, recorded)
            return "the source has changed" if is_same else "another source"
        if recorded["command"] != making.command:
            return "another command"
        if recorded["weights"] != making.weights:
            return "other weights"
        return "" if recorded["options"] == making.stored_options else "other options"

    def add(
        self,
        path: Path,
        source: Path,
        source_signature: dict[str, Any],
        making: OutputSettings,
        content: Path | None = None,
    ) -> None:
        """Record a file that has just been written. Several processes may do this at the same time.

        Args:
            path: path of the file.
            source: path of its source.
            source_signature: `signature` of the source before it was read.
            making: command, weights and options that made the file.
            content: path of the complete file that will be renamed to `path`; None if `path` exists already.

        Raises:
            WriteError: if the record cannot be written.
            OSError: if the file cannot be read.
        """
        resolved, folder = self.resolved(source), self.resolved.parent(path)
        origin = {"path": resolved, "relative": os.path.relpath(resolved, folder)}
        settings = {"command": making.command, "weights": making.weights, "options": making.options}
        entry = {"file": path.name, **signature(content or path), "source": {**origin, **source_signature}, **settings}
        line = json.dumps(entry)
        record = path.parent / RECORD_FILE
        with naming_file(record), record.open("a+b") as file, _locked(file):
            # The last line may be incomplete after a crash. A new line must not be joined to it.
            is_whole = not file.seek(0, os.SEEK_END) or (file.seek(-1, os.SEEK_END), file.read())[1] == b"\n"
            file.write(f"{'' if is_whole else chr(10)}{line}\n".encode("ascii"))
        if folder in self._folders:
            self._folders[folder].note_added(path.name)

    def _record_of(self, folder: str) -> "_FolderRecord":
        """Return the record of a resolved folder."""
        if folder not in self._folders:
            self._folders[folder] = _FolderRecord(os.path.join(folder, RECORD_FILE))  # noqa: PTH118
        return self._folders[folder]

    def _matches(self, path: str | Path, recorded: dict[str, Any]) -> bool:
        """Tell whether a file matches a recorded signature.

        The length must match, and either the modification time or the checksum. A source at another path is compared by
        its checksum, because two files may have the same length and time.
        """
        stat = os.stat(path)  # noqa: PTH116, faster than a method of the path
        if stat.st_size != recorded["bytes"]:
            return False
        same_place = "path" not in recorded or self.resolved(path) == recorded["path"]
        return (same_place and stat.st_mtime_ns == recorded["modified"]) or file_checksum(path) == recorded["sha256"]

    def _source_paths(self, path: str | Path, entry: dict[str, Any]) -> tuple[str, str]:
        """Return two paths at which the source of a file may be found.

        The first is its recorded path. The second is its path if the source and the file were moved together.
        """
        source, folder = entry["source"], self.resolved.parent(path)
        return source["path"], os.path.normpath(os.path.join(folder, source["relative"]))  # noqa: PTH118


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Let no other process write to an open file until the block ends, where the file system has locks.

    The system releases the lock when the file is closed or the process ends.
    """
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
    yield
    file.flush()


def signature(path: Path) -> dict[str, Any]:
    """Return the length in bytes, the modification time in nanoseconds and the SHA-256 checksum of a file.

    Args:
        path: path of the file.

    Raises:
        OSError: if the file cannot be read.
    """
    stat = path.stat()
    return {"bytes": stat.st_size, "modified": stat.st_mtime_ns, "sha256": file_checksum(path)}


def foreign_file_message(path: Path) -> str:
    """Return the error message for an output path at which passband did not write the existing file.

    Args:
        path: path of the existing file.
    """
    return (
        f"{path} exists, but passband has no record of writing this file: choose another output, or use --overwrite to "
        "replace it"
    )


class _FolderRecord:
    """The record of one folder: the last two lines of each file, read when they are first needed.

    The line before the last is the right one if the file did not get its name. Lines that this process adds are not
    kept, because a run hardly ever asks for them, and hours of work would fill the memory. They are read if they are.

    Args:
        path: path of the record.
    """

    def __init__(self, path: str):
        self._path = path
        self._lines: dict[str, tuple[bytes, ...]] = {}
        self._outdated: set[str] = set()
        self._end, self._has_more = 0, False
        self._read()

    def lines_of(self, name: str) -> tuple[bytes, ...]:
        """Return the lines of a file, the newest first.

        Args:
            name: name of the file.
        """
        if self._has_more and (name in self._outdated or name not in self._lines):
            self._has_more = False
            self._outdated.clear()
            self._read()
        return self._lines.get(name, ())

    def note_added(self, name: str) -> None:
        """Note that this process has added a line of a file to the record.

        Args:
            name: name of the file.
        """
        self._has_more = True
        if name in self._lines:  # the other names need no memory
            self._outdated.add(name)

    def _read(self) -> None:
        """Read the lines that were added since the last time. Lines that are damaged or of another kind are ignored."""
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123
                file.seek(self._end)
                for line in file:
                    if (name := _file_of(line)) is not None:
                        self._keep(name, line.strip())
                    if line.endswith(b"\n"):  # the rest of another line is still being written
                        self._end += len(line)
        except OSError:
            pass

    def _keep(self, name: str, line: bytes) -> None:
        """Add a line of a file."""
        before = self._lines.get(name, ())[:1]
        if before != (line,):
            self._lines[name] = (line, *before)


_BEGIN = '{"file": '
_DECODER = json.JSONDecoder()


def _file_of(line: bytes) -> str | None:
    """Return the name of the file of a line; None for a line that is damaged or of another kind.

    The rest of a line that begins and ends like one of this module is parsed only when it is needed.
    """
    if line.startswith(_BEGIN.encode()) and line.endswith(b"}}\n"):
        with suppress(ValueError):
            name, _ = _DECODER.raw_decode(line.decode("utf-8", "replace"), len(_BEGIN))
            return name if isinstance(name, str) else None
    entry = _parse(line)
    return None if entry is None else entry["file"]


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line, or None if it is damaged or of another kind."""
    try:
        entry = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return entry if _is_entry(entry) else None


def _is_entry(entry: Any) -> bool:
    """Tell whether a line of a record has all fields that are used."""
    texts, numbers = ("sha256",), ("bytes", "modified")

    def is_file(part: Any, *more: str) -> bool:
        return isinstance(part, dict) and (
            all(isinstance(part.get(name), str) for name in (*texts, *more))
            and all(isinstance(part.get(name), int) for name in numbers)
        )

    return (
        is_file(entry, "file", "command", "weights")
        and is_file(entry.get("source"), "path", "relative")
        and isinstance(entry.get("options"), dict)
    )
