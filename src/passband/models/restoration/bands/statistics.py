"""The averages of maps that a network in bands needs, from the maps themselves or from elsewhere."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import LocalAvgPool2d, WindowModulation
from passband.layers.modulation import window_shares
from passband.layers.pooled import Global, Local, Pooled
from passband.layers.shape_filter import LineMean
from passband.ops.precision import widened

Map = Float[Tensor, "1 _ _ _"]


class Extent(NamedTuple):
    """Rows or columns of a map that is a part of the map of the whole image."""

    start: int
    """Position of the part's first row or column in the whole map."""
    whole: int
    """Number of rows or columns of the whole map."""


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
        """Return the pooled map of a layer's input.

        Args:
            pool: pooling layer.
            x: map of the whole image, or of a part of it.
        """
        ...

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Return the windows that cover the map, with their pooled maps.

        Args:
            modulation: layer of window modulation that is not blended.
            x: map of the whole image, or of a part of it.
        """
        ...

    def blended_windows(self, modulation: WindowModulation, x: Map) -> BlendedWindows:
        """Return the averages of all windows of a map whose modulation is blended.

        Args:
            modulation: layer of window modulation that is blended.
            x: map of the whole image, or of a part of it.
        """
        ...

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Return the mean and the variance of each channel of a map whose bands come from top to bottom.

        Args:
            norm: layer that normalizes the map.
            bands: bands of rows of the map.

        Returns:
            Mean, and variance with the number of positions as divisor, in float32, or in float64 for a map of that
            type.
        """
        ...

    def lines(self, mean: LineMean, x: Map) -> Float[Tensor, "1 C _ _"]:
        """Return the averages of the rows, or of the columns, that the map has.

        Args:
            mean: layer that averages rows or columns.
            x: map of the whole image, or of a part of it.

        Returns:
            Averages of size H x 1 or 1 x W.
        """
        ...

    def extent(self, x: Map) -> tuple[Extent, Extent]:
        """Return the rows and the columns of the map, in the map of the whole image.

        Args:
            x: map of the whole image, or of a part of it.
        """
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
        down, across = (window_shares(modulation.windows, side, x.device) for side in x.shape[-2:])
        return BlendedWindows(modulation.pool(modulation.split(x))[..., 0, 0], down, across)

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Merge the mean and the variance of the bands."""
        moments = Moments()
        for band in bands:
            moments.add(band)
        return moments.mean, moments.variance

    def lines(self, mean: LineMean, x: Map) -> Float[Tensor, "1 C _ _"]:
        """Return the averages of the map's own rows or columns."""
        return mean(x)

    def extent(self, x: Map) -> tuple[Extent, Extent]:
        """Return all rows and columns of the map."""
        height, width = x.shape[-2:]
        return Extent(0, height), Extent(0, width)


class Moments:
    """Mean and variance per channel of values that come in parts (Chan et al., 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.squares: Tensor = torch.zeros(())

    def add(self, part: Map) -> None:
        """Add more positions.

        Args:
            part: values 1 x C x h x w, with any h and w above 0.
        """
        count = part.shape[-2] * part.shape[-1]
        variance, mean = torch.var_mean(widened(part), dim=(0, -2, -1), correction=0)
        total, change = self.count + count, mean - self.mean.to(mean)
        self.squares = self.squares.to(mean) + variance * count + change**2 * (self.count * count / total)
        self.mean = self.mean.to(mean) + change * (count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Variance of the values, with their number as divisor."""
        return self.squares / self.count
