"""Reports the scores over final frequency ratios as a table and a chart."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.drawing.charts.style import PALETTE, QUIET, STYLE, headline, new_chart, save_charts
from passband.evaluation.segmentation_report import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "v", "D", "P", "X")
"""Markers of the lines, so that they differ without color."""
SCORES = ("accuracy", "f1", "precision", "recall", "iou")
"""The five scores of the slides, in their order."""
FOREGROUND = ("foreground_dice", "foreground_iou")
"""Scores of the foreground."""


def sweep_table(name: str, rows: Sequence[dict[str, Any]], *, fixed: bool) -> list[str]:
    """Return a Markdown document with a row for each ratio, and one of a prediction without foreground.

    Args:
        name: name of the recipe.
        rows: rows of a `studies.ratio_sweep.Sweep`, at least one.
        fixed: whether the ratio was the same throughout each run.
    """
    columns = (*SCORES, *FOREGROUND)
    ratio = "the ratio throughout the run" if fixed else "the final ratio of the run"
    return [
        f"# {name}",
        "",
        f"Scores over {ratio}, in %, on {rows[0]['images']} whole images at the size of their masks, of the weights "
        "at the end of each run. The five scores are means over background and foreground of each image, then over "
        "images (`lab_macro`).",
        "",
        "| ratio | " + " | ".join(NAMES[column] for column in columns) + " | seconds |",
        "|---|" + "---|" * (len(columns) + 1),
        *(f"| {row['final_ratio']:g} | {_figures(row, columns)} | {row['seconds']:.0f} |" for row in rows),
        f"| all background | {_figures(rows[0]['background'], columns)} | |",
    ]


def draw_sweep(rows: Sequence[dict[str, Any]], path: Path, *, fixed: bool) -> None:
    """Draw `sweep_chart` as PNG and SVG.

    Args:
        rows: rows of a `studies.ratio_sweep.Sweep`, at least one.
        path: path of the PNG file; the SVG file lies beside it.
        fixed: whether the ratio was the same throughout each run.

    Raises:
        OSError: if a file cannot be written.
    """
    save_charts(sweep_chart(rows, fixed=fixed), path)


def sweep_chart(rows: Sequence[dict[str, Any]], *, fixed: bool) -> "Figure":
    """Return a chart of the scores over the ratios, the largest ratio first.

    Args:
        rows: rows of a `studies.ratio_sweep.Sweep`, at least one.
        fixed: whether the ratio was the same throughout each run.

    Returns:
        A figure that is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return _drawn(rows, fixed)


def _drawn(rows: Sequence[dict[str, Any]], fixed: bool) -> "Figure":
    """Return the figure, within the style."""
    figure = new_chart(8, 5.4)
    axes = figure.add_subplot()
    ordered = sorted(rows, key=lambda row: -row["final_ratio"])
    ratios = [row["final_ratio"] for row in ordered]
    for name, color, marker in zip((*SCORES, "foreground_dice"), PALETTE, MARKERS, strict=False):
        style = "--" if name in FOREGROUND else "-"
        values = [100 * row[name] for row in ordered]
        axes.plot(ratios, values, style, color=color, marker=marker, markersize=5, label=NAMES[name])
    empty = 100 * rows[0]["background"]["iou"]
    axes.axhline(empty, color=QUIET, linewidth=1, linestyle=":", label="IoU without any foreground")
    headline(axes, "Scores over the frequency ratio", f"{len(rows)} runs, scored on {rows[0]['images']} whole images")
    axes.set(xlabel="frequency ratio" if fixed else "final frequency ratio", ylabel="%", ylim=(0, 100))
    axes.invert_xaxis()
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
    return figure


def _figures(row: dict[str, Any], columns: Sequence[str]) -> str:
    """Return figures in percent as cells of a table."""
    return " | ".join(f"{100 * row[column]:.2f}" for column in columns)
