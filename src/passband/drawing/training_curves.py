"""A chart of a training: every figure of its log over the steps."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from passband.drawing.charts import NOTE, PALETTE, QUIET, STYLE, new_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[Sequence[int], Sequence[float]]]
"""Steps and values of each figure by its name."""
Line = tuple[str, bool, Sequence[int], Sequence[float]]
"""The label, whether a validation gave it, steps and values."""
POINTS = 400
"""A line has at most as many points; those of a longer run are means of as many steps as that takes."""
COLUMNS = 2
"""Panels beside each other."""
WIDTH, HEIGHT = 5.2, 3.1
"""Of a panel, in inches."""


def training_curves(trained: Curves, validated: Curves, title: str) -> "Figure":
    """Draw each figure of a run over the steps, a panel for each kind.

    Figures of the training and of the validation that have one name share a panel, and so do those that have the same
    word before a slash (`gain/rain`, `gain/haze`).

    Args:
        trained: figures of the steps.
        validated: figures of the validations; their panels come first.
        title: text above the chart.

    Returns:
        A figure of its own, which pyplot does not know of.

    Raises:
        ValueError: where there is nothing to draw.
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
    """Lines of each panel, by its title."""
    panels: dict[str, list[Line]] = {}
    for curves, is_validation in ((validated, True), (trained, False)):
        for name, (steps, values) in curves.items():
            kind, _, part = name.partition("/")
            label = part or ("validation" if is_validation else "training")
            if len(steps):
                panels.setdefault(kind, []).append((label, is_validation, steps, values))
    return panels


def _draw(panel: Any, name: str, lines: Sequence[Line]) -> None:
    """One panel."""
    most = 1
    for number, (label, is_validation, steps, values) in enumerate(lines):
        color, style = PALETTE[number % len(PALETTE)], ("-", "--", ":")[number // len(PALETTE) % 3]
        middle, mean, low, high, count = _thinned(steps, values)
        most = max(most, count)
        marked = is_validation or len(mean) == 1
        panel.plot(middle, mean, style, color=color, label=label, linewidth=1.4, marker="o" if marked else "", ms=3.5)
        if count > 1:
            panel.fill_between(middle, low, high, color=color, alpha=0.18, linewidth=0)
    panel.set_title(name.replace("_", " "), loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    thinned = f"step (means and ranges of {most} steps)" if most > 1 else "step"
    panel.set_xlabel(thinned, color=QUIET, fontsize=NOTE)
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    if len(lines) > 1 or lines[0][0] not in ("training", "validation"):
        panel.legend(frameon=False, fontsize=NOTE - 1, ncols=1 + (len(lines) > 6))


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray, list[Any], list[Any], int]:
    """Means of so many values that at most `POINTS` are left: middle steps, means, least, largest, and how many each.

    Values that are not finite are gaps.
    """
    given = np.array([value if math.isfinite(value) else math.nan for value in values])
    count = -(-len(given) // POINTS)
    cuts = range(0, len(given), count)
    parts = [given[cut : cut + count] for cut in cuts]
    parts = [part[np.isfinite(part)] if np.isfinite(part).any() else part for part in parts]
    middle = np.array([np.mean(steps[cut : cut + count]) for cut in cuts])
    mean = np.array([part.mean() for part in parts])
    return middle, mean, [part.min() for part in parts], [part.max() for part in parts], count
