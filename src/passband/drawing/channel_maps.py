"""Which frequency channels a gate lets through, as heat maps (Xu et al., CVPR 2020, figure 5)."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts import NOTE, QUIET, STYLE, new_chart, readable_on, save_chart
from passband.ops.dct import zigzag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = ("Y", "Cb", "Cr")
COLORS = "inferno"
"""Dark is never, bright is always, in this order in gray print, too."""
KEPT = "#56B4E9"
"""Color of the frames of kept channels, which the heat map does not have."""
ORDERS = {
    "raster": "Numbers are those of channels.toml: 64 component + 8 v + u.",
    "zigzag": "Numbers run in zigzag order within each component, as in the figures of Xu et al., CVPR 2020.",
}
"""How squares are numbered, by name."""


def draw_channels(
    probability: Float[Tensor, "192"], path: Path | str, order: str = "raster", kept: Collection[int] = ()
) -> None:
    """Draw `channel_maps` into a file.

    Args:
        probability: as in `channel_maps`.
        path: the file to write, whole or not at all: .png, .svg, .pdf.
        order: as in `channel_maps`.
        kept: as in `channel_maps`.

    Raises:
        ValueError: as `channel_maps`, or for a file type that cannot be drawn.
        OSError: the file cannot be written.
    """
    save_chart(channel_maps(probability, order, kept), path)


def channel_maps(probability: Float[Tensor, "192"], order: str = "raster", kept: Collection[int] = ()) -> "Figure":
    """How often each frequency channel was open: an 8 x 8 map for each of Y, Cb and Cr, bright where it was often.

    Vertical frequencies v run down and horizontal ones u run right, so that the mean of a block is at the top left.
    Each square carries its number.

    Args:
        probability: 0 to 1 for each channel 64 * component + 8 v + u, as `ChannelGate.keep_probability` gives it.
        order: how squares are numbered, a key of `ORDERS`: `"raster"`, from 0 to 191 as everywhere here, or
            `"zigzag"`, from 0 to 63 within each component, as in the paper's figures.
        kept: numbers of the channels that get a frame, from 0 to 191 in raster order.

    Returns:
        A figure of its own, which pyplot does not know of.

    Raises:
        ValueError: for a value outside [0, 1], or an unknown order.
    """
    from matplotlib import rc_context

    values = probability.detach().cpu().double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(
            f"how often a channel is open is 0 to 1; got {float(values.min()):g} to {float(values.max()):g}"
        )
    if order not in ORDERS:
        raise ValueError(f"order of the squares is {' or '.join(ORDERS)}; got {order!r}")
    with rc_context(STYLE):
        return _drawn(values, order, set(kept))


def _drawn(values: Float[Tensor, "192"], order: str, kept: set[int]) -> "Figure":
    """The figure."""
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
    figure.colorbar(colors, ax=panels, label="share of pictures", pad=0.01)
    return figure


def _numbers(order: str, component: int) -> list[int]:
    """What the square of each raster index of a component is called."""
    if order == "raster":
        return list(range(64 * component, 64 * component + 64))
    places = zigzag()
    return sorted(range(64), key=places.__getitem__)
