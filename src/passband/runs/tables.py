"""Writes and reads the tables of a run: log.csv has a row for each step, and validation.csv one for each validation."""

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from passband.drawing.charts.training import Curves
from passband.io.failures import naming_file
from passband.io.files import write_whole

LOG_FILE, VALIDATION_FILE = "log.csv", "validation.csv"
"""Names of the tables in the folder of a run."""


def add_row(path: Path, step: int, figures: Mapping[str, float]) -> None:
    """Append a row to a table, without rounding. A new table begins with a header.

    Args:
        path: path of the table.
        step: number of steps done.
        figures: numbers of the row by name, with the same names in each row.

    Raises:
        WriteError: if the file cannot be written.
    """
    is_new = not path.exists()
    with naming_file(path), path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", *figures])
        writer.writerow([step, *map(repr, figures.values())])


def drop_rows_after(path: Path, step: int) -> None:
    """Remove the rows that belong to later steps, and those that a power cut or a full disk left incomplete.

    A table without any other row is removed, because its header may be incomplete as well.

    Args:
        path: path of a table, which may be missing.
        step: last step that counts.

    Raises:
        OSError: if the file cannot be read or written.
    """
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [[value.replace("\0", "") for value in row] for row in csv.reader(file)]
    kept, last = rows[:1], -1
    for row in rows[1:]:
        # an incomplete row has too few numbers, or a step that came before
        if len(row) == len(kept[0]) and row[0].isdigit() and last < int(row[0]) <= step:
            kept.append(row)
            last = int(row[0])
    if len(kept) < 2:
        path.unlink()
        return
    with write_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(kept)


def read_curves(path: Path) -> Curves:
    """Return the columns of a CSV file by name, without incomplete rows that a crash may leave.

    Args:
        path: log.csv or validation.csv of a run, which may be missing.

    Returns:
        Steps and values of each column; empty if there are no rows.
    """
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    steps: list[int] = []
    values: list[list[float]] = []
    for row in rows:
        with suppress(ValueError):
            step, *figures = row
            if len(row) == len(header):
                numbers = [float(figure) for figure in figures]
                steps.append(int(step))
                values.append(numbers)
    return {name: (steps, [row[place] for row in values]) for place, name in enumerate(header[1:])} if steps else {}


def read_tables(run: Path) -> tuple[Curves, Curves]:
    """Return the columns of both tables of a run, by name.

    Args:
        run: folder of the run, which may still be training.

    Returns:
        Columns of log.csv and of validation.csv, as `read_curves` returns them.

    Raises:
        OSError: if a file cannot be read.
    """
    return read_curves(run / LOG_FILE), read_curves(run / VALIDATION_FILE)
