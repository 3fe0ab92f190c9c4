"""Draws the filters that a network chose for an image: kernels, frequency responses and attention, block by block."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, PALETTE, QUIET, STYLE, TITLE, new_chart
from passband.drawing.frequencies.spectrum import shrunk

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = "cividis"
"""Color map of kernels, from dark (no weight) to bright (all weight)."""
PARTS = {"low": PALETTE[0], "high": PALETTE[1]}
"""Colors of the low (coarse) and the high (fine) part."""
GROUP_ROWS = 2
"""Number of rows in which the kernels of the groups are arranged."""
ROOM = 0.38
"""Least share of a bar that has a label."""
ROW = 1.75
"""Height of the row of a block in inches."""


def kernel_mosaic(kernels: Float[Tensor, "G k k"]) -> Float[Tensor, "H W"]:
    """Arrange the kernels of all groups in two rows, with a gap of NaN between them.

    Args:
        kernels: one kernel for each group.

    Returns:
        Kernels in columns of `GROUP_ROWS`, with NaN between them and in empty places.
    """
    columns = -(-len(kernels) // GROUP_ROWS)
    missing = GROUP_ROWS * columns - len(kernels)
    cells = torch.cat([kernels, kernels.new_full((missing, *kernels.shape[1:]), float("nan"))])
    cells = F.pad(cells, (0, 1, 0, 1), value=float("nan"))
    return cells.unflatten(0, (GROUP_ROWS, columns)).permute(0, 2, 1, 3).flatten(2).flatten(0, 1)[:-1, :-1]


def filters_figure(
    filters: Sequence[Mapping[str, Any]],
    radii: Float[Tensor, " R"],
    image: Float[Tensor, "3 H W"],
    title: str,
    text: str,
) -> "Figure":
    """Draw a row for each block with the kernels, the frequency responses and the attention of its filters.

    Args:
        filters: a mapping for each filter, in the order of the network: the name of its `block`, its `kernels` (G k k),
            its `responses` (G R), and its `attention` (shares of the low and of the high part).
        radii: radii of the responses, as shares of the Nyquist frequency of the map.
        image: analyzed part of the image, RGB in [0, 1].
        title: the result in a sentence.
        text: further sentences below the title.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    blocks = [(name, list(group)) for name, group in groupby(filters, key=lambda one: one["block"])]
    most = max(len(group) for _, group in blocks)
    with rc_context(STYLE):
        figure = new_chart(15, ROW * len(blocks) + 2.6)
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE + 1, fontweight="bold")
        figure.supxlabel(_legend(text), x=0.012, ha="left", fontsize=NOTE + 0.5, color=QUIET)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.9, 13])[0]
        _draw_image(left, image, len(blocks))
        widths = [0.8, 1.75, 1.9] * most + [1.7]
        grid = right.subplots(len(blocks), len(widths), squeeze=False, width_ratios=widths)
        for number, (name, group) in enumerate(blocks):
            _draw_block(grid[number], name, group, radii, most, is_last=number == len(blocks) - 1)
        return figure


def _legend(text: str) -> str:
    """Return the sentences below the figure."""
    return (
        f"{text}\nEach kernel averages neighbors: one bright square lets everything through, an even square blurs. "
        "Response: the share of each frequency that stays in the low part.\n"
        "Attention: the weight that the network gives to the low (coarse) and to the high (fine) part afterwards."
    )


def _draw_image(side: Any, image: Float[Tensor, "3 H W"], rows: int) -> None:
    """Draw the image at the top left."""
    panels = side.subplots(rows, 1, squeeze=False)[:, 0]
    panels[0].imshow(shrunk(image, 256).clamp(0, 1).movedim(0, -1).cpu().numpy())
    panels[0].set_title("image", loc="left", fontsize=NOTE + 1.5, fontweight="bold")
    for panel in panels:
        panel.axis("off")


def _draw_block(
    panels: Any,
    name: str,
    group: Sequence[Mapping[str, Any]],
    radii: Float[Tensor, " R"],
    most: int,
    *,
    is_last: bool,
) -> None:
    """Draw the row of a block."""
    for number in range(most):
        mean, every, response = panels[3 * number : 3 * number + 3]
        if number >= len(group):
            for panel in (mean, every, response):
                panel.axis("off")
            continue
        one = group[number]
        kernels, side = one["kernels"], one["kernels"].shape[-1]
        for panel, values in ((mean, kernels.mean(0)), (every, kernel_mosaic(kernels))):
            panel.imshow(values.cpu().numpy(), cmap=COLORS, vmin=0, vmax=float(values.nan_to_num().max()))
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        mean.set_title(f"{side}x{side}, mean", loc="left", fontsize=NOTE - 0.5, color=QUIET)
        every.set_title(f"its {len(kernels)} groups", loc="left", fontsize=NOTE - 0.5, color=QUIET)
        _draw_response(response, one["responses"], radii, is_last=is_last)
    panels[0].set_ylabel(name.replace(", ", ",\n"), fontsize=NOTE, rotation=0, ha="right", va="center", labelpad=8)
    _draw_attention(panels[-1], group, is_last=is_last)


def _draw_response(panel: Any, responses: Float[Tensor, "G R"], radii: Float[Tensor, " R"], *, is_last: bool) -> None:
    """Draw the response of each group and their mean."""
    for curve in responses.cpu().numpy():
        panel.plot(radii.numpy(), curve, color=PARTS["low"], alpha=0.3, linewidth=0.8)
    panel.plot(radii.numpy(), responses.mean(0).cpu().numpy(), color=PARTS["low"], linewidth=1.8)
    panel.set(xlim=(0, 1.42), ylim=(min(-0.05, float(responses.min()) - 0.05), 1.05), yticks=[0, 0.5, 1])
    panel.set_xticks([0, 0.5, 1], ["0", "1/2", "Nyquist"] if is_last else ["", "", ""])
    panel.set_title("response", loc="left", fontsize=NOTE - 0.5, color=QUIET)
    panel.grid(color="0.93")
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET, labelsize=NOTE - 2, length=2)


def _draw_attention(panel: Any, group: Sequence[Mapping[str, Any]], *, is_last: bool) -> None:
    """Draw the shares of the attention as a bar for each filter."""
    for place, one in enumerate(group):
        low, high = one["attention"]
        panel.barh(place, low, color=PARTS["low"], height=0.62)
        panel.barh(place, high, left=low, color=PARTS["high"], height=0.62)
        texts = ((low, low / 2, "low", "white"), (high, low + high / 2, "high", "black"))
        for share, middle, label, ink in texts:
            if share >= ROOM:
                text = f"{label} {100 * share:.0f} %"
                panel.text(middle, place, text, ha="center", va="center", fontsize=NOTE - 2, color=ink)
    sizes = [f"{one['kernels'].shape[-1]}x{one['kernels'].shape[-1]}" for one in group]
    panel.set_yticks(range(len(group)), sizes)
    panel.set(xlim=(0, 1), ylim=(len(group) - 0.5, -0.5))
    panel.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"] if is_last else ["", "", ""])
    panel.set_title("attention", loc="left", fontsize=NOTE - 0.5, color=QUIET)
    panel.axvline(0.5, color="white", linewidth=1)
    panel.tick_params(colors=QUIET, labelsize=NOTE - 2, length=0)
    panel.spines[:].set_visible(False)
