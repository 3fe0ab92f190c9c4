"""Pads images to the sizes that a network needs, and processes large images in overlapping tiles."""

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
    """Pad an image at the bottom and right until both sides are multiples of a number.

    Args:
        image: image of any size from 1 x 1.
        multiple: number by which the padded sides are divisible, in pixels.
        minimum: smallest padded side, in pixels.

    Returns:
        The padded image, and the (height, width) to which it must be cropped. Padding reflects the image. If the
        padding is at least as long as the side, the last row or column is repeated instead.

    Raises:
        ValueError: if the multiple is less than 1.
    """
    check_images(image, "pad_to_multiple")
    if multiple < 1:
        raise ValueError(f"pad_to_multiple needs a multiple of at least 1 pixel; got {multiple}")
    height, width = image.shape[-2:]
    bottom, right = (-(-max(side, minimum) // multiple) * multiple - side for side in (height, width))
    for padding, side in (((0, 0, 0, bottom), height), ((0, right, 0, 0), width)):
        if any(padding):
            image = F.pad(image, padding, mode="reflect" if sum(padding) < side else "replicate")
    return image, (height, width)


def pad_to_size(image: Float[Tensor, "B C H W"], height: int, width: int) -> Float[Tensor, "B C h w"]:
    """Pad an image at the bottom and right to a size, by reflections that are repeated as often as needed.

    Args:
        image: image of at least one pixel, which is not larger than the size.
        height: height of the padded image, in pixels.
        width: width of the padded image, in pixels.

    Returns:
        The image, of the given height and width.

    Raises:
        ValueError: if the image is larger than the size.
        TypeError: if the image is not a tensor of floating-point values.
    """
    check_images(image, "pad_to_size")
    if image.shape[-2] > height or image.shape[-1] > width:
        raise ValueError(
            f"pad_to_size needs an image of at most {width}x{height} pixels, got {image.shape[-1]}x{image.shape[-2]}"
        )
    for axis, length in ((-2, height), (-1, width)):
        side = image.shape[axis]
        if side < length:
            position = torch.arange(length, device=image.device) % max(1, 2 * (side - 1))
            image = image.index_select(axis, torch.minimum(position, 2 * (side - 1) - position))
    return image


def pad_to_fit(
    image: Float[Tensor, "B C H W"], multiple: int, minimum: int, size: tuple[int, int] | None
) -> Float[Tensor, "B C h w"]:
    """Pad an image at the bottom and right to the size that a network takes.

    Args:
        image: image of at least one pixel.
        multiple: number by which the sides of the padded image are divisible, without a size.
        minimum: smallest side of the padded image in pixels, without a size.
        size: height and width in pixels of the only images that the network takes; None for the next size that fits.

    Returns:
        The padded image. With a multiple and a minimum, it is padded as by `pad_to_multiple`, otherwise as by
        `pad_to_size`.

    Raises:
        ValueError: if the image is larger than the size.
    """
    return pad_to_multiple(image, multiple, minimum)[0] if size is None else pad_to_size(image, *size)


@dataclass(frozen=True)
class Span:
    """Rows or columns of a tile, from `start` to `end`. Those from `own_start` to `own_end` belong to this tile alone.

    The own parts of all tiles cover the image exactly once.
    """

    start: int
    end: int
    own_start: int
    own_end: int

    @property
    def size(self) -> int:
        """Number of rows or columns."""
        return self.end - self.start


@dataclass(frozen=True)
class Tile:
    """A part of an image that overlaps its neighbors."""

    rows: Span
    columns: Span

    def of(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Cut the tile out of an image.

        Args:
            image: image for which the tile was laid.

        Returns:
            A view of the tile. It is smaller where the tile extends beyond the image.
        """
        return image[..., self.rows.start : self.rows.end, self.columns.start : self.columns.end]


def lay_tiles(
    height: int,
    width: int,
    side: int | tuple[int, int],
    overlap: int,
    multiple: int = 1,
    *,
    border_multiple: int | None = None,
) -> list[Tile]:
    """Cover an image with as few evenly spaced tiles as possible.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        side: side of a square tile, or height and width of a tile, in pixels. A side of the image that is not longer is
            not divided.
        overlap: smallest overlap of neighboring tiles in pixels, 0 to side / 2.
        multiple: number whose multiples tiles begin and end at, in pixels. A network with strides then works at the
            same positions as on the whole image. The last tiles end where the padded image would end.
        border_multiple: number whose multiples the borders between the tiles' own parts are, in pixels; None for
            `multiple`. With 1, each border is exactly in the middle of the overlap.

    Raises:
        ValueError: if a side or a multiple is less than 1, if the overlap is more than half the side, or if side or
            overlap is not a multiple of `multiple`.
    """
    sides = (side, side) if isinstance(side, int) else side
    if min(*sides, multiple, 1 if border_multiple is None else border_multiple) < 1:
        raise ValueError(f"tiles need a side and a multiple of at least 1 pixel; got {side} and {multiple}")
    if not 0 <= overlap <= min(sides) // 2:
        raise ValueError(f"the overlap of tiles must be 0 to half their side of {side} pixels; got {overlap}")
    if any(number % multiple for number in (*sides, overlap)):
        raise ValueError(f"side and overlap of tiles must be multiples of {multiple}; got {side} and {overlap}")
    rows, columns = (
        _spans(length, part, overlap, multiple, border_multiple)
        for length, part in zip((height, width), sides, strict=True)
    )
    return [Tile(row, column) for row in rows for column in columns]


def blend_tiles(
    function: Callable[[Tile], Float[Tensor, "B D h w"]], tiles: list[Tile], height: int, width: int
) -> Float[Tensor, "B D H W"]:
    """Combine the results of all tiles to one image.

    Neighboring tiles are blended around the border between their own parts, over at most half of their overlap. The
    outer part of the overlap is not used, because results there lack context.

    Args:
        function: function that computes the result of a tile. The result may end where the image ends.
        tiles: tiles from `lay_tiles`.
        height: height of the image, in pixels.
        width: width of the image, in pixels.

    Returns:
        The combined image.
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
    side: int | tuple[int, int],
    overlap: int,
    multiple: int = 1,
    report: Report | None = None,
) -> Float[Tensor, "B D H W"]:
    """Apply a function tile by tile, and blend the results where tiles overlap.

    Args:
        function: function from a tile to a result of the same height and width.
        image: image to process.
        side: side of a square tile, or height and width of a tile, in pixels. A side of the image that is not longer is
            not divided.
        overlap: smallest overlap of neighboring tiles in pixels, 0 to side / 2. If the function's receptive field
            reaches less than a quarter of the overlap, the result equals that of the whole image.
        multiple: number whose multiples tiles begin and end at; see `lay_tiles`.
        report: function that is called after each tile with the finished share, 0 to 1.

    Returns:
        The blended result. If one tile covers the image, this is `function(image)`.

    Raises:
        ValueError: if overlap, side or multiple is invalid; see `lay_tiles`.
    """
    check_images(image, "map_tiles")
    height, width = image.shape[-2:]
    tiles = lay_tiles(height, width, side, overlap, multiple, border_multiple=1)
    done = 0

    def make(tile: Tile) -> Float[Tensor, "B D h w"]:
        nonlocal done
        result = function(tile.of(image))
        done += 1
        if report is not None:
            report(done / len(tiles))
        return result

    return blend_tiles(make, tiles, height, width)


def _spans(length: int, side: int, overlap: int, multiple: int, border_multiple: int | None = None) -> list[Span]:
    """Cover a length with as few evenly spaced spans as possible."""
    padded = -(-length // multiple) * multiple
    if padded <= side:
        return [Span(0, padded, 0, padded)]
    count = -(-(padded - overlap) // (side - overlap))
    starts = [number * (padded - side) // (count - 1) // multiple * multiple for number in range(count)]
    # The border between neighbors is in the middle of their overlap.
    unit = multiple if border_multiple is None else border_multiple
    borders = [(after + before + side) // 2 // unit * unit for before, after in pairwise(starts)]
    return [
        Span(start, start + side, own_start, own_end)
        for start, own_start, own_end in zip(starts, [0, *borders], [*borders, padded], strict=True)
    ]


def _weights(spans: list[Span]) -> list[Float[Tensor, " L"]]:
    """Return the weights of each span's rows or columns. At each position, the weights of all spans add to one."""
    weights = [torch.ones(span.size, dtype=torch.float64) for span in spans]
    for (before, left), (after, right) in pairwise(zip(spans, weights, strict=True)):
        border, shared = after.own_start, before.end - after.start
        if shared == 0:
            continue
        # The blend is at most as long as the tiles' own parts, so that three tiles are never blended at one place.
        own = min(before.own_end - before.own_start, after.own_end - after.own_start)
        reach = min(shared // 4, border - after.start, before.end - border, own // 2)
        position = torch.arange(after.start, before.end) + 0.5 - border
        rise = (position / (2 * reach) + 0.5).clamp(0, 1) if reach else (position > 0).double()
        right[:shared] *= rise
        left[-shared:] *= 1 - rise
    return weights
