"""Computes SFNet band by band: the same outputs with a fraction of the memory.

A layer needs a few rows around those that it computes, so each layer is computed a band of rows at a time. Averages
over a map are complete when the last band of the layer before has been computed. These maps are in memory at once: a
block's input, to which its output is added in place, one map between the two halves of a block, and the maps that the
decoder needs. All other maps are a band high. Shallow features are computed twice, for their statistics and for their
use, and never stored.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import DynamicFilter, LocalAvgPool2d, WindowModulation
from passband.layers.modulation import window_shares
from passband.layers.pooled import Global, Local, Pooled
from passband.models.sfnet import ResidualBlock, SFNet, mean_view
from passband.ops.progress import Report, part_of

BAND_VALUES = 2**20
"""Number of values of a map in one band: 4 MB of float32. Larger bands are no faster and fragment the memory."""
LEAST_ROWS = 8
"""Least number of rows of a band, however wide the image is."""

Map = Float[Tensor, "1 _ _ _"]


class BlendedWindows:
    """Averages of all windows of a map whose modulation is blended, and their shares at each position.

    Args:
        averages: average of each window.
        down: share of each row of windows in each row of the map.
        across: share of each column of windows in each column of the map.
    """

    def __init__(
        self,
        averages: Float[Tensor, "1 C rows columns"],
        down: Float[Tensor, "rows H"],
        across: Float[Tensor, "columns W"],
    ):
        self.averages, self.down, self.across = averages, down, across


class MapWindow:
    """A part of a map that belongs to one window of window modulation.

    Args:
        rows: first row and the row after the last, in positions of the map.
        columns: first column and the column after the last.
        place: row and column of the window in the image.
        pooled: pooled map of the part; its row 0 is the part's first.
    """

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int], place: tuple[int, int], pooled: Pooled):
        self.rows, self.columns, self.place, self.pooled = rows, columns, place, pooled


@runtime_checkable
class MapStatistics(Protocol):
    """The source of the averages of maps, for a network that runs in bands."""

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """Return the pooled map."""
        ...

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Return the windows that cover the map, with their pooled maps."""
        ...

    def blended_windows(self, modulation: WindowModulation, x: Map) -> BlendedWindows:
        """Return the averages of all windows of a map whose modulation is blended."""
        ...

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Return the mean and the variance of a map whose bands come from top to bottom, in float32."""
        ...


class OwnStatistics:
    """The averages of the maps themselves, which equal those of the network on the whole image."""

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """Return the pooled map by the layer's own rule."""
        window = pool.window_for(*x.shape[-2:])
        return Global(pool(x)) if window is None else Local(x, window)

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Return windows of equal size, each pooled alone."""
        count = modulation.windows
        height, width = (side // count for side in x.shape[-2:])
        pool = cast(LocalAvgPool2d, modulation.pool)
        window, parts = pool.window_for(height, width), modulation.split(x)
        means = pool(parts) if window is None else parts
        windows = []
        for row, column in product(range(count), repeat=2):
            pooled = Local(parts[:, :, row, column], window) if window else Global(means[:, :, row, column])
            rows, columns = (row * height, (row + 1) * height), (column * width, (column + 1) * width)
            windows.append(MapWindow(rows, columns, (row, column), pooled))
        return windows

    def blended_windows(self, modulation: WindowModulation, x: Map) -> BlendedWindows:
        """Return windows of equal size that cover the map."""
        down, across = (window_shares(modulation.windows, side).to(x.device) for side in x.shape[-2:])
        return BlendedWindows(modulation.pool(modulation.split(x))[..., 0, 0], down, across)

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Merge the mean and the variance of the bands."""
        moments = Moments()
        for band in bands:
            moments.add(band)
        return moments.mean, moments.variance


class Moments:
    """Mean and variance per channel of values that come in parts (Chan et al., 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.squares: Tensor = torch.zeros(())

    def add(self, part: Map) -> None:
        """Add more positions."""
        count = part.shape[-2] * part.shape[-1]
        variance, mean = torch.var_mean(part.float(), dim=(0, -2, -1), correction=0)
        total, change = self.count + count, mean - self.mean.to(mean)
        self.squares = self.squares.to(mean) + variance * count + change**2 * (self.count * count / total)
        self.mean = self.mean.to(mean) + change * (count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Variance of the values, with their number as divisor."""
        return self.squares / self.count


@torch.no_grad()
def restore_in_bands(
    model: SFNet,
    image: Float[Tensor, "B C H W"],
    *,
    rows: int | None = None,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore images one by one, each layer a band of rows at a time.

    Args:
        model: network in evaluation mode.
        image: degraded images in [0, 1], H and W divisible by 8 and at least 16.
        rows: height of a band at full size, even; None uses `BAND_VALUES`. Lower bands take less memory and more time.
        statistics: source of averages; None uses those of each image.
        report: function that is called after each band with the share of the work that is done.

    Returns:
        The full-size prediction, not clamped; it equals `model(image)[-1]` up to rounding.

    Raises:
        ValueError: if the network is in training mode, or the size or the height of bands does not fit.
    """
    if model.training:
        raise ValueError("restore_in_bands needs a network in evaluation; call model.eval() first")
    if rows is not None and (rows < 4 or rows % 2):
        raise ValueError(f"bands are an even number of rows, at least 4; got {rows}")
    model.check_size(*image.shape[-2:])

    def restore(number: int) -> Float[Tensor, "1 3 H W"]:
        one = part_of(report, number / len(image), (number + 1) / len(image))
        return _Walk(model, rows, statistics or OwnStatistics(), one).restore(image[number : number + 1])

    return torch.cat([restore(number) for number in range(len(image))]) if len(image) > 1 else restore(0)


class _Walk:
    """The computation of one image."""

    def __init__(self, model: SFNet, rows: int | None, statistics: MapStatistics, report: Report | None = None):
        self.model, self.rows, self.statistics, self.report = model, rows, statistics, report
        self.done, self.all = 0.0, 1.0

    def restore(self, image: Map) -> Float[Tensor, "1 3 H W"]:
        model = self.model
        self.done, self.all = 0.0, _work(model, *image.shape[-2:])
        stem = cast(nn.Conv2d, model.stem[0])
        full = self.layer(image.shape, stem.out_channels, lambda a, b: F.gelu(_conv(stem, _band(image, a, b, 1))))
        self.stage(model.encoder[0], full)
        half = self.enter(1, full, image[..., ::2, ::2])
        self.stage(model.encoder[1], half)
        quarter = self.enter(2, half, image[..., ::4, ::4])
        self.stage(model.encoder[2], quarter)

        self.stage(model.decoder[2], quarter)
        self.leave(1, quarter, half)
        del quarter
        self.stage(model.decoder[1], half)
        self.leave(0, half, full)
        del half
        self.stage(model.decoder[0], full)
        head = cast(nn.Conv2d, model.head[0])
        return self.layer(
            image.shape, 3, lambda a, b: _conv(head, _band(full, a, b, 1)) + mean_view(image[..., a:b, :])
        )

    def layer(self, shape: tuple[int, ...], channels: int, make: Callable[[int, int], Tensor]) -> Map:
        """Compute a map from its bands, with the size of `shape` and the dtype that `make` returns."""
        out = None
        for start, end in self.spans(shape[-2], shape[-1], channels):
            band = make(start, end)
            if out is None:
                out = band.new_empty(1, channels, *shape[-2:])
            out[..., start:end, :] = band
        assert out is not None
        return out

    def spans(self, height: int, width: int, channels: int) -> Iterator[tuple[int, int]]:
        """Iterate over starts and ends of bands; the starts are even. A band is done when the next one is requested."""
        rows = self.rows or max(LEAST_ROWS, BAND_VALUES // (width * channels) // 2 * 2)
        for start in range(0, height, rows):
            end = min(start + rows, height)
            yield start, end
            if self.report is not None:
                self.done += (end - start) * width * channels**2
                self.report(min(self.done / self.all, 1.0))

    def enter(self, scale: int, above: Map, image: Map) -> Map:
        """Compute the first map of a stage of the encoder: half the one above, fused with the shallow features."""
        stem, fuse = cast(nn.Conv2d, self.model.stem[scale]), cast(nn.Conv2d, self.model.fuse[scale - 1])
        shallow = cast(nn.Sequential, self.model.shallow[scale - 1])
        norm = cast(nn.InstanceNorm2d, shallow[-1])
        height, width = image.shape[-2:]
        spans = self.spans(height, width, fuse.out_channels)
        mean, variance = self.statistics.spread(norm, (_shallow(shallow, image, a, b) for a, b in spans))

        def make(start: int, end: int) -> Tensor:
            top, bottom = max(start - 1, 0), min(end + 1, height)
            # row r of the stem reads rows 2 r - 1 to 2 r + 1 above, of which the last one is never below the map
            x = F.gelu(_conv(stem, _rows(above, 2 * top - 1, 2 * bottom)))
            features = F.batch_norm(
                _shallow(shallow, image, top, bottom), mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps
            )
            return _conv(fuse, _rows(torch.cat([x, features], dim=1), start - 1 - top, end + 1 - top))

        return self.layer(image.shape, fuse.out_channels, make)

    def leave(self, scale: int, below: Map, skip: Map) -> None:
        """Compute the first map of a stage of the decoder, in place of the map that the encoder stored for it."""
        grow, merge = cast(nn.ConvTranspose2d, self.model.grow[scale]), cast(nn.Conv2d, self.model.merge[scale])
        for start, end in self.spans(skip.shape[-2], skip.shape[-1], skip.shape[1]):
            band = _band(below, start // 2, end // 2, 1)
            # each row below becomes two; the first and the last two are those of the rows around
            grown = F.gelu(F.conv_transpose2d(band, grow.weight, grow.bias, stride=2, padding=1)[..., 2:-2, :])
            skip[..., start:end, :] = F.gelu(merge(torch.cat([grown, skip[..., start:end, :]], dim=1)))

    def stage(self, blocks: Any, x: Map) -> None:
        """Compute a stage in place."""
        for block in blocks:
            self.block(block, x)

    def block(self, block: ResidualBlock, x: Map) -> None:
        """Compute a residual block in place."""
        y = self.layer(x.shape, x.shape[1], lambda a, b: F.gelu(_conv(block.conv_in, _band(x, a, b, 1))))
        first, second = y.chunk(2, dim=1)
        del y
        if block.filters is not None:
            first = self.filter(cast(DynamicFilter, block.filters[0]), first)
            second = self.filter(cast(DynamicFilter, block.filters[1]), second)
        average = self.statistics.average(cast(LocalAvgPool2d, block.modulate_global.pool), first)
        modulation = block.modulate_window
        blended = self.statistics.blended_windows(modulation, second) if modulation.blended else None
        windows = [] if blended else self.statistics.windows(modulation, second)
        height = x.shape[-2]
        for start, end in self.spans(height, x.shape[-1], x.shape[1]):
            top, bottom = max(start - 1, 0), min(end + 1, height)
            if blended:
                rows, down = second[..., top:bottom, :], blended.down[:, top:bottom]
                quarters = modulation.modulate_blended(rows, blended.averages, down, blended.across)
            else:
                quarters = _modulate_windows(modulation, second, windows, top, bottom)
            whole = block.modulate_global.modulate(first[..., top:bottom, :], average.rows(top, bottom))
            z = torch.cat([whole, quarters], dim=1)
            x[..., start:end, :] += _conv(block.conv_out, _rows(z, start - 1 - top, end + 1 - top))

    def filter(self, layer: DynamicFilter, x: Map) -> Map:
        """Apply a dynamic filter, in place if its attention is global.

        Otherwise the result is a new map, because the windows of later bands still read the old one.
        """
        kernels = layer.kernels_for(self.statistics.average(layer.average, x).rows(0, 1))
        pooled = self.statistics.average(cast(LocalAvgPool2d, layer.modulator.pool), x)
        halo, height = layer.kernel_size // 2, x.shape[-2]
        spans = self.spans(height, x.shape[-1], x.shape[1])
        if not pooled.is_global:
            out = torch.empty_like(x, memory_format=torch.contiguous_format)
            for start, end in spans:
                low = layer.apply_kernels(_reflected(_band(x, start, end, halo, reflect=True), halo), kernels)
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


def _work(model: SFNet, height: int, width: int) -> float:
    """Return the total that `_Walk.spans` counts for an image: values times channels, over all loops over bands."""
    # halving a map doubles its channels, so that a loop counts the same at each of the three sizes
    one = height * width * model.arguments["width"] ** 2
    blocks = [cast(ResidualBlock, block) for stage in (*model.encoder, *model.decoder) for block in cast(Any, stage)]
    # the filters of a block loop over half of its channels each
    loops = sum(2 if block.filters is None else 2.5 for block in blocks)
    # the stem, statistics and features of two sizes, and what leads back to them
    return (loops + 1 + 2 * 2 + 2) * one + height * width * 3**2


def _shallow(shallow: nn.Sequential, image: Map, start: int, end: int) -> Map:
    """Compute rows of the shallow features before their normalization."""
    height = image.shape[-2]
    top, bottom = max(start - 1, 0), min(end + 1, height)
    x = F.gelu(shallow[2](F.gelu(_conv(cast(nn.Conv2d, shallow[0]), _band(image, top, bottom, 1)))))
    x = _rows(x, start - 1 - top, end + 1 - top)
    return shallow[6](F.gelu(_conv(cast(nn.Conv2d, shallow[4]), x)))


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


def _conv(conv: nn.Conv2d, band: Map) -> Map:
    """Convolve rows that include the rows needed above and below."""
    return F.conv2d(band, conv.weight, conv.bias, conv.stride, (0, int(conv.padding[1])))


def _rows(x: Map, start: int, end: int) -> Map:
    """Return rows of a map; rows outside of it are zero."""
    height = x.shape[-2]
    outside = (0, 0, max(-start, 0), max(end - height, 0))
    x = x[..., max(start, 0) : min(end, height), :]
    return F.pad(x, outside) if any(outside) else x


def _band(x: Map, start: int, end: int, halo: int, reflect: bool = False) -> Map:
    """Return rows of a map and `halo` more above and below."""
    if not reflect:
        return _rows(x, start - halo, end + halo)
    height = x.shape[-2]
    outside = (0, 0, max(halo - start, 0), max(end + halo - height, 0))
    x = x[..., max(start - halo, 0) : min(end + halo, height), :]
    return F.pad(x, outside, mode="reflect") if any(outside) else x


def _reflected(band: Map, halo: int) -> Map:
    """Reflect columns at both sides."""
    return F.pad(band, (halo, halo, 0, 0), mode="reflect")
