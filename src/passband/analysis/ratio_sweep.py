"""Scores over final frequency ratios, as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passband.analysis.segmentation_report import NAMES
from passband.io.files import write_whole

SCORES = ("accuracy", "f1", "precision", "recall", "iou")
"""The slides' five, in their order."""
FOREGROUND = ("foreground_dice", "foreground_iou")


def sweep_table(name: str, rows: Sequence[dict[str, Any]], *, fixed: bool) -> list[str]:
    """Lines of a Markdown document with a row for each ratio, and one of an empty answer.

    Args:
        name: of the recipe.
        rows: of `study.ratio_sweep.Sweep`; at least one.
        fixed: whether the ratio was the same throughout each run.
    """
    columns = (*SCORES, *FOREGROUND)
    what = "the ratio throughout the run" if fixed else "the ratio that the run came to"
    return [
        f"# {name}",
        "",
        f"Scores over {what}, in %, on {rows[0]['pictures']} whole pictures at the size of their masks, of the weights "
        "of the end of each run. The five are means over background and foreground of each picture's, then over "
        "pictures (`lab_macro`).",
        "",
        "| ratio | " + " | ".join(NAMES[column] for column in columns) + " | seconds |",
        "|---|" + "---|" * (len(columns) + 1),
        *(f"| {row['final_ratio']:g} | {_figures(row, columns)} | {row['seconds']:.0f} |" for row in rows),
        f"| all background | {_figures(rows[0]['background'], columns)} | |",
    ]


def draw_sweep(rows: Sequence[dict[str, Any]], path: Path, *, fixed: bool) -> None:
    """Draw the scores over the ratios, the greatest first.

    Args:
        rows: of `study.ratio_sweep.Sweep`; at least one.
        path: of the picture.
        fixed: whether the ratio was the same throughout each run.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((7.5, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ordered = sorted(rows, key=lambda row: -row["final_ratio"])
    ratios = [row["final_ratio"] for row in ordered]
    for name in (*SCORES, "foreground_dice"):
        style = "--" if name in FOREGROUND else "-"
        axes.plot(ratios, [100 * row[name] for row in ordered], style, marker="o", markersize=4, label=NAMES[name])
    axes.axhline(
        100 * rows[0]["background"]["iou"], color="gray", linewidth=1, linestyle=":", label="IoU, empty answer"
    )
    axes.set(xlabel="frequency ratio" if fixed else "final frequency ratio", ylabel="%", ylim=(0, 100))
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with write_whole(path) as temporary:
        figure.savefig(temporary)


def _figures(row: dict[str, Any], columns: Sequence[str]) -> str:
    return " | ".join(f"{100 * row[column]:.2f}" for column in columns)
