"""Writes the files of a classifier's evaluation: tables, the confusion matrix as a chart, and report.md."""

from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from passband.drawing.charts.confusion import confusion_chart
from passband.drawing.charts.style import save_charts
from passband.evaluation.report import heading, how_it_was_made, not_scored, noted, write_results
from passband.naming import counted
from passband.reports.files import cell, percent, write_csv

CSV_COLUMNS = ("name", "true", "predicted", "probability", "rank", "loss")
"""Columns of evaluation.csv."""
MISTAKES = 20
"""Number of mistakes that report.md lists; the CSV files list all."""
LONGEST = 60
"""Largest number of characters of a setting in report.md."""


def write_classification_report(
    output: Path, result: dict[str, Any], confusion: Int[Tensor, "classes classes"], names: list[str]
) -> None:
    """Write evaluation.json, evaluation.csv (a row for each image), confusion.csv, .png and .svg, and report.md.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `evaluate_classifier`.
        confusion: number of images of each class (row) that were classified as each class (column).
        names: names of the classes.
    """
    columns = ["true \\ predicted", *names]
    rows = [[name, *counts] for name, counts in zip(names, confusion.tolist(), strict=True)]
    write_csv(output / "confusion.csv", columns, (dict(zip(columns, row, strict=True)) for row in rows))
    save_charts(confusion_chart(confusion, names), output / "confusion.png")
    write_results(output, result, CSV_COLUMNS, _markdown(result))


def classification_line(mean: dict[str, float]) -> str:
    """Return the mean figures of an evaluation in a line.

    Args:
        mean: mean figures by name.
    """
    shares = [f"{name} {100 * mean[key]:.2f} %" for name, key in (("top-1", "top1"), ("top-5", "top5")) if key in mean]
    return ", ".join([*shares, f"loss {mean['loss']:.4f}"])


def _markdown(result: dict[str, Any]) -> list[str]:
    """Return the lines of report.md."""
    mean, (low, high) = result["mean"], result["top1_interval"]
    mistakes = [row for row in result["images"] if row["rank"]]
    lines = [
        *heading(result),
        f"{counted(len(result['images']), 'image')}: {classification_line(mean)}.",
        f"By their number, the true top-1 lies between {100 * low:.1f} and {100 * high:.1f} % (95 %, Wilson).",
        "",
        *noted(result),
        "![Confusion matrix](confusion.png)",
        "",
        "| class | images | recognized | most often taken for |",
        "|---|---|---|---|",
        *(
            f"| {cell(row['name'])} | {row['count']} | {percent(row['accuracy'])} | {cell(row['taken_for'] or '')} |"
            for row in result["classes"]
        ),
    ]
    if mistakes:
        lines += [
            "",
            f"## Surest mistakes ({min(MISTAKES, len(mistakes))} of {len(mistakes)})",
            "",
            "A label may be wrong where the network is sure.",
            "",
            "| image | true | predicted | probability |",
            "|---|---|---|---|",
        ]
        for row in sorted(mistakes, key=lambda row: -row["probability"])[:MISTAKES]:
            shown = " | ".join(cell(row[key]) for key in ("name", "true", "predicted"))
            lines.append(f"| {shown} | {row['probability']:.3f} |")
    lines += not_scored(result, MISTAKES)
    prepared = ", ".join(f"{name} {_short(value)}" for name, value in result["preprocessing"].items())
    speed = f"{result['images_per_second']:.1f} images/s, reading included"
    return [*lines, "", *how_it_was_made(result, {"input": prepared}, {"speed": speed})]


def _short(value: Any) -> str:
    """Return the text of a value, shortened so that it does not fill a page."""
    text = cell(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
