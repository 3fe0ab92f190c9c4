"""Records which shards of a folder are finished, so that packing continues after a crash.

While a folder is packed, a hidden file gets a line for each finished shard, just before the shard gets its name. The
index replaces this file when all shards are done. A folder with this file is not read, because shards are missing.
"""

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from passband.io.shards.index import INDEX_FILE, JOURNAL_FILE, Container, parse_index
from passband.io.shards.tar import ShardError


class Journal:
    """The record of a folder of shards.

    Args:
        folder: folder of the shards.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / JOURNAL_FILE
        self._known: dict[str, list[Container]] = {}
        with suppress(OSError, ShardError):
            for shard in parse_index((folder / INDEX_FILE).read_bytes(), str(folder / INDEX_FILE)).shards:
                self._known.setdefault(shard.file, []).append(shard)
        with suppress(OSError):
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError):  # the last line may be incomplete after a crash
                    shard = Container.from_json(json.loads(line), str(self.path))
                    self._known.setdefault(shard.file, []).append(shard)

    def knows(self, file: str) -> bool:
        """Tell whether passband wrote the tar file of a name.

        Args:
            file: name of a tar file.
        """
        return file in self._known

    def finished(self, file: str, sources: str) -> Container | None:
        """Return the entry of a tar file that was made from these sources and is complete; None if there is none.

        Args:
            file: name of the tar file.
            sources: checksum of everything that decides its content.
        """
        for shard in reversed(self._known.get(file, [])):
            path = self.folder / file
            if shard.sources == sources and path.is_file() and path.stat().st_size == shard.bytes:
                return shard
        return None

    def begin(self) -> None:
        """Replace the index by this record, because the shards will change.

        Raises:
            OSError: if the record cannot be written.
        """
        index = self.folder / INDEX_FILE
        if index.is_file():
            for shards in self._known.values():
                for shard in shards:
                    self._append(shard)
            index.unlink()

    def add(self, shard: Container) -> None:
        """Record a tar file that is complete.

        Args:
            shard: entry of the tar file.

        Raises:
            OSError: if the record cannot be written.
        """
        self._append(shard)
        self._known.setdefault(shard.file, []).append(shard)

    def remove_others(self, files: Collection[str]) -> list[str]:
        """Delete tar files of an earlier run.

        Args:
            files: names of the tar files that stay.

        Returns:
            The names of the deleted files.
        """
        others = [file for file in self._known if file not in files and (self.folder / file).is_file()]
        for file in others:
            (self.folder / file).unlink()
        return others

    def end(self) -> None:
        """Delete this record, which the index has replaced."""
        self.path.unlink(missing_ok=True)

    def _append(self, shard: Container) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            # the last line may be incomplete after a crash, and a new line must not be joined to it
            is_whole = not file.seek(0, 2) or (file.seek(-1, 2), file.read())[1] == b"\n"
            file.write(("" if is_whole else "\n").encode() + json.dumps(shard.to_json()).encode("ascii") + b"\n")
