"""Padding an image to the sizes a network takes and cropping back; tiles that overlap and blend."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_images
from passband.ops.progress import Report


def pad_to_multiple(
    image: Float[Tensor, "B C H W"], multiple: int, minimum: int = 0
) -> tuple[Float[Tensor, "B C h w"], tuple[int, int]]:
    """Pad at the bottom and right until both sides are multiples, by reflection where that is possible.

    Args:
        image: an image of any size from 1 x 1.
        multiple: what the sides shall be divisible by, in pixels.
        minimum: the least side, in pixels; the padded one is a multiple all the same.

    Returns:
        The padded image and the (height, width) to crop it back to. A side whose padding is as long as the side
        or longer has no reflection: there the last row or column is repeated.
    """
    check_images(image, "pad_to_multiple")
    height, width = image.shape[-2:]
    bottom, right = (-(-max(side, minimum) // multiple) * multiple - side for side in (height, width))
    for padding, side in (((0, 0, 0, bottom), height), ((0, right, 0, 0), width)):
        if any(padding):
            image = F.pad(image, padding, mode="reflect" if sum(padding) < side else "replicate")
    return image, (height, width)


@dataclass(frozen=True)
class Span:
    """Rows or columns of a tile: from `start` to `end`, of which those from `own_start` to `own_end` are its own.

    The own parts of all tiles cover the image once.
    """

    start: int
    end: int
    own_start: int
    own_end: int

    @property
    def size(self) -> int:
        """How many they are."""
        return self.end - self.start


@dataclass(frozen=True)
class Tile:
    """A part of an image that shares its borders with its neighbors."""

    rows: Span
    columns: Span

    def of(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """The part of an image, cut where the image ends before the tile does."""
        return image[..., self.rows.start : self.rows.end, self.columns.start : self.columns.end]


def lay_tiles(height: int, width: int, side: int, overlap: int, multiple: int = 1) -> list[Tile]:
    """As few tiles as cover an image, evenly spread.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        side: height and width of a tile in pixels; a side of the image that is not longer is not cut.
        overlap: pixels that neighboring tiles share at least, 0 to side / 2.
        multiple: tiles begin and end at multiples of this, so that what a network with strides does falls on the same
            positions as in the whole image. The last ones end where the image padded to a multiple would.

    Raises:
        ValueError: if the overlap does not fit the side, or either is no multiple.
    """
    if not 0 <= overlap <= side // 2:
        raise ValueError(f"the overlap of tiles is 0 to half their side of {side} pixels; got {overlap}")
    if side % multiple or overlap % multiple:
        raise ValueError(f"side and overlap of tiles are multiples of {multiple}; got {side} and {overlap}")
    rows, columns = (_spans(length, side, overlap, multiple) for length in (height, width))
    return [Tile(row, column) for row in rows for column in columns]


def blend_tiles(
    function: Callable[[Tile], Float[Tensor, "B D h w"]], tiles: list[Tile], height: int, width: int
) -> Float[Tensor, "B D H W"]:
    """Put an image together from its tiles.

    Where tiles overlap, the border between their own parts is blended over at most half of what they share, so that
    the rest, where a tile has seen too little around it, does not show.

    Args:
        function: makes a tile, which may end where the image does.
        tiles: from `lay_tiles`.
        height: of the image in pixels.
        width: of the image in pixels.
    """
    if len(tiles) == 1:
        return function(tiles[0])[..., :height, :width]
    total = None
    rows, columns = (
        sorted({span.start: span for span in spans}.values(), key=lambda span: span.start)
        for spans in ([tile.rows for tile in tiles], [tile.columns for tile in tiles])
    )
    down, across = (
        {span.start: weights for span, weights in zip(spans, _weights(spans), strict=True)} for spans in (rows, columns)
    )
    for tile in tiles:
        bottom, right = min(tile.rows.end, height), min(tile.columns.end, width)
        out = function(tile)[..., : bottom - tile.rows.start, : right - tile.columns.start]
        if total is None:
            total = out.new_zeros(*out.shape[:2], height, width)
        weight = down[tile.rows.start][:, None] * across[tile.columns.start]
        weight = weight[: out.shape[-2], : out.shape[-1]].to(out)
        total[..., tile.rows.start : bottom, tile.columns.start : right] += out * weight
    assert total is not None
    return total


def map_tiles(
    function: Callable[[Float[Tensor, "B C h w"]], Float[Tensor, "B D h w"]],
    image: Float[Tensor, "B C H W"],
    side: int,
    overlap: int,
    multiple: int = 1,
    report: Report | None = None,
) -> Float[Tensor, "B D H W"]:
    """Apply a function tile by tile, and blend what it gives where tiles overlap.

    Args:
        function: takes and gives tiles of one size.
        image: the image.
        side: height and width of a tile in pixels; a side of the image that is not longer is not cut.
        overlap: pixels that neighboring tiles share at least, 0 to side / 2. A function that looks less than a
            quarter of it far gives what it gives for the whole image.
        multiple: see `lay_tiles`.
        report: called after each tile with the share that is done.

    Returns:
        The blended image. Where one tile covers the image this is `function(image)`.

    Raises:
        ValueError: if the overlap does not fit the side.
    """
    check_images(image, "map_tiles")
    height, width = image.shape[-2:]
    tiles = lay_tiles(height, width, side, overlap, multiple)
    done = 0

    def make(tile: Tile) -> Float[Tensor, "B D h w"]:
        nonlocal done
        made = function(tile.of(image))
        done += 1
        if report is not None:
            report(done / len(tiles))
        return made

    return blend_tiles(make, tiles, height, width)


def _spans(length: int, side: int, overlap: int, multiple: int) -> list[Span]:
    """Spans of as few tiles as cover a length with the overlap, evenly spread."""
    padded = -(-length // multiple) * multiple
    if padded <= side:
        return [Span(0, padded, 0, padded)]
    count = -(-(padded - overlap) // (side - overlap))
    starts = [number * (padded - side) // (count - 1) // multiple * multiple for number in range(count)]
    # neighbors part in the middle of what they share
    borders = [(after + before + side) // 2 // multiple * multiple for before, after in pairwise(starts)]
    return [
        Span(start, start + side, own_start, own_end)
        for start, own_start, own_end in zip(starts, [0, *borders], [*borders, padded], strict=True)
    ]


def _weights(spans: list[Span]) -> list[Float[Tensor, " L"]]:
    """Weights of the spans' rows or columns; those of all spans add to one everywhere."""
    weights = [torch.ones(span.size, dtype=torch.float64) for span in spans]
    for (before, left), (after, right) in pairwise(zip(spans, weights, strict=True)):
        border, shared = after.own_start, before.end - after.start
        if shared == 0:
            continue
        # no longer than the tiles' own parts, so that never three tiles blend at one place
        own = min(before.own_end - before.own_start, after.own_end - after.own_start)
        reach = min(shared // 4, border - after.start, before.end - border, own // 2)
        position = torch.arange(after.start, before.end) + 0.5 - border
        rise = (position / (2 * reach) + 0.5).clamp(0, 1) if reach else (position > 0).double()
        right[:shared] *= rise
        left[-shared:] *= 1 - rise
    return weights
