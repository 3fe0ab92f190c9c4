"""Writes what the evaluations of all tasks share: evaluation.json, evaluation.csv, and the parts of report.md."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passband.io.json_files import write_json
from passband.reports.files import cell, write_csv, write_lines

ROWS = 200
"""Number of images that report.md lists; evaluation.csv lists all."""


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
