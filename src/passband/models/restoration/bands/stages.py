"""Computes the stages of each network in bands."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import DynamicFilter, LocalAvgPool2d, WindowModulation
from passband.models.restoration.bands.scales import SCALE_LOOPS, conv_block
from passband.models.restoration.bands.statistics import Map, MapWindow
from passband.models.restoration.bands.walk import Walk, band_of, convolve, reflected_band_of, rows_of
from passband.models.restoration.convir import ConvBlock
from passband.models.restoration.fsnet import UStage
from passband.models.restoration.sfnet import ResidualBlock


def compute_stage(walk: Walk, stage: nn.Module, x: Map) -> Map:
    """Compute a stage, in place if its blocks are in a row.

    Args:
        walk: computation of the image.
        stage: stage of a network of three scales.
        x: input of the stage, which may be changed.
    """
    if isinstance(stage, UStage):
        return _u_stage(walk, stage, x)
    for block in cast(nn.Sequential, stage):
        _block(walk, block, x)
    return x


def loops_of(stage: nn.Module) -> float:
    """Return the number of loops over the bands of a map of the stage's size that computing the stage takes.

    Args:
        stage: stage of the network: a `UStage`, or a sequence of blocks.

    Returns:
        The number of loops; a loop at half the size counts as a quarter, so that it may be a fraction.
    """
    if isinstance(stage, UStage):
        blocks = [_block_loops(block) for block in stage.blocks]
        halved = sum(blocks[number] for number in stage.halved) + 1  # the map is halved in a loop of its own
        return sum(blocks) - (halved - 1) + halved / 4 + 1
    return sum(_block_loops(block) for block in cast(nn.Sequential, stage))


def _block_loops(block: nn.Module) -> float:
    """Return the number of loops over the bands of a map that a residual block takes."""
    if isinstance(block, ConvBlock):
        return 2 if block.scales is None else 2 + SCALE_LOOPS
    # the filters of a block loop over half of its channels each
    return 2 if cast(ResidualBlock, block).filters is None else 2.5


def _block(walk: Walk, block: nn.Module, x: Map) -> None:
    """Compute a residual block in place."""
    if isinstance(block, ConvBlock):
        conv_block(walk, block, x)
    else:
        _modulated_block(walk, cast(ResidualBlock, block), x)


def _u_stage(walk: Walk, stage: UStage, x: Map) -> Map:
    """Compute a stage of FSNet at full size, to the end of which its input is added."""
    y, skip = x.clone(), x
    for number, block in enumerate(stage.blocks):
        if number == stage.halved.start:
            skip, y = y, _halve(walk, stage.down, y)
        if number == stage.halved.stop:
            y = _join(walk, stage.join, y, skip)
        _block(walk, block, y)
    return y.add_(x)


def _halve(walk: Walk, down: nn.Conv2d, x: Map) -> Map:
    """Halve a map by the convolution of a stage."""
    height, width = (side // 2 for side in x.shape[-2:])
    return walk.layer((height, width), x.shape[1], lambda a, b: convolve(down, x[..., 2 * a : 2 * b, :]))


def _join(walk: Walk, join: nn.Conv2d, x: Map, skip: Map) -> Map:
    """Enlarge a map to the size of another one, and join both, in place of the other one."""
    height, width = skip.shape[-2:]
    for start, end in walk.spans(height, width, skip.shape[1]):
        top, bottom = max(start // 2 - 1, 0), min(-(-end // 2) + 1, height // 2)
        rows = x[..., top:bottom, :]
        enlarged = F.interpolate(rows, (2 * (bottom - top), width), mode="bilinear", align_corners=False)
        enlarged = enlarged[..., start - 2 * top : end - 2 * top, :]
        skip[..., start:end, :] = join(torch.cat([enlarged, skip[..., start:end, :]], dim=1))
    return skip


def _modulated_block(walk: Walk, block: ResidualBlock, x: Map) -> None:
    """Compute a residual block in place."""
    y = walk.layer(x.shape, x.shape[1], lambda a, b: F.gelu(convolve(block.conv_in, band_of(x, a, b))))
    first, second = y.chunk(2, dim=1)
    del y
    if block.filters is not None:
        first = _filter(walk, cast(DynamicFilter, block.filters[0]), first)
        second = _filter(walk, cast(DynamicFilter, block.filters[1]), second)
    average = walk.statistics.average(cast(LocalAvgPool2d, block.modulate_global.pool), first)
    modulation = block.modulate_window
    blended = walk.statistics.blended_windows(modulation, second) if modulation.blended else None
    windows = [] if blended else walk.statistics.windows(modulation, second)
    height = x.shape[-2]
    for start, end in walk.spans(height, x.shape[-1], x.shape[1]):
        top, bottom = max(start - 1, 0), min(end + 1, height)
        if blended:
            rows, down = second[..., top:bottom, :], blended.down[:, top:bottom]
            quarters = modulation.modulate_blended(rows, blended.averages, down, blended.across)
        else:
            quarters = _modulate_windows(modulation, second, windows, top, bottom)
        whole = block.modulate_global.modulate(first[..., top:bottom, :], average.rows(top, bottom))
        z = torch.cat([whole, quarters], dim=1)
        x[..., start:end, :] += convolve(block.conv_out, rows_of(z, start - 1 - top, end + 1 - top))


def _filter(walk: Walk, layer: DynamicFilter, x: Map) -> Map:
    """Apply a dynamic filter, in place if its attention is global.

    Otherwise the result is a new map, because the windows of later bands still read the old one.
    """
    kernels = layer.kernels_for(walk.statistics.average(layer.average, x).rows(0, 1))
    pooled = walk.statistics.average(cast(LocalAvgPool2d, layer.modulator.pool), x)
    halo, height = layer.kernel_size // 2, x.shape[-2]
    spans = walk.spans(height, x.shape[-1], x.shape[1])
    if not pooled.is_global:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        for start, end in spans:
            low = layer.apply_kernels(_reflected(reflected_band_of(x, start, end, halo), halo), kernels)
            weights = layer.modulator.attention(pooled.rows(start, end))
            out[..., start:end, :] = layer.modulator.blend(x[..., start:end, :], low, *weights)
        return out
    folded = layer.fold(kernels, *layer.modulator.attention(pooled.rows(0, 1)))
    above = x[..., :0, :]
    for start, end in spans:
        # the rows above have been replaced: the filter reads their copies
        band = torch.cat([above, x[..., start : min(end + halo, height), :]], dim=-2)
        above = x[..., end - halo : end, :].clone()
        outside = (0, 0, max(halo - start, 0), max(end + halo - height, 0))
        band = F.pad(band, outside, mode="reflect") if any(outside) else band
        x[..., start:end, :] = layer.modulator.join(layer.apply_kernels(_reflected(band, halo), folded))
    return x


def _modulate_windows(
    modulation: WindowModulation, x: Map, windows: list[MapWindow], start: int, end: int
) -> Float[Tensor, "1 C _ W"]:
    """Compute rows of a map after window modulation."""
    out = torch.empty_like(x[..., start:end, :], memory_format=torch.contiguous_format)
    for window in windows:
        top, bottom = max(start, window.rows[0]), min(end, window.rows[1])
        if top >= bottom:
            continue
        columns = slice(*window.columns)
        average = window.pooled.rows(top - window.rows[0], bottom - window.rows[0])
        part = modulation.modulate_window(x[..., top:bottom, columns], average, window.place)
        out[..., top - start : bottom - start, columns] = part
    return out


def _reflected(band: Map, halo: int) -> Map:
    """Reflect columns at both sides."""
    return F.pad(band, (halo, halo, 0, 0), mode="reflect")
