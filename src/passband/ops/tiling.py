"""Padding a picture to the sizes a network takes and cropping back; tiles that overlap and blend."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pad_to_multiple(
    image: Float[Tensor, "B C H W"], multiple: int, minimum: int = 0
) -> tuple[Float[Tensor, "B C h w"], tuple[int, int]]:
    """Pad at the bottom and right until both sides are multiples, by reflection where that is possible.

    Args:
        image: a picture of any size from 1 x 1.
        multiple: what the sides shall be divisible by, in pixels.
        minimum: the least side, in pixels; the padded one is a multiple all the same.

    Returns:
        The padded picture and the (height, width) to crop it back to. A side whose padding is as long as the side
        or longer has no reflection: there the last row or column is repeated.
    """
    height, width = image.shape[-2:]
    bottom, right = (-(-max(side, minimum) // multiple) * multiple - side for side in (height, width))
    for padding, side in (((0, 0, 0, bottom), height), ((0, right, 0, 0), width)):
        if any(padding):
            image = F.pad(image, padding, mode="reflect" if sum(padding) < side else "replicate")
    return image, (height, width)


def map_tiles(
    function: Callable[[Float[Tensor, "B C h w"]], Float[Tensor, "B D h w"]],
    image: Float[Tensor, "B C H W"],
    side: int,
    overlap: int,
) -> Float[Tensor, "B D H W"]:
    """Apply a function tile by tile, and blend what it gives where tiles overlap.

    The weights of a tile fall off linearly over the overlap. A function that looks only at a neighborhood smaller
    than the overlap still sees the tile's border there; the blend hides what that changes.

    Args:
        function: takes and gives tiles of one size.
        image: the picture.
        side: height and width of a tile in pixels; a side of the picture that is not longer is not cut.
        overlap: pixels that neighboring tiles share at least, 0 to side / 2.

    Returns:
        The blended picture. Where one tile covers the picture this is `function(image)`.

    Raises:
        ValueError: if the overlap does not fit the side.
    """
    if not 0 <= overlap <= side // 2:
        raise ValueError(f"the overlap of tiles is 0 to half their side of {side} pixels; got {overlap}")
    height, width = image.shape[-2:]
    rows, columns = _tile_spans(height, side, overlap), _tile_spans(width, side, overlap)
    if len(rows) == len(columns) == 1:
        return function(image)
    total, weights = None, image.new_zeros(height, width)
    for top, bottom in rows:
        for left, right in columns:
            out = function(image[..., top:bottom, left:right])
            down = _tile_weights(top, bottom, height, overlap)
            across = _tile_weights(left, right, width, overlap)
            weight = (down[:, None] * across).to(image)
            if total is None:
                total = out.new_zeros(*out.shape[:2], height, width)
            total[..., top:bottom, left:right] += out * weight
            weights[top:bottom, left:right] += weight
    assert total is not None
    return total / weights


def _tile_spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Starts and ends of as few tiles as cover a length with the overlap, evenly spread."""
    if length <= side:
        return [(0, length)]
    count = -(-(length - overlap) // (side - overlap))
    starts = [round(number * (length - side) / (count - 1)) for number in range(count)]
    return [(start, start + side) for start in starts]


def _tile_weights(start: int, end: int, length: int, overlap: int) -> Float[Tensor, " L"]:
    """Weights of a tile's rows or columns: 1, but falling towards a border that is not the picture's own."""
    position = torch.arange(start, end) + 0.5
    weights = torch.ones(end - start)
    if overlap and start > 0:
        weights = torch.minimum(weights, (position - start) / overlap)
    if overlap and end < length:
        weights = torch.minimum(weights, (end - position) / overlap)
    return weights
