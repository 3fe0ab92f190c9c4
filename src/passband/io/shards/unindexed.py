"""Makes the index of tar files that have none, by reading their headers once."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from passband.io.hidden import is_hidden
from passband.io.paths import cache_folder
from passband.io.shards.index import Container, ShardIndex, parse_index, whole_file, write_index
from passband.io.shards.keys import KeyedImage, folder_paths, keyed_images
from passband.io.shards.local import OpenFiles
from passband.io.shards.tar import Member, ShardError, read_members
from passband.io.storage import Store, Stored

ANNOTATIONS = "annotations"
"""Name of the only folder that may lie beside tar files without an index; it holds annotations in COCO's format."""


def remembered_index(state: str, make: Callable[[], ShardIndex]) -> ShardIndex:
    """Return the index of tar files without one, which is made once and kept in the user's cache folder.

    Args:
        state: text that changes when the tar files change.
        make: function that makes the index.
    """
    path = cache_folder() / "shard-indexes" / f"{hashlib.sha256(state.encode()).hexdigest()}.json"
    with suppress(OSError, ShardError):
        return parse_index(path.read_bytes(), str(path))
    index = make()
    with suppress(OSError):
        write_index(path, index)
    return index


def index_of_tars(folder: Path) -> ShardIndex:
    """Make the index of tar files of this machine.

    Args:
        folder: folder of the tar files.

    Raises:
        ShardError: if a tar file is damaged.
        OSError: if a file cannot be read.
    """
    opened = OpenFiles()
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".tar" and not is_hidden(path.name))
    members = {path.name: read_members(path, str(path)) for path in paths}
    images = {
        path.stem: keyed_images(
            members[path.name], lambda member, path=path: opened.part(path, member.offset, member.size)
        )
        for path in paths
    }
    beside = [*folder.glob("*.json"), *(folder / ANNOTATIONS).glob("*.json")]
    files = [whole_file(path.relative_to(folder).as_posix(), path.stat().st_size) for path in sorted(beside)]
    shards = {path.name: Container(path.name, path.stat().st_size) for path in paths}
    return _joined(shards, members, folder_paths(images), files)


def index_of_remote_tars(store: Store, files: dict[str, Stored], tars: Sequence[Stored]) -> ShardIndex:
    """Make the index of tar files in a store, by copying and reading each one once.

    Args:
        store: folder of the tar files.
        files: all files of the folder, by name.
        tars: the tar files.

    Raises:
        ShardError: if a tar file is damaged.
        OSError: if the store does not answer.
    """
    members: dict[str, list[Member]] = {}
    images: dict[str, list[KeyedImage | None]] = {}
    with tempfile.TemporaryDirectory(prefix="passband-") as folder:
        for tar in tars:
            path, opened = Path(folder, tar.name), OpenFiles()
            store.download(f"{store.path}/{tar.name}", path)
            members[tar.name] = read_members(path, tar.url)
            images[PurePosixPath(tar.name).stem] = keyed_images(
                members[tar.name],
                lambda member, path=path, opened=opened: opened.part(path, member.offset, member.size),
            )
            opened.close()
            path.unlink()
    beside = {name: file for name, file in files.items() if name.endswith(".json") and not is_hidden(name)}
    annotations = store.files_in(f"{store.path}/{ANNOTATIONS}")
    beside |= {f"{ANNOTATIONS}/{name}": file for name, file in annotations.items() if name.endswith(".json")}
    others = [whole_file(name, file.bytes, version=file.version) for name, file in sorted(beside.items())]
    shards = {tar.name: Container(tar.name, tar.bytes, version=tar.version) for tar in tars}
    return _joined(shards, members, folder_paths(images), others)


def _joined(
    shards: dict[str, Container],
    members: dict[str, list[Member]],
    paths: dict[str, list[str | None]],
    files: Sequence[Container],
) -> ShardIndex:
    """Put members and their paths into an index."""
    filled = [
        Container(
            name,
            shard.bytes,
            names=tuple(member.name for member in members[name]),
            paths=tuple(None if path is None else _plain(path) for path in paths[PurePosixPath(name).stem]),
            offsets=tuple(member.offset for member in members[name]),
            sizes=tuple(member.size for member in members[name]),
            checksums=(None,) * len(members[name]),
            labels=(None,) * len(members[name]),
            version=shard.version,
        )
        for name, shard in shards.items()
    ]
    return ShardIndex("unknown", tuple(filled), tuple(files))


def _plain(path: str) -> str:
    """Return a path without empty parts and single dots."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))
