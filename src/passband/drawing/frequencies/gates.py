"""Draws heat maps of the frequency channels that a gate opens (Xu et al., CVPR 2020, figure 5)."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, QUIET, STYLE, new_chart, readable_on
from passband.ops.dct import zigzag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = ("Y", "Cb", "Cr")
COLORS = "inferno"
"""Color map from dark (a channel is never open) to bright (it is always open). It also works in gray print."""
KEPT = "#56B4E9"
"""Color of the frames of kept channels. It does not occur in the color map."""
ORDERS = {
    "raster": "Numbers are those of channels.toml: 64 component + 8 v + u.",
    "zigzag": "Numbers run in zigzag order within each component, as in the figures of Xu et al., CVPR 2020.",
}
"""Notes on the numbers of the squares, by the name of their order."""


def channel_maps(probability: Float[Tensor, "192"], order: str = "raster", kept: Collection[int] = ()) -> "Figure":
    """Draw how often a gate opens each frequency channel, in an 8 x 8 map for each of Y, Cb and Cr.

    Vertical frequencies v increase downward, and horizontal frequencies u increase to the right. The mean of a block is
    at the top left. Each square shows the number of its channel.

    Args:
        probability: share of images for which each channel 64 * component + 8 v + u is open, 0 to 1, as
            `ChannelGate.keep_probability` returns it.
        order: numbering of the squares, a key of `ORDERS`: `"raster"`, from 0 to 191 as everywhere in passband, or
            `"zigzag"`, from 0 to 63 within each component, as in the figures of the paper.
        kept: numbers of the channels to frame, from 0 to 191 in raster order.

    Returns:
        A matplotlib figure, which is not registered with pyplot.

    Raises:
        ValueError: if a value is outside [0, 1], or the order is unknown.
    """
    from matplotlib import rc_context

    values = probability.detach().cpu().double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(f"probabilities must be from 0 to 1; got {float(values.min()):g} to {float(values.max()):g}")
    if order not in ORDERS:
        raise ValueError(f"order must be {' or '.join(ORDERS)}; got {order!r}")
    with rc_context(STYLE):
        return _figure(values, order, set(kept))


def _figure(values: Float[Tensor, "192"], order: str, kept: set[int]) -> "Figure":
    """Return the figure of `channel_maps`."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    figure = new_chart(12, 4.9, "How often the gate opens each frequency channel")
    panels = figure.subplots(1, len(COMPONENTS))
    colors = ScalarMappable(Normalize(0, 1), COLORS)
    frames = f" Framed: the {len(kept)} channels that are kept." if kept else ""
    figure.supxlabel(f"{ORDERS[order]}{frames}", x=0.01, ha="left", fontsize=NOTE, color=QUIET)
    for number, (panel, component) in enumerate(zip(panels, COMPONENTS, strict=True)):
        numbers, squares = _numbers(order, number), values.view(-1, 8, 8)[number].tolist()
        panel.imshow(squares, norm=colors.norm, cmap=colors.cmap)
        panel.set_title(component, fontsize=12)
        panel.set(xlabel="horizontal frequency u", xticks=range(8), yticks=range(8))
        panel.spines[:].set_visible(False)
        for v, row in enumerate(squares):
            for u, value in enumerate(row):
                ink = readable_on(colors.to_rgba(value))
                panel.text(u, v, str(numbers[8 * v + u]), color=ink, ha="center", va="center", fontsize=8)
                if 64 * number + 8 * v + u in kept:
                    panel.add_patch(
                        Rectangle((u - 0.46, v - 0.46), 0.92, 0.92, fill=False, edgecolor=KEPT, linewidth=2)
                    )
    panels[0].set_ylabel("vertical frequency v")
    figure.colorbar(colors, ax=panels, label="share of images", pad=0.01)
    return figure


def _numbers(order: str, component: int) -> list[int]:
    """Return the numbers that the squares of a component show, in raster order."""
    if order == "raster":
        return list(range(64 * component, 64 * component + 64))
    positions = zigzag()
    return sorted(range(64), key=positions.__getitem__)
