"""Draws the curves of several runs in one chart: loss and scores over their steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, new_chart
from passband.drawing.charts.training import COLUMNS, HEIGHT, WIDTH, Curves, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 6
"""Largest number of panels: the loss, and the first quantities of the validations."""


@dataclass(frozen=True)
class RunCurves:
    """The curves of a run.

    Attributes:
        label: name of the contestant. Runs with the same label have the same color.
        trained: quantities of the training steps.
        validated: quantities of the validations.
    """

    label: str
    trained: Curves
    validated: Curves


def run_curves_chart(runs: Sequence[RunCurves], title: str, along: str = "step") -> "Figure | None":
    """Draw the loss of the training and each quantity of the validations, with a line for each run.

    Args:
        runs: curves of all runs.
        title: text above the chart.
        along: name of the horizontal axis, if the curves are given over something other than steps, such as seconds.

    Returns:
        A matplotlib figure, which is not registered with pyplot; None if no run has a step.
    """
    from matplotlib import rc_context

    names = dict.fromkeys(name for run in runs for name in run.validated)
    panels = [("loss", False)] if any("loss" in run.trained for run in runs) else []
    panels = [*panels, *((name, True) for name in names)][:MOST_PANELS]
    if not panels:
        return None
    labels = list(dict.fromkeys(run.label for run in runs))
    with rc_context(STYLE):
        rows, columns = -(-len(panels) // COLUMNS), min(COLUMNS, len(panels))
        figure = new_chart(max(WIDTH * columns, 6), HEIGHT * rows + 0.4, title)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for panel, (name, is_validation) in zip(axes, panels, strict=False):
            named: set[str] = set()
            for run in runs:
                curve = (run.validated if is_validation else run.trained).get(name)
                if curve is None:
                    continue
                middle, mean, *_ = thinned(*curve)
                color = PALETTE[labels.index(run.label) % len(PALETTE)]
                label = None if run.label in named else run.label
                named.add(run.label)
                marker = "o" if is_validation or len(mean) == 1 else ""
                panel.plot(middle, mean, color=color, label=label, linewidth=1.4, marker=marker, markersize=3.5)
            kind = "validation" if is_validation else "training"
            panel.set_title(f"{name.replace('_', ' ')} ({kind})", loc="left", fontsize=NOTE + 1.5, fontweight="bold")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.set_xlabel(along, color=QUIET, fontsize=NOTE)
            panel.grid(color="0.93")
            panel.set_axisbelow(True)
            panel.tick_params(colors=QUIET)
            panel.legend(frameon=False, fontsize=NOTE - 1)
        for unused in axes[len(panels) :]:
            unused.set_visible(False)
    return figure
