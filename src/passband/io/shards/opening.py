"""Opens folders of shards, on this machine or at an address."""

import json
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from passband.io.hidden import is_hidden
from passband.io.image import SUFFIXES
from passband.io.paths import as_path, checked_path
from passband.io.shards.index import FORMAT, INDEX_FILE, JOURNAL_FILE, parse_index
from passband.io.shards.local import LocalReader
from passband.io.shards.path import ShardPath
from passband.io.shards.remote import RemoteReader
from passband.io.shards.tar import ShardError
from passband.io.shards.tree import ShardTree
from passband.io.shards.unindexed import ANNOTATIONS, index_of_remote_tars, index_of_tars, remembered_index
from passband.io.storage import Store

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,3}(.*)", re.DOTALL)
PARENTS = 4
"""Number of folders above an address that may hold the shards in which it lies."""
_SEEN_HEAD = 256  # bytes of an index that tell its format


def data_folder(path: Path | str) -> Path:
    """Return the folder of a data set: a folder of shards as a `ShardPath`, any other one as it is.

    Args:
        path: path of a folder, or the address of a folder of shards, such as `s3://bucket/train`. A `Path` of an
            address, which has lost a slash, is also understood. The path may continue with a folder or a file that
            was packed into the shards.

    Raises:
        TypeError, ValueError: as `checked_path` raises them.
        ShardError: if a shard or the index is damaged, or does not fit the other.
        FileNotFoundError: if an address holds no shards, or a shard that the index lists is missing.
        ScaleError: if the kind of store of an address is unknown, or a package for it is missing.
        OSError: if the folder cannot be read.
    """
    if isinstance(path, ShardPath):
        return path
    address = address_of(checked_path(path, "the folder of data"))
    if address is not None:
        return _find_remote(address)
    path = as_path(path)
    if is_shards(path):
        return _open_local(path, _state_of(path))
    if not path.is_dir():
        for folder in path.parents:
            if is_shards(folder):
                return _open_local(folder, _state_of(folder)) / path.relative_to(folder)
    return path


def address_of(path: Path | str | None) -> str | None:
    """Return the address of a store that a text or path is; None for a path of this machine.

    Args:
        path: path, text or None. A file or folder of this machine with such a name is no address.
    """
    match = None if path is None else _ADDRESS.fullmatch(str(path))
    if match is None or Path(str(path)).exists():
        return None
    kind, rest = match.groups()
    return f"{kind}://{'/' if kind in ('file', 'local') else ''}{rest.rstrip('/')}"


def location(path: Path | str) -> str:
    """Return the text by which a data set is found again later: an address, or an absolute path.

    Args:
        path: path of a data set on this machine, or address of one in a store.
    """
    return address_of(path) or str(Path(path).resolve())


def _find_remote(address: str) -> ShardPath:
    """Open the folder of shards at an address, or one that holds the address."""
    try:
        return _open_remote(address)
    except FileNotFoundError:
        kind, _, rest = address.partition("://")
        parts = rest.split("/")
        for count in range(len(parts) - 1, max(0, len(parts) - 1 - PARENTS), -1):
            folder = f"{kind}://{'/'.join(parts[:count])}"
            with suppress(FileNotFoundError):
                if (found := _open_remote(folder) / "/".join(parts[count:])).exists():
                    return found
        raise


def is_shards(folder: Path) -> bool:
    """Tell whether a folder of this machine holds shards.

    It does if it has an index, or if it has tar files and neither images nor folders apart from `annotations`.

    Args:
        folder: path of the folder.
    """
    try:
        if _has_index(folder) or (folder / JOURNAL_FILE).exists():
            return True
        has_tars = False
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if Path(entry.name).suffix.lower() in SUFFIXES or (entry.is_dir() and entry.name != ANNOTATIONS):
                    return False  # folders of very many images are not read to their end
                has_tars |= entry.name.endswith(".tar")
    except OSError:
        return False
    return has_tars


def _has_index(folder: Path) -> bool:
    """Tell whether a folder has an index of shards. Other files with this name are left alone."""
    path = folder / INDEX_FILE
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'"format":"{FORMAT}"'.encode() in file.read(_SEEN_HEAD).replace(b" ", b"")


def _state_of(folder: Path) -> str:
    """Return a text that changes when the files of a folder of shards change."""
    paths = [folder / INDEX_FILE] if _has_index(folder) else sorted(folder.iterdir())
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.is_file()]
    return json.dumps([str(folder.resolve()), states])


@lru_cache(maxsize=16)
def _open_local(folder: Path, state: str) -> ShardPath:
    """Open a folder of shards of this machine; the state tells when it has to be opened again."""
    if (folder / JOURNAL_FILE).exists():
        raise ShardError(
            f"{folder} is incomplete, because its packing was interrupted: run the same `passband shards` command again"
        )
    if _has_index(folder):
        index = parse_index((folder / INDEX_FILE).read_bytes(), str(folder / INDEX_FILE))
    else:
        index = remembered_index(state, lambda: index_of_tars(folder))
    containers = [*index.shards, *index.files]
    return ShardPath(ShardTree(str(folder), containers, LocalReader(folder, containers)))


@lru_cache(maxsize=16)
def _open_remote(address: str) -> ShardPath:
    """Open a folder of shards in a store."""
    store = Store(address)
    files = store.files_in(store.path)
    tars = [files[name] for name in sorted(files) if name.endswith(".tar") and not is_hidden(name)]
    if INDEX_FILE in files:
        index = parse_index(store.read(f"{store.path}/{INDEX_FILE}"), f"{address}/{INDEX_FILE}")
        for shard in index.shards:
            if shard.file not in files:
                raise FileNotFoundError(f"{address}/{shard.file} is missing, but the index lists it: copy it again")
    elif tars:
        state = json.dumps([[file.url, file.bytes, file.version] for file in files.values()])
        index = remembered_index(state, lambda: index_of_remote_tars(store, files, tars))
    else:
        raise FileNotFoundError(
            f"{address} holds no shards: addresses are read as tar files. Pack the folder with `passband shards`, and "
            "copy the result there"
        )
    containers = [*index.shards, *index.files]
    return ShardPath(ShardTree(address, containers, RemoteReader(address, containers)))
