"""Draws the curves of a run: loss, learning rate and scores over its steps."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, new_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Steps and values of each logged quantity, by name."""
Line = tuple[str, bool, Sequence[float], Sequence[float]]
"""Label of a line, whether its values come from validations, steps, and values."""
POINTS = 400
"""Largest number of points of a line. In longer runs each point is the mean of several steps."""
COLUMNS = 2
"""Number of panels side by side."""
WIDTH, HEIGHT = 5.2, 3.1
"""Width and height of a panel in inches."""


def training_curves(trained: Curves, validated: Curves, title: str) -> "Figure":
    """Draw each logged quantity of a run over its steps.

    Quantities of the training and of the validation with the same name share a panel. Quantities with the same word
    before a slash also share a panel, such as `gain/rain` and `gain/haze`.

    Args:
        trained: quantities of the training steps.
        validated: quantities of the validations. Their panels come first.
        title: text above the chart.

    Returns:
        A matplotlib figure, which is not registered with pyplot.

    Raises:
        ValueError: if there is nothing to draw.
    """
    from matplotlib import rc_context

    panels = _panels(trained, validated)
    if not panels:
        raise ValueError("curves need at least one step or validation of a run, and this one has none; train it first")
    with rc_context(STYLE):
        rows, columns = -(-len(panels) // COLUMNS), min(COLUMNS, len(panels))
        figure = new_chart(max(WIDTH * columns, 6), HEIGHT * rows + 0.4, title)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for panel, (name, lines) in zip(axes, panels.items(), strict=False):
            _draw(panel, name, lines)
        for unused in axes[len(panels) :]:
            unused.set_visible(False)
    return figure


def _panels(trained: Curves, validated: Curves) -> dict[str, list[Line]]:
    """Return the lines of each panel, by its title."""
    panels: dict[str, list[Line]] = {}
    for curves, is_validation in ((validated, True), (trained, False)):
        for name, (steps, values) in curves.items():
            kind, _, part = name.partition("/")
            label = part or ("validation" if is_validation else "training")
            if len(steps):
                panels.setdefault(kind, []).append((label, is_validation, steps, values))
    return panels


def _draw(panel: Any, name: str, lines: Sequence[Line]) -> None:
    """Draw the lines of a panel."""
    most = 1
    for number, (label, is_validation, steps, values) in enumerate(lines):
        color, style = PALETTE[number % len(PALETTE)], ("-", "--", ":")[number // len(PALETTE) % 3]
        middle, mean, low, high, count = thinned(steps, values)
        most = max(most, count)
        marked = is_validation or len(mean) == 1
        panel.plot(middle, mean, style, color=color, label=label, linewidth=1.4, marker="o" if marked else "", ms=3.5)
        if count > 1:
            panel.fill_between(middle, low, high, color=color, alpha=0.18, linewidth=0)
    panel.set_title(name.replace("_", " "), loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    across = f"step (means and ranges of {most} steps)" if most > 1 else "step"
    panel.set_xlabel(across, color=QUIET, fontsize=NOTE)
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    if len(lines) > 1 or lines[0][0] not in ("training", "validation"):
        panel.legend(frameon=False, fontsize=NOTE - 1, ncols=1 + (len(lines) > 6))


def thinned(
    steps: Sequence[float], values: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, list[Any], list[Any], int]:
    """Average groups of neighboring values, so that at most `POINTS` points are left.

    Values that are not finite become gaps of the line.

    Args:
        steps: step of each value.
        values: values of a quantity.

    Returns:
        Middle step, mean, smallest and largest value of each group, and the number of values per group.
    """
    finite = np.array([value if math.isfinite(value) else math.nan for value in values])
    count = -(-len(finite) // POINTS)
    cuts = range(0, len(finite), count)
    parts = [finite[cut : cut + count] for cut in cuts]
    parts = [part[np.isfinite(part)] if np.isfinite(part).any() else part for part in parts]
    middle = np.array([np.mean(steps[cut : cut + count]) for cut in cuts])
    mean = np.array([part.mean() for part in parts])
    return middle, mean, [part.min() for part in parts], [part.max() for part in parts], count
