"""Draws paired differences with their intervals, and curves of several contestants over frequency."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, new_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 44
"""Largest number of characters in the name of a row."""
GRAY = "#999999"
"""Color of a difference whose interval contains zero."""


def difference_chart(
    panels: Mapping[str, Sequence[tuple[str, float, float, float]]], title: str, note: str = ""
) -> "Figure":
    """Draw differences as points with intervals, in one panel for each figure.

    A difference whose interval contains zero is gray.

    Args:
        panels: rows of each panel, by its title. A row is the name of the difference, its mean, and both ends of its
            interval. All panels have the same rows.
        title: text above the chart.
        note: text below the panels, such as the meaning of a positive difference.

    Returns:
        A matplotlib figure, which is not registered with pyplot.

    Raises:
        ValueError: if there is nothing to draw.
    """
    from matplotlib import rc_context

    if not panels or not any(panels.values()):
        raise ValueError("a chart of differences needs at least one difference; compare two contestants")
    with rc_context(STYLE):
        count, columns = max(map(len, panels.values())), min(3, len(panels))
        lines = -(-len(panels) // columns)
        figure = new_chart(2.6 + 3.1 * columns, (0.32 * count + 0.9) * lines + 0.8, title)
        axes = list(figure.subplots(lines, columns, squeeze=False, sharey=True).flat)
        for panel, (name, rows) in zip(axes, panels.items(), strict=False):
            _draw_differences(panel, name, rows)
        for unused in axes[len(panels) :]:
            unused.set_visible(False)
        if note:
            figure.supxlabel(note, fontsize=NOTE, color=QUIET, x=0.012, ha="left")
    return figure


def curve_chart(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, across: str, upward: str
) -> "Figure":
    """Draw one curve for each contestant, from zero upward.

    Args:
        curves: horizontal and vertical values of each curve, by its name. The first curve is black. Neighbors have
            different line styles, so that equal curves remain visible.
        title: text above the chart.
        across: text below the horizontal axis.
        upward: text beside the vertical axis.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_chart(8.6, 4.2, title)
        axes = figure.subplots()
        colors = ("#222222", *PALETTE[:-1])
        for number, (name, (places, values)) in enumerate(curves.items()):
            style, color = ("-", "--", "-.")[number % 3], colors[number % len(colors)]
            axes.plot(places, values, style, color=color, label=_short(name), linewidth=1.8, marker="o", markersize=3.5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(across, color=QUIET, fontsize=NOTE)
        axes.set_ylabel(upward, color=QUIET, fontsize=NOTE)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
        axes.tick_params(colors=QUIET)
        axes.legend(frameon=False, fontsize=NOTE, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _draw_differences(panel: Any, name: str, rows: Sequence[tuple[str, float, float, float]]) -> None:
    """Draw the differences of one figure, the first one at the top."""
    places = range(len(rows))
    panel.axvline(0, color=QUIET, linewidth=1)
    for place, (_, mean, low, high) in zip(places, rows, strict=True):
        color = PALETTE[0] if low > 0 or high < 0 else GRAY
        panel.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="round")
        panel.plot([mean], [place], "o", color=color, markersize=6)
    panel.set_yticks(list(places), [_short(row[0]) for row in rows], fontsize=NOTE)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_title(name, loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    panel.grid(axis="x", color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    panel.locator_params(axis="x", nbins=5)


def _short(name: str) -> str:
    """Return a name that is not longer than `LONGEST` characters; letters in its middle are left out."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
