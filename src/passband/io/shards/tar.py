"""Reads the list of members of a tar file, and writes tar files that are the same for the same members."""

import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from passband.io.image import ImageError

BLOCK = 512
"""Bytes of a block: headers and contents of members fill whole blocks."""
_RECORD = 20 * BLOCK


class ShardError(ImageError):
    """A shard cannot be read or is not the one that its index describes. The message names the file."""


@dataclass(frozen=True)
class Member:
    """A file within a tar file.

    Attributes:
        name: name in the tar file, with its folders.
        offset: place of the first byte of its content in the tar file.
        size: length of its content in bytes.
        checksum: CRC-32 of its content; None if it is not known.
    """

    name: str
    offset: int
    size: int
    checksum: int | None = None


def read_members(path: Path, name: str) -> list[Member]:
    """List the files in a tar file by reading its headers; the contents are not read.

    Args:
        path: path of the tar file.
        name: name of the tar file for errors.

    Returns:
        The files in their order. Folders, links and special files are left out.

    Raises:
        ShardError: if the file is compressed, damaged, incomplete, or not a tar file.
        OSError: if the file cannot be read.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            members = [
                Member(info.name.removeprefix("./"), info.offset_data, info.size)
                for info in tar
                if info.isreg() and not info.issparse()
            ]
            file.seek(tar.offset)
            is_ended = file.read(BLOCK) == bytes(BLOCK)
    except tarfile.TarError as error:
        raise ShardError(
            f"{name} is not an uncompressed tar file, or it is damaged ({error}): unpack it if it is compressed, or "
            "copy it again"
        ) from error
    if not is_ended or any(member.offset + member.size > size for member in members):
        raise ShardError(f"{name} is incomplete: its end is missing after {size} bytes. Copy it again")
    return members


class TarWriter:
    """Writes a tar file member by member.

    Owner, time and permissions of all members are the same, so that equal members give equal files.

    Args:
        file: file that is open for writing.
    """

    def __init__(self, file: IO[bytes]):
        self.file, self.size, self.checksum = file, 0, hashlib.sha256()

    def add(self, name: str, content: bytes) -> Member:
        """Write a member.

        Args:
            name: name of the member, with its folders.
            content: content of the member.

        Returns:
            The place of the member.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o444
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        member = Member(name, self.size, len(content), zlib.crc32(content))
        self._write(content)
        self._write(bytes(-len(content) % BLOCK))
        return member

    def end(self) -> None:
        """Write the end of the tar file."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self.size % _RECORD))

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        self.checksum.update(data)
        self.size += len(data)
