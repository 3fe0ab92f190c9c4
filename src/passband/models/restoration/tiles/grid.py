"""Sums of a map over cells or lines, which are gathered tile by tile and give the averages of the whole map."""

import torch
from jaxtyping import Float
from torch import Tensor

from passband.layers.pooled import Global, Pooled
from passband.models.restoration.bands.statistics import Map

CELLS = 64
"""Number of cells per side of a map in which the averages of local windows are gathered."""


class Grid:
    """Sums of a map over cells, which give averages over any window; they are exact if cells end at the window's edges.

    Args:
        channels: channels of the map.
        rows: edges of the cells along the rows, in positions of the whole map.
        columns: edges of the cells along the columns.
    """

    def __init__(self, channels: int, rows: Float[Tensor, " R"], columns: Float[Tensor, " K"]):
        self.rows, self.columns = rows, columns
        self.sums = torch.zeros(channels, len(rows) - 1, len(columns) - 1, dtype=torch.float64)
        self.counts = torch.zeros(len(rows) - 1, len(columns) - 1, dtype=torch.float64)

    def add(self, x: Map, corner: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Add a part of a map.

        Args:
            x: map of a tile.
            corner: position of its first row and column in the whole map.
            rows: rows to count, in positions of the tile.
            columns: columns to count, in positions of the tile.
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
        """Return the average of each cell; a cell that no tile has reached gets the average of all positions seen."""
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
        """Return the averages that belong to a map.

        Args:
            x: map of a tile, of which the size, dtype and device are used.
            window: height and width of the window around each position; None averages within the limits.
            row_limits: rows of the whole map within which windows stay.
            column_limits: columns of the whole map within which windows stay.
            corner: position of the map's first row and column in the whole map.
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
        """Return pooled rows, in the dtype of the map."""
        positions = torch.arange(start, end) + self.top
        down = _covered(self.edges, *_window_around(positions, self.tall, self.limits)).to(self.device, torch.float32)
        with torch.autocast(self.device.type, enabled=False):
            return ((down @ self.sums) / (down @ self.counts))[None].to(self.dtype)


class Lines:
    """Sums of a map along its rows or its columns.

    Args:
        channels: channels of the map.
        length: number of rows or columns.
        dim: axis of the averages, as `layers.shape_filter.LineMean` has it.
    """

    def __init__(self, channels: int, length: int, dim: int):
        self.dim = dim
        self.sums = torch.zeros(channels, length, dtype=torch.float64)
        self.counts = torch.zeros(length, dtype=torch.float64)

    def add(self, part: Map, start: int) -> None:
        """Add a part of a map.

        Args:
            part: map of a tile.
            start: number of the part's first row or column in the whole map, from 0.
        """
        sums = part[0].sum(self.dim, dtype=torch.float32).to("cpu", torch.float64)
        self.sums[:, start : start + sums.shape[1]] += sums
        self.counts[start : start + sums.shape[1]] += part.shape[self.dim]

    def means(self, x: Map, start: int) -> Float[Tensor, "1 C _ _"]:
        """Return the averages of the lines that a part of the map has.

        Args:
            x: map of a tile, of which the size, dtype and device are used.
            start: number of the part's first row or column in the whole map, from 0.

        Returns:
            Averages of size H x 1 or 1 x W, in the dtype of the map.
        """
        length = x.shape[-3 - self.dim]
        means = self.sums[:, start : start + length] / self.counts[start : start + length]
        return means.to(x.device, torch.float32).to(x.dtype).unsqueeze(self.dim)[None]


def cell_edges(length: int, local: bool) -> Float[Tensor, " R"]:
    """Return the edges of the cells of a map: one cell, or many if windows are local.

    Args:
        length: number of rows or columns of the map.
        local: whether windows are local; otherwise there is a single cell.

    Returns:
        R - 1 cells begin and end at these whole positions, from 0 to `length`.
    """
    cells = min(CELLS, length) if local else 1
    return torch.linspace(0, length, cells + 1, dtype=torch.float64).round()


def _shares(edges: Tensor, positions: Tensor) -> Float[Tensor, "P R"]:
    """Return, for each position, 1 at the cell that holds it and 0 elsewhere."""
    return ((positions[:, None] >= edges[:-1]) & (positions[:, None] < edges[1:])).double()


def _covered(edges: Tensor, starts: Tensor, ends: Tensor) -> Float[Tensor, "P R"]:
    """Return, for each interval, the share of every cell that it covers, 0 to 1."""
    low, high = edges[:-1], edges[1:]
    common = torch.minimum(ends.double()[:, None], high) - torch.maximum(starts.double()[:, None], low)
    return common.clamp(min=0) / (high - low)


def _window_around(positions: Tensor, size: int, limits: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return starts and ends of the windows around positions, as `local_average` places them, within limits."""
    starts = (positions - limits[0] - (size - 1) // 2).clamp(0, limits[1] - limits[0] - size) + limits[0]
    return starts, starts + size
