"""Draws the spectrum of an image: amplitudes of all frequencies as an image, and their mean over the radius."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, TITLE, new_chart
from passband.ops.color import rgb_to_ycbcr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = "cividis"
"""Color map from dark (weak) to bright (strong). Color-blind readers see the same order, and so does gray print."""
DECADES = 5
"""Range of the amplitudes that are shown, in powers of ten below the largest one, which is usually the mean."""
SIDE = 640
"""Longest side of an image in a figure, in pixels."""
LEAST = 4
"""Least number of frequencies in a ring that a curve shows."""
CIRCLES = {0.25: "1/4", 0.5: "1/2", 1.0: "Nyquist"}
"""Radii of circles as shares of the Nyquist frequency, with their labels."""
LINES = {
    "Y": ("brightness (Y)", PALETTE[6], "-"),
    "Cb": ("blue (Cb)", PALETTE[0], "--"),
    "Cr": ("red (Cr)", PALETTE[1], ":"),
}
"""Label, color and style of each component's curve."""


def amplitude_image(image: Float[Tensor, "3 H W"], side: int | None = None) -> Float[Tensor, "h w"]:
    """Return the logarithm of the amplitudes of an image's brightness as gray values, with the mean in the middle.

    Args:
        image: RGB image in [0, 1].
        side: longest side of the result in pixels, over which amplitudes are averaged; None for one pixel for each
            frequency.

    Returns:
        Values in [0, 1]: 1 for the largest amplitude, 0 for amplitudes that are `DECADES` powers of ten smaller. Rows
        are vertical frequencies and columns are horizontal frequencies, the lowest in the middle.
    """
    luma = rgb_to_ycbcr(image.detach())[0]
    # this view of the spectrum is for people; norm="ortho" keeps the energy
    amplitude = torch.fft.fftshift(torch.fft.fft2(luma, norm="ortho")).abs()
    if side is not None and max(amplitude.shape) > side:
        ratio = side / max(amplitude.shape)
        size = [max(1, round(ratio * length)) for length in amplitude.shape]
        amplitude = F.interpolate(amplitude[None, None], size, mode="area")[0, 0]
    largest = amplitude.max()
    if not largest > 0:
        return torch.zeros_like(amplitude)
    return 1 + (amplitude / largest).clamp(min=10.0**-DECADES).log10() / DECADES


def shrunk(image: Float[Tensor, "C H W"], side: int = SIDE) -> Float[Tensor, "C h w"]:
    """Shrink an image to a longest side by averaging; a smaller image is returned unchanged.

    Args:
        image: image of any range.
        side: longest side of the result in pixels.

    Returns:
        The image in the same unit.
    """
    height, width = image.shape[-2:]
    ratio = side / max(height, width)
    if ratio >= 1:
        return image
    return F.interpolate(image[None], (max(1, round(ratio * height)), max(1, round(ratio * width))), mode="area")[0]


def draw_amplitudes(
    panel: Any, image: Float[Tensor, "3 H W"], circles: Mapping[float, str], *, side: int = SIDE
) -> None:
    """Draw the amplitudes of an image into axes, with circles around the mean.

    Args:
        panel: axes of matplotlib.
        image: RGB image in [0, 1].
        circles: label of each circle, by its radius as a share of the Nyquist frequency.
        side: longest side of the drawn image in pixels.
    """
    from matplotlib.patches import Circle

    # axes in shares of the Nyquist frequency, which is equally far in both directions
    panel.imshow(amplitude_image(image, side).cpu().numpy(), cmap=COLORS, vmin=0, vmax=1, extent=(-1, 1, 1, -1))
    panel.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(1, -1))
    panel.spines[:].set_visible(False)
    for radius, label in circles.items():
        panel.add_patch(Circle((0, 0), radius, fill=False, edgecolor="white", linewidth=1.1, linestyle=(0, (4, 3))))
        if label:
            panel.text(
                0, -radius + 0.02, label, color="white", ha="center", va="top", fontsize=NOTE - 1.5, clip_on=True
            )


def image_spectrum_figure(
    image: Float[Tensor, "3 H W"], curve: Mapping[str, Sequence[float]], title: str, text: str
) -> "Figure":
    """Draw an image, its amplitudes, and the mean amplitude over the radial frequency.

    Args:
        image: RGB image in [0, 1].
        curve: columns of the radial curve: `share_of_nyquist`, `frequencies` (their number), and
            `amplitude_Y`, `amplitude_Cb` and `amplitude_Cr`.
        title: the result in a sentence.
        text: further sentences below the title.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_chart(13, 5.2)
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE, fontweight="bold")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
        left.imshow(shrunk(image).clamp(0, 1).movedim(0, -1).cpu().numpy())
        left.set(xticks=[], yticks=[])
        left.spines[:].set_visible(False)
        left.set_anchor("N")
        _caption(left, "Image", "")
        draw_amplitudes(middle, image, CIRCLES)
        _caption(middle, "Spectrum", "middle: coarse, edges: fine; bright: strong")
        _draw_curve(right, curve)
        _caption(right, "Mean amplitude at each fineness", "")
        figure.supxlabel(text, x=0.012, ha="left", fontsize=NOTE, color=QUIET)
        return figure


def amplitude_figure(image: Float[Tensor, "3 H W"]) -> "Figure":
    """Draw the amplitudes of an image alone, with circles.

    Args:
        image: RGB image in [0, 1].

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_chart(4.4, 4.4)
        draw_amplitudes(figure.subplots(), image, CIRCLES)
        return figure


def radial_curve_figure(curve: Mapping[str, Sequence[float]]) -> "Figure":
    """Draw the mean amplitude over the radial frequency alone.

    Args:
        curve: columns of the radial curve, as in `image_spectrum_figure`.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_chart(5.6, 4.4)
        _draw_curve(figure.subplots(), curve)
        return figure


def _caption(panel: Any, title: str, text: str) -> None:
    """Write the title of a panel, and an explanation below the panel."""
    panel.set_title(title, loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    if text:
        panel.set_xlabel(text, color=QUIET, fontsize=NOTE, loc="left")


def _draw_curve(panel: Any, curve: Mapping[str, Sequence[float]]) -> None:
    """Draw the mean amplitude of each component over the radius."""
    shares = torch.tensor(curve["share_of_nyquist"])
    for name, (label, color, style) in LINES.items():
        values = torch.tensor(curve[f"amplitude_{name}"])
        # the mean is no frequency, a logarithmic scale has no zero, and means of a few frequencies are mostly noise
        shown = (shares > 0) & (values > 0) & (torch.tensor(curve["frequencies"]) >= LEAST)
        panel.plot(shares[shown].numpy(), values[shown].numpy(), style, color=color, linewidth=1.7, label=label)
    if panel.get_lines() and any(len(line.get_xdata()) for line in panel.get_lines()):
        panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
    panel.set(xlim=(0, 1.45), xticks=[0, 0.25, 0.5, 0.75, 1, 1.25], xticklabels=["0", "1/4", "1/2", "3/4", "1", "5/4"])
    panel.set_xlabel("radial frequency, as a share of Nyquist (coarse to fine)", color=QUIET, fontsize=NOTE)
    panel.set_ylabel("mean amplitude", color=QUIET, fontsize=NOTE)
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET)
    panel.legend(frameon=False, fontsize=NOTE)
