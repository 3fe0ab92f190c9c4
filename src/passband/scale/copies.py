"""Lists files at addresses, and copies them to this machine."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from passband.io.storage import Store, Stored
from passband.scale.manifest import Manifest


def files_at(source: str, suffixes: Collection[str], manifest: Manifest) -> Iterator[tuple[str | None, list[Stored]]]:
    """List the files that a source names, one folder at a time, without the outputs of earlier runs.

    Args:
        source: address or path of a file, folder or glob pattern.
        suffixes: suffixes of the files to find, in lower case with the dot.
        manifest: manifest of the runs.

    Yields:
        The path of each folder below the source, which is empty for itself and for matches of a pattern, and None for
        a file that is named itself; and its files, at least one.

    Raises:
        FileNotFoundError: if there are none.
        ScaleError: if a kind of store is unknown, or a package for it is missing.
    """
    store, is_empty = Store(source), True
    groups: Iterable[tuple[str | None, list[Stored]]]
    if any(mark in source for mark in "*?["):
        groups = [("", store.matches(store.path))]
    elif store.is_file(store.path):
        groups = [(None, [store.info(store.path)])]
    else:
        groups = store.folders(store.path)
    for below, files in groups:
        sources = [file for file in files if file.suffix in suffixes]
        if below is not None:
            sources = [file for file in sources if not _is_made(file, manifest)]
        if sources:
            is_empty = False
            yield below, sources
    if is_empty:
        raise FileNotFoundError(f"{source} holds no files of the types {' '.join(sorted(suffixes))}")


def fetch(source: Stored, target: Path) -> Stored:
    """Copy a file to this machine, and return its version that was read.

    Args:
        source: the file.
        target: path of the copy.

    Raises:
        OSError: if it cannot be read, or changes all the time.
    """
    store = Store(source.url)
    for _ in range(3):
        before = store.info(store.path)
        store.download(store.path, target)
        if store.info(store.path) == before:
            return before
    raise OSError(f"{source.url} changes while it is read: run the command again when it is complete")


def with_addresses(names: dict[str, str]) -> Callable[[str], str]:
    """Return a function that replaces the paths of copies in a text by the addresses of the files.

    Args:
        names: addresses by path.
    """

    def named(text: str) -> str:
        for path, url in names.items():
            text = text.replace(path, url)
        return text

    return named


@contextmanager
def replace_output(folder: str, name: str, manifest: Manifest, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path on this machine, and copy the file at that path to an address when the block ends without an error.

    Args:
        folder: address or path of the folder.
        name: name of the file.
        manifest: manifest that records the file, so that the next run may replace it.
        overwrite: whether a file of another program is replaced.

    Yields:
        The path to write to.

    Raises:
        FileExistsError: if the manifest does not know the file that is there.
        OSError: if the file cannot be written.
    """
    store = Store(f"{folder.rstrip('/')}/{name}")
    there, row = store.files_in(store.path.rpartition("/")[0]).get(name), manifest.row(store.url(store.path))
    if there is not None and not overwrite and (row is None or not row.is_ours(there)):
        raise FileExistsError(
            f"{there.url} exists, but the manifest does not know it: choose another folder with -o, or replace it with "
            "--overwrite"
        )
    with TemporaryDirectory(prefix="passband-") as copies:
        yield Path(copies, name)
        source = Stored(folder, 0, "")
        manifest.begin(store.url(store.path), source)
        manifest.done(store.upload(Path(copies, name), store.path), source, "", 0.0)


def _is_made(file: Stored, manifest: Manifest) -> bool:
    """Tell whether a file is the output of an earlier run."""
    row = manifest.row(file.url)
    return row is not None and row.is_ours(file)
