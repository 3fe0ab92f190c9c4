"""Draws the frequency channels of an image as mosaics of small images."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, QUIET, STYLE, TITLE, new_chart
from passband.drawing.frequencies.spectrum import shrunk
from passband.drawing.zoom import magnified

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = {"Y": "Brightness (Y)", "Cb": "Blue (Cb)", "Cr": "Red (Cr)"}
"""Labels of the mosaics by the name of their component."""
BLOCK = 8
STRONGEST = 128.0
"""Magnitude of a coefficient that is drawn white; 0 is drawn black."""
TILE = 64
"""Longest side of a channel in a mosaic, in pixels."""
FRAME = 2
"""Width of the frame around a channel in pixels."""
CHOSEN = (0.337, 0.706, 0.914)
"""Color of the frames of chosen channels: sky blue of the palette, which does not occur among grays."""
GROUND = 0.12
"""Gray between the channels."""
DIMMED = 0.45
"""Brightness of channels that are not chosen, against chosen ones."""


def channel_mosaic(
    channels: Float[Tensor, "64 h w"], chosen: Collection[int] | None = range(64), tile: int = TILE
) -> Float[Tensor, "3 H W"]:
    """Arrange the 64 frequency channels of one component as a mosaic.

    Vertical frequencies v increase downward, and horizontal frequencies u increase to the right. The lowest channel is
    shown as the small gray image that it is. The others show the magnitude of their coefficients on a logarithmic
    scale, log(1 + magnitude), the same for all: black for 0, white for 128 or more.

    Args:
        channels: coefficients of the component in the units of a JPEG file, channel 8 v + u.
        chosen: numbers from 0 to 63 of the channels that are bright and have a frame. The others are dimmed. With None,
            all are bright, and none has a frame.
        tile: longest side of a channel in pixels. Larger channels are averaged, and smaller ones are enlarged by a
            whole factor.

    Returns:
        RGB image in [0, 1], whose cells have the sides of `mosaic_cell`.
    """
    lowest = ((channels[:1] / BLOCK + 128) / 255).clamp(0, 1)
    magnitude = _fitted(channels[1:].abs(), tile).log1p() / torch.tensor(STRONGEST).log1p()
    tiles = torch.cat([_fitted(lowest, tile), magnitude.clamp(max=1)]).float()
    framed = torch.tensor([number in (chosen or ()) for number in range(BLOCK * BLOCK)], device=channels.device)
    if chosen is not None:
        tiles = torch.where(framed[:, None, None], tiles, DIMMED * tiles)
    frames = torch.where(framed[:, None], tiles.new_tensor(CHOSEN), tiles.new_tensor([GROUND] * 3))
    height, width = tiles.shape[-2:]
    edge = FRAME + 1
    cells = tiles.new_full((BLOCK * BLOCK, 3, height + 2 * edge, width + 2 * edge), GROUND)
    cells[..., 1:-1, 1:-1] = frames[..., None, None]
    cells[..., edge:-edge, edge:-edge] = tiles[:, None]
    return cells.unflatten(0, (BLOCK, BLOCK)).permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2, 3)


def mosaic_cell(height: int, width: int, tile: int = TILE) -> tuple[int, int]:
    """Return the height and the width of a cell of a mosaic in pixels, to find the channel at a position.

    Args:
        height: height of a channel in coefficients.
        width: width of a channel in coefficients.
        tile: longest side of a channel in pixels, as in `channel_mosaic`.
    """
    small = _fitted(torch.zeros(1, height, width), tile).shape[-2:]
    return small[0] + 2 * (FRAME + 1), small[1] + 2 * (FRAME + 1)


def mosaic_figure(
    cube: Float[Tensor, "192 h w"],
    chosen: Collection[int],
    stored: Sequence[bool],
    image: Float[Tensor, "3 H W"],
    rebuilt: Float[Tensor, "3 H W"],
    title: str,
    text: str,
) -> "Figure":
    """Draw the mosaics of Y, Cb and Cr, the image, and the image of the chosen channels.

    Args:
        cube: coefficients, channel 64 component + 8 v + u.
        chosen: numbers of the chosen channels, 0 to 191.
        stored: whether the source holds each channel.
        image: image of all channels, RGB in [0, 1].
        rebuilt: image of the chosen channels, RGB in [0, 1].
        title: the result in a sentence.
        text: further sentences below the title.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    shape = min(1.6, max(0.5, cube.shape[-2] / cube.shape[-1]))
    with rc_context(STYLE):
        figure = new_chart(15, 5 * shape + 6.4 * min(shape, 1.0) + 1.6)
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE + 1, fontweight="bold")
        heights = [5 * shape + 0.9, 6.4 * min(shape, 1.0) + 0.5]
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        for number, (panel, label) in enumerate(zip(top.subplots(1, 3), COMPONENTS.values(), strict=True)):
            own = range(64 * number, 64 * number + 64)
            _draw_mosaic(panel, cube[own.start : own.stop], {n - own.start for n in chosen if n in own}, label)
            if not all(stored[n] for n in own):
                panel.set_title("the file stores only coarse color", loc="right", fontsize=NOTE, color=QUIET)
        for panel, shown, label in zip(
            bottom.subplots(1, 2),
            (image, rebuilt),
            ("Image of all channels", "Image of the framed channels"),
            strict=True,
        ):
            panel.imshow(shrunk(shown).clamp(0, 1).movedim(0, -1).cpu().numpy())
            panel.set_title(label, loc="left", fontsize=NOTE + 1.5, fontweight="bold")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        figure.supxlabel(
            f"{text}\nEach small image shows where one pattern occurs: bright is strong. Framed: the chosen channels.",
            x=0.012, ha="left", fontsize=NOTE + 0.5, color=QUIET,
        )  # fmt: skip
        return figure


def _draw_mosaic(panel: Any, channels: Float[Tensor, "64 h w"], chosen: Collection[int], label: str) -> None:
    """Draw the mosaic of one component with its frequencies along the axes."""
    mosaic = channel_mosaic(channels, chosen)
    height, width = (side / BLOCK for side in mosaic.shape[-2:])
    panel.imshow(mosaic.movedim(0, -1).cpu().numpy(), interpolation="antialiased")
    places = [number + 0.5 for number in range(BLOCK)]
    panel.set_xticks([width * place - 0.5 for place in places], [str(number) for number in range(BLOCK)])
    panel.set_yticks([height * place - 0.5 for place in places], [str(number) for number in range(BLOCK)])
    panel.tick_params(colors=QUIET, length=0)
    panel.spines[:].set_visible(False)
    panel.set_title(label, loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    panel.set_xlabel("horizontal frequency u (coarse to fine)", color=QUIET, fontsize=NOTE)
    panel.set_ylabel("vertical frequency v", color=QUIET, fontsize=NOTE)


def _fitted(images: Float[Tensor, "K h w"], tile: int) -> Float[Tensor, "K H W"]:
    """Shrink images to a longest side by averaging, or enlarge them by a whole factor."""
    longest = max(images.shape[-2:])
    if longest > tile:
        return shrunk(images, tile)
    return magnified(images, tile // longest)
