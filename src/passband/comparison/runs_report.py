"""Writes the files of a comparison of runs: tables, charts, and the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passband.comparison.groups import Group
from passband.comparison.report import (
    difference_panels,
    difference_table,
    environment_rows,
    notes_section,
    sentences,
)
from passband.drawing.charts.differences import difference_chart
from passband.drawing.charts.runs import RunCurves, run_curves_chart
from passband.drawing.charts.style import save_charts
from passband.io.json_files import write_json
from passband.naming import shortened
from passband.reports.figures import Figure
from passband.reports.files import cell, write_csv, write_lines
from passband.reports.page import write_page
from passband.runs import read_tables


def write_run_comparison(
    output: Path, result: dict[str, Any], figures: Sequence[Figure], groups: Sequence[Group]
) -> None:
    """Write all files of a comparison of runs.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `compare_runs`.
        figures: figures of the comparison.
        groups: the contestants.
    """
    write_json(output / "comparison.json", result)
    names = [figure.name for figure in figures]
    write_csv(output / "comparison.csv", ["name", "contestant", "seed", *names], result["images"])
    panels = difference_panels(result["differences"], figures)
    if panels:
        note = "Right of zero, the first one has the larger value. Gray: the interval contains zero."
        save_charts(difference_chart(panels, "Differences with 95 % intervals", note), output / "differences.png")
    curves = [
        RunCurves(group.label, *read_tables(Path(run.source)))
        for group in groups
        for run in group.runs
        if run.content is not None
    ]
    chart = run_curves_chart(curves, "Training") if curves else None
    if chart is not None:
        save_charts(chart, output / "curves.png")
    lines = _markdown(result, figures, has_chart=bool(panels), has_curves=chart is not None)
    write_lines(output / "report.md", lines)
    write_page(output / "report.md")


def _markdown(result: dict[str, Any], figures: Sequence[Figure], *, has_chart: bool, has_curves: bool) -> list[str]:
    """Return the lines of report.md."""
    labels = [one["label"] for one in result["contestants"]]
    item = result["item"]
    lines = [
        f"# {', '.join(labels[:-1])} and {labels[-1]} on {', '.join(result['data'])}",
        "",
        *(f"- {sentence}" for sentence in sentences(result)),
        "",
        *notes_section(result),
        "| | runs | " + " | ".join(figure.heading for figure in figures) + " | steps | seconds |",
        "|---|---|" + "---|" * (len(figures) + 2),
    ]
    for one in result["contestants"]:
        values = [figure.number(one["mean"][figure.name]) for figure in figures]
        times = [_range([run[key] for run in one["runs"]]) for key in ("step", "seconds")]
        lines.append("| " + " | ".join([cell(one["label"]), str(len(one["runs"])), *values, *times]) + " |")
    lines += ["", f"## Differences, {item} by {item}", ""]
    lines += [*difference_table(result["differences"], figures, item), ""]
    if item == "image" and any(row["seeds"] > 1 for row in result["differences"]):
        lines += ["The bootstrap draws both images and seeds. Wins are those of the mean over seeds.", ""]
    if has_chart:
        lines += ["![Differences with intervals](differences.png)", ""]
    if any(row["seeds"] > 1 for row in result["differences"]):
        lines += [*_seed_table(result, figures), ""]
    lines += ["## Settings that differ", "", *_settings_table(result, labels), ""]
    if has_curves:
        lines += [
            "## Training",
            "",
            "Runs of one contestant have one color.",
            "",
            "![Curves of all runs](curves.png)",
            "",
        ]
    return [*lines, "## How it was made", "", "| | |", "|---|---|", *_made_of(result), *environment_rows(result)]


def _seed_table(result: dict[str, Any], figures: Sequence[Figure]) -> list[str]:
    """Return a section with the difference of each seed, and the interval over seeds."""
    by_name = {figure.name: figure for figure in figures}
    lines = [
        "## Differences, seed by seed",
        "",
        "| first | second | figure | difference of each seed | mean | 95 % interval over seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["differences"]:
        figure = by_name[row["figure"]]
        each = ", ".join(f"{one['seed']}: {figure.number(one['mean'], signed=True)}" for one in row["by_seed"])
        known = [one["mean"] for one in row["by_seed"] if one["mean"] is not None]
        mean = sum(known) / len(known) if known else None
        interval = "one seed shows no spread"
        if "low_over_seeds" in row:
            ends = (figure.number(row[end], signed=True) for end in ("low_over_seeds", "high_over_seeds"))
            interval = " to ".join(ends)
        cells = [cell(row["first"]), cell(row["second"]), figure.heading, each, figure.number(mean, signed=True)]
        lines.append("| " + " | ".join([*cells, interval]) + " |")
    return [*lines, "", "The interval over seeds is that of Student's t distribution, which is honest for few seeds."]


def _settings_table(result: dict[str, Any], labels: Sequence[str]) -> list[str]:
    """Return a Markdown table of the settings that differ."""
    if not result["settings"]:
        return ["The recipes are the same, and so are the data."]
    lines = ["| setting | " + " | ".join(map(cell, labels)) + " |", "|---|" + "---|" * len(labels)]
    for key, values in result["settings"].items():
        lines.append(f"| `{key}` | " + " | ".join(cell(shortened(str(values[label]))) for label in labels) + " |")
    return lines


def _made_of(result: dict[str, Any]) -> list[str]:
    """Return rows of a Markdown table with the runs of each contestant."""
    return [
        f"| {cell(one['label'])} | {cell(', '.join(_run_text(run) for run in one['runs']))} |"
        for one in result["contestants"]
    ]


def _run_text(run: dict[str, Any]) -> str:
    """Return the source, the seed and the status of a run."""
    return f"`{run['source']}`" + ("" if run["seed"] is None else f" (seed {run['seed']}, {run['status']})")


def _range(values: Sequence[float | None]) -> str:
    """Return the smallest and the largest value of several runs as text."""
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    low, high = min(known), max(known)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
