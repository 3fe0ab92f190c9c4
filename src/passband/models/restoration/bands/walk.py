"""Computes maps a band of rows at a time."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passband.models.restoration.bands.statistics import Map, MapStatistics
from passband.ops.progress import Report

BAND_VALUES = 2**20
"""Number of values of a map in one band: 4 MB of float32. Larger bands are no faster and fragment the memory."""
LEAST_ROWS = 8
"""Least number of rows of a band, however wide the image is."""


class Walk:
    """The computation of one image, layer by layer.

    Args:
        rows: height of a band at every size, even; None uses `BAND_VALUES`.
        statistics: source of averages.
        report: function that is called after each band with the share of the work that is done.
        work: total that `spans` counts for the image: positions times channels squared, over all loops over bands.
    """

    def __init__(self, rows: int | None, statistics: MapStatistics, report: Report | None, work: float):
        self.rows, self.statistics, self.report = rows, statistics, report
        self.done, self.work = 0.0, work

    def layer(self, shape: tuple[int, ...], channels: int, make: Callable[[int, int], Tensor]) -> Map:
        """Compute a map from its bands.

        Args:
            shape: shape whose last two numbers are the height and width of the map.
            channels: number of channels of the map.
            make: function that computes the rows from a start to an end.

        Returns:
            The map 1 x channels x H x W, in the dtype that `make` returns.
        """
        out = None
        for start, end in self.spans(shape[-2], shape[-1], channels):
            band = make(start, end)
            if out is None:
                out = band.new_empty(1, channels, *shape[-2:])
            out[..., start:end, :] = band
        assert out is not None
        return out

    def spans(self, height: int, width: int, channels: int) -> Iterator[tuple[int, int]]:
        """Iterate over the bands of a map, and report the progress. A band is done when the next one is requested.

        Args:
            height: height of the map, in positions.
            width: width of the map, in positions.
            channels: number of channels of the map, which limits the height of a band.

        Yields:
            The first row of each band, which is even, and the row after its last.
        """
        rows = self.rows or max(LEAST_ROWS, BAND_VALUES // (width * channels) // 2 * 2)
        for start in range(0, height, rows):
            end = min(start + rows, height)
            yield start, end
            if self.report is not None:
                self.done += (end - start) * width * channels**2
                self.report(min(self.done / self.work, 1.0))


def convolve(conv: nn.Conv2d, band: Map) -> Map:
    """Convolve rows that include the rows needed above and below.

    Args:
        conv: convolution, whose padding above and below is not applied.
        band: rows to compute, with as many rows above and below as the kernel reaches.

    Returns:
        The output of the inner rows.
    """
    return F.conv2d(band, conv.weight, conv.bias, conv.stride, (0, int(conv.padding[1])), groups=conv.groups)


def rows_of(x: Map, start: int, end: int) -> Map:
    """Return rows of a map; rows outside of it are zero.

    Args:
        x: map.
        start: first row; negative above the map.
        end: row after the last, which may lie below the map.

    Returns:
        end - start rows; a view if all lie within the map.
    """
    height = x.shape[-2]
    outside = (0, 0, max(-start, 0), max(end - height, 0))
    x = x[..., max(start, 0) : min(end, height), :]
    return F.pad(x, outside) if any(outside) else x


def band_of(x: Map, start: int, end: int) -> Map:
    """Return rows of a map and one more above and below, for a 3x3 convolution; rows outside of it are zero.

    Args:
        x: map.
        start: first row, from 0.
        end: row after the last, at most the height of the map.

    Returns:
        end - start + 2 rows.
    """
    return rows_of(x, start - 1, end + 1)


def reflected_band_of(x: Map, start: int, end: int, halo: int) -> Map:
    """Return rows of a map and `halo` more above and below, which are reflected at its borders.

    Args:
        x: map of more than `halo` rows.
        start: first row, from 0.
        end: row after the last, at most the height of the map.
        halo: number of rows to add on either side.

    Returns:
        end - start + 2 halo rows.
    """
    last = x.shape[-2] - 1
    if start >= halo and end + halo <= last + 1:
        return x[..., start - halo : end + halo, :]
    positions = torch.arange(start - halo, end + halo, device=x.device).abs()
    return x.index_select(-2, last - (last - positions).abs())
