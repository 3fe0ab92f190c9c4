"""Computes the stages of each network in bands."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import DynamicFilter, LocalAvgPool2d, WindowModulation
from passband.models.bands.statistics import Map, MapWindow
from passband.models.bands.walk import Walk, band_of, convolve, reflected_band_of, rows_of
from passband.models.sfnet import ResidualBlock


def compute_stage(walk: Walk, stage: nn.Module, x: Map) -> Map:
    """Compute a stage in place.

    Args:
        walk: computation of the image.
        stage: stage of a network of three scales.
        x: input of the stage, which is changed.
    """
    for block in cast(nn.Sequential, stage):
        _modulated_block(walk, cast(ResidualBlock, block), x)
    return x


def loops_of(stage: nn.Module) -> float:
    """Return the number of loops over the bands of a map of the stage's size that computing the stage takes."""
    # the filters of a block loop over half of its channels each
    return sum(2 if cast(ResidualBlock, block).filters is None else 2.5 for block in cast(nn.Sequential, stage))


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
