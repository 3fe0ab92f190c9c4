"""Draws the search of a study: the figure over each nuisance value, the gain of more points, curves, and retraining."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE
from passband.drawing.charts.training import Curves
from passband.studies.report.cell_charts import BAD, OTHER, POINT, WINNER, style_axes, titled_chart
from passband.studies.report.comparison import Comparison, cell_name
from passband.studies.report.statistics import best_of_k
from passband.studies.report.verdicts import EDGE, Adoption, CurveVerdict
from passband.studies.report.wording import short_names, value_text
from passband.studies.settings import NuisanceRange

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Chart

MOST_CELLS = 6
"""Largest number of cells in a chart with a panel for each cell; the best cells are drawn."""
GROUPS = 100
"""Largest number of points of a loss curve. In longer runs each point is the mean of several steps."""
STATE_COLORS = {"unstable late": PALETTE[1], "overfits": PALETTE[1], "still improving": PALETTE[5]}
"""Colors of the verdicts that ask for a change."""


@dataclass(frozen=True)
class Training:
    """The best trial of a cell with its curves and the verdict on them."""

    cell: int
    number: int
    """Number of the trial."""
    validated: Curves
    trained: Curves
    verdict: CurveVerdict


def nuisance_chart(comparison: Comparison, title: str) -> "Chart":
    """Draw the figure of every point over each nuisance value, with a row of panels for each of the best cells.

    The outer tenth of each range is shaded. Infeasible points are crosses at the bad border.

    Args:
        comparison: cells, of which at least one has a result, of a study with nuisance ranges.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        cells, ranges = shown_cells(comparison), comparison.record.settings.nuisance
        names = short_names(ranges)
        chart = titled_chart(max(7.5, 3.1 * len(ranges) + 0.8), 1.75 * len(cells) + 1.3, title)
        panels = chart.subplots(len(cells), len(ranges), squeeze=False, sharey=True, sharex="col")
        window = _window(comparison, cells)
        for row, cell in enumerate(cells):
            for column, (key, values) in enumerate(ranges.items()):
                axes = panels[row, column]
                _scatter(axes, comparison, cell, key, values, window)
                if row == len(cells) - 1:
                    axes.set_xlabel(names[key] + (" (log scale)" if values.log is not None else ""), color=QUIET)
            panels[row, 0].set_title(
                cell_name(comparison, cell), loc="left", fontsize=NOTE + 0.5, fontweight="bold",
                color=WINNER if cell == comparison.winner else "black",
            )  # fmt: skip
        chart.supylabel(f"{comparison.figure.axis}, {comparison.figure.better}", color=QUIET, fontsize=NOTE + 0.5)
        shown = comparison.oriented[cells]
        kinds = [
            ("o", {"color": OTHER, "ms": 4.5}, "point"),
            ("o", {"mfc": "none", "mec": WINNER, "ms": 9, "mew": 1.8}, "best point of the cell"),
            ("s", {"color": "0.9", "ms": 8}, "edge of the range"),
        ]
        if (np.isfinite(shown) & (shown < window[0])).any():
            kinds.append(("v" if comparison.figure.sign > 0 else "^", {"color": POINT, "ms": 5}, "point further away"))
        if np.isneginf(shown).any():
            kinds.append(("x", {"color": BAD, "ms": 5.5, "mew": 1.6}, "infeasible point"))
        handles = [panels[0, 0].plot([], [], marker, **style, label=label)[0] for marker, style, label in kinds]
        chart.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=NOTE)
    return chart


def samples_chart(comparison: Comparison, title: str, notes: Sequence[str]) -> "Chart":
    """Draw the expected best of k points over k, with a panel for each of the best cells.

    Args:
        comparison: cells, of which at least one has a result.
        title: finding, as a sentence.
        notes: verdict of each panel.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        cells, sign = shown_cells(comparison), comparison.figure.sign
        columns = min(3, len(cells))
        rows = -(-len(cells) // columns)
        chart = titled_chart(max(6.5, 3.3 * columns + 0.6), 2.6 * rows + 0.9, title)
        panels = list(chart.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).flat)
        lowest = np.inf
        for axes, cell, note in zip(panels, cells, notes, strict=False):
            curve = best_of_k(comparison.oriented[cell, comparison.compared])
            if curve is None:
                continue
            color = WINNER if cell == comparison.winner else OTHER
            axes.fill_between(curve.count, sign * curve.low, sign * curve.high, color=color, alpha=0.15, linewidth=0)
            axes.plot(curve.count, sign * curve.mean, "-o", color=color, ms=3.5, linewidth=1.6)
            half = (len(curve.mean) + 1) // 2
            axes.axvline(half, color=QUIET, linewidth=0.8, linestyle=":")
            lowest = min(lowest, float(curve.mean[0]))
            axes.set_title(cell_name(comparison, cell, "\n") + "\n", loc="left", fontsize=NOTE + 0.5, fontweight="bold")
            axes.annotate(
                note, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=NOTE,
                color=QUIET,
            )  # fmt: skip
            style_axes(axes)
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in panels[len(cells) :]:
            axes.set_visible(False)
        _limit(panels[0], comparison, lowest)
        chart.supxlabel("number of points k (dotted: half of the points)", color=QUIET, fontsize=NOTE + 0.5)
        chart.supylabel(f"best of k points, {comparison.figure.axis}", color=QUIET, fontsize=NOTE + 0.5)
    return chart


def curves_chart(comparison: Comparison, trainings: Sequence[Training], title: str) -> "Chart":
    """Draw the figure and the loss of the best trial of each cell, with the verdict above.

    Args:
        comparison: cells of the study.
        trainings: trials with their curves, at least one.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        columns = min(3, len(trainings))
        rows = -(-len(trainings) // columns)
        chart = titled_chart(max(6.5, 3.4 * columns + 0.6), 3.9 * rows + 0.7, title)
        panels = chart.subplots(2 * rows, columns, squeeze=False, sharex="col", sharey="row")
        for number, training in enumerate(trainings):
            row, column = divmod(number, columns)
            upper, lower = panels[2 * row, column], panels[2 * row + 1, column]
            color = WINNER if training.cell == comparison.winner else OTHER
            steps, values = training.validated.get(comparison.figure.name, ((), ()))
            upper.plot(steps, values, "-o", color=color, ms=3.2, linewidth=1.5)
            upper.set_title(
                cell_name(comparison, training.cell, "\n") + "\n", loc="left", fontsize=NOTE + 0.5, fontweight="bold"
            )
            state = training.verdict.state
            upper.annotate(
                state, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=NOTE,
                color=STATE_COLORS.get(state, QUIET),
            )  # fmt: skip
            steps, values = training.trained.get("loss", ((), ()))
            lower.plot(*_means(steps, values), "-", color=PALETTE[3], linewidth=1.2)
            lower.set_xlabel("step", color=QUIET)
            for axes in (upper, lower):
                style_axes(axes)
        for row in range(rows):
            panels[2 * row, 0].set_ylabel(comparison.figure.axis, color=QUIET)
            panels[2 * row + 1, 0].set_ylabel("training loss", color=QUIET)
        for number in range(len(trainings), rows * columns):
            row, column = divmod(number, columns)
            panels[2 * row, column].set_visible(False)
            panels[2 * row + 1, column].set_visible(False)
    return chart


def retrained_chart(comparison: Comparison, names: Sequence[str], adoption: Adoption, title: str) -> "Chart":
    """Draw the figures of the winner and the runner-up that were trained again, with a line for each seed.

    Args:
        comparison: cells of the study.
        names: names of the winner and, if it was trained again, of the runner-up.
        adoption: figures and verdict.
        title: finding, as a sentence.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        chart = titled_chart(7.2, 3.9, title)
        axes = chart.add_subplot()
        groups = [group for group in (adoption.winner, adoption.runner_up) if group]
        if len(groups) == 2 and len(groups[0]) == len(groups[1]):
            for pair in zip(*groups, strict=True):
                axes.plot([0, 1], pair, "-", color="0.8", linewidth=1, zorder=1)
        for position, (group, color) in enumerate(zip(groups, (WINNER, OTHER), strict=False)):
            axes.plot(np.full(len(group), position), group, "o", color=color, ms=6, mec="white", mew=0.6)
            mean, text = float(np.mean(group)), comparison.figure.text(float(np.mean(group)))
            axes.plot([position - 0.12, position + 0.12], [mean, mean], color=color, linewidth=2.5)
            side, align = (-0.15, "right") if position == 0 else (0.15, "left")
            axes.annotate(f"mean {text}", (position + side, mean), va="center", ha=align, color=color, fontsize=NOTE)
        axes.set_xticks(range(len(groups)), list(names)[: len(groups)])
        axes.set_xlim(-0.7, len(groups) - 0.3)
        axes.set_ylabel(f"{comparison.figure.axis}, {comparison.figure.better}", color=QUIET)
        style_axes(axes, "y")
        axes.set_xlabel("new trainings of the best points; a line joins trainings with the same seed", color=QUIET)
    return chart


def shown_cells(comparison: Comparison) -> list[int]:
    """Return the cells that have a panel: the best ones, at most `MOST_CELLS`.

    Args:
        comparison: comparison of the cells.

    Returns:
        Indices of the cells, the best cell first.
    """
    return list(comparison.order[:MOST_CELLS])


def _scatter(
    axes: Any,
    comparison: Comparison,
    cell: int,
    key: str,
    values: NuisanceRange,
    window: tuple[float, float],
) -> None:
    """Draw the points of a cell over one nuisance value."""
    sign, means = comparison.figure.sign, comparison.oriented[cell]
    places = [point[key] for point in comparison.record.points]
    if values.choice is not None:
        labels = [value_text(value) for value in values.choice]
        places = [labels.index(value_text(place)) for place in places]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    else:
        low, high = values.bounds
        if values.log is not None:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(lambda value, _: "")
            inner = (low ** (1 - EDGE) * high**EDGE, low**EDGE * high ** (1 - EDGE))
            axes.set_xlim(low * (low / high) ** 0.03, high * (high / low) ** 0.03)
        else:
            inner = (low + EDGE * (high - low), high - EDGE * (high - low))
            axes.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        for first, last in ((low, inner[0]), (inner[1], high)):
            axes.axvspan(first, last, color="0.93", linewidth=0, zorder=0)
    places = np.array(places, dtype=np.float64)
    bottom, top = window
    feasible = np.isfinite(means)
    shown = np.maximum(means, bottom + 0.07 * (top - bottom))
    inside = feasible & (means >= bottom)
    axes.plot(places[inside], sign * shown[inside], "o", color=OTHER, ms=4.5, alpha=0.75, mec="white", mew=0.4)
    far = feasible & ~inside
    axes.plot(places[far], sign * shown[far], "v" if sign > 0 else "^", color=POINT, ms=5)
    bad = np.isneginf(means)
    axes.plot(places[bad], np.full(bad.sum(), sign * (bottom + 0.06 * (top - bottom))), "x", color=BAD, ms=5.5, mew=1.6)
    best = comparison.bests[cell].point
    if best is not None:
        axes.plot(places[best], sign * means[best], "o", mfc="none", mec=WINNER, ms=9, mew=1.8)
    axes.set_ylim(min(sign * bottom, sign * top), max(sign * bottom, sign * top))
    style_axes(axes)


def _window(comparison: Comparison, cells: Sequence[int]) -> tuple[float, float]:
    """Return the lowest and highest oriented value of scatters: at least three quarters of the points fit."""
    means = comparison.oriented[list(cells)]
    means = means[np.isfinite(means)]
    low, top = float(np.quantile(means, 0.12)), float(means.max())
    span = (top - low) or abs(top) * 0.01 or 1.0
    low = max(float(means.min()), low - 0.5 * span)
    has_bad = bool(np.isneginf(comparison.oriented[list(cells)]).any() or (means < low).any())
    return low - (0.25 if has_bad else 0.1) * span, top + 0.12 * span


def _limit(axes: Any, comparison: Comparison, lowest: float) -> None:
    """Let the axis begin below the expected best of one point, because the band can reach much further."""
    sign = comparison.figure.sign
    best = max(sign * (comparison.bests[cell].value or 0.0) for cell in comparison.order)
    span = (best - lowest) or abs(best) * 0.01 or 1.0
    ends = sign * (lowest - 0.15 * span), sign * (best + 0.1 * span)
    axes.set_ylim(min(ends), max(ends))


def _means(steps: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return means of groups of neighboring steps, so that at most `GROUPS` points are left."""
    size = max(1, -(-len(values) // GROUPS))
    cuts = range(0, len(values), size)
    middle = [float(np.mean(steps[cut : cut + size])) for cut in cuts]
    return middle, [float(np.mean(values[cut : cut + size])) for cut in cuts]
