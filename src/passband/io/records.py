"""A record of the files that passband wrote, kept in a hidden file of the folder that they lie in.

It tells a finished file from one that another source, other weights or other options made, and from one that passband
did not write. A line of JSON for each file is appended when the file is whole, so that a record is as good as its last
complete line. A file that the record does not name, or that has changed since, is somebody else's.
"""

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD_FILE = ".passband.jsonl"
"""Name of the record in a folder."""


@dataclass(frozen=True)
class Making:
    """All that decides a file that is made of another one.

    Attributes:
        command: what makes it, such as `restore`.
        weights: checksum of the network.
        options: those that change what is written; values that JSON has.
    """

    command: str
    weights: str
    options: dict[str, Any]


class Records:
    """The records of all folders that a run comes by. Each is read once, when a file of its folder is asked for."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, dict[str, Any]]] = {}

    def entry(self, path: Path) -> dict[str, Any] | None:
        """What is recorded of a file; None where passband did not write it, or it has changed since.

        Args:
            path: of a file.
        """
        found = self._of_folder(path.parent).get(path.name)
        try:
            return found if found is not None and _is(path, found) else None
        except OSError:
            return None

    def is_made_of(self, path: Path, sources: Collection[Path]) -> bool:
        """Whether passband wrote a file, and made it of one of these sources.

        Args:
            path: of a file that exists.
            sources: paths without links in them.
        """
        found = self.entry(path)
        return found is not None and any(source in sources for source in _origins(path, found))

    def difference(self, path: Path, source: Path, making: Making) -> str:
        """Why a file that passband wrote is not what would be written now; empty where it is.

        Args:
            path: of a file with an `entry`.
            source: what it would be made of.
            making: how it would be made.

        Raises:
            OSError: for a source that cannot be read.
        """
        found = self.entry(path)
        assert found is not None, "strangers' files are not compared"
        if not _is(source, found["source"]):
            return "the source has changed" if source.resolve() in _origins(path, found) else "another source"
        if found["command"] != making.command:
            return "another command"
        if found["weights"] != making.weights:
            return "other weights"
        return "" if found["options"] == json.loads(json.dumps(making.options)) else "other options"

    def add(self, path: Path, source: Path, seen: dict[str, Any], making: Making) -> None:
        """Record a file that has just been written.

        Args:
            path: of the file.
            source: what it was made of.
            seen: `signature` of the source before it was read.
            making: how it was made.

        Raises:
            OSError: where the record cannot be written.
        """
        whole = source.resolve()
        origin = {"path": str(whole), "relative": os.path.relpath(whole, path.parent.resolve())}
        made = {"command": making.command, "weights": making.weights, "options": making.options}
        entry = {"file": path.name, **signature(path), "source": {**origin, **seen}, **made}
        line = json.dumps(entry) + "\n"
        with (path.parent / RECORD_FILE).open("a+b") as file:
            # a line that a crash cut short must not swallow this one
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
                line = "\n" + line
            file.write(line.encode("ascii"))
        self._of_folder(path.parent)[path.name] = json.loads(line)

    def _of_folder(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Name to entry, of a folder's record."""
        folder = folder.resolve()
        if folder not in self._folders:
            self._folders[folder] = _read(folder / RECORD_FILE)
        return self._folders[folder]


def signature(path: Path) -> dict[str, Any]:
    """Length in bytes, time of modification in nanoseconds and SHA-256 of a file.

    Raises:
        OSError: for one that cannot be read.
    """
    stat = path.stat()
    return {"bytes": stat.st_size, "modified": stat.st_mtime_ns, "sha256": _checksum(path)}


def stranger(path: Path) -> str:
    """Say that a file is in the way that passband did not write."""
    return (
        f"{path} is there already, and passband has no record of having written it as it is: choose another output, or "
        "replace it with --overwrite"
    )


def _is(path: Path, recorded: dict[str, Any]) -> bool:
    """Whether a file is what was recorded: by length and time or, where the time differs, by its content.

    A source at another path is compared by its content alone, for two files may have one length and one time.
    """
    stat = path.stat()
    if stat.st_size != recorded["bytes"]:
        return False
    same_place = "path" not in recorded or str(path.resolve()) == recorded["path"]
    return (same_place and stat.st_mtime_ns == recorded["modified"]) or _checksum(path) == recorded["sha256"]


def _origins(path: Path, entry: dict[str, Any]) -> tuple[Path, Path]:
    """Where the source of a file is: where it was, or where it is if both have been moved together."""
    source = entry["source"]
    return Path(source["path"]), Path(os.path.normpath(path.parent.resolve() / source["relative"]))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of a record, the last of each file; lines that are damaged or of another kind are passed over."""
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
    """Whether a line of a record has what is read of it."""
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
