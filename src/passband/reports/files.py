"""Writes the files of a report, CSV and Markdown, and the cells of its tables."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passband.io.files import write_whole
from passband.naming import printable

ABSENT = "none here"
"""Text of a figure that the data do not give."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file with a header.

    Args:
        path: path of the file; missing folders are made.
        columns: names of the columns; other entries of the rows are left out.
        rows: an entry for each column in each row.
    """
    with (
        write_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, such as report.md. Characters that do not show themselves are written as escapes.

    Args:
        path: path of the file; missing folders are made.
        lines: lines without their ends, or several lines in one text.
    """
    every = (printable(line) for lines_of_one in lines for line in lines_of_one.split("\n"))
    with write_whole(path) as temporary:
        temporary.write_text("\n".join(every) + "\n", encoding="utf-8")


def cell(text: str) -> str:
    """Return text that stays within its cell of a Markdown table.

    Args:
        text: any text.
    """
    return text.replace("|", "\\|").replace("\n", " ")


def percent(share: float | None, digits: int = 1, unit: str = " %") -> str:
    """Return a share in percent, or `ABSENT` if there is none.

    Args:
        share: share from 0 to 1; None, or a negative number as COCO's tools give it, if the data have none.
        digits: number of digits after the point.
        unit: text after the number.
    """
    return ABSENT if share is None or share < 0 else f"{100 * share:.{digits}f}{unit}"
