"""Records the files that passband wrote, in a hidden file of each output folder.

The record tells whether an output is finished, and whether it was made from the same source with the same weights and
options. Each finished file adds one line of JSON, so that a crash damages at most the last line. A file that is not in
the record, or that has changed since, is treated as the user's own.
"""

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class Records:
    """The records of all folders that a command uses. Each record is read once, when it is first needed."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, dict[str, Any]]] = {}

    def entry(self, path: Path) -> dict[str, Any] | None:
        """Return the record of a file, or None if passband did not write the file or if it has changed since.

        Args:
            path: path of the file.
        """
        recorded = self._entries_in(path.parent).get(path.name)
        try:
            return recorded if recorded is not None and _matches(path, recorded) else None
        except OSError:
            return None

    def is_made_of(self, path: Path, sources: Collection[Path]) -> bool:
        """Tell whether passband made a file from one of several sources.

        Args:
            path: path of an existing file.
            sources: paths of the sources, without symbolic links.
        """
        recorded = self.entry(path)
        return recorded is not None and any(source in sources for source in _source_paths(path, recorded))

    def difference(self, path: Path, source: Path, making: OutputSettings) -> str:
        """Return the reason why a recorded file differs from what would be written now.

        Args:
            path: path of a file that has an `entry`.
            source: path of the source that would be used.
            making: command, weights and options that would be used.

        Returns:
            The reason in a few words, or an empty text if the file is up to date.

        Raises:
            OSError: if the source cannot be read.
        """
        recorded = self.entry(path)
        assert recorded is not None, "strangers' files are not compared"
        if not _matches(source, recorded["source"]):
            return "the source has changed" if source.resolve() in _source_paths(path, recorded) else "another source"
        if recorded["command"] != making.command:
            return "another command"
        if recorded["weights"] != making.weights:
            return "other weights"
        return "" if recorded["options"] == json.loads(json.dumps(making.options)) else "other options"

    def add(self, path: Path, source: Path, source_signature: dict[str, Any], making: OutputSettings) -> None:
        """Record a file that has just been written.

        Args:
            path: path of the file.
            source: path of its source.
            source_signature: `signature` of the source before it was read.
            making: command, weights and options that made the file.

        Raises:
            OSError: if the record cannot be written.
        """
        resolved = source.resolve()
        origin = {"path": str(resolved), "relative": os.path.relpath(resolved, path.parent.resolve())}
        settings = {"command": making.command, "weights": making.weights, "options": making.options}
        entry = {"file": path.name, **signature(path), "source": {**origin, **source_signature}, **settings}
        line = json.dumps(entry) + "\n"
        with (path.parent / RECORD_FILE).open("a+b") as file:
            # The last line may be incomplete after a crash. A new line must not be joined to it.
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
                line = "\n" + line
            file.write(line.encode("ascii"))
        self._entries_in(path.parent)[path.name] = json.loads(line)

    def _entries_in(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Return the entries in a folder's record, by file name."""
        folder = folder.resolve()
        if folder not in self._folders:
            self._folders[folder] = _read(folder / RECORD_FILE)
        return self._folders[folder]


def signature(path: Path) -> dict[str, Any]:
    """Return the length in bytes, the modification time in nanoseconds and the SHA-256 checksum of a file.

    Args:
        path: path of the file.

    Raises:
        OSError: if the file cannot be read.
    """
    stat = path.stat()
    return {"bytes": stat.st_size, "modified": stat.st_mtime_ns, "sha256": _checksum(path)}


def foreign_file_message(path: Path) -> str:
    """Return the error message for an output path at which passband did not write the existing file."""
    return (
        f"{path} exists, but passband has no record of writing this file: choose another output, or use --overwrite to "
        "replace it"
    )


def _matches(path: Path, recorded: dict[str, Any]) -> bool:
    """Tell whether a file matches a recorded signature.

    The length must match, and either the modification time or the checksum. A source at another path is compared by its
    checksum, because two files may have the same length and time.
    """
    stat = path.stat()
    if stat.st_size != recorded["bytes"]:
        return False
    same_place = "path" not in recorded or str(path.resolve()) == recorded["path"]
    return (same_place and stat.st_mtime_ns == recorded["modified"]) or _checksum(path) == recorded["sha256"]


def _source_paths(path: Path, entry: dict[str, Any]) -> tuple[Path, Path]:
    """Return two paths at which the source of a file may be found.

    The first is its recorded path. The second is its path if the source and the file were moved together.
    """
    source = entry["source"]
    return Path(source["path"]), Path(os.path.normpath(path.parent.resolve() / source["relative"]))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Read a record, and return the last entry of each file. Lines that are damaged or of another kind are ignored."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    entries = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_entry(entry):
            entries[entry["file"]] = entry
    return entries


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
