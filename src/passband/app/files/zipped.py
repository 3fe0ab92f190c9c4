"""Puts all results of a session into one archive."""

import asyncio
import zipfile
from pathlib import Path

from passband.app.files.uploads import Session
from passband.io.files import write_whole


async def zip_results(session: Session) -> Path:
    """Write an archive of all restored files, with a name of its own for each, and return its path.

    Args:
        session: session with results.
    """
    return await asyncio.to_thread(_write, session)


def _write(session: Session) -> Path:
    target = session.folder / "restored.zip"
    with write_whole(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        names: set[str] = set()
        for result in list(session.results.values()):
            for restored in result.files:
                if restored.target.is_file():
                    archive.write(restored.target, _free_name(restored.target.name, names))
    return target


def _free_name(name: str, names: set[str]) -> str:
    """Return a name that the archive does not have yet, and remember it."""
    path, free, number = Path(name), name, 1
    while free in names:
        number += 1
        free = f"{path.stem} ({number}){path.suffix}"
    names.add(free)
    return free
