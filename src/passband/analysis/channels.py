"""Which frequency channels a gate lets through, as heat maps (Xu et al., CVPR 2020, figure 5)."""

from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from passband.io.files import write_whole
from passband.ops.dct import zigzag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = ("Y", "Cb", "Cr")
COLORS = "inferno"
"""Dark is never, bright is always, in this order in gray print, too."""


def draw_channels(probability: Float[Tensor, "192"], path: Path | str, order: str = "raster") -> None:
    """Draw `channel_maps` into a file.

    Args:
        probability: as in `channel_maps`.
        path: the file to write, whole or not at all: .png, .svg, .pdf.
        order: as in `channel_maps`.

    Raises:
        ValueError: as `channel_maps`, or for a file type that cannot be drawn.
        OSError: the file cannot be written.
    """
    path = Path(path)
    figure = channel_maps(probability, order)
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in kinds:
        raise ValueError(f"{path} cannot be drawn: its suffix {path.suffix!r} is not one of {', '.join(sorted(kinds))}")
    with write_whole(path) as temporary:
        figure.savefig(temporary)


def channel_maps(probability: Float[Tensor, "192"], order: str = "raster") -> "Figure":
    """How often each frequency channel was open: an 8 x 8 map for each of Y, Cb and Cr, bright where it was often.

    Vertical frequencies v run down and horizontal ones u run right, so that the mean of a block is at the top left.
    Each square carries its number within the component.

    Args:
        probability: 0 to 1 for each channel 64 * component + 8 v + u, as `ChannelGate.keep_probability` gives it.
        order: how squares are numbered: `"raster"`, 8 v + u as everywhere here, or `"zigzag"`, as in the paper's
            figures.

    Returns:
        A figure of its own, which pyplot does not know of.

    Raises:
        ValueError: for a value outside [0, 1], or an unknown order.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    values = probability.detach().cpu().double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(
            f"how often a channel is open is 0 to 1; got {float(values.min()):g} to {float(values.max()):g}"
        )
    numbers = _numbers(order)
    figure = Figure(figsize=(11, 4.1), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(COMPONENTS))
    colors = ScalarMappable(Normalize(0, 1), COLORS)
    for panel, component, squares in zip(panels, COMPONENTS, values.view(-1, 8, 8).tolist(), strict=True):
        panel.imshow(squares, norm=colors.norm, cmap=colors.cmap)
        panel.set(title=component, xlabel="horizontal frequency u", xticks=range(8), yticks=range(8))
        for v, row in enumerate(squares):
            for u, value in enumerate(row):
                ink = _readable_on([float(part) for part in colors.to_rgba(value)[:3]])
                panel.text(u, v, str(numbers[8 * v + u]), color=ink, ha="center", va="center", fontsize=8)
    panels[0].set_ylabel("vertical frequency v")
    figure.colorbar(colors, ax=panels, label="open, share of pictures", pad=0.01)
    return figure


def _numbers(order: str) -> list[int]:
    """What the square of each raster index is called."""
    if order == "raster":
        return list(range(64))
    if order == "zigzag":
        places = zigzag()
        return sorted(range(64), key=places.__getitem__)
    raise ValueError(f"order of the squares is raster or zigzag; got {order!r}")


def _readable_on(color: list[float]) -> str:
    """Black or white, whichever has more contrast on a color (relative luminance of WCAG 2.1)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"
