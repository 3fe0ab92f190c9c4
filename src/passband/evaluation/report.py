"""Writes what the reports of all tasks share: evaluation.json, CSV files, report.md, and the cells of its tables."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passband.io.files import write_whole

ABSENT = "none here"
"""Text of a figure that the data do not give."""
ROWS = 200
"""Number of images that report.md lists; evaluation.csv lists all."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, in which infinite figures are texts because JSON has no infinity.

    Args:
        path: path of the file; missing folders are made.
        content: content of the file.
    """
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(finite(content), indent=2) + "\n", encoding="utf-8")


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
    """Write a text file, such as report.md.

    Args:
        path: path of the file; missing folders are made.
        lines: lines without their ends.
    """
    with write_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")


def write_results(output: Path, result: Mapping[str, Any], columns: Sequence[str], lines: Iterable[str]) -> None:
    """Write evaluation.json, evaluation.csv with a row for each image, and report.md.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of the evaluation; `images` holds the rows.
        columns: columns of evaluation.csv.
        lines: lines of report.md.
    """
    write_json(output / "evaluation.json", result)
    write_csv(output / "evaluation.csv", columns, result["images"])
    write_lines(output / "report.md", lines)


def finite(value: Any) -> Any:
    """Replace infinite figures by texts; they come from identical images, and JSON has no infinity.

    Args:
        value: a figure, or lists and dictionaries of figures.
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


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


def heading(result: Mapping[str, Any]) -> list[str]:
    """Return the first lines of report.md: the weights and the data.

    Args:
        result: result of the evaluation.
    """
    return [f"# {result['weights']} on {result['data']}", ""]


def noted(result: Mapping[str, Any]) -> list[str]:
    """Return the notes of a result as a list in Markdown with an empty line after it; nothing if there are none.

    Args:
        result: result of the evaluation.
    """
    return [*(f"- {note}" for note in result["notes"]), ""] if result["notes"] else []


def not_scored(result: Mapping[str, Any], most: int, title: str = "Not scored") -> list[str]:
    """Return a section of report.md with the reasons of the files that failed; nothing if none failed.

    Args:
        result: result of the evaluation.
        most: largest number of reasons.
        title: title of the section.
    """
    failed = result["failed"]
    if not failed:
        return []
    lines = ["", f"## {title} ({len(failed)})", "", *(f"- {cell(row['reason'])}" for row in failed[:most])]
    return [*lines, f"- and {len(failed) - most} more"] if len(failed) > most else lines


def how_it_was_made(result: Mapping[str, Any], scored: Mapping[str, str], speed: Mapping[str, str]) -> list[str]:
    """Return the section of report.md with everything that decides the figures.

    Args:
        result: result of the evaluation.
        scored: texts about the way of scoring of this task, by name.
        speed: texts about the time that scoring took, by name.
    """
    peak = result["peak_memory_bytes"]
    settings = {
        "weights": f"`{result['weights']}`",
        "SHA-256 of the weights": f"`{result['weights_sha256']}`",
        "network": ", ".join(f"{name} {value}" for name, value in result["network"].items()),
        **scored,
        "JPEG decoder": result["jpeg_decoder"],
        "device and precision": f"{result['device']}, {result['precision']}",
        **speed,
        "peak memory of the process": "not known here" if peak is None else f"{peak / 1e9:.2f} GB",
        "versions": ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        "commit": result["commit"] or "not a checkout",
    }
    rows = [f"| {name} | {value} |" for name, value in settings.items()]
    return ["## How it was made", "", "| | |", "|---|---|", *rows]
