"""Computes the networks of three scales in tiles that share the statistics of the whole image.

Convolutions see little beyond a tile's border, but the networks average maps over the whole image, and the averages of
a tile differ: plain tiles get different colors. Therefore passes over the tiles first gather the averages of each
pooling layer, and a last pass restores every tile with the averages of the whole image.

The averages of a layer depend on those of the layers before it. So every pass settles the next layers, in the order in
which the network runs them, and stops there. In settled layers a tile uses the averages of the whole image, in the
others its own.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import LocalAvgPool2d, WindowModulation
from passband.layers.modulation import window_shares
from passband.layers.pooled import Pooled
from passband.layers.shape_filter import LineMean
from passband.models.inputs import check_batch
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.bands.statistics import BlendedWindows, Extent, Map, MapWindow, Moments
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.models.restoration.tiles.grid import Grid, Lines, cell_edges
from passband.ops.progress import Report, part_of
from passband.ops.tiling import Tile, blend_tiles, lay_tiles, pad_to_multiple

PASSES = 2
"""Number of passes over the tiles that gather statistics."""

Gathered = TypeVar("Gathered", Grid, Lines, Moments)


@torch.no_grad()
def restore_in_tiles(
    model: ThreeScaleNetwork,
    image: Float[Tensor, "B C H W"],
    side: int,
    overlap: int,
    *,
    passes: int = PASSES,
    rows: int | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore images of any size, one by one, in tiles that share the statistics of the whole image.

    Args:
        model: network in evaluation mode.
        image: degraded images in [0, 1], from 1 x 1 pixel.
        side: height and width of a tile in pixels, a multiple of the network's `multiple` and at least its `minimum`.
        overlap: least number of pixels that neighboring tiles share, a multiple of the same number, up to side / 2.
        passes: number of passes over all tiles that gather statistics. Together they cost (passes + 1) / 2 times as
            much as the restoring pass. 0 gives plain tiles; with as many passes as pooling layers, each layer is
            settled after all layers before it.
        rows: height of a band, see `restore_in_bands`.
        report: function that is called after each band of a tile with the share of the work that is done.

    Returns:
        The full-size prediction, not clamped.

    Raises:
        TypeError: if the images are not a tensor of the precision of the weights.
        ValueError: if there is no image, or the channels, the side or the overlap do not fit.
    """
    check_batch(image, model, type(model).__name__, model.in_channels)
    if side < model.minimum:
        raise ValueError(f"{type(model).__name__} needs tiles of at least {model.minimum} pixels, got {side}")
    height, width = image.shape[-2:]
    tiles = lay_tiles(max(height, model.minimum), max(width, model.minimum), side, overlap, model.multiple)
    if len(tiles) == 1:
        padded, _ = pad_to_multiple(image, model.multiple, model.minimum)
        return restore_in_bands(model, padded, rows=rows, report=report)[..., :height, :width]
    # each pooling layer is a place, including that of window modulation
    places = sum(isinstance(module, LocalAvgPool2d | nn.InstanceNorm2d | LineMean) for module in model.modules())
    # of all work, what a run of the network over a tile is: one run, and those of the passes, which end early
    runs = 1 + sum(number * places // passes / places for number in range(1, passes + 1))
    unit = 1 / (runs * len(tiles) * len(image))
    restored, done = [], 0.0
    for picture in image.split(1):
        statistics = WholeImageStatistics(tiles)

        def restore(tile: Tile, picture: Tensor = picture, statistics: WholeImageStatistics = statistics) -> Tensor:
            nonlocal done
            padded, _ = pad_to_multiple(tile.of(picture), model.multiple, model.minimum)
            statistics.enter(tile)
            # a pass that gathers statistics ends before the network does
            share = statistics.wanted / places or 1.0
            part, done = part_of(report, done, done + unit), done + unit * share
            return restore_in_bands(model, padded, rows=rows, statistics=statistics, report=part)

        for number in range(1, passes + 1):
            statistics.wanted = number * places // passes
            for tile in tiles:
                with contextlib.suppress(_Enough):
                    restore(tile)
            statistics.settle()
        restored.append(blend_tiles(restore, tiles, height, width))
    if report is not None:
        report(1.0)  # the last run gathers no statistics and therefore does a little less
    return torch.cat(restored) if len(restored) > 1 else restored[0]


class _Enough(Exception):  # noqa: N818 (no error: it ends a pass)
    """Raised to end a pass: all places of this pass have been visited, and the rest of the network is not needed."""


class WholeImageStatistics:
    """Averages of the whole image, which are gathered tile by tile and used by every tile.

    Args:
        tiles: all tiles of the image.
    """

    wanted = 0
    """Number of places that are known after this pass, in the order in which the network visits them; 0 gathers no
    more."""

    def __init__(self, tiles: list[Tile]):
        self.size = max(tile.rows.end for tile in tiles), max(tile.columns.end for tile in tiles)
        self.known: dict[nn.Module, Grid | Lines | Moments] = {}
        self.gathered: dict[nn.Module, Grid | Lines | Moments] = {}
        self.enter(tiles[0])

    def enter(self, tile: Tile) -> None:
        """Set the tile whose maps come next.

        Args:
            tile: one of the image's tiles.
        """
        self.tile, self.visited = tile, 0

    def settle(self) -> None:
        """Let every tile use what was gathered from all tiles."""
        self.known |= self.gathered
        self.gathered, self.wanted = {}, 0

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """Return the pooled map of the whole image at the position of the tile."""
        stride = self.tile.rows.size // x.shape[-2]
        height, width = (side // stride for side in self.size)
        window = pool.window_for(height, width)
        grid = self._grid(pool, x, stride, *(cell_edges(side, window is not None) for side in (height, width)))
        return grid.pooled(x, window, (0, height), (0, width), self._corner(stride))

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Return the windows of the whole image that the tile touches."""
        stride, count = self.tile.rows.size // x.shape[-2], modulation.windows
        height, width = (side // stride // count for side in self.size)
        window = cast(LocalAvgPool2d, modulation.pool).window_for(height, width)
        edges = []
        for side in (height, width):
            inner = cell_edges(side, window is not None)
            edges.append(torch.cat([inner[:-1] + number * side for number in range(count)] + [inner[-1:] * count]))
        grid = self._grid(modulation, x, stride, *edges)
        top, left = self._corner(stride)
        windows = []
        for row in range(count):
            for column in range(count):
                rows = max(row * height - top, 0), min((row + 1) * height - top, x.shape[-2])
                columns = max(column * width - left, 0), min((column + 1) * width - left, x.shape[-1])
                if rows[0] >= rows[1] or columns[0] >= columns[1]:
                    continue
                limits = (row * height, (row + 1) * height), (column * width, (column + 1) * width)
                part = x[..., slice(*rows), slice(*columns)]
                pooled = grid.pooled(part, window, *limits, (top + rows[0], left + columns[0]))
                windows.append(MapWindow(rows, columns, (row, column), pooled))
        return windows

    def blended_windows(self, modulation: WindowModulation, x: Map) -> BlendedWindows:
        """Return the averages of all windows of the whole image, and their shares at the position of the tile."""
        stride, count = self.tile.rows.size // x.shape[-2], modulation.windows
        sides = [side // stride for side in self.size]
        edges = [torch.linspace(0, side, count + 1, dtype=torch.float64).round() for side in sides]
        averages = self._grid(modulation, x, stride, *edges).cells().to(x.device, torch.float32)
        corner = self._corner(stride)
        shares = []
        for side, start, length in zip(sides, corner, x.shape[-2:], strict=True):
            whole = window_shares(count, side)
            # positions of a tile beyond the image repeat its last position
            shares.append(whole[:, (torch.arange(length) + start).clamp(max=side - 1)].to(x.device))
        return BlendedWindows(averages[None].to(x.dtype), *shares)

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Return the mean and the variance over the whole image."""
        found, gathered = self._visit(norm, Moments)
        if found is None:
            found, row = Moments(), 0
            for band in bands:
                found.add(band)
                if gathered is not None:
                    rows, columns = self._own(self.tile.columns.size // band.shape[-1])
                    part = band[..., max(rows[0] - row, 0) : max(rows[1] - row, 0), slice(*columns)]
                    if part.numel():
                        gathered.add(part)
                row += band.shape[-2]
        return found.mean, found.variance

    def lines(self, mean: LineMean, x: Map) -> Float[Tensor, "1 C _ _"]:
        """Return the averages of the whole image's rows or columns, at the position of the tile."""
        axis = 1 if mean.dim == -2 else 0
        extent = self.extent(x)[axis]
        known, gathered = self._visit(mean, lambda: Lines(x.shape[1], extent.whole, mean.dim))
        if gathered is not None:
            rows, columns = self._own(self.tile.rows.size // x.shape[-2])
            gathered.add(x[..., slice(*rows), slice(*columns)], extent.start + (rows, columns)[axis][0])
        return mean(x) if known is None else known.means(x, extent.start)

    def extent(self, x: Map) -> tuple[Extent, Extent]:
        """Return the rows and the columns of a map of the tile, in that of the whole image."""
        stride = self.tile.rows.size // x.shape[-2]
        rows, columns = (
            Extent(start, side // stride) for start, side in zip(self._corner(stride), self.size, strict=True)
        )
        return rows, columns

    def _grid(self, place: nn.Module, x: Map, stride: int, rows: Tensor, columns: Tensor) -> Grid:
        """Return the averages to use at a place, and gather those of the tile."""
        found, gathered = self._visit(place, lambda: Grid(x.shape[1], rows, columns))
        if gathered is not None:
            gathered.add(x, self._corner(stride), *self._own(stride))
        if found is None:
            found = Grid(x.shape[1], rows, columns)
            found.add(x, self._corner(stride), (0, x.shape[-2]), (0, x.shape[-1]))
        return found

    def _visit(self, place: nn.Module, make: Callable[[], Gathered]) -> tuple[Gathered | None, Gathered | None]:
        """Return what is known of a place, and where to gather more of it; either may be None.

        Raises:
            _Enough: if neither this place nor those after it are needed.
        """
        if place in self.known:
            self.visited += 1
            return cast(Gathered, self.known[place]), None
        if not self.wanted:
            return None, None
        if self.visited == self.wanted:
            raise _Enough
        self.visited += 1
        return None, cast(Gathered, self.gathered.setdefault(place, make()))

    def _corner(self, stride: int) -> tuple[int, int]:
        """Return the tile's first row and column, in positions of a map of the whole image."""
        return self.tile.rows.start // stride, self.tile.columns.start // stride

    def _own(self, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the rows and columns of the tile's map that no other tile counts."""
        rows, columns = (
            ((span.own_start - span.start) // stride, (span.own_end - span.start) // stride)
            for span in (self.tile.rows, self.tile.columns)
        )
        return rows, columns
