"""What a search for the best frequency ratio found, as a chart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.drawing.charts import PALETTE, QUIET, STYLE, headline, new_chart, save_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {"saliency": PALETTE[0], "penalty": PALETTE[1], "objective": "black", "best": PALETTE[2]}
"""Told apart by color-blind readers; line styles differ, too."""


def draw_ratio(found: Mapping[str, Any], path: Path | str, each: Sequence[float] = ()) -> None:
    """Draw `ratio_curves` into a file.

    Args:
        found: as in `ratio_curves`.
        path: the file to write, whole or not at all: .png, .svg, .pdf.
        each: as in `ratio_curves`.

    Raises:
        ValueError: for a file type that cannot be drawn.
        OSError: the file cannot be written.
    """
    save_chart(ratio_curves(found, each), path)


def ratio_curves(found: Mapping[str, Any], each: Sequence[float] = ()) -> "Figure":
    """Both terms and the objective over the ratio, with the best ratio and its bracket marked where there is one.

    Args:
        found: as `curriculum.OptimalRatio.as_dict` gives it, or a ratio.json holds it under `"optimum"`.
        each: best ratios of single pictures, drawn as marks on the axis.

    Returns:
        A figure of its own, which pyplot does not know of.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return _drawn(found, each)


def _drawn(found: Mapping[str, Any], each: Sequence[float]) -> "Figure":
    """The figure."""
    figure = new_chart(8, 5.4)
    panel = figure.subplots()
    ratios = found["ratios"]
    if found["interior"]:
        panel.axvspan(*found["bracket"], color="0.92", label="bracket")
    for curve, style, name in (("saliency", "--", "saliency of low + high"), ("penalty", ":", found["term"])):
        alike = curve in found["constant"]
        values = [0.0] * len(ratios) if alike else _scaled(found[curve])
        panel.plot(ratios, values, style, color=COLORS[curve], label=f"{name}, constant" if alike else name)
    formula = f"objective: {found['beta']:g} {found['term']} - {found['alpha']:g} saliency"
    panel.plot(ratios, found["objective"], "-o", color=COLORS["objective"], markersize=3, label=formula)
    if found["interior"]:
        panel.axvline(found["ratio"], color="0.4", linewidth=1)
        best = f"best: {found['ratio']:.3f}"
        panel.plot([found["ratio"]], [found["least"]], "o", color=COLORS["best"], markersize=9, label=best)
    if each:
        panel.plot(each, [0.02] * len(each), "|", color="0.3", markersize=12, transform=panel.get_xaxis_transform())
    headline(panel, "How much of the spectrum the network responds to most", found["words"])
    panel.set(
        xlabel=f"frequency ratio by {found['definition']}",
        ylabel="scaled over the sweep",
        xlim=(min(0.0, min(ratios)), 1.02),
    )
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    panel.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2, frameon=False)
    return figure


def _scaled(values: Sequence[float]) -> list[float]:
    """A curve from 0 to 1."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]
