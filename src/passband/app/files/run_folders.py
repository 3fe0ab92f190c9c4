"""Finds runs and reports below a folder, and serves the files of reports."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from passband.naming import printable
from passband.weights_finding import RUN_FILE

DEPTH = 4
"""Number of levels of folders that are searched."""
MOST = 500
"""Largest number of runs or reports that are listed."""
SERVED = frozenset((".html", ".png", ".svg", ".csv", ".json", ".jpg", ".md", ".css"))
"""Suffixes of files of reports that the page serves."""
REPORT = "report.html"


def find_runs(folder: Path) -> dict[str, Path]:
    """Return the folders of runs below a folder, by their names relative to it; the one that changed last comes first.

    Args:
        folder: folder to search, which may be a run itself.
    """
    paths = [path.parent for path in _files(folder, RUN_FILE)]
    paths.sort(key=changed, reverse=True)
    return {printable(_name(path, folder)): path for path in paths[:MOST]}


def find_reports(folder: Path) -> dict[str, Path]:
    """Return the reports below a folder, relative to it, by their names.

    Args:
        folder: folder to search.
    """
    paths = sorted(path.relative_to(folder) for path in _files(folder, REPORT))
    return {printable(str(path.parent) if path.parent.name else folder.resolve().name): path for path in paths[:MOST]}


def served_file(folder: Path, name: str) -> Path | None:
    """Return a file of a report below a folder; None for any other file.

    Args:
        folder: folder of runs and studies.
        name: path relative to it, as a browser asks for it.
    """
    if "\0" in name:
        return None
    root = folder.resolve()
    with suppress(OSError, ValueError):
        path = (root / name).resolve()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if path.is_relative_to(root) and path.suffix.lower() in SERVED and path.is_file() and not hidden:
            return path
    return None


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of a name, without following links to folders."""
    for path, folders, files in os.walk(folder):
        depth = len(Path(path).relative_to(folder).parts)
        folders[:] = [one for one in folders if depth < DEPTH and not one.startswith(".") and one != "checkpoints"]
        if name in files:
            yield Path(path) / name


def changed(run: Path) -> float:
    """Return the time of the last change of a run.

    Args:
        run: folder of the run.

    Returns:
        Seconds since 1970; 0 if the folder has no files of a run.
    """
    for name in ("log.csv", RUN_FILE):
        with suppress(OSError):
            return (run / name).stat().st_mtime
    return 0.0


def _name(path: Path, folder: Path) -> str:
    """Return the name of a run relative to a folder."""
    return str(path.relative_to(folder)) if path != folder else path.name
