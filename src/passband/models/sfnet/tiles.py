"""SFNet in tiles that know the whole picture.

Convolutions see little beyond a tile's border, but SFNet averages its maps over the whole picture, and a tile's own
averages are others: plain tiles come out with colors of their own. Here passes over the tiles gather what each
pooling layer would have averaged, and a last one restores every tile with the averages of the whole picture.

What a layer averages depends on the averages of the layers before it. So every pass settles the next layers in the
order the network runs them, and stops there: in those already settled a tile uses the averages of the whole picture,
in the others its own.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import LocalAvgPool2d, WindowModulation
from passband.layers.modulation import window_shares
from passband.layers.pooled import Global, Pooled
from passband.models.sfnet import SFNet
from passband.models.sfnet.bands import BlendedWindows, Map, MapWindow, Moments, restore_in_bands
from passband.ops.progress import Report, part_of
from passband.ops.tiling import Tile, blend_tiles, lay_tiles, pad_to_multiple

CELLS = 64
"""Cells per side of a map in which the averages of local windows are gathered."""
PASSES = 2
"""Passes over the tiles to gather statistics."""

Gathered = TypeVar("Gathered", "Grid", Moments)


@torch.no_grad()
def restore_in_tiles(
    model: SFNet,
    image: Float[Tensor, "B C H W"],
    side: int,
    overlap: int,
    *,
    passes: int = PASSES,
    rows: int | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore pictures of any size, one by one, in tiles that share the statistics of the whole picture.

    Args:
        model: the network, in evaluation.
        image: degraded pictures in [0, 1], from 1 x 1.
        side: height and width of a tile in pixels, a multiple of 8.
        overlap: pixels that neighboring tiles share at least, a multiple of 8 up to side / 2.
        passes: over all tiles to gather statistics, before the one that restores; together they cost (passes + 1) / 2
            times as much as that. 0 gives plain tiles; as many as there are pooling layers settle each with all
            before it settled.
        rows: height of a band, see `restore_in_bands`.
        report: called after each band of a tile with the share of the work that is done.

    Returns:
        The full-size prediction, not clamped.
    """
    height, width = image.shape[-2:]
    tiles = lay_tiles(height, width, side, overlap, model.multiple)
    if len(tiles) == 1:
        padded, _ = pad_to_multiple(image, model.multiple, model.minimum)
        return restore_in_bands(model, padded, rows=rows, report=report)[..., :height, :width]
    # each pooling layer is a place, that of window modulation among them
    places = sum(isinstance(module, LocalAvgPool2d | nn.InstanceNorm2d) for module in model.modules())
    # of all work, what a run of the network over a tile is: one run, and those of the passes, which end early
    runs = 1 + sum(number * places // passes / places for number in range(1, passes + 1))
    unit = 1 / (runs * len(tiles) * len(image))
    restored, done = [], 0.0
    for picture in image.split(1):
        statistics = PictureStatistics(tiles)

        def restore(tile: Tile, picture: Tensor = picture, statistics: PictureStatistics = statistics) -> Tensor:
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
        report(1.0)  # the last run needs no statistics, and so does a little less
    return torch.cat(restored) if len(restored) > 1 else restored[0]


class _Enough(Exception):  # noqa: N818 (no error: it ends a pass)
    """The places wanted have been seen; the rest of the network is not needed."""


class PictureStatistics:
    """Averages of the whole picture, gathered tile by tile and given to every tile.

    Args:
        tiles: all tiles of the picture.
    """

    wanted = 0
    """How many places to know after this pass, in the order in which the network comes by them; none to gather no
    more."""

    def __init__(self, tiles: list[Tile]):
        self.size = max(tile.rows.end for tile in tiles), max(tile.columns.end for tile in tiles)
        self.known: dict[nn.Module, Grid | Moments] = {}
        self.gathered: dict[nn.Module, Grid | Moments] = {}
        self.enter(tiles[0])

    def enter(self, tile: Tile) -> None:
        """Say whose maps come next."""
        self.tile, self.visited = tile, 0

    def settle(self) -> None:
        """Let every tile have what has been gathered from all of them."""
        self.known |= self.gathered
        self.gathered, self.wanted = {}, 0

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """The pooled map of the whole picture where the tile is."""
        stride = self.tile.rows.size // x.shape[-2]
        height, width = (side // stride for side in self.size)
        window = pool.window_for(height, width)
        grid = self._grid(pool, x, stride, *(_edges(side, window is not None) for side in (height, width)))
        return grid.pooled(x, window, (0, height), (0, width), self._corner(stride))

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """The windows of the whole picture that the tile touches."""
        stride, count = self.tile.rows.size // x.shape[-2], modulation.windows
        height, width = (side // stride // count for side in self.size)
        window = cast(LocalAvgPool2d, modulation.pool).window_for(height, width)
        edges = []
        for side in (height, width):
            inner = _edges(side, window is not None)
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
        """The averages of all windows of the whole picture, and their shares where the tile is."""
        stride, count = self.tile.rows.size // x.shape[-2], modulation.windows
        sides = [side // stride for side in self.size]
        edges = [torch.linspace(0, side, count + 1, dtype=torch.float64).round() for side in sides]
        averages = self._grid(modulation, x, stride, *edges).cells().to(x.device, torch.float32)
        corner = self._corner(stride)
        shares = []
        for side, start, length in zip(sides, corner, x.shape[-2:], strict=True):
            whole = window_shares(count, side)
            # what a tile has beyond the picture repeats its last position
            shares.append(whole[:, (torch.arange(length) + start).clamp(max=side - 1)].to(x.device))
        return BlendedWindows(averages[None].to(x.dtype), *shares)

    def spread(self, norm: nn.InstanceNorm2d, bands: Iterator[Map]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Mean and variance over the whole picture."""
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

    def _grid(self, place: nn.Module, x: Map, stride: int, rows: Tensor, columns: Tensor) -> "Grid":
        """The averages to use at a place; the tile's are gathered."""
        found, gathered = self._visit(place, lambda: Grid(x.shape[1], rows, columns))
        if gathered is not None:
            gathered.add(x, self._corner(stride), *self._own(stride))
        if found is None:
            found = Grid(x.shape[1], rows, columns)
            found.add(x, self._corner(stride), (0, x.shape[-2]), (0, x.shape[-1]))
        return found

    def _visit(self, place: nn.Module, make: Callable[[], Gathered]) -> tuple[Gathered | None, Gathered | None]:
        """What is known of a place, and where to gather more of it; either may be None.

        Raises:
            _Enough: if neither this place nor those after it are wanted.
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
        """The tile's first row and column, in positions of a map of the whole picture."""
        return self.tile.rows.start // stride, self.tile.columns.start // stride

    def _own(self, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The rows and columns of the tile's map that no other tile counts."""
        rows, columns = (
            ((span.own_start - span.start) // stride, (span.own_end - span.start) // stride)
            for span in (self.tile.rows, self.tile.columns)
        )
        return rows, columns


class Grid:
    """Sums of a map over cells, from which averages over any window follow; exact where cells end with the window.

    Args:
        channels: of the map.
        rows: where cells begin and end, in positions of the whole map.
        columns: the same across.
    """

    def __init__(self, channels: int, rows: Float[Tensor, " R"], columns: Float[Tensor, " K"]):
        self.rows, self.columns = rows, columns
        self.sums = torch.zeros(channels, len(rows) - 1, len(columns) - 1, dtype=torch.float64)
        self.counts = torch.zeros(len(rows) - 1, len(columns) - 1, dtype=torch.float64)

    def add(self, x: Map, corner: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Take in a part of a map.

        Args:
            x: the map of a tile.
            corner: where its first position is in the whole map.
            rows: those to count, in positions of the tile.
            columns: the same across.
        """
        across = _shares(self.columns, torch.arange(*columns) + corner[1]).to(x.device, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            for start in range(rows[0], rows[1], 64):
                end = min(start + 64, rows[1])
                down = _shares(self.rows, torch.arange(start, end) + corner[0]).to(x.device, torch.float32)
                part = down.T @ (x[0, :, start:end, slice(*columns)].float() @ across)
                self.sums += part.to("cpu", torch.float64)
                self.counts += (down.sum(0)[:, None] * across.sum(0)).to("cpu", torch.float64)

    def cells(self) -> Float[Tensor, "C R K"]:
        """The average of each cell; of one that no tile has reached yet, that of all positions seen."""
        all_seen = self.sums.sum((-2, -1), keepdim=True) / self.counts.sum()
        return torch.where(self.counts > 0, self.sums / self.counts.clamp(min=1), all_seen)

    def pooled(
        self,
        x: Map,
        window: tuple[int, int] | None,
        row_limits: tuple[int, int],
        column_limits: tuple[int, int],
        corner: tuple[int, int],
    ) -> Pooled:
        """The averages that belong to a map.

        Args:
            x: the map of a tile; its size, dtype and device are used.
            window: height and width of the window around each position; None for the limits themselves.
            row_limits: rows of the whole map that windows stay within.
            column_limits: columns that they stay within.
            corner: where the map's first position is in the whole map.
        """
        if window is None:
            down = _covered(self.rows, *torch.tensor(row_limits).split(1))
            across = _covered(self.columns, *torch.tensor(column_limits).split(1))
            mean = (down @ self.sums @ across.T) / (down @ self.counts @ across.T)
            return Global(mean[None].to(x.device, torch.float32).to(x.dtype))
        return _GridRows(self, x, window, row_limits, column_limits, corner)


class _GridRows:
    """Averages over windows around each position of a map, by rows."""

    is_global = False

    def __init__(
        self,
        grid: Grid,
        x: Map,
        window: tuple[int, int],
        row_limits: tuple[int, int],
        column_limits: tuple[int, int],
        corner: tuple[int, int],
    ):
        self.edges, self.tall, self.limits, self.top = grid.rows, window[0], row_limits, corner[0]
        self.dtype, self.device = x.dtype, x.device
        positions = torch.arange(x.shape[-1]) + corner[1]
        across = _covered(grid.columns, *_window_around(positions, window[1], column_limits))
        self.sums = (grid.sums @ across.T).to(x.device, torch.float32)
        self.counts = (grid.counts @ across.T).to(x.device, torch.float32)

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """Pooled rows, in the dtype of the map."""
        positions = torch.arange(start, end) + self.top
        down = _covered(self.edges, *_window_around(positions, self.tall, self.limits)).to(self.device, torch.float32)
        with torch.autocast(self.device.type, enabled=False):
            return ((down @ self.sums) / (down @ self.counts))[None].to(self.dtype)


def _edges(length: int, local: bool) -> Float[Tensor, " R"]:
    """Where the cells of a map begin and end: one cell, or many where windows are local."""
    cells = min(CELLS, length) if local else 1
    return torch.linspace(0, length, cells + 1, dtype=torch.float64).round()


def _shares(edges: Tensor, positions: Tensor) -> Float[Tensor, "P R"]:
    """For each position, 1 at the cell that holds it."""
    return ((positions[:, None] >= edges[:-1]) & (positions[:, None] < edges[1:])).double()


def _covered(edges: Tensor, starts: Tensor, ends: Tensor) -> Float[Tensor, "P R"]:
    """For each interval, how much of every cell it covers, 0 to 1."""
    low, high = edges[:-1], edges[1:]
    common = torch.minimum(ends.double()[:, None], high) - torch.maximum(starts.double()[:, None], low)
    return common.clamp(min=0) / (high - low)


def _window_around(positions: Tensor, size: int, limits: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Starts and ends of the windows around positions: as `local_average` lays them, within limits."""
    starts = (positions - limits[0] - (size - 1) // 2).clamp(0, limits[1] - limits[0] - size) + limits[0]
    return starts, starts + size
