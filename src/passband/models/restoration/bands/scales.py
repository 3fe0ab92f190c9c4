"""Computes the blocks of ConvIR in bands."""

from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from passband.layers.shape_filter import LineMean, MultiShapeFilter, ShapeFilter
from passband.models.restoration.bands.statistics import Extent, Map
from passband.models.restoration.bands.walk import Walk, band_of, convolve, reflected_band_of, rows_of
from passband.models.restoration.convir import POOLS, ConvBlock, MultiScaleFilter
from passband.ops.precision import computing_dtype, widened

SCALE_LOOPS = 3 * sum(1 / pool**2 for pool in POOLS)
"""Number of loops over the bands of a map that its multi-scale filter takes: three at each smaller size."""


def conv_block(walk: Walk, block: ConvBlock, x: Map) -> None:
    """Compute a residual block in place.

    Args:
        walk: computation of the image.
        block: the block.
        x: input of the block, to which its output is added.
    """
    y = walk.layer(x.shape, x.shape[1], lambda a, b: F.gelu(convolve(block.conv_in, band_of(x, a, b))))
    levels = [] if block.scales is None else _levels(walk, block.scales, y)
    height, extents = x.shape[-2], walk.statistics.extent(x)
    for start, end in walk.spans(height, x.shape[-1], x.shape[1]):
        if block.scales is None:
            band = band_of(y, start, end)
        else:
            # the rows that the second convolution reads, and those that the first one reads for these
            top, bottom = max(start - 1, 0), min(end + 1, height)
            first, last = max(top - 1, 0), min(bottom + 1, height)
            total = y[..., first:last, :]
            for level, own in levels:
                total = total + _enlarged(level, own, extents, first, last, x.shape[-1])
            joined = convolve(block.scales.join, rows_of(F.gelu(total), top - 1 - first, bottom + 1 - first))
            band = rows_of(joined, start - 1 - top, end + 1 - top)
        x[..., start:end, :] += convolve(block.conv_out, band)


def _levels(walk: Walk, scales: MultiScaleFilter, y: Map) -> list[tuple[Map, tuple[Extent, Extent]]]:
    """Return the filtered map at each smaller size, with its place in that of the whole image."""
    levels: list[tuple[Map, tuple[Extent, Extent]]] = []
    for pool, conv, multi_shape in zip(POOLS, scales.convs, scales.filters, strict=True):
        reduced = F.avg_pool2d(y, pool)
        own = walk.statistics.extent(reduced)
        make = partial(_convolved, cast(nn.Conv2d, conv), reduced, own, levels[-1:])
        convolved = walk.layer(reduced.shape, y.shape[1], make)
        del reduced, make
        levels.append((_multi_shape(walk, cast(MultiShapeFilter, multi_shape), convolved), own))
    return levels


def _convolved(
    conv: nn.Conv2d,
    x: Map,
    own: tuple[Extent, Extent],
    added: list[tuple[Map, tuple[Extent, Extent]]],
    start: int,
    end: int,
) -> Map:
    """Convolve rows of a map, to which smaller maps are added."""
    height, width = x.shape[-2:]
    first, last = max(start - 1, 0), min(end + 1, height)
    total = x[..., first:last, :]
    for level, place in added:
        total = total + _enlarged(level, place, own, first, last, width)
    return convolve(conv, rows_of(total, start - 1 - first, end + 1 - first))


def _multi_shape(walk: Walk, layer: MultiShapeFilter, x: Map) -> Map:
    """Apply a multi-shape filter."""
    square, across, down = layer.square, layer.across, layer.down
    average = walk.statistics.average(square.average, x).rows(0, 1)
    square_kernels, square_shift = square.kernels_for(average, through=layer.through), square.shift_for(average)
    kernels = across.kernels_for(walk.statistics.average(across.average, x).rows(0, 1))
    shift = across.shift_for(walk.statistics.lines(cast(LineMean, across.mean), x))

    def filter_across(start: int, end: int) -> Map:
        return _filter(across, x[..., start:end, :], kernels, shift[..., start:end, :])

    strips = walk.layer(x.shape, x.shape[1], filter_across)
    down_kernels = down.kernels_for(walk.statistics.average(down.average, strips).rows(0, 1), gain=layer.gain)
    down_shift = down.shift_for(walk.statistics.lines(cast(LineMean, down.mean), strips), gain=layer.gain)

    def add_both(start: int, end: int) -> Map:
        squared = _filter(square, reflected_band_of(x, start, end, square.dilation), square_kernels, square_shift)
        return squared + _filter(down, reflected_band_of(strips, start, end, down.dilation), down_kernels, down_shift)

    return walk.layer(x.shape, x.shape[1], add_both)


def _filter(layer: ShapeFilter, band: Map, kernels: Map, shift: Map) -> Map:
    """Filter rows that include the rows needed above and below."""
    across = layer.padding[:2]
    padded = F.pad(band, (*across, 0, 0), mode="reflect") if any(across) else band
    return layer.apply_kernels(padded, kernels, shift)


def _enlarged(
    x: Map, own: tuple[Extent, Extent], target: tuple[Extent, Extent], start: int, end: int, width: int
) -> Map:
    """Return rows of a map that is enlarged as `convir.enlarge` does, at its place in the map of the whole image.

    Args:
        x: map to enlarge.
        own: place of the map in that of the whole image.
        target: place of the enlarged map in that of the whole image.
        start: first row to return, in positions of the enlarged map.
        end: row after the last.
        width: width of the enlarged map.
    """
    x = _interpolated(x, -2, own[0], target[0], start, end)
    return _interpolated(x, -1, own[1], target[1], 0, width)


def _interpolated(x: Map, dim: int, own: Extent, target: Extent, start: int, end: int) -> Map:
    """Interpolate along one axis, between corners of the whole image that stay at the corners."""
    step = torch.tensor((own.whole - 1) / max(target.whole - 1, 1), dtype=computing_dtype(x))
    positions = step * (torch.arange(start, end) + target.start) - own.start
    # a part of the image lacks what lies beyond it, and repeats its last row instead
    positions = positions.clamp(0, x.shape[dim] - 1)
    before = positions.long()
    after = (before + 1).clamp(max=x.shape[dim] - 1)
    share = (positions - before).to(x.device)
    low, high = (widened(x.index_select(dim, numbers.to(x.device))) for numbers in (before, after))
    return torch.lerp(low, high, share[:, None] if dim == -2 else share).to(x.dtype)
