"""Reads and writes the index of a folder of shards: the place, the length and the checksum of every member.

The index is one JSON file beside the tar files. It holds lists rather than an object for each member, so that it stays
small and is read quickly. `shards` has an entry for each tar file:

| key | content |
|---|---|
| `file`, `bytes`, `sha256` | name, length and checksum of the tar file |
| `names` | names of the members in the tar file |
| `paths` | paths that the members had in the packed folder; null for members that packing made |
| `offsets`, `sizes`, `crc32` | first byte, length and checksum of the content of each member |
| `labels` | number of the class of each member, if the folder holds classes |
| `sources` | checksum of the names, lengths and times of the packed files |

`files` has an entry for each file that lies beside the tar files as it was, such as annotations in COCO's format.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.io.files import write_whole
from passband.io.shards.tar import ShardError

INDEX_FILE = "index.json"
"""Name of the index in a folder of shards."""
JOURNAL_FILE = ".shards.jsonl"
"""Name of the file that replaces the index until all shards of a folder are packed."""
FORMAT = "passband-shards"
VERSION = 1
_LISTS = {"names": str, "paths": str | None, "offsets": int, "sizes": int, "crc32": int | None}


@dataclass(frozen=True)
class Container:
    """A file of a folder of shards: a tar file with members, or another file, which is its own only member.

    Attributes:
        file: path of the file within the folder.
        bytes: length of the file.
        sha256: checksum of the file; empty if it is not known.
        names: names of the members in the tar file.
        paths: paths of the members in the packed folder, by which data sets know them; None for members that data
            sets do not read.
        offsets: first byte of the content of each member.
        sizes: length of the content of each member.
        checksums: CRC-32 of the content of each member; None where it is not known.
        labels: number of the class of each member; None where it has none.
        sources: checksum of the names, lengths and times of the packed files.
        version: text that changes when a remote file is written again; empty for files of this machine.
    """

    file: str
    bytes: int
    sha256: str = ""
    names: tuple[str, ...] = ()
    paths: tuple[str | None, ...] = ()
    offsets: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    checksums: tuple[int | None, ...] = ()
    labels: tuple[int | None, ...] = ()
    sources: str = ""
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the index."""
        entry: dict[str, Any] = {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}
        lists = {"names": self.names, "paths": self.paths, "offsets": self.offsets, "sizes": self.sizes}
        entry |= {**lists, "crc32": self.checksums, "sources": self.sources}
        entry |= {"version": self.version} if self.version else {}
        return {**entry, "labels": self.labels} if any(label is not None for label in self.labels) else entry

    @classmethod
    def from_json(cls, entry: Any, source: str) -> "Container":
        """Return the tar file that an entry of the index describes.

        Args:
            entry: entry of the index.
            source: name of the index for errors.

        Raises:
            ShardError: if the entry is damaged.
        """
        is_sound = (
            isinstance(entry, dict)
            and all(isinstance(entry.get(key), kind) for key, kind in (("file", str), ("bytes", int), ("sha256", str)))
            and all(isinstance(entry.get(key), list) for key in _LISTS)
            and all(len(entry[key]) == len(entry["names"]) for key in _LISTS)
            and all(isinstance(value, kind) for key, kind in _LISTS.items() for value in entry[key])
        )
        if not is_sound:
            named = entry.get("file") if isinstance(entry, dict) else entry
            raise ShardError(
                f"{source} is damaged: its entry of the shard {str(named)[:80]!r} is not complete. {_REMEDY}"
            )
        names, paths, offsets, sizes, checksums = (tuple(entry[key]) for key in _LISTS)
        labels = tuple(entry.get("labels") or (None,) * len(names))
        told = entry["file"], entry["bytes"], entry["sha256"]
        more = (str(entry.get(key, "")) for key in ("sources", "version"))
        return cls(*told, names, paths, offsets, sizes, checksums, labels, *more)


@dataclass(frozen=True)
class ShardIndex:
    """The content of an index.

    Attributes:
        content: kind of the samples: `images`, `pairs`, `masks`, `coco` or `classes`.
        shards: the tar files.
        files: other files.
        classes: names of the classes, whose places are the labels.
        options: options that decided which member is in which tar file.
    """

    content: str
    shards: tuple[Container, ...]
    files: tuple[Container, ...] = ()
    classes: tuple[str, ...] = ()
    options: dict[str, Any] | None = None


_REMEDY = "Copy it again, or delete it: the tar files can also be read without it"


def parse_index(text: bytes, source: str) -> ShardIndex:
    """Read an index.

    Args:
        text: content of the file.
        source: name of the file for errors.

    Raises:
        ShardError: if it is damaged, or was written by a newer version of passband.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{source} is cut short or not JSON ({error}). {_REMEDY}") from error
    if not is_index(content):
        raise ShardError(f"{source} is not an index of shards. {_REMEDY}")
    if content.get("version") != VERSION:
        raise ShardError(
            f"{source} has version {content.get('version')} of the index; this passband reads version {VERSION}: "
            "update passband"
        )
    entries, files = content.get("shards"), content.get("files", [])
    if not isinstance(entries, list) or not isinstance(files, list):
        raise ShardError(f"{source} is damaged: it lists no shards. {_REMEDY}")
    return ShardIndex(
        str(content.get("content", "")),
        tuple(Container.from_json(entry, source) for entry in entries),
        tuple(whole_file(entry["file"], entry["bytes"], entry["sha256"], entry.get("version", "")) for entry in files),
        tuple(content.get("classes", ())),
        content.get("options"),
    )


def is_index(content: Any) -> bool:
    """Tell whether the content of a JSON file is an index of shards.

    Args:
        content: content of the file, as the module json reads it.
    """
    return isinstance(content, dict) and content.get("format") == FORMAT


def whole_file(file: str, size: int, sha256: str = "", version: str = "") -> Container:
    """Return the container of a file that is not a tar file.

    Args:
        file: path of the file within the folder.
        size: length of the file in bytes.
        sha256: checksum of the file, if it is known.
        version: text that changes when the file is written again.
    """
    return Container(file, size, sha256, (file,), (file,), (0,), (size,), (None,), (None,), version=version)


def write_index(path: Path, index: ShardIndex) -> None:
    """Write an index, completely or not at all.

    Args:
        path: path of the file.
        index: content of the index.

    Raises:
        OSError: if the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "content": index.content,
        "classes": index.classes,
        "options": index.options,
        "files": [
            {"file": one.file, "bytes": one.bytes, "sha256": one.sha256, "version": one.version} for one in index.files
        ],
        "shards": [shard.to_json() for shard in index.shards],
    }
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="ascii")
