"""Draws which frequencies of restored images are wrong: maps of the frequencies of a block, and curves over radius."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, TITLE, new_chart, readable_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = 8
"""Number of rows and columns of a map. Finer frequencies are added up."""
DECADES = 4
"""Range of the colors of the maps, in powers of ten below the largest value."""
COLORS = "cividis"
"""Color map from dark (nothing) to bright. Color-blind readers see the same order, and so does gray print."""
MEANINGS = {
    "restored": "the error became smaller",
    "lost": "clean content is missing now",
    "invented": "content appeared that the clean image lacks",
}
"""Maps and curves of the parts of a change, with their meaning."""
LINES = {"restored": PALETTE[0], "lost": PALETTE[5], "invented": PALETTE[1]}
"""Colors of the curves."""
SPREAD = (0.25, 0.75)
"""Quantiles over the images between which the area around a curve lies."""


def spectral_error_figure(
    maps: Mapping[str, Float[Tensor, "B V U"]],
    bands: Mapping[str, Float[Tensor, "B K"]],
    radii: Sequence[float],
    counts: Sequence[int],
    title: str,
    text: str,
) -> "Figure":
    """Draw the change of the errors of images by frequency.

    Maps and curves show all images together. The area around a curve holds the middle half of the images.
    Without an error before, the maps show shares of the error after, and nothing is restored.

    Args:
        maps: contributions to the mean squared error of each image and frequency (v, u) by the names `before`,
            `after`, `restored`, `lost` and `invented`.
        bands: the same in bands of radial frequency.
        radii: mean radius of each band, as a share of the Nyquist frequency.
        counts: number of frequencies in each band.
        title: the result in a sentence.
        text: further sentences below the title.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    mean = {name: _coarse(values.double().mean(0).cpu().numpy()) for name, values in maps.items()}
    curves = {name: values.double().cpu().numpy() for name, values in bands.items()}
    compares = bool(mean["before"].sum() > 0)
    names = [name for name in MEANINGS if compares or name != "restored"]
    with rc_context(STYLE):
        figure = new_chart(12, 9.6)
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE + 1, fontweight="bold")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.12, 1])[:, 0]
        top.suptitle(text, x=0.012, ha="left", fontsize=NOTE + 0.5, color=QUIET)
        _draw_maps(top, {name: mean[name] for name in names}, float(mean["before" if compares else "after"].sum()))
        left, right = bottom.subplots(1, 2)
        _draw_errors(left, curves, np.asarray(radii), np.asarray(counts), compares=compares)
        _draw_shares(right, curves, names, np.asarray(radii), compares=compares)
        return figure


def _coarse(energy: Float[np.ndarray, "V U"]) -> Float[np.ndarray, "8 8"]:
    """Add up the frequencies of larger blocks to 8 x 8 cells; smaller maps stay as they are."""
    step = max(1, len(energy) // CELLS)
    whole = step * CELLS if len(energy) >= CELLS else len(energy)
    side = min(CELLS, len(energy))
    return energy[:whole, :whole].reshape(side, step, side, step).sum((1, 3))


def _draw_maps(figure: Any, maps: Mapping[str, np.ndarray], whole: float) -> None:
    """Draw a map for each part, all with one scale in percent of the whole error."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    shares = {name: 100 * energy / whole if whole else 0 * energy for name, energy in maps.items()}
    largest = max(float(values.max()) for values in shares.values()) or 1.0
    colors = ScalarMappable(LogNorm(largest / 10**DECADES, largest, clip=True), COLORS)
    panels = figure.subplots(1, len(maps))
    for panel, (name, values) in zip(panels, shares.items(), strict=True):
        panel.imshow(values.clip(largest / 10**DECADES), norm=colors.norm, cmap=colors.cmap)
        panel.set_title(f"{name.capitalize()}: {_percent(values.sum())}", loc="left", fontsize=12, pad=20)
        panel.annotate(
            MEANINGS[name], (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points",
            fontsize=NOTE, color=QUIET,
        )  # fmt: skip
        panel.set(xticks=range(len(values)), yticks=range(len(values)))
        panel.set_xlabel("horizontal frequency (coarse to fine)", color=QUIET, fontsize=NOTE)
        panel.tick_params(colors=QUIET, length=0)
        panel.spines[:].set_visible(False)
        shades = colors.to_rgba(values)
        for (v, u), value in np.ndenumerate(values):
            if text := _short(value):
                ink = readable_on(shades[v, u])
                panel.text(u, v, text, color=ink, ha="center", va="center", fontsize=7, in_layout=False)
    panels[0].set_ylabel("vertical frequency (coarse to fine)", color=QUIET, fontsize=NOTE)
    label = "% of the error before" if "restored" in maps else "% of the error"
    figure.colorbar(colors, ax=list(panels), label=label, pad=0.01, format=lambda value, _: f"{value:g}")


def _draw_errors(
    panel: Any, curves: Mapping[str, np.ndarray], radii: np.ndarray, counts: np.ndarray, *, compares: bool
) -> None:
    """Draw the error of a frequency over its radius, before and after, on a logarithmic scale."""
    for name, color, style in (("before", PALETTE[6], "--"), ("after", PALETTE[2], "-")):
        if name == "after" or compares:
            energy = curves[name] / counts
            label = f"error {name}" if compares else "error"
            _draw_curve(panel, radii, energy.mean(0), energy, color=color, linestyle=style, label=label)
    if curves["before"].any() or curves["after"].any():  # a logarithmic scale needs a positive value
        panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_ylabel("error energy per frequency (part of the MSE)", color=QUIET, fontsize=NOTE)
    panel.set_title("How large is the error at each frequency?", loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    _finish(panel)


def _draw_shares(
    panel: Any, curves: Mapping[str, np.ndarray], names: Sequence[str], radii: np.ndarray, *, compares: bool
) -> None:
    """Draw each part as a share of the error at the same frequency."""
    whole = curves["before" if compares else "after"]
    most = 100.0
    for name in names:
        together = _share(curves[name].mean(0), whole.mean(0))
        most = max(most, np.nanmax(together, initial=0))
        style = {"restored": "-", "lost": "-.", "invented": "-"}[name]
        marker = {"invented": "s"}.get(name, "o")
        each = _share(curves[name], whole)
        _draw_curve(panel, radii, together, each, color=LINES[name], linestyle=style, marker=marker, label=name)
    top = panel.get_ylim()[1]
    panel.set_ylim(0, min(top, 1.15 * most))  # single images may lie far above the curves
    whose = "% of the error before at that frequency" if compares else "% of the error at that frequency"
    panel.set_ylabel(whose, color=QUIET, fontsize=NOTE)
    question = "Which part of it was restored, lost or invented?" if compares else "Is it lost or invented?"
    panel.set_title(question, loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    _finish(panel)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return a part in percent of the whole, NaN where the whole is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, 100 * part / whole, np.nan)


def _draw_curve(panel: Any, radii: np.ndarray, together: np.ndarray, each: np.ndarray, **style: Any) -> None:
    """Draw the curve of all images together, and the range of the middle half of the images."""
    known = ~np.isnan(each).all(0)
    if not known.any():
        return
    panel.plot(radii[known], together[known], **{"linewidth": 1.8, "marker": "o", "markersize": 4, **style})
    if len(each) > 1:
        low, high = np.nanquantile(each[:, known], SPREAD, axis=0)
        panel.fill_between(radii[known], low, high, color=style["color"], alpha=0.16, linewidth=0)


def _finish(panel: Any) -> None:
    """Label the axis of frequencies, and mark the Nyquist frequency."""
    panel.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
    panel.text(1.01, 0.99, "Nyquist", color=QUIET, fontsize=NOTE - 1.5, va="top", transform=panel.get_xaxis_transform())
    panel.set(xlim=(-0.02, 1.25), xticks=[0, 0.25, 0.5, 0.75, 1], xticklabels=["0", "1/4", "1/2", "3/4", "1"])
    panel.set_xlabel("radial frequency, as a share of Nyquist (coarse to fine)", color=QUIET, fontsize=NOTE)
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    if panel.get_legend_handles_labels()[0]:  # images without any error have no shares
        panel.legend(frameon=False, fontsize=NOTE, loc="upper left", bbox_to_anchor=(0, -0.17), ncols=3)


def _percent(value: float) -> str:
    """Return a percentage with two digits or more."""
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.1f} %"


def _short(value: float) -> str:
    """Return a percentage that fits into a cell, or nothing if it is below a hundredth of a percent."""
    if value < 0.005:
        return ""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"[1:]
