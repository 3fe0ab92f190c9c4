"""Draws radial spectra of several versions of one image."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, headline, new_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Spectra of the versions"
DASHES = ("-", "--", ":", "-.")
"""Styles of the lines, so that they differ in gray print also."""


def spectra_figure(shares: Sequence[float], amplitudes: Mapping[str, Sequence[float]]) -> "Figure":
    """Draw mean amplitudes over the radial frequency, up to the Nyquist frequency.

    Args:
        shares: radial frequencies as shares of the Nyquist frequency, the mean first.
        amplitudes: mean amplitude at each of them, by the name of the version; values of 0 are left out.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_chart(8, 4.2)
        panel = figure.subplots()
        for number, (name, values) in enumerate(amplitudes.items()):
            points = [(x, y) for x, y in zip(shares[1:], values[1:], strict=True) if y > 0 and x <= 1]
            if points:
                style, color = DASHES[number % len(DASHES)], PALETTE[(1 - number) % len(PALETTE)]
                panel.plot(*zip(*points, strict=True), style, color=color, linewidth=1.8, label=name)
        if panel.get_lines():
            panel.set_yscale("log")
            panel.legend(frameon=False, fontsize=NOTE)
        headline(panel, TITLE, "Mean amplitude of the brightness; the Nyquist frequency is the finest pattern")
        panel.set(xlim=(0, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1], xticklabels=["0", "1/4", "1/2", "3/4", "1"])
        panel.set_xlabel("radial frequency, as a share of Nyquist (coarse to fine)", color=QUIET, fontsize=NOTE)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.grid(color="0.93")
        panel.tick_params(colors=QUIET)
    return figure
