"""Measures whether seams between tiles are visible: brightness steps at their borders against steps elsewhere."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from passband.ops.tiling import Tile


def seam_figure(tiled: Float[Tensor, "B C H W"], whole: Float[Tensor, "B C H W"], tiles: Sequence[Tile]) -> float:
    """Return the strength of steps across the borders of tiles, relative to the same image computed whole.

    Args:
        tiled: image that was computed in tiles.
        whole: the same image computed whole, which has edges of its own at these places.
        tiles: tiles from `ops.tiling.lay_tiles`, at least two.

    Returns:
        The seam ratio of `tiled` divided by that of `whole`: 1 if there are no seams.
    """
    return seam_ratio(tiled, tiles) / seam_ratio(whole, tiles)


def seam_ratio(image: Float[Tensor, "B C H W"], tiles: Sequence[Tile]) -> float:
    """Return the mean step between neighboring pixels across the borders of tiles, divided by the mean step elsewhere.

    Args:
        image: image that is not of a single color.
        tiles: tiles from `ops.tiling.lay_tiles`, at least two; the borders are the ends of their own parts.

    Raises:
        ValueError: if there is a single tile, which has no border.
    """
    across, elsewhere = [], []
    for dim, spans in ((-2, {tile.rows for tile in tiles}), (-1, {tile.columns for tile in tiles})):
        steps = image.double().diff(dim=dim).abs().movedim(dim, 0).flatten(1).mean(1)
        border = torch.zeros(len(steps), dtype=torch.bool)
        border[[span.own_start - 1 for span in spans if span.own_start]] = True
        across.append(steps[border])
        # each border is compared with steps in its own direction
        elsewhere.append(steps[~border].mean().expand(int(border.sum())))
    if not len(torch.cat(across)):
        raise ValueError("a seam needs two tiles at least; got one that covers the image")
    return (torch.cat(across).mean() / torch.cat(elsewhere).mean()).item()
