"""The files of a classifier's evaluation: tables, the confusion matrix as a chart, and report.md."""

import csv
import json
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from passband.drawing.charts import save_charts
from passband.drawing.confusion import confusion_chart
from passband.evaluation.restoration_report import finite, how_it_was_made
from passband.io.files import write_whole

COLUMNS = ("name", "true", "predicted", "probability", "rank", "loss")
"""Of evaluation.csv."""
LISTED = 20
"""Mistakes and confusions listed in report.md; the CSV files list all."""


def write_classification_report(
    output: Path, result: dict[str, Any], confusion: Int[Tensor, "classes classes"], names: list[str]
) -> None:
    """Write evaluation.json, evaluation.csv (a row per picture), confusion.csv, .png and .svg, and report.md.

    Args:
        output: the folder, made where it does not exist.
        result: what `evaluate_classifier` returns.
        confusion: pictures of a class (row) that were taken for a class (column).
        names: of the classes.
    """
    with write_whole(output / "evaluation.json") as path:
        path.write_text(json.dumps(finite(result), indent=2) + "\n", encoding="utf-8")
    with (
        write_whole(output / "evaluation.csv") as path,
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(result["images"])
    with (
        write_whole(output / "confusion.csv") as path,
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(["true \\ predicted", *names])
        rows.writerows([name, *counts] for name, counts in zip(names, confusion.tolist(), strict=True))
    save_charts(confusion_chart(confusion, names), output / "confusion.png")
    with write_whole(output / "report.md") as path:
        path.write_text("\n".join(_markdown(result)) + "\n", encoding="utf-8", errors="backslashreplace")


def figures_line(mean: dict[str, float]) -> str:
    """The figures of an evaluation in a line."""
    shares = [f"{name} {100 * mean[key]:.2f} %" for name, key in (("top-1", "top1"), ("top-5", "top5")) if key in mean]
    return ", ".join([*shares, f"loss {mean['loss']:.4f}"])


def _markdown(result: dict[str, Any]) -> list[str]:
    """Lines of report.md."""
    mean, (low, high) = result["mean"], result["top1_interval"]
    mistakes = [row for row in result["images"] if row["rank"]]
    lines = [
        f"# {result['weights']} on {result['data']}",
        "",
        f"{len(result['images'])} pictures: {figures_line(mean)}.",
        f"By their number, the true top-1 lies between {100 * low:.1f} and {100 * high:.1f} % (95 %, Wilson).",
        "",
        *([*(f"- {note}" for note in result["notes"]), ""] if result["notes"] else []),
        "![Who was taken for whom](confusion.png)",
        "",
        "| class | pictures | recognized | most often taken for |",
        "|---|---|---|---|",
        *(
            f"| {_cell(row['name'])} | {row['count']} | {_percent(row['accuracy'])} | {_cell(row['taken_for'] or '')} |"
            for row in result["classes"]
        ),
    ]
    if mistakes:
        lines += [
            "",
            f"## Surest mistakes ({min(LISTED, len(mistakes))} of {len(mistakes)})",
            "",
            "A label may be wrong where the network is sure.",
            "",
            "| picture | true | predicted | probability |",
            "|---|---|---|---|",
        ]
        for row in sorted(mistakes, key=lambda row: -row["probability"])[:LISTED]:
            shown = " | ".join(_cell(row[key]) for key in ("name", "true", "predicted"))
            lines.append(f"| {shown} | {row['probability']:.3f} |")
    if result["failed"]:
        lines += ["", f"## Not scored ({len(result['failed'])})", ""]
        lines += [f"- {_cell(row['reason'])}" for row in result["failed"][:LISTED]]
        lines += ["- ..."] if len(result["failed"]) > LISTED else []
    taken = ", ".join(f"{name} {_short(value)}" for name, value in result["preprocessing"].items())
    speed = f"{result['images_per_second']:.1f} pictures/s, reading included"
    return [*lines, "", *how_it_was_made(result, {"input": taken}, {"speed": speed})]


def _short(value: Any, most: int = 60) -> str:
    """A value that does not fill a page."""
    text = _cell(str(value))
    return text if len(text) <= most else f"{text[:most]}…"


def _percent(share: float | None) -> str:
    """A share of pictures, if there were any."""
    return "none here" if share is None else f"{100 * share:.1f} %"


def _cell(text: str) -> str:
    """Text that stays within its place in a table."""
    return text.replace("|", "\\|").replace("\n", " ")
