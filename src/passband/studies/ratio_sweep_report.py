"""Scores over final frequency ratios, as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.drawing.charts import PALETTE, QUIET, STYLE, headline, new_chart, save_charts
from passband.evaluation.segmentation_report import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "v", "D", "P", "X")
"""Told apart without color."""
SCORES = ("accuracy", "f1", "precision", "recall", "iou")
"""The slides' five, in their order."""
FOREGROUND = ("foreground_dice", "foreground_iou")


def sweep_table(name: str, rows: Sequence[dict[str, Any]], *, fixed: bool) -> list[str]:
    """Lines of a Markdown document with a row for each ratio, and one of an empty answer.

    Args:
        name: of the recipe.
        rows: of `studies.ratio_sweep.Sweep`; at least one.
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
    """Draw `sweep_chart` as PNG and SVG.

    Args:
        rows: of `studies.ratio_sweep.Sweep`; at least one.
        path: of the PNG file; the SVG file lies beside it.
        fixed: whether the ratio was the same throughout each run.

    Raises:
        OSError: the file cannot be written.
    """
    save_charts(sweep_chart(rows, fixed=fixed), path)


def sweep_chart(rows: Sequence[dict[str, Any]], *, fixed: bool) -> "Figure":
    """The scores over the ratios, the greatest first.

    Args:
        rows: as in `draw_sweep`.
        fixed: as in `draw_sweep`.

    Returns:
        A figure of its own, which pyplot does not know of.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return _drawn(rows, fixed)


def _drawn(rows: Sequence[dict[str, Any]], fixed: bool) -> "Figure":
    """The figure."""
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
    headline(
        axes, "Scores over the frequency ratio", f"{len(rows)} runs, scored on {rows[0]['pictures']} whole pictures"
    )
    axes.set(xlabel="frequency ratio" if fixed else "final frequency ratio", ylabel="%", ylim=(0, 100))
    axes.invert_xaxis()
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
    return figure


def _figures(row: dict[str, Any], columns: Sequence[str]) -> str:
    return " | ".join(f"{100 * row[column]:.2f}" for column in columns)
