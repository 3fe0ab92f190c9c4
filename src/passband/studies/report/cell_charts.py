"""Draws the cells of a study: the best of each, the differences to the winner, and one scientific value at a time."""

import textwrap
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, new_chart
from passband.metrics.intervals import Interval
from passband.studies.report.comparison import Comparison, cell_name
from passband.studies.report.isolation import Isolated, isolate

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Chart

WINNER, OTHER, POINT, BAD = PALETTE[0], "#444444", "#B5B5B5", PALETTE[1]
"""Colors of the winner, of other cells, of single points, and of infeasible trials."""
ROOM = 1.2
"""Room on the bad side of the axis, as a multiple of the span of the best values with their intervals. Points further
away are drawn as arrows at the border, so that one bad point does not squeeze the rest."""
LETTERS = 9.5
"""Number of letters of a title in an inch."""
LINES = 6
"""Largest number of thin lines in an isolation chart."""


def cells_chart(comparison: Comparison, title: str) -> "Chart":
    """Draw the best of each cell with its interval, and every point behind it.

    Args:
        comparison: cells, of which at least one has a result.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        cells = [*comparison.order, *(best.cell for best in comparison.bests if best.cell not in comparison.order)]
        keys = len(comparison.record.settings.scientific)
        chart = titled_chart(9.6, 1.9 + (0.3 + 0.16 * keys) * len(cells), title)
        axes = chart.add_subplot()
        figure, limit, edge = comparison.figure, *_limits(comparison)
        oriented, is_single = comparison.oriented, comparison.points == 1
        for row, cell in enumerate(cells):
            best = comparison.bests[cell]
            color = WINNER if cell == comparison.winner else OTHER
            shown = comparison.values[cell, comparison.compared].ravel() if is_single else figure.sign * oriented[cell]
            _points(axes, shown[np.isfinite(shown)], row, figure.sign * limit, figure.sign)
            text = "no result"
            if best.value is not None:
                _interval(axes, best.value, best.interval, row, color)
                text = figure.text(best.value)
            _beside(axes, row, 12, text, color)
            count = sum(best.infeasible.values())
            if count:
                _beside(axes, row, 88, f"\u00d7 {count} of {best.ended} infeasible", BAD)
        _rows(axes, [cell_name(comparison, cell, "\n") for cell in cells])
        _clip(axes, figure.sign * limit, figure.sign * edge)
        far = " and arrows" * bool((np.isfinite(oriented) & (oriented < limit)).any())
        several = "mean over the seeds with its 95 % interval; gray: every training"
        one = "one training of each cell" if len(comparison.record.settings.seeds) == 1 else several
        text = one if is_single else f"best point of each cell with its 95 % interval; gray dots{far}: all points"
        axes.set_xlabel(f"{figure.axis}, {figure.better}\n{text}", color=QUIET)
    return chart


def differences_chart(comparison: Comparison, title: str) -> "Chart":
    """Draw how far the winner is ahead of each other cell: at the best points, and at equal points.

    Args:
        comparison: cells, of which at least two have a result.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        differences = comparison.differences
        keys = len(comparison.record.settings.scientific)
        chart = titled_chart(9.6, 2.0 + (0.38 + 0.14 * keys) * len(differences), title)
        axes = chart.add_subplot()
        shown = [0.0, *(one.best for one in differences)]
        for one in differences:
            shown += [] if one.interval is None else [one.interval.low, one.interval.high]
            shown += [] if one.mean is None else [one.mean]
        low, high = min(shown), max(shown)
        room = 0.5 * (high - low or 1.0)
        for row, one in enumerate(differences):
            values = np.clip(one.at_points, low - room, high + room)
            axes.plot(values, np.full(len(values), row + 0.17), "o", color=POINT, ms=4.5, mec="white", mew=0.4)
            if one.mean is not None and len(one.at_points) > 1:
                _interval(axes, one.mean, one.mean_interval, row + 0.17, PALETTE[2], marker="D", size=5)
            _interval(axes, one.best, one.interval, row - 0.17, WINNER)
        axes.axvline(0, color=QUIET, linewidth=1)
        reached = [value for one in differences for value in one.at_points]
        low, high = max(low - room, min([low, *reached])), min(high + room, max([high, *reached]))
        margin = 0.06 * (high - low or 1.0)
        axes.set_xlim(low - margin, high + margin)
        _rows(axes, [f"over {cell_name(comparison, one.cell, chr(10))}" for one in differences])
        axes.set_xlabel(
            f"advantage of {cell_name(comparison, comparison.order[0])}, {comparison.figure.axis}\n"
            "right of zero, it is better",
            color=QUIET,
        )
        kinds = [
            ("o", WINNER, "best against best"),
            ("D", PALETTE[2], "mean at equal points"),
            ("o", POINT, "each point"),
        ]
        kinds = kinds if comparison.points > 1 else kinds[:1]
        for marker, color, label in kinds:
            axes.plot([], [], marker, color=color, label=label, ms=5)
        chart.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=NOTE)
    return chart


def isolation_chart(comparison: Comparison, key: str, title: str) -> "Chart":
    """Draw the best figure for each value of one scientific key, with everything else optimised away.

    Args:
        comparison: cells, of which at least one has a result.
        key: scientific key.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        isolated, figure = isolate(comparison, key), comparison.figure
        chart = titled_chart(max(6.8, 1.5 * len(isolated.values) + 2.5), 4.4, title)
        axes = chart.add_subplot()
        position = np.arange(len(isolated.values))
        _thin_lines(axes, comparison, isolated)
        known = [index for index, best in enumerate(isolated.bests) if best is not None]
        best = max(known, key=lambda index: figure.sign * (isolated.bests[index] or 0.0))
        axes.plot(known, [isolated.bests[index] or 0.0 for index in known], "-", color=WINNER, linewidth=1.2, alpha=0.5)
        for index in known:
            value, interval = isolated.bests[index] or 0.0, isolated.intervals[index]
            ends = [0.0, 0.0] if interval is None else [value - interval.low, interval.high - value]
            axes.errorbar(
                index, value, [[ends[0]], [ends[1]]], fmt="o", color=WINNER, ms=9 if index == best else 6, capsize=4
            )
        axes.set_xticks(position, isolated.values)
        axes.set_xlim(-0.3, len(position) - 0.7)
        axes.set_ylabel(f"{figure.axis}, {figure.better}", color=QUIET)
        style_axes(axes, "y")
        others = len(comparison.record.settings.scientific) > 1
        rest = "the other keys and the nuisance values" if others else "the nuisance values"
        axes.set_xlabel(f"{key}\nbest over {rest}, with 95 % intervals", color=QUIET)
    return chart


def titled_chart(width: float, height: float, title: str) -> "Chart":
    """Return an empty chart whose title is broken into lines that fit.

    Args:
        width: width in inches.
        height: height in inches without further lines of the title.
        title: finding, as a sentence.
    """
    lines = textwrap.wrap(title, int(LETTERS * width))
    return new_chart(width, height + 0.25 * (len(lines) - 1), "\n".join(lines))


def style_axes(axes: Any, grid: Literal["x", "y", "both"] = "both") -> None:
    """Draw the grid below everything else, and the ticks in a quiet color.

    Args:
        axes: axes of matplotlib.
        grid: axis whose grid lines are drawn.
    """
    axes.grid(axis=grid, color="0.93")
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET)


def _thin_lines(axes: Any, comparison: Comparison, isolated: Isolated) -> None:
    """Draw a thin line for each combination of the other keys, labelled at its right end."""
    ends = []
    for number, (name, values) in enumerate(isolated.lines[:LINES]):
        color = PALETTE[1 + number % (len(PALETTE) - 1)]
        heights = [np.nan if value is None else value for value in values]
        axes.plot(range(len(values)), heights, "--", color=color, linewidth=1.1, marker="o", ms=3)
        last = next((index for index in reversed(range(len(values))) if values[index] is not None), None)
        if last is not None:
            ends.append((heights[last], last, name, color))
    if not ends:
        return
    low, high = axes.get_ylim()
    least, height = 0.055 * (high - low), -np.inf
    for value, last, name, color in sorted(ends):
        height = max(value, height + least)
        axes.annotate(name, (last + 0.08, height), color=color, fontsize=NOTE, va="center", annotation_clip=False)


def _limits(comparison: Comparison) -> tuple[float, float]:
    """Return the lowest and the highest oriented value that the axis shows."""
    sign, shown = comparison.figure.sign, []
    for best in comparison.bests:
        if best.value is not None:
            ends = () if best.interval is None else (best.interval.low, best.interval.high)
            shown += [sign * value for value in (best.value, *ends)]
    single = comparison.values[:, comparison.compared] if comparison.points == 1 else np.empty(0)
    known = np.concatenate([comparison.oriented.ravel(), sign * single.ravel()])
    known = known[np.isfinite(known)]
    span = max(shown) - min(shown) or float(known.max() - known.min()) or 1.0
    lowest = max(float(known.min()), min(shown) - ROOM * span)
    highest = max(*shown, float(known.max()))
    margin = 0.06 * (highest - lowest or span)
    return lowest - margin, highest + margin


def _points(axes: Any, values: Any, row: float, limit: float, sign: int) -> None:
    """Draw the points of a cell, and arrows at the border for points that are further away."""
    inside = sign * values >= sign * limit
    axes.plot(values[inside], np.full(inside.sum(), row), "o", color=POINT, ms=4.5, mec="white", mew=0.4)
    if not inside.all():
        axes.plot(limit, row, "<" if sign > 0 else ">", color=POINT, ms=6, clip_on=False)


def _beside(axes: Any, row: float, distance: float, text: str, color: str) -> None:
    """Write text at a distance in points to the right of a row."""
    axes.annotate(
        text,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(distance, 0),
        textcoords="offset points",
        va="center",
        color=color,
        fontsize=NOTE + 0.5,
        annotation_clip=False,
    )


def _interval(
    axes: Any, value: float, interval: Interval | None, row: float, color: str, marker: str = "o", size: float = 7
) -> None:
    """Draw a value with its interval."""
    if interval is not None:
        axes.plot([interval.low, interval.high], [row, row], "-", color=color, linewidth=2, solid_capstyle="butt")
    axes.plot(value, row, marker, color=color, ms=size, mec="white", mew=0.6)


def _rows(axes: Any, names: list[str]) -> None:
    """Name the rows of a chart, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    style_axes(axes, "x")
    axes.tick_params(axis="y", length=0, pad=9, labelcolor="black")
    axes.spines["left"].set_visible(False)


def _clip(axes: Any, worst: float, best: float) -> None:
    """Set the limits of the axis of figures, which keeps its usual direction."""
    axes.set_xlim(min(worst, best), max(worst, best))
