"""Draws the result of a search for the best frequency ratio."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from passband.drawing.charts.style import PALETTE, QUIET, STYLE, headline, new_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {"saliency": PALETTE[0], "penalty": PALETTE[1], "objective": "black", "best": PALETTE[2]}
"""Colors of the lines, which color-blind readers can tell apart. The styles of the lines also differ."""


def ratio_curves(optimum: Mapping[str, Any], each: Sequence[float] = ()) -> "Figure":
    """Draw both terms and the objective over the ratio. The best ratio and its bracket are marked if they exist.

    Args:
        optimum: result of the search, from `curriculum.OptimalRatio.as_dict` or the key `"optimum"` of a ratio.json.
        each: best ratios of single images, drawn as marks on the axis.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return _figure(optimum, each)


def _figure(optimum: Mapping[str, Any], each: Sequence[float]) -> "Figure":
    """Return the figure of `ratio_curves`."""
    figure = new_chart(8, 5.4)
    panel = figure.subplots()
    ratios = optimum["ratios"]
    if optimum["interior"]:
        panel.axvspan(*optimum["bracket"], color="0.92", label="bracket")
    for curve, style, name in (("saliency", "--", "saliency of low + high"), ("penalty", ":", optimum["term"])):
        is_constant = curve in optimum["constant"]
        values = [0.0] * len(ratios) if is_constant else _scaled(optimum[curve])
        panel.plot(ratios, values, style, color=COLORS[curve], label=f"{name}, constant" if is_constant else name)
    formula = f"objective: {optimum['beta']:g} {optimum['term']} - {optimum['alpha']:g} saliency"
    panel.plot(ratios, optimum["objective"], "-o", color=COLORS["objective"], markersize=3, label=formula)
    if optimum["interior"]:
        panel.axvline(optimum["ratio"], color="0.4", linewidth=1)
        best = f"best: {optimum['ratio']:.3f}"
        panel.plot([optimum["ratio"]], [optimum["least"]], "o", color=COLORS["best"], markersize=9, label=best)
    if each:
        panel.plot(each, [0.02] * len(each), "|", color="0.3", markersize=12, transform=panel.get_xaxis_transform())
    headline(panel, "How much of the spectrum the network responds to most", optimum["words"])
    panel.set(
        xlabel=f"frequency ratio by {optimum['definition']}",
        ylabel="scaled over the sweep",
        xlim=(min(0.0, min(ratios)), 1.02),
    )
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    panel.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2, frameon=False)
    return figure


def _scaled(values: Sequence[float]) -> list[float]:
    """Return values scaled linearly to [0, 1]."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]
