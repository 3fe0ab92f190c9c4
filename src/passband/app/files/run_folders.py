"""Finds runs and reports below a folder, and what the page shows of them."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from passband.naming import printable
from passband.runs import RunError, draw_curves, read_curves
from passband.weights_io import RUN_FILE

DEPTH = 4
"""Number of levels of folders that are searched."""
MOST = 500
"""Largest number of runs or reports that are listed."""
SERVED = frozenset((".html", ".png", ".svg", ".csv", ".json", ".jpg", ".md", ".css"))
"""Suffixes of files of reports that the page serves."""
REPORT = "report.html"


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that the page shows.

    Attributes:
        title: name of the run and of its recipe.
        rows: name and value of each fact.
        curves: path of the picture of its curves; None if it has no steps yet.
        sample: path of the samples of its last validation; None if there are none.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    curves: Path | None
    sample: Path | None


def find_runs(folder: Path) -> dict[str, Path]:
    """Return the folders of runs below a folder, by their names relative to it; the one that changed last comes first.

    Args:
        folder: folder to search, which may be a run itself.
    """
    paths = [path.parent for path in _files(folder, RUN_FILE)]
    paths.sort(key=_changed, reverse=True)
    return {printable(_name(path, folder)): path for path in paths[:MOST]}


def find_reports(folder: Path) -> dict[str, Path]:
    """Return the reports below a folder, relative to it, by their names.

    Args:
        folder: folder to search.
    """
    paths = sorted(path.relative_to(folder) for path in _files(folder, REPORT))
    return {printable(str(path.parent)): path for path in paths[:MOST]}


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


def run_facts(run: Path, folder: Path) -> RunFacts:
    """Return the facts of a run, and draw its curves if they have changed.

    Args:
        run: folder of the run.
        folder: folder for pictures of curves.
    """
    record: dict = {}
    with suppress(OSError, ValueError):
        record = json.loads((run / RUN_FILE).read_text("utf-8"))
    recipe = record.get("recipe", {}) if isinstance(record, dict) else {}
    trained, validated = read_curves(run / "log.csv"), read_curves(run / "validation.csv")
    rows = [("recipe", str(recipe.get("name", "unknown")) if isinstance(recipe, dict) else "unknown")]
    steps = max((steps[-1] for steps, _ in trained.values() if steps), default=0)
    rows.append(("steps", str(steps)))
    rows += [(f"{name}, last", f"{values[-1]:.4g}") for name, (_, values) in trained.items() if name == "loss"]
    rows += [(f"{name}, last validation", f"{values[-1]:.4g}") for name, (_, values) in validated.items()]
    drawn: Path | None = folder / f"{hashlib.sha256(str(run).encode()).hexdigest()[:16]}-{_changed(run):.0f}.png"
    if not drawn.exists():
        try:
            draw_curves(run, drawn)
        except (RunError, OSError, ValueError):  # the run has no steps yet, or writes its files just now
            drawn = None
    samples = sorted((run / "validation").glob("*.png"))
    title = printable(run.name)
    return RunFacts(title, tuple(rows), drawn, samples[-1] if samples else None)


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of a name, without following links to folders."""
    for path, folders, files in os.walk(folder):
        depth = len(Path(path).relative_to(folder).parts)
        folders[:] = [one for one in folders if depth < DEPTH and not one.startswith(".") and one != "checkpoints"]
        if name in files:
            yield Path(path) / name


def _changed(run: Path) -> float:
    """Return the time of the last change of a run."""
    for name in ("log.csv", RUN_FILE):
        with suppress(OSError):
            return (run / name).stat().st_mtime
    return 0.0


def _name(path: Path, folder: Path) -> str:
    """Return the name of a run relative to a folder."""
    return str(path.relative_to(folder)) if path != folder else path.name
