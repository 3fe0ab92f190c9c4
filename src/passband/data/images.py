"""Finds image files in folders, by patterns and by name."""

import glob
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from passband.io.hidden import SYSTEM_FOLDERS, is_hidden
from passband.io.image import SUFFIXES
from passband.io.paths import as_path, from_home
from passband.io.shards import ShardPath, data_folder
from passband.naming import composed
from passband.weights_finding import RUN_FILE

NAMED = 10
"""Number of files that an error or a warning names at most."""

Report = Callable[[OSError], None]
"""A function that is called with the error of a folder or file that cannot be read; its `filename` and `strerror` say
which and why."""


def warn_unreadable(error: OSError) -> None:
    """Warn that a folder or file cannot be read and is left out.

    Args:
        error: error of the operating system, with the name of the folder or file.
    """
    warnings.warn(f"{error.filename} cannot be read ({error.strerror}) and is left out", stacklevel=2)


def find_images(folder: Path, suffixes: Collection[str] = SUFFIXES, unreadable: Report = warn_unreadable) -> list[Path]:
    """Find all images below a folder, sorted by path. Hidden files and folders are ignored.

    Linked folders below it are passed over with a warning, because they may lead in a circle.

    Args:
        folder: folder to search, or a link to it, or a folder of shards.
        suffixes: suffixes of images, in lower case with the dot.
        unreadable: function that is called with the error of each folder below it that cannot be read.

    Returns:
        Paths of the images.

    Raises:
        FileNotFoundError: if the folder does not exist.
        NotADirectoryError: if it is a file.
        PermissionError: if it cannot be read.
    """
    folder = data_folder(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"a folder of images is needed, but {folder} is a file")
    next(folder.iterdir(), None)  # raises an error if the folder itself cannot be read
    found: list[Path] = []
    for parent, folders, files in walk(folder, unreadable):
        for path in (parent / name for name in folders):
            if path.is_symlink():
                warnings.warn(
                    f"{path} is a linked folder, which is passed over: replace the link by the folder", stacklevel=2
                )
        paths = (parent / name for name in files if not is_hidden(name))
        found += [path for path in paths if path.suffix.lower() in suffixes and is_file(path, unreadable)]
    return sorted(found)


def expand(source: str | Path) -> list[Path]:
    """Return the files or folders that a source names: itself, or its matches as a glob pattern.

    Hidden files and folders, and `SYSTEM_FOLDERS`, match only if the pattern names them.

    Args:
        source: path or glob pattern.

    Raises:
        FileNotFoundError: if the source does not exist and nothing matches it.
    """
    if source == "":
        raise FileNotFoundError("a file, folder or pattern is needed, and an empty text is given: name one")
    path = from_home(source)
    if path.exists():
        return [path]
    # patterns may be absolute, which Path.glob does not take
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207
    # glob itself ignores names that begin with a dot
    found = [match for match in map(Path, matches) if not _system_folders(match) - _system_folders(path)]
    if not found:
        raise FileNotFoundError(f"no file, folder or match for {source}")
    return found


def _system_folders(path: Path) -> set[str]:
    """Return the parts of a path that are names of `SYSTEM_FOLDERS`."""
    return {part for part in path.parts if part.lower() in SYSTEM_FOLDERS}


def walk(folder: Path, unreadable: Report) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Iterate over a folder and those below it, with the names of their folders and files.

    Hidden folders and folders of runs, whose images are no data, are left out.

    Args:
        folder: folder to begin with, also one within a shard.
        unreadable: function that is called with the error of each folder that cannot be read.

    Yields:
        Each folder, and the names of the folders and files in it. Folders that are removed from the list are not
        visited.
    """
    entries = folder.walk_below() if isinstance(folder, ShardPath) else os.walk(folder, onerror=unreadable)
    for parent, folders, files in entries:
        path = as_path(parent)
        folders[:] = [name for name in folders if not is_hidden(name) and not is_run(path / name)]
        yield path, folders, files


def is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run; a folder that cannot be read holds none.

    Args:
        folder: folder to look into.
    """
    try:
        return (folder / RUN_FILE).is_file()
    except OSError:
        return False


def name_within(path: Path, folder: Path) -> Path:
    """Return the name of a file in a data set: its path within a folder, without its suffix and with composed letters.

    Args:
        path: path of the file.
        folder: folder that it lies in.
    """
    return Path(composed(path.relative_to(folder).with_suffix("").as_posix()))


def folders_in(parent: Path) -> list[str]:
    """Return the sorted names of the folders in a folder.

    The folder is read once, because it may hold very many files.

    Args:
        parent: path of the folder.

    Raises:
        OSError: if the folder cannot be read.
    """
    if isinstance(parent, ShardPath):
        return parent.tree.children(parent.inside)[0]
    with os.scandir(parent) as entries:
        return sorted(entry.name for entry in entries if is_folder(entry))


def class_folders(parent: Path) -> list[str]:
    """Return the sorted names of the folders in a folder that are classes.

    Hidden folders are none, and neither are runs, and folders such as `runs` that hold runs and no images.

    Args:
        parent: folder that holds a sub-folder for each class.

    Raises:
        OSError: if the folder cannot be read.
    """
    return [name for name in folders_in(parent) if not is_hidden(name) and not _holds_only_runs(parent / name)]


def _holds_only_runs(folder: Path) -> bool:
    """Tell whether a folder is a run, or holds runs and no images."""
    return is_run(folder) or (any(is_run(folder / name) for name in folders_in(folder)) and not find_images(folder))


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Tell whether an entry is a folder or a link to one; one that cannot be asked, as a link to itself, is none.

    Args:
        entry: entry of `os.scandir`.
    """
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(path: Path, unreadable: Report) -> bool:
    """Tell whether a path is a file; a path that cannot be read counts as none.

    Args:
        path: path to look at.
        unreadable: function that is called with the error if the path cannot be read.
    """
    try:
        return path.is_file()
    except OSError as error:
        unreadable(error)
        return False
